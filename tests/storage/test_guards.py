"""What is written stays written, and the application's role may do what it needs and no more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from bank.ledger import service
from bank.ledger.model import JournalEntry, Posting, Side
from bank.money import Money
from bank.storage.dialects import dialect_of
from bank.storage.dialects.base import ALL, RIGHTS
from bank.storage.engine import make_engine
from tests.furnished import Furnished, furnish
from tests.ledger import move, opened
from tests.servers import APP_ROLE, DatabaseUrls

KEPT = ("journal_entries", "postings", "audit_records")
COLUMNS = {
    "journal_entries": "id, caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at",
    "postings": "account_id, seq, entry_id, side, minor_units, balance_after, booking_date",
    "audit_records": "id, at, who, action, subject, details",
}
CHANGED = {"journal_entries": "narrative", "postings": "minor_units", "audit_records": "who"}
KEY = {"journal_entries": "id", "postings": "account_id, seq", "audit_records": "id"}
REFUSED = r"never (changed|replaced)|[Cc]annot truncate a table referenced in a foreign key constraint"


@pytest.fixture
def furnished(database_urls: DatabaseUrls) -> Iterator[Furnished]:
    with opened(database_urls.app) as bank:
        yield furnish(bank)


@pytest.fixture
def connect(database_urls: DatabaseUrls, furnished: Furnished) -> Iterator[Any]:
    """Connect as `migrator` or `app` to a furnished bank."""
    engines = []

    def as_role(role: str) -> sa.Connection:
        engines.append(make_engine(getattr(database_urls, role)))
        return engines[-1].connect().execution_options(no_parameters=True)

    yield as_role
    for engine in engines:
        engine.dispose()


def _writes(dialect: str, table: str) -> dict[str, str]:
    """Every way to change or delete rows of the table, by name; each would change at least one."""
    columns, changed = COLUMNS[table], CHANGED[table]
    same = f"INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE 1 = 1"
    writes = {
        "UPDATE": f"UPDATE {table} SET {changed} = {changed}",
        "DELETE": f"DELETE FROM {table}",
    }
    if dialect == "mysql":
        upsert = f"INSERT {same} ON DUPLICATE KEY UPDATE {changed} = VALUES({changed})"
        ignore = f"UPDATE IGNORE {table} SET {changed} = {changed}"
        return writes | {
            "REPLACE": f"REPLACE {same}",
            "upsert": upsert,
            "UPDATE IGNORE": ignore,
            "TRUNCATE": f"TRUNCATE TABLE {table}",
        }
    writes["upsert"] = f"INSERT {same} ON CONFLICT ({KEY[table]}) DO UPDATE SET {changed} = excluded.{changed}"
    if dialect == "postgresql":
        merge = (
            f"MERGE INTO {table} t USING (SELECT {columns} FROM {table}) s ON {_joined(table)}"
            f" WHEN MATCHED THEN UPDATE SET {changed} = s.{changed}"
        )
        truncate = {"TRUNCATE": f"TRUNCATE {table}", "TRUNCATE CASCADE": f"TRUNCATE {table} CASCADE"}
        return {**writes, "MERGE": merge, **truncate}
    replace = {f"{word}": f"{word} {same}" for word in ("REPLACE", "INSERT OR REPLACE")}
    return {**writes, **replace, "UPDATE OR REPLACE": f"UPDATE OR REPLACE {table} SET {changed} = {changed}"}


def _joined(table: str) -> str:
    return " AND ".join(f"t.{column} = s.{column}" for column in KEY[table].split(", "))


def _rows(connection: sa.Connection, table: str) -> list[Any]:
    return connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY {KEY[table]}").all()


@pytest.mark.parametrize("table", KEPT)
def test_the_owner_cannot_change_replace_or_delete_what_is_written(connect: Any, dialect: str, table: str) -> None:
    owner = connect("migrator")
    before = _rows(owner, table)
    assert before

    for name, statement in _writes(dialect, table).items():
        if name == "MERGE" and owner.dialect.server_version_info < (15,):
            continue
        with pytest.raises(sa.exc.DBAPIError, match=REFUSED):
            owner.exec_driver_sql(statement)
    assert _rows(owner, table) == before


@pytest.mark.dialects("sqlite")
@pytest.mark.parametrize("recursive_triggers", ["OFF", "ON"])
@pytest.mark.parametrize("table", KEPT)
def test_another_program_cannot_replace_a_row_in_the_file(
    database_urls: DatabaseUrls, furnished: Furnished, table: str, recursive_triggers: str
) -> None:
    file = sqlite3.connect(database_urls.app.removeprefix("sqlite:///"), isolation_level=None)
    file.execute(f"PRAGMA recursive_triggers = {recursive_triggers}")
    file.execute("PRAGMA foreign_keys = OFF")
    before = file.execute(f"SELECT * FROM {table}").fetchall()

    for statement in _writes("sqlite", table).values():
        with pytest.raises(sqlite3.DatabaseError, match=REFUSED):
            file.execute(statement)
    if table == "journal_entries":
        # By another unique key than the primary: REPLACE deletes whatever row is in its way.
        for column, value in (("caller, idempotency_key", "caller, idempotency_key"), ("reverses", "reverses")):
            with pytest.raises(sqlite3.DatabaseError, match=REFUSED):
                file.execute(
                    f"REPLACE INTO journal_entries ({column}, digest, kind, narrative, booking_date, value_date, booked_at"
                    f"{', caller, idempotency_key' if column == 'reverses' else ''}) SELECT {value}, 'd', 'k', 'n', '2026-01-01',"
                    f" '2026-01-01', '2026-01-01'{', caller, 42' if column == 'reverses' else ''}"
                    f" FROM journal_entries WHERE {column.split(', ')[0]} IS NOT NULL LIMIT 1"
                )
    assert file.execute(f"SELECT * FROM {table}").fetchall() == before
    file.close()


servers_only = pytest.mark.dialects("postgresql", "mysql")
DENIED = r"permission denied|must be owner|command denied|denied to user|denied for (user|routine)"


@servers_only
@pytest.mark.parametrize("table", KEPT)
def test_the_application_lacks_the_right_even_to_try(connect: Any, dialect: str, table: str) -> None:
    app = connect("app")

    for name, statement in _writes(dialect, table).items():
        if name == "MERGE" and app.dialect.server_version_info < (15,):
            continue
        with pytest.raises(sa.exc.DBAPIError, match=DENIED):
            app.exec_driver_sql(statement)


@servers_only
def test_the_application_cannot_pass_by_the_door(connect: Any, dialect: str, furnished: Furnished) -> None:
    app, alice = connect("app"), furnished.ids["alice"]
    forbidden = [
        (
            "INSERT INTO ledger_accounts (number, name, chart_code, normal_side, currency, floor, opened_at, balance)"
            " VALUES ('x', 'x', 'current', 'credit', 'USD', 0, '2026-01-01', 1000000)"
        ),
        f"UPDATE ledger_accounts SET balance = balance + 1 WHERE id = {alice}",
        f"UPDATE ledger_accounts SET held = 0 WHERE id = {alice}",
        f"UPDATE ledger_accounts SET version = 0 WHERE id = {alice}",
        f"UPDATE ledger_accounts SET spent = 0 WHERE id = {alice}",
        f"UPDATE ledger_accounts SET currency = 'EUR' WHERE id = {alice}",
        "DELETE FROM ledger_accounts",
        "UPDATE holds SET remaining = 0",
        "DELETE FROM holds",
        "INSERT INTO holds (id, account_id, minor_units, remaining) SELECT id, account_id, 1, 1 FROM holds",
        f"INSERT INTO postings ({COLUMNS['postings']}) SELECT account_id, 900, entry_id, side, 1, 1, booking_date FROM postings",
        f"INSERT INTO journal_entries ({COLUMNS['journal_entries']}) SELECT {COLUMNS['journal_entries']} FROM journal_entries",
        "DELETE FROM customers",
        "UPDATE number_series SET name = 'x'",
        "DELETE FROM alembic_version",
        "UPDATE alembic_version SET version_num = 'x'",
        "CREATE TABLE mine (id INT)",
        "DROP TABLE postings",
        "DROP TABLE sessions",
        "ALTER TABLE postings ADD COLUMN mine INT",
        "ALTER TABLE ledger_accounts DROP CONSTRAINT ck_ledger_accounts_floor",
        "CREATE INDEX mine ON postings (side)",
    ]
    forbidden += {
        "postgresql": [
            "SELECT ledger_apply(1, '{}', 1)",
            "SELECT ledger_refusal('{}')",
            "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE SCHEMA mine",
            "ALTER TABLE postings DISABLE TRIGGER ALL",
            "DROP TRIGGER postings_stay ON postings",
            "DROP FUNCTION ledger_post(jsonb)",
            "SET session_replication_role = replica",
            "SELECT setval('journal_entries_id_seq', 1)",
        ],
        "mysql": [
            "CALL ledger_post_inner('[]', @answers)",
            "CALL ledger_apply(1, '{}', NULL, NULL, NULL, NULL, NULL, NULL, FALSE)",
            "CALL ledger_refusal('{}', @code, @facts)",
            "CREATE PROCEDURE mine() SELECT 1",
            "CREATE TRIGGER mine BEFORE UPDATE ON customers FOR EACH ROW SET @a = 1",
            "DROP TRIGGER postings_stay",
            "DROP PROCEDURE ledger_post",
            "LOCK TABLES postings READ",
        ],
    }[dialect]

    for statement in forbidden:
        with pytest.raises(sa.exc.DBAPIError, match=DENIED):
            app.exec_driver_sql(statement)


@servers_only
def test_the_application_can_do_its_work(database_urls: DatabaseUrls, dialect: str, furnished: Furnished) -> None:
    """`furnish` ran as the application's role: it registered, opened, posted and audited."""
    with opened(database_urls.app) as bank:
        assert service.post(bank, [move(furnished.ids["alice"], furnished.ids["bob"], 1)])[0].or_raise()


@servers_only
def test_the_rights_in_the_database_are_the_rights_on_the_list(connect: Any, dialect: str) -> None:
    # MySQL shows rights to those who have them.
    assert granted(connect("app"), dialect) == listed(connect("migrator"))


@servers_only
def test_every_table_is_on_the_list(connect: Any, dialect: str) -> None:
    guards = {"postings_truncate_guard", "audit_records_truncate_guard"}

    assert set(sa.inspect(connect("migrator")).get_table_names()) - guards == set(RIGHTS)


def listed(owner: sa.Connection) -> set[tuple[str, str, str]]:
    """RIGHTS by column: (table, column, right); DELETE has no columns."""
    found = set()
    for table, rights in RIGHTS.items():
        columns = [column["name"] for column in sa.inspect(owner).get_columns(table)]
        for right, which in rights.items():
            if right == "DELETE":
                found.add((table, "*", right))
            else:
                found |= {(table, column, right) for column in (columns if which is ALL else which)}
    return found


def granted(app: sa.Connection, dialect: str, role: str = APP_ROLE) -> set[tuple[str, str, str]]:
    """What information_schema says that the application's role may do, by itself or as anybody."""
    if dialect == "postgresql":
        grantee, schema = f"grantee IN ('{role}', 'PUBLIC')", "current_schema()"
    else:
        grantee, schema = f"grantee LIKE '''{role}''@%'", "DATABASE()"
    by_table = app.exec_driver_sql(
        "SELECT table_name, privilege_type FROM information_schema.table_privileges"
        f" WHERE {grantee} AND table_schema = {schema}"
    ).all()
    by_column = app.exec_driver_sql(
        "SELECT table_name, column_name, privilege_type FROM information_schema.column_privileges"
        f" WHERE {grantee} AND table_schema = {schema}"
    ).all()
    found = {tuple(row) for row in by_column}
    for table, right in by_table:
        if right in ("SELECT", "INSERT", "UPDATE"):
            found |= {(table, column["name"], right) for column in sa.inspect(app).get_columns(table)}
        else:
            found.add((table, "*", right))
    return found


@servers_only
def test_the_application_may_call_the_doors_and_nothing_else(connect: Any, dialect: str) -> None:
    app = connect("app")
    if dialect == "postgresql":
        callable_ones = app.exec_driver_sql(
            "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
            " AND prorettype <> 'trigger'::regtype AND has_function_privilege(oid, 'EXECUTE')"
        )
    else:
        callable_ones = app.exec_driver_sql(
            "SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()"
        )
    assert {name for (name,) in callable_ones} == {
        "postgresql": {"ledger_post", "payments_send"},
        "mysql": {"ledger_post", "ledger_post_in", "payments_send"},
    }[dialect]


@servers_only
@pytest.mark.parametrize(
    "postings",
    [
        [("credit", 1)],
        [("credit", 1), ("credit", 1)],
        [("debit", 2), ("credit", 1)],
        [("debit", 1), ("credit", 1), ("debit", 1), ("credit", 1)],
        [],
    ],
    ids=str,
)
def test_the_door_itself_refuses_what_does_not_balance(
    connect: Any, furnished: Furnished, postings: list[tuple[str, int]]
) -> None:
    app = connect("app")
    two = [furnished.ids["alice"], furnished.ids["bob"]]
    balanced = JournalEntry(
        caller="test", idempotency_key="forged", kind="transfer", narrative="Forged", booking_date=date(2026, 3, 1),
        value_date=date(2026, 3, 1), booked_at=datetime(2026, 3, 1, tzinfo=UTC),
        postings=(Posting(two[0], Side.DEBIT, Money(1, "USD")), Posting(two[1], Side.CREDIT, Money(1, "USD"))),
    )  # fmt: skip
    message = balanced.as_message()
    message["postings"] = [
        {"account": two[place % 2], "side": side, "minor": minor, "currency": "USD"}
        for place, (side, minor) in enumerate(postings)
    ]

    with pytest.raises(sa.exc.DBAPIError, match="not balanced"):
        dialect_of(app).post(app.execution_options(no_parameters=False), [message])

    assert app.exec_driver_sql("SELECT count(*) FROM journal_entries WHERE narrative = 'Forged'").scalar_one() == 0
