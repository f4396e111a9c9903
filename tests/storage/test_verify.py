"""`bank ledger verify`: silent about a sound ledger, and it names every kind of tampering."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from bank.accounts import verify as accounts_verify
from bank.cli import main
from bank.ledger import service
from bank.ledger import verify as ledger_verify
from bank.ledger.invariants import INVARIANTS
from bank.ledger.verify import Finding, Verification
from bank.storage.engine import make_engine
from tests.furnished import Furnished, furnish
from tests.ledger import move, opened
from tests.servers import DatabaseUrls

# What is broken, by which statements, and what must be named. Words in braces are ids of `tests.furnished`.
TAMPERINGS = [
    ("unbalanced_entry", "entry:{paid}", ["UPDATE postings SET minor_units = 3001 WHERE entry_id = {paid} AND account_id = {bob}"]),
    ("unbalanced_entry", "entry:{paid}", ["UPDATE postings SET side = 'debit' WHERE entry_id = {paid}"]),
    ("unbalanced_entry", "entry:{paid}", ["DELETE FROM postings WHERE entry_id = {paid} AND account_id = {bob}"]),
    ("unbalanced_entry", "entry:{paid}", ["UPDATE ledger_accounts SET currency = 'EUR' WHERE id = {bob}"]),
    ("account_twice", "entry:{paid}", [
        ("INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date)"
         " SELECT account_id, seq + 90, entry_id, side, minor_units, balance_after, booking_date"
         " FROM postings WHERE entry_id = {paid}")]),
    ("refused_entry_moved", "entry:{paid}", ["UPDATE journal_entries SET refusal = 'account_closed' WHERE id = {paid}"]),
    ("refused_entry_moved", "entry:{poor}", ["UPDATE journal_entries SET hold_id = {dinner} WHERE id = {poor}"]),
    ("refused_entry_moved", "entry:{poor}", ["UPDATE postings SET entry_id = {poor} WHERE entry_id = {paid}"]),
    ("idle_entry", "entry:{paid}", ["DELETE FROM postings WHERE entry_id = {paid}"]),
    ("idle_entry", "entry:{poor}", ["UPDATE journal_entries SET refusal = NULL WHERE id = {poor}"]),
    ("repeated_key", "entry:{paid}", [
        "UPDATE journal_entries SET caller = 'c', idempotency_key = 'k' WHERE id IN ({first}, {paid})"]),
    ("reversed_twice", "entry:{mistake}", ["UPDATE journal_entries SET reverses = {mistake} WHERE id = {paid}"]),
    ("odd_reversal", "entry:{undone}", ["UPDATE journal_entries SET reverses = {first} WHERE id = {undone}"]),
    ("odd_reversal", "entry:{undone}", ["UPDATE journal_entries SET reverses = 9999 WHERE id = {undone}"]),
    ("odd_reversal", "entry:{undone}", ["UPDATE journal_entries SET reverses = {poor} WHERE id = {undone}"]),
    ("odd_reversal", "entry:{undone}", ["UPDATE postings SET minor_units = 499 WHERE entry_id = {undone}"]),
    ("odd_reversal", "entry:{undone}", ["DELETE FROM postings WHERE entry_id = {mistake}"]),
    ("posting_without_entry", "posting:{bob}/2", ["DELETE FROM journal_entries WHERE id = {paid}"]),
    ("posting_without_account", "posting:{bob}/1", ["DELETE FROM ledger_accounts WHERE id = {bob}"]),
    ("wrong_booking_date", "posting:{bob}/2", ["UPDATE journal_entries SET booking_date = '2026-01-01' WHERE id = {paid}"]),
    ("wrong_booking_date", "posting:{bob}/2", [
        "UPDATE postings SET booking_date = '2026-01-01' WHERE account_id = {bob} AND seq = 2"]),
    ("impossible_posting", "posting:{bob}/2", ["UPDATE postings SET minor_units = 0 WHERE account_id = {bob} AND seq = 2"]),
    ("impossible_posting", "posting:{bob}/2", ["UPDATE postings SET side = 'both' WHERE account_id = {bob} AND seq = 2"]),
    ("broken_chain", "posting:{alice}/2", ["UPDATE postings SET balance_after = 1 WHERE account_id = {alice} AND seq = 2"]),
    ("broken_chain", "posting:{alice}/53", ["UPDATE postings SET seq = seq + 50 WHERE account_id = {alice} AND seq > 2"]),
    ("broken_chain", "posting:{alice}/3", ["DELETE FROM postings WHERE account_id = {alice} AND seq = 2"]),
    ("wrong_balance", "account:{alice}", ["UPDATE ledger_accounts SET balance = balance + 100000 WHERE id = {alice}"]),
    ("wrong_version", "account:{alice}", ["UPDATE ledger_accounts SET version = 1 WHERE id = {alice}"]),
    ("below_floor", "account:{alice}", ["UPDATE ledger_accounts SET floor = 1000000 WHERE id = {alice}"]),
    ("wrong_held", "account:{alice}", ["UPDATE ledger_accounts SET held = 0 WHERE id = {alice}"]),
    ("wrong_spent", "account:{alice}", ["UPDATE ledger_accounts SET spent = 0 WHERE id = {alice}"]),
    ("wrong_spent", "account:{alice}", ["UPDATE postings SET limit_day = NULL WHERE entry_id = {paid}"]),
    ("wrong_limit_day", "account:{alice}", [
        "UPDATE ledger_accounts SET spent = 0, spent_day = '2030-01-01' WHERE id = {alice}"]),
    ("wrong_limit_day", "account:{alice}", ["UPDATE ledger_accounts SET spent = 0, spent_day = NULL WHERE id = {alice}"]),
    ("off_the_chart", "account:{alice}", ["UPDATE ledger_accounts SET chart_code = 'cayman' WHERE id = {alice}"]),
    ("off_the_chart", "account:{alice}", ["UPDATE ledger_accounts SET normal_side = 'debit' WHERE id = {alice}"]),
    ("impossible_status", "account:{alice}", ["UPDATE ledger_accounts SET status = 'vip' WHERE id = {alice}"]),
    ("impossible_status", "account:{alice}", ["UPDATE ledger_accounts SET status = 'closed' WHERE id = {alice}"]),
    ("unbalanced_books", "currency:USD", ["UPDATE ledger_accounts SET balance = balance + 1 WHERE id = {alice}"]),
    ("hold_without_entry", "hold:{room}", ["DELETE FROM journal_entries WHERE id = {room}"]),
    ("hold_without_account", "hold:{dinner}", ["UPDATE holds SET account_id = 9999 WHERE id = {dinner}"]),
    ("wrong_remaining", "hold:{dinner}", ["UPDATE holds SET remaining = 0 WHERE id = {dinner}"]),
    ("wrong_remaining", "hold:{dinner}", ["UPDATE holds SET remaining = 99999 WHERE id = {dinner}"]),
    ("wrong_remaining", "hold:{dinner}", ["UPDATE holds SET minor_units = 4000 WHERE id = {dinner}"]),
    ("wrong_remaining", "hold:{room}", ["DELETE FROM journal_entries WHERE id = {freed}"]),
    ("unknown_hold", "entry:{room}", ["DELETE FROM holds WHERE id = {room}"]),
    ("unknown_hold", "entry:{freed}", ["UPDATE journal_entries SET hold_id = {first} WHERE id = {freed}"]),
    ("odd_hold_change", "entry:{part}", ["UPDATE journal_entries SET hold_change = -1999 WHERE id = {part}"]),
    ("odd_hold_change", "entry:{freed}", ["UPDATE journal_entries SET hold_change = 5 WHERE id = {freed}"]),
    ("wrong_digest", "entry:{paid}", ["UPDATE journal_entries SET narrative = 'Rent' WHERE id = {paid}"]),
    ("wrong_digest", "entry:{paid}", ["UPDATE journal_entries SET kind = 'salary' WHERE id = {paid}"]),
    ("wrong_digest", "entry:{paid}", ["UPDATE journal_entries SET digest = 'forged' WHERE id = {paid}"]),
    ("wrong_digest", "entry:{freed}", ["UPDATE journal_entries SET narrative = 'x' WHERE id = {freed}"]),
    ("wrong_digest", "entry:{room}", ["UPDATE holds SET account_id = {alice} WHERE id = {room}"]),
    # Every row that repeats the amount is changed along: only the digest remembers.
    ("wrong_digest", "entry:{first}", [
        "UPDATE postings SET minor_units = 20000 WHERE entry_id = {first}",
        "UPDATE postings SET balance_after = balance_after + 10000 WHERE account_id = {alice}",
        "UPDATE ledger_accounts SET balance = balance + 10000 WHERE id IN ({alice}, {till-USD})",
        "UPDATE postings SET balance_after = balance_after + 10000 WHERE account_id = {till-USD}"]),
    ("account_without_ledger", "account:{bob}", ["DELETE FROM ledger_accounts WHERE id = {bob}"]),
    ("account_without_ledger", "account:{bob}", ["UPDATE ledger_accounts SET chart_code = 'savings' WHERE id = {bob}"]),
    ("ledger_without_account", "account:{bob}", ["DELETE FROM accounts WHERE id = {bob}"]),
    ("no_floor", "account:{bob}", ["UPDATE ledger_accounts SET floor = NULL WHERE id = {bob}"]),
    ("unknown_holder", "account:{bob}", ["DELETE FROM customers WHERE id = {bob_customer}"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def defenceless(dialect: str, request: pytest.FixtureRequest) -> Iterator[tuple[sa.Connection, Furnished]]:
    """A furnished bank whose guards an attacker with the administrator's role has switched off, and that connection."""
    databases = request.getfixturevalue(f"{dialect}_databases")
    with databases.migrated() as urls, opened(urls.app) as bank:
        furnished = furnish(bank)
        engine = make_engine(urls.admin)
        with engine.connect() as admin:
            _disarm(admin.execution_options(no_parameters=True))
            yield admin, furnished
        engine.dispose()


def _disarm(admin: sa.Connection) -> None:
    {"sqlite": _disarm_sqlite, "postgresql": _disarm_postgresql, "mysql": _disarm_mysql}[admin.dialect.name](admin)


def _disarm_sqlite(admin: sa.Connection) -> None:
    for pragma in ("foreign_keys = OFF", "ignore_check_constraints = ON", "legacy_alter_table = ON"):
        admin.exec_driver_sql(f"PRAGMA {pragma}")
    for (name,) in admin.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
        admin.exec_driver_sql(f"DROP TRIGGER {name}")
    # Its unique keys cannot be dropped; a table without them takes its place.
    admin.exec_driver_sql("CREATE TABLE naked AS SELECT * FROM journal_entries")
    admin.exec_driver_sql("DROP TABLE journal_entries")
    admin.exec_driver_sql("ALTER TABLE naked RENAME TO journal_entries")


def _disarm_postgresql(admin: sa.Connection) -> None:
    admin.exec_driver_sql("SET session_replication_role = replica")
    constraints = admin.exec_driver_sql(
        "SELECT conrelid::regclass, conname FROM pg_constraint"
        " WHERE contype IN ('c', 'u', 'f') AND connamespace = 'public'::regnamespace"
    )
    for table, name in constraints.all():
        admin.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE")


def _disarm_mysql(admin: sa.Connection) -> None:
    admin.exec_driver_sql("SET SESSION foreign_key_checks = 0, check_constraint_checks = 0")
    triggers = admin.exec_driver_sql(
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
    )
    for (name,) in triggers.all():
        admin.exec_driver_sql(f"DROP TRIGGER {name}")
    for key in ("caller", "reverses"):
        admin.exec_driver_sql(f"ALTER TABLE journal_entries DROP INDEX uq_journal_entries_{key}")


def _found(reader: sa.Connection) -> list[Finding]:
    return [*ledger_verify.verify(reader), *accounts_verify.verify(reader)]


@pytest.mark.parametrize(("kind", "subject", "statements"), TAMPERINGS, ids=lambda value: str(value)[:60])
def test_tampering_is_named(
    defenceless: tuple[sa.Connection, Furnished], kind: str, subject: str, statements: list[str]
) -> None:
    admin, furnished = defenceless
    assert _found(admin) == []

    # The tampering is seen by its own transaction, and gone with it.
    admin.exec_driver_sql("BEGIN")
    for statement in statements:
        changed = admin.exec_driver_sql(statement.format_map(furnished.ids))
        assert changed.rowcount > 0, statement
    findings = _found(admin)
    admin.exec_driver_sql("ROLLBACK")

    assert (kind, subject.format_map(furnished.ids)) in {(finding.kind, finding.subject) for finding in findings}
    assert all("{" not in str(finding) for finding in findings)


def test_each_invariant_has_a_tampering_that_breaks_it() -> None:
    known = {invariant.kind for invariant in (*INVARIANTS, *accounts_verify.INVARIANTS)} | {"wrong_digest"}

    assert {kind for kind, _, _ in TAMPERINGS} == known


def test_a_snapshot_does_not_see_what_is_booked_meanwhile(database_urls: DatabaseUrls) -> None:
    with opened(database_urls.app) as bank:
        furnished = furnish(bank)
        with bank.snapshot() as reader:
            before = ledger_verify.size(reader)
            service.post(bank, [move(furnished.ids["alice"], furnished.ids["bob"], 1)])

            assert _found(reader) == []
            assert ledger_verify.size(reader) == before

        with bank.snapshot() as reader:
            assert ledger_verify.size(reader).entries == before.entries + 1


def test_it_passes_while_payments_are_booked(database_urls: DatabaseUrls) -> None:
    with opened(database_urls.app) as bank:
        furnished = furnish(bank)
        over, booked = threading.Event(), 0

        def pay_to_and_fro() -> None:
            nonlocal booked
            alice, bob = furnished.ids["alice"], furnished.ids["bob"]
            while not over.is_set():
                service.post(bank, [move(alice, bob, 1), move(bob, alice, 1)])
                booked += 2

        payments = threading.Thread(target=pay_to_and_fro)
        payments.start()
        try:
            for _ in range(12):
                with bank.snapshot() as reader:
                    assert _found(reader) == []
        finally:
            over.set()
            payments.join()
        assert booked > 0


def test_progress_is_told_every_entry(database_urls: DatabaseUrls) -> None:
    with opened(database_urls.app) as bank:
        furnish(bank)
        steps: list[int] = []
        with bank.snapshot() as reader:
            ledger_verify.verify(reader, steps.append)

            assert sum(steps) == ledger_verify.size(reader).entries


def _bank(command: str, urls: DatabaseUrls, **env: str) -> Any:
    return CliRunner().invoke(main, command.split(), env={"DATABASE_URL": urls.app, **env})


def test_the_command_exits_0_with_the_counts_or_1_naming_what_is_broken(database_urls: DatabaseUrls) -> None:
    with opened(database_urls.app) as bank:
        furnished = furnish(bank)
    sound = _bank("ledger verify", database_urls)
    engine = make_engine(database_urls.migrator)
    with engine.connect() as owner:
        owner.exec_driver_sql(f"UPDATE ledger_accounts SET balance = 7000 WHERE id = {furnished.ids['alice']}")
    engine.dispose()
    broken = _bank("ledger verify", database_urls)

    assert (sound.exit_code, broken.exit_code) == (0, 1)
    assert "The ledger is sound: 12 entries, 16 postings, 6 ledger accounts and 2 holds." in sound.output
    assert f"wrong_balance account:{furnished.ids['alice']}: Its balance is 7000" in broken.output
    assert "The ledger is broken in 2 places" in broken.output


def test_a_verification_that_another_server_made_lately_is_not_made_again(database_urls: DatabaseUrls) -> None:
    with opened(database_urls.app) as bank:
        furnished = furnish(bank)
    lately = "ledger verify --unless-verified-within 4"
    never = _bank(lately, database_urls)
    just_now = _bank(lately, database_urls)
    _pretend_verified(database_urls, timedelta(hours=3, minutes=59))
    within = _bank(lately, database_urls)
    anyway = _bank("ledger verify", database_urls)
    _pretend_verified(database_urls, timedelta(minutes=1))
    singular = _bank(lately, database_urls)
    _pretend_verified(database_urls, timedelta(hours=4, minutes=1))
    longer_ago = _bank(lately, database_urls)
    # Of a server whose clock was wrong.
    _pretend_verified(database_urls, timedelta(hours=-1))
    to_come = _bank(lately, database_urls)
    _owner_writes(
        database_urls, f"UPDATE ledger_accounts SET balance = balance + 1 WHERE id = {furnished.ids['alice']}"
    )
    unnoticed = _bank(lately, database_urls)
    _pretend_verified(database_urls, timedelta(hours=1), findings=2)
    broken = _bank(lately, database_urls)

    assert [each.exit_code for each in (never, just_now, within, anyway, singular, longer_ago, to_come)] == [0] * 7
    assert just_now.output == "The ledger was verified 0 minutes ago, sound; skipped.\n"
    assert within.output == "The ledger was verified 3 hours ago, sound; skipped.\n"
    assert singular.output == "The ledger was verified 1 minute ago, sound; skipped.\n"
    for verified in (never, anyway, longer_ago, to_come):
        assert "The ledger is sound: 12 entries" in verified.output
    assert unnoticed.exit_code == 0
    assert broken.exit_code == 1
    assert "The ledger is broken in 2 places" in broken.output
    for nonsense in ("0", "-1", "8761", "1.5", "often"):
        assert _bank(f"ledger verify --unless-verified-within {nonsense}", database_urls).exit_code == 2


def _pretend_verified(urls: DatabaseUrls, ago: timedelta, findings: int = 0) -> None:
    with opened(urls.app) as bank:
        bank.run(ledger_verify.remember, Verification(bank.clock.now() - ago, 1.0, 12, findings))


def _owner_writes(urls: DatabaseUrls, statement: str) -> None:
    engine = make_engine(urls.migrator)
    with engine.connect() as owner:
        owner.exec_driver_sql(statement)
    engine.dispose()


def test_the_trial_balance_is_printed_for_now_and_for_a_day(database_urls: DatabaseUrls) -> None:
    with opened(database_urls.app) as bank:
        furnish(bank)

    now = _bank("ledger trial-balance", database_urls)
    then = _bank("ledger trial-balance --as-of 2026-03-01", database_urls)
    typo = _bank("ledger trial-balance --as-of yesterday", database_urls)

    assert now.exit_code == then.exit_code == 0
    assert next(line.split() for line in now.output.splitlines() if "Cash in tills" in line)[3:] == ["1", "7.00", "EUR"]
    assert [line.split()[1:] for line in now.output.splitlines() if line.startswith("Total USD")] == [
        ["USD", "4", "100.00", "USD", "100.00", "USD"]
    ]
    assert "100.00" not in then.output
    assert typo.exit_code == 2


def test_holds_whose_time_has_come_are_expired_once(database_urls: DatabaseUrls) -> None:
    with opened(database_urls.app) as bank:
        furnish(bank)

    assert [_bank(f"ledger expire-holds{how}", database_urls).output for how in ("", " --again")] == [
        "1 holds expired.\n",
        "0 holds expired.\n",
    ]
    assert _bank("ledger verify", database_urls).exit_code == 0
