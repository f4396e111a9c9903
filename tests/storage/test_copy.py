"""`bank db copy`: a whole bank moves between databases; its source stays closed until it is reopened."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from bank.audit.store import audit_records
from bank.cli import main
from bank.cli.copying import all_tables
from bank.customers.store import customers
from bank.identity.store import sessions
from bank.ledger import service, store, verify
from bank.ledger.tables import holds, journal_entries, ledger_accounts, postings
from bank.storage import closing
from bank.storage import copy as copying
from bank.storage.engine import make_engine
from bank.storage.errors import ClosedToWriting
from bank.storage.facts import bank_facts
from bank.storage.series import next_number
from bank.storage.transaction import Bank
from tests.conftest import MakeDatabase
from tests.furnished import NAMES, Furnished, a_customer, furnish
from tests.ledger import NOON, OWNER, move, opened
from tests.servers import MIGRATOR_ROLE, DatabaseUrls, PostgresServer

ROUTES = [
    ("sqlite", "postgresql"),
    ("sqlite", "mysql"),
    ("postgresql", "mysql"),
    ("postgresql", "sqlite"),
    ("mysql", "sqlite"),
    ("mysql", "postgresql"),
]


@pytest.fixture(params=ROUTES, ids="-to-".join)
def route(request: pytest.FixtureRequest, make_database: MakeDatabase) -> tuple[DatabaseUrls, DatabaseUrls]:
    """A migrated source and an empty target, of two kinds."""
    chosen = request.config.getoption("--dialect") or ("sqlite", "postgresql", "mysql")
    if not set(request.param) <= set(chosen):
        pytest.skip("--dialect leaves one of the two out")
    source, target = request.param
    return make_database(source), make_database(target, migrated=False)


def _bank(*command: str) -> Any:
    return CliRunner().invoke(main, ["db", *command], env={"DATABASE_URL": "sqlite:///unused"})


def _copied(source: DatabaseUrls, target: DatabaseUrls, *options: str) -> str:
    result = _bank("copy", source.migrator, target.migrator, *options)
    assert result.exit_code == 0, result.output
    return result.output


def _all_rows(url: str, table: sa.Table) -> list[tuple[Any, ...]]:
    engine = make_engine(url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))]
    engine.dispose()
    return rows


def _with_odds_and_ends(bank: Bank) -> Furnished:
    """A furnished bank, and rows that a careless copy would lose or change."""
    furnished = furnish(bank)

    def write(tx: sa.Connection) -> None:
        tx.execute(bank_facts.insert(), {"name": "motto", "value": "Ἓν οἶδα ὅτι οὐδὲν οἶδα — 銀行"})
        session = {
            "token_digest": "t", "kind": "staff", "person_id": 1, "created_at": NOON, "last_used_at": NOON,
            "network_address": "::1", "device": "",
        }  # fmt: skip
        tx.execute(sessions.insert(), session)

    bank.run(write)
    return furnished


def test_everything_but_sessions_arrives_as_it_was(route: tuple[DatabaseUrls, DatabaseUrls]) -> None:
    source, target = route
    with opened(source.migrator) as bank:
        _with_odds_and_ends(bank)
    before = {table.name: _all_rows(source.migrator, table) for table in all_tables()}

    output = _copied(source, target, "--batch-size", "3")

    after = {table.name: _all_rows(target.migrator, table) for table in all_tables()}
    for table in all_tables():
        if table.name not in ("sessions", "ledger_accounts", "journal_entries", "postings"):
            assert after[table.name] == before[table.name], table.name
    # The ledger has the trial posting besides, and its accounts.
    for name in ("ledger_accounts", "journal_entries", "postings"):
        assert [row for row in after[name] if row in before[name]] == before[name]
    assert len(after["journal_entries"]) == len(before["journal_entries"]) + 2
    assert before["sessions"]
    assert not after["sessions"]
    assert {row.name for row in _named(target.migrator, customers)} == set(NAMES.values())
    assert {row.opened_at.microsecond for row in _named(target.migrator, ledger_accounts)} >= {123456}
    assert "Both sides hold the same" in output
    assert "The ledger is sound: 14 entries" in output
    assert "left behind: sessions" in output


def _named(url: str, table: sa.Table) -> list[Any]:
    engine = make_engine(url)
    with engine.connect() as connection:
        rows = list(connection.execute(sa.select(table)))
    engine.dispose()
    return rows


def test_the_copy_is_a_bank_at_work_where_ids_and_numbers_go_on(route: tuple[DatabaseUrls, DatabaseUrls]) -> None:
    source, target = route
    with opened(source.migrator) as bank:
        furnished = furnish(bank)
        greatest = {
            table: max(row[0] for row in _all_rows(source.migrator, table)) for table in (audit_records, customers)
        }
        number = bank.run(next_number, "accounts")
    _copied(source, target)

    with opened(target.migrator) as bank:
        again = service.post(
            bank, [_first_again(bank, furnished), move(furnished.ids["alice"], furnished.ids["bob"], 1)]
        )
        fresh, _ = bank.run(a_customer, "New Customer", "USD", by=OWNER)
        assert fresh > greatest[customers]
        assert max(row[0] for row in _all_rows(target.migrator, audit_records)) > greatest[audit_records]
        assert int(bank.run(next_number, "accounts")) > int(number)

    assert [type(outcome).__name__ for outcome in again] == ["Replayed", "Posted"]
    assert _bank("copy", source.migrator, target.migrator).exit_code == 1


def _first_again(bank: Bank, furnished: Furnished) -> Any:
    """What the first deposit asked, asked once more."""
    with bank.reader() as reader:
        row = reader.execute(sa.select(journal_entries).where(journal_entries.c.id == furnished.ids["first"])).one()
    return move(
        furnished.ids["till-USD"], furnished.ids["alice"], 10000,
        caller=row.caller, idempotency_key=row.idempotency_key, kind=row.kind, narrative=row.narrative,
    )  # fmt: skip


def test_a_closed_bank_refuses_every_write_of_running_servers_until_it_is_reopened(
    make_database: MakeDatabase, dialect: str
) -> None:
    source, target = make_database(dialect), make_database("sqlite", migrated=False)
    with opened(source.app) as server:
        furnished = furnish(server)
        payment = move(furnished.ids["alice"], furnished.ids["bob"], 1)
        service.post(server, [payment])
        _copied(source, target)

        for write in (
            lambda: service.post(server, [move(furnished.ids["alice"], furnished.ids["bob"], 1)]),
            lambda: server.run(service.post_in, [move(furnished.ids["alice"], furnished.ids["bob"], 1)]),
            lambda: server.run(next_number, "accounts"),
            lambda: server.run(service.set_floor, furnished.ids["alice"], -5, by=OWNER, reason="r"),
        ):
            with pytest.raises(ClosedToWriting, match="Nothing has moved"):
                write()
        with server.reader() as reader:
            assert store.account(reader, furnished.ids["alice"]) is not None
        assert [type(outcome).__name__ for outcome in service.post(server, [payment])] == ["Replayed"]

        reopened = [_bank("reopen", source.migrator).output for _ in range(2)]

        assert reopened == ["The bank is open to writing again.\n", "The bank was not closed.\n"]
        assert service.post(server, [move(furnished.ids["alice"], furnished.ids["bob"], 1)])[0].or_raise()


def test_each_table_of_a_closed_bank_refuses_insert_update_and_delete_of_its_owner(database_urls: DatabaseUrls) -> None:
    with opened(database_urls.migrator) as bank:
        _with_odds_and_ends(bank)
    engine = make_engine(database_urls.migrator)
    with engine.connect() as owner:
        closing.close(owner)
        assert closing.close(owner) == closing.close(owner)
        for table in all_tables():
            column = next(iter(table.c)).name
            rows = owner.execute(sa.select(table).limit(1)).all()
            for statement in (
                f"INSERT INTO {table.name} SELECT * FROM {table.name}",
                f"UPDATE {table.name} SET {column} = {column}",
                f"DELETE FROM {table.name}",
            ):
                if rows or owner.dialect.name == "postgresql":
                    # Where there are guards besides, either may be first to refuse.
                    with pytest.raises(sa.exc.DBAPIError, match=r"closed_to_writing|never changed or deleted"):
                        owner.exec_driver_sql(statement)
    engine.dispose()


def test_closing_waits_for_payments_under_way_and_loses_none(database_urls: DatabaseUrls) -> None:
    with opened(database_urls.app, pool_size=4) as server:
        furnished = furnish(server)
        acknowledged: list[int] = []
        refused: list[BaseException] = []

        def pay() -> None:
            try:
                while True:
                    [outcome] = service.post(server, [move(furnished.ids["till-USD"], furnished.ids["alice"], 1)])
                    acknowledged.append(outcome.or_raise())
            except ClosedToWriting as closed:
                refused.append(closed)

        payers = [threading.Thread(target=pay) for _ in range(3)]
        for payer in payers:
            payer.start()
        time.sleep(0.2)
        engine = make_engine(database_urls.migrator)
        with engine.connect() as owner:
            closing.close(owner)
            entries = owner.execute(sa.select(sa.func.max(journal_entries.c.id))).scalar_one()
        for payer in payers:
            payer.join()
        engine.dispose()

        assert len(refused) == 3
        assert max(acknowledged) == entries
        with server.reader() as reader:
            booked = reader.execute(sa.select(journal_entries.c.id).where(journal_entries.c.caller == "test")).scalars()
            assert sorted(acknowledged) == sorted(booked)


@pytest.mark.dialects("postgresql", "mysql")
def test_only_the_owner_can_close_copy_or_reopen(database_urls: DatabaseUrls, make_database: MakeDatabase) -> None:
    target = make_database("sqlite", migrated=False)
    with opened(database_urls.app) as server:
        furnished = furnish(server)

        copy = _bank("copy", database_urls.app, target.migrator)
        assert copy.exit_code == 1
        assert "The database refused, to a role that should own its schema: " in copy.output
        assert service.post(server, [move(furnished.ids["alice"], furnished.ids["bob"], 1)])[0].or_raise()

        assert _bank("copy", database_urls.migrator, target.migrator).exit_code == 0
        assert _bank("reopen", database_urls.app).exit_code == 1
        with pytest.raises(ClosedToWriting):
            service.post(server, [move(furnished.ids["alice"], furnished.ids["bob"], 1)])


def test_closing_gives_up_on_a_table_that_is_in_use_for_long_and_can_be_repeated(
    database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = {
        "sqlite": "PRAGMA busy_timeout = 200",
        "postgresql": "SET lock_timeout = 200",
        "mysql": "SET SESSION lock_wait_timeout = 1",
    }
    monkeypatch.setattr(closing, "_ATTEMPTS", 2)
    with opened(database_urls.migrator, pool_size=3) as bank, bank.connect() as owner:
        monkeypatch.setattr(type(bank.dialect), "short_patience", patience[bank.dialect.name])
        furnish(bank)
        with bank.connect() as other:
            other.exec_driver_sql(bank.dialect.begin)
            other.execute(bank_facts.insert(), {"name": "slow", "value": "x"})
            # The closure's name is another row of the same table; on SQLite it would wait for this one.
            monkeypatch.setattr(closing, "learn", lambda *_args: None)
            with pytest.raises(closing.TablesBusy):
                closing.close(owner)
            other.exec_driver_sql("ROLLBACK")
        monkeypatch.undo()

        assert closing.close(owner)
        with pytest.raises(ClosedToWriting):
            bank.run(next_number, "accounts")


def test_a_dry_run_changes_nothing(make_database: MakeDatabase, tmp_path: Any) -> None:
    source, target = make_database("sqlite"), f"sqlite:///{tmp_path}/target.sqlite"
    with opened(source.app) as bank:
        furnish(bank)

        result = _bank("copy", source.migrator, target, "--dry-run")

        assert result.exit_code == 0
        assert "16  postings" in result.output
        assert "Nothing was changed." in result.output
        assert not (tmp_path / "target.sqlite").exists()
        assert bank.run(next_number, "accounts")


def test_a_target_that_was_verified_while_empty_is_empty_still(make_database: MakeDatabase) -> None:
    source, target = make_database("sqlite"), make_database("sqlite")
    with opened(source.app) as bank, opened(target.app) as other:
        furnish(bank)
        other.run(verify.remember, verify.Verification(other.clock.now(), 0.1, 0, 0))
        bank.run(verify.remember, verify.Verification(bank.clock.now(), 0.2, 16, 0))

        result = _bank("copy", source.migrator, target.migrator)

        assert result.exit_code == 0, result.output
        with other.reader() as reader:
            kept = verify.last(reader)
        assert kept
        assert kept.entries != 16, "how the source's verification ended says nothing about the copy"


def test_what_cannot_be_copied_is_refused_before_the_source_is_closed(
    make_database: MakeDatabase, tmp_path: Any
) -> None:
    source, other, empty = make_database("sqlite"), make_database("sqlite"), make_database("sqlite", migrated=False)
    with opened(source.app) as bank, opened(other.app) as second:
        furnish(bank)
        furnish(second)
        stranger = sa.create_engine(f"sqlite:///{tmp_path}/stranger.sqlite")
        with stranger.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE diary (day TEXT)")
        for command, sentence in (
            (("copy", source.migrator, other.migrator), "The target is not empty: it has rows in"),
            (("copy", source.migrator, source.migrator), "The target is not empty"),
            (("copy", empty.migrator, other.migrator), "There is no file at"),
            (
                ("copy", source.migrator, f"sqlite:///{tmp_path}/stranger.sqlite"),
                "another program's tables, or half a schema: diary",
            ),
            (("copy", source.migrator, "oracle://x"), "must begin with sqlite:///"),
            (("copy", f"sqlite:///{tmp_path}/stranger.sqlite", empty.migrator), "The source holds no bank."),
            (("reopen", f"sqlite:///{tmp_path}/stranger.sqlite"), "There is no bank here."),
        ):
            result = _bank(*command)
            assert result.exit_code == 1, command
            assert sentence in result.output
        assert bank.run(next_number, "accounts")


def test_a_copy_does_not_go_on_after_its_source_was_reopened(make_database: MakeDatabase) -> None:
    source, target = make_database("sqlite"), make_database("sqlite", migrated=True)
    with opened(source.migrator) as bank, opened(target.migrator) as copy:
        furnish(bank)
        with bank.connect() as owner, copy.connect() as begun:
            copying.begin(begun, closing.close(owner))
            closing.reopen(owner)

    result = _bank("copy", source.migrator, target.migrator)

    assert result.exit_code == 1
    assert "before it was opened again" in result.output


@pytest.mark.dialects("postgresql")
@pytest.mark.usefixtures("dialect")
def test_text_keys_are_digested_in_one_order_whatever_the_servers_language(
    make_database: MakeDatabase, postgres_server: PostgresServer
) -> None:
    source = make_database("sqlite")
    with opened(source.migrator) as bank:
        for name in ("B", "a", "Ä", "b", "_", "ä", "Z", "a b", "a-b", "ab"):
            bank.run(lambda tx, name=name: tx.execute(bank_facts.insert(), {"name": name, "value": "x"}))
    with postgres_server.admin() as cursor:
        if cursor.connection.server_version < 150000:
            pytest.skip("before PostgreSQL 15 a database's language is the operating system's")
        cursor.execute(
            f"CREATE DATABASE in_english OWNER {MIGRATOR_ROLE} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        )
    try:
        target = postgres_server._urls("in_english", f"host={postgres_server.directory}")
        _copied(source, target, "--batch-size", "2")
    finally:
        postgres_server.drop_database("in_english")


def test_a_row_that_does_not_fit_is_named(make_database: MakeDatabase) -> None:
    source, target = make_database("sqlite"), make_database("postgresql", migrated=False)
    with opened(source.migrator) as bank:
        furnish(bank)
        # SQLite takes any length.
        bank.run(lambda tx: tx.execute(bank_facts.insert(), {"name": "long", "value": "x" * 201}))

    result = _bank("copy", source.migrator, target.migrator)

    assert result.exit_code == 1
    assert "bank_facts ('long',) does not fit into the target: value too long" in result.output


def test_a_copy_that_differs_is_found_by_the_digest(make_database: MakeDatabase) -> None:
    source, target = make_database("sqlite"), make_database("sqlite")
    with opened(source.migrator) as bank, opened(target.migrator) as copy:
        furnish(bank)
        with bank.connect() as owner, copy.connect() as begun:
            tables = copying.moved_tables(all_tables())
            copying.begin(begun, closing.close(owner))
            copying.copy_rows(owner, begun, tables, lambda _rows: None, batch_size=100)
            copying.compare(owner, begun, tables, lambda _rows: None, batch_size=7)
            begun.execute(customers.update().where(customers.c.id == 1).values(city="Umea"))

            with pytest.raises(copying.CopyDiffers, match=r"customers \(3 rows in the source, 3 in the target\)"):
                copying.compare(owner, begun, tables, lambda _rows: None, batch_size=100)


def _fill(bank: Bank, furnished: Furnished, batches: int) -> None:
    till, alice = furnished.ids["till-USD"], furnished.ids["alice"]
    for _ in range(batches):
        service.post(bank, [move(till, alice, 1) for _ in range(500)])


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_copy_killed_at_random_instants_goes_on_where_it_was(
    make_database: MakeDatabase, kind: str, pytestconfig: pytest.Config
) -> None:
    if kind not in (pytestconfig.getoption("--dialect") or [kind]):
        pytest.skip("--dialect leaves it out")
    source, target = make_database("sqlite"), make_database(kind, migrated=False)
    with opened(source.migrator) as bank:
        _fill(bank, _with_odds_and_ends(bank), batches=2)
    command = [
        sys.executable, "-u", "-c", "from bank.cli import main; main()",
        "db", "copy", source.migrator, target.migrator, "--batch-size", "10",
    ]  # fmt: skip
    dice, kills, gone_on, killed = random.Random(20261122), 0, 0, True
    while killed:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
            assert running.stdout is not None
            output = ""
            # The schema is made before this; MySQL cannot take half of that back.
            while "The source is closed" not in output and (line := running.stdout.readline()):
                output += line
            try:
                killed = False
                running.wait(timeout=dice.uniform(0, 0.15) if kills < 5 else 60)
            except subprocess.TimeoutExpired:
                running.kill()
                killed = True
                kills += 1
            output += running.stdout.read()
            gone_on += "begun before" in output

    assert running.returncode == 0, output
    assert kills >= 3
    assert gone_on >= 3
    assert "The ledger is sound: 1014 entries" in output
    assert {row[0] for row in _all_rows(source.migrator, postings)} <= {
        row[0] for row in _all_rows(target.migrator, postings)
    }
    assert _all_rows(source.migrator, holds) == _all_rows(target.migrator, holds)
    assert {name for name, _ in _all_rows(target.migrator, bank_facts)} == {"motto"}
