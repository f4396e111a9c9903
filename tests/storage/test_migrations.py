"""The schema on three databases: made, taken back, made once by many; and what its types promise."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from bank.audit.store import audit_records
from bank.cli.copying import all_tables
from bank.ledger import service
from bank.ledger.tables import journal_entries
from bank.storage import migrate
from bank.storage.engine import make_engine
from bank.storage.metadata import metadata
from tests.conftest import MakeDatabase
from tests.furnished import furnish
from tests.ledger import a_till, an_account, move, named, opened
from tests.servers import DatabaseUrls

REVISIONS = list(ScriptDirectory.from_config(migrate._config()).walk_revisions())
"""The newest first."""

LEFT_BY_ALEMBIC = {"alembic_version"}


@pytest.fixture
def empty(make_database: MakeDatabase, dialect: str) -> DatabaseUrls:
    """A database in which nothing is."""
    return make_database(dialect, migrated=False)


def _query(url: str, statement: str) -> list[Any]:
    engine = make_engine(url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(statement).all()
    engine.dispose()
    return rows


def _tables(url: str) -> set[str]:
    engine = make_engine(url)
    tables = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    return tables


def _differences(url: str) -> list[Any]:
    """What Alembic would change to make the schema what the code says."""
    all_tables()
    engine = make_engine(url)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_object": _is_ours}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    return found


def _is_ours(_thing: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    # MySQL's, so that TRUNCATE is refused; no code knows them.
    return not (kind == "table" and str(name).endswith("_truncate_guard"))


def _code(url: str, dialect: str) -> list[Any]:
    """The triggers and routines, by name."""
    queries = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
        "postgresql": "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
        " UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
        "mysql": "SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()"
        " UNION ALL SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1",
    }
    return _query(url, queries[dialect])


def test_from_empty_the_schema_becomes_what_the_code_says(empty: DatabaseUrls) -> None:
    assert migrate.upgrade(empty.migrator) == migrate.head() == REVISIONS[0].revision

    assert _differences(empty.migrator) == []
    assert migrate.upgrade(empty.migrator) == migrate.head()


def test_every_check_in_the_code_is_in_the_database(database_urls: DatabaseUrls) -> None:
    """Alembic compares all but these."""
    engine = make_engine(database_urls.migrator)
    inspector = sa.inspect(engine)
    stored = {
        (table.name, check["name"]) for table in all_tables() for check in inspector.get_check_constraints(table.name)
    }
    engine.dispose()

    declared = {
        (table.name, str(sa.schema.conv(constraint.name)))
        for table in all_tables()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }
    assert {(table, f"ck_{table}_{name.removeprefix(f'ck_{table}_')}") for table, name in declared} == stored


def test_a_lost_column_would_be_noticed(empty: DatabaseUrls) -> None:
    """So that the empty answer above says something."""
    migrate.upgrade(empty.migrator)
    _change(empty.migrator, "ALTER TABLE customers DROP COLUMN phone")

    assert [difference[0] for difference in _differences(empty.migrator)] == ["add_column"]


def _change(url: str, statement: str) -> None:
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_the_last_migration_goes_down_and_up_again(empty: DatabaseUrls, dialect: str) -> None:
    migrate.upgrade(empty.migrator)
    code, tables = _code(empty.migrator, dialect), _tables(empty.migrator)

    assert migrate.downgrade(empty.migrator) == REVISIONS[0].down_revision
    assert migrate.upgrade(empty.migrator) == migrate.head()

    assert (_code(empty.migrator, dialect), _tables(empty.migrator)) == (code, tables)
    assert _differences(empty.migrator) == []
    with opened(empty.migrator) as bank:
        furnish(bank)


def test_all_the_way_down_nothing_is_left_over(empty: DatabaseUrls, dialect: str) -> None:
    migrate.upgrade(empty.migrator)
    with opened(empty.migrator) as bank:
        furnish(bank)

    assert migrate.downgrade(empty.migrator, "base") is None

    assert _tables(empty.migrator) == LEFT_BY_ALEMBIC
    assert _code(empty.migrator, dialect) == []
    assert migrate.upgrade(empty.migrator) == migrate.head()


def test_each_step_down_and_up_alone(empty: DatabaseUrls) -> None:
    for revision in reversed(REVISIONS):
        assert migrate.upgrade(empty.migrator, revision.revision) == revision.revision
        assert migrate.downgrade(empty.migrator) == revision.down_revision
        assert migrate.upgrade(empty.migrator, revision.revision) == revision.revision


def test_of_four_servers_that_upgrade_at_once_one_runs_each_migration(empty: DatabaseUrls) -> None:
    script = (
        "import logging, sys\n"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        "logging.getLogger('alembic.runtime.migration').setLevel('INFO')\n"
        "from bank.storage import migrate\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "print('now at', migrate.upgrade(sys.argv[1]))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty.migrator],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0, 0], outputs
    ran = [line for output, _ in outputs for line in output.splitlines() if line.startswith("Running upgrade")]
    assert len(ran) == len(REVISIONS)
    assert [output.splitlines()[-1] for output, _ in outputs] == [f"now at {migrate.head()}"] * 4


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 3, 2, 17, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 0, 0, 123456, tzinfo=UTC),
        # In New York's spring this local hour does not exist.
        datetime(2026, 3, 8, 2, 30, 0, 500001, tzinfo=UTC),
        datetime(2026, 6, 1, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
    ids=str,
)
def test_an_instant_keeps_its_microseconds(database_urls: DatabaseUrls, instant: datetime) -> None:
    with opened(database_urls.app) as bank, bank.connect() as connection:
        row = {"at": instant, "who": "w", "action": "a", "subject": "s", "details": {}}
        connection.execute(audit_records.insert(), row)
        stored = connection.execute(sa.select(audit_records.c.at)).scalar_one()
        later = connection.execute(sa.select(audit_records.c.id).where(audit_records.c.at > instant)).all()

        assert stored == instant
        assert stored.utcoffset() == timedelta(0)
        assert later == []


def test_the_door_keeps_an_entrys_microseconds(database_urls: DatabaseUrls) -> None:
    instant = datetime(2026, 3, 2, 17, 0, 0, 654321, tzinfo=UTC)
    with opened(database_urls.app) as bank:
        [outcome] = service.post(bank, [move(a_till(bank), an_account(bank), 1, booked_at=instant)])
        with bank.reader() as reader:
            query = sa.select(journal_entries.c.booked_at).where(journal_entries.c.id == outcome.or_raise())
            assert reader.execute(query).scalar_one() == instant


KEYS = (
    "a",
    "A",
    "a ",
    " a",
    "á",
    "a\u0301",
    "ａ",
    "ß",
    "ss",
    "ŀ",
    "é" * 127,
    "e" * 255,
    "\t",
    "a\n",
    "😀",
    "'",
    "\\",
    "%",
)
"""Alike to one or another collation; á stands twice, composed and decomposed."""


def test_idempotency_keys_compare_byte_for_byte_and_belong_to_their_caller(database_urls: DatabaseUrls) -> None:
    assert len(set(KEYS)) == len(KEYS)
    with opened(database_urls.app) as bank:
        till, account = a_till(bank), an_account(bank)
        batch = [
            move(till, account, 1, caller=caller, idempotency_key=key)
            for caller in ("teller", "Teller ", "töller")
            for key in KEYS
        ]
        first = service.post(bank, batch)
        again = service.post(bank, batch)

        assert {named(outcome) for outcome in first} == {"Posted"}
        assert len({outcome.or_raise() for outcome in first}) == len(batch)
        assert {named(outcome) for outcome in again} == {"Replayed"}
        assert [outcome.or_raise() for outcome in again] == [outcome.or_raise() for outcome in first]
        with bank.reader() as reader:
            stored = reader.execute(sa.select(journal_entries.c.caller, journal_entries.c.idempotency_key)).all()
            assert {tuple(row) for row in stored} >= {(entry.caller, entry.idempotency_key) for entry in batch}
