"""The older app's database moves in: from SQLite and MySQL, into each of our databases."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import sqlalchemy as sa

from bank.accounts import service as account_service
from bank.accounts import store as account_store
from bank.accounts import verify as accounts_verify
from bank.audit.store import audit_records
from bank.customers import store as customer_store
from bank.customers.identity_number import IdentityNumbers
from bank.identity import staff
from bank.identity.passwords import Passwords
from bank.ledger import store as ledger_store
from bank.ledger import verify
from bank.ledger.tables import ledger_accounts
from bank.storage.transaction import Bank
from tests.conftest import MakeDatabase
from tests.imports import count, dump, kill_while_booking, run
from tests.ledger import OWNER
from tests.older_app import (
    CURRENT,
    EMPTY,
    LEFT,
    MINUS,
    PASSWORD,
    SAVINGS,
    A,
    B,
    C,
    busy_branch,
    shared,
    small_branch,
    write_mysql,
    write_sqlite,
)
from tests.servers import DatabaseUrls


@pytest.fixture(params=["sqlite", "mysql"])
def older_url(request: pytest.FixtureRequest, make_database: MakeDatabase, tmp_path: Path) -> str:
    """The small branch as the older app keeps it on either of its databases."""
    if request.param == "sqlite":
        return write_sqlite(tmp_path / "older.sqlite", small_branch())
    return write_mysql(make_database("mysql", migrated=False).migrator, small_branch())


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return write_sqlite(tmp_path / "older.sqlite", small_branch())


def balances(bank: Bank) -> dict[str, tuple[int, int | None, str]]:
    """Balance, floor (minor units) and status of each customer's account."""
    with bank.reader() as reader:
        accounts = [account_store.of_row(row) for row in reader.execute(account_store.listing(status=None))]
    return {each.number: (each.ledger.balance, each.ledger.floor, each.ledger.status) for each in accounts}


def assert_sound(bank: Bank) -> None:
    with bank.snapshot() as reader:
        assert [*verify.verify(reader), *accounts_verify.verify(reader)] == []


def entries(bank: Bank, account: int) -> list[tuple[str, str, int, str]]:
    """Kind, booking date, signed minor units and narrative of an account's postings, oldest first."""
    with bank.reader() as reader:
        found = ledger_store.account_by_number(reader, str(account))
        assert found is not None
        rows = ledger_store.page_before(reader, found.id, seq=None, limit=1000)
    return [(row.kind, str(row.booking_date), row.signed.minor_units, row.narrative) for row in reversed(rows)]


def test_a_small_branch_moves_in_and_every_account_ends_as_it_was(
    older_url: str, bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"
    result = run(database_urls, "import", "legacy", older_url, "--report", str(report))
    assert result.exit_code == 0, result.output
    assert balances(bank) == {
        str(CURRENT): (38000, 0, "open"),
        str(SAVINGS): (7500, 0, "open"),
        str(EMPTY): (0, 0, "closed"),
        str(LEFT): (7000, 0, "frozen"),
        str(MINUS): (-2000, -4000, "frozen"),
    }
    assert_sound(bank)
    with report.open() as file:
        rows = [row for row in csv.DictReader(file) if row["stored"]]
    assert all(row["stored"] == row["brought_in"] for row in rows)
    assert {row["number"]: row["kind"] for row in rows} == {
        str(CURRENT): "stored_above_history",
        str(SAVINGS): "history_agrees",
        str(EMPTY): "history_agrees",
        str(LEFT): "stored_below_history",
        str(MINUS): "history_agrees",
    }


def test_history_keeps_its_order_days_and_other_side(sqlite_url: str, bank: Bank, database_urls: DatabaseUrls) -> None:
    run(database_urls, "import", "legacy", sqlite_url)
    opening = "Opening balance of which the older app kept no row"
    assert entries(bank, CURRENT) == [
        ("opening", "2025-09-01", 50000, opening),
        ("deposit", "2025-09-02", 10000, "Cash deposit"),
        ("transfer", "2025-09-04", -6000, f"Transfer from {CURRENT} to {SAVINGS}"),
        ("withdrawal", "2025-09-05", -10000, "Cash withdrawal"),
        ("deposit", "2025-09-06", -5000, "Cash deposit, of less than zero"),
        ("transfer", "2025-09-08", -1000, f"Transfer from {CURRENT} to {SAVINGS}, other half missing"),
    ]
    assert [amount for _, _, amount, _ in entries(bank, LEFT)] == [10000, -3000]
    with bank.reader() as reader:
        lines = {line.chart_code: line.balance.minor_units for line in ledger_store.trial_balance(reader)}
        till = ledger_store.account_by_number(reader, "till-legacy")
    assert till is not None
    assert till.balance == lines["cash"] == 10000 + 10000 - 10000 - 5000 + 1500 - 4000 + 2000
    assert sum(lines[code] for code in ("cash", "suspense")) == lines["current"] + lines["savings"]


def test_customers_move_in_tidied_with_what_the_older_app_said_of_them(
    sqlite_url: str, bank: Bank, database_urls: DatabaseUrls
) -> None:
    run(database_urls, "import", "legacy", sqlite_url)
    identities = IdentityNumbers(bank.settings.identity_keys)
    with bank.reader() as reader:
        zoe, park, third = (customer_store.by_number(reader, str(number)) for number in (A, B, C))
        assert zoe
        assert park
        assert third
        records = reader.execute(sa.select(audit_records).order_by(audit_records.c.id)).all()
    assert (zoe.name, zoe.birth_date, zoe.region, zoe.active) == ("Zo\u00eb O'Brien", None, "NJ", True)
    assert zoe.identity_sealed
    assert identities.open(zoe.identity_sealed) == "012345678"
    assert (park.name, park.address, park.active) == ("박하늘빛", "", False)
    assert (third.name, len(third.city)) == (f"Customer {C}", 100)
    of_zoe = [record for record in records if record.subject == str(zoe)]
    assert [(record.who, record.action, str(record.at)[:19]) for record in of_zoe[1:]] == [
        ("legacy", "customer.registered", "2025-09-01 14:58:48"),
        ("legacy", "customer.edited", "2025-09-02 10:00:00"),
    ]
    assert of_zoe[0].details["note"] == "age 40 recorded by the older app"
    assert str(zoe.created_at)[:19] == "2025-09-01 14:58:48"
    in_clear = ("012345678", "12345678", "123456789")
    assert not any(number in str(record.details) for record in records for number in in_clear)


def test_accounts_of_a_deactivated_customer_open_when_the_customer_is_activated(
    sqlite_url: str, bank: Bank, database_urls: DatabaseUrls
) -> None:
    run(database_urls, "import", "legacy", sqlite_url)
    with bank.reader() as reader:
        park = customer_store.by_number(reader, str(B))
        left = account_store.by_number(reader, str(LEFT))
        empty = account_store.by_number(reader, str(EMPTY))
    assert park
    assert left
    assert empty
    assert (left.frozen_for, str(empty.closed_on), str(empty.opened_on)) == ("staff", "2026-01-05", "2025-12-03")
    bank.run(account_service.activate_customer, park.id, by=OWNER, reason="came to the branch")
    assert balances(bank)[str(MINUS)][2] == "open"
    # What staff have done since stays: a second run changes nothing.
    before = dump(bank)
    assert run(database_urls, "import", "legacy", sqlite_url).exit_code == 0
    assert dump(bank) == before


def test_the_old_password_of_staff_opens_the_door_and_must_be_changed(
    sqlite_url: str, bank: Bank, database_urls: DatabaseUrls
) -> None:
    result = run(database_urls, "import", "legacy", sqlite_url)
    with bank.reader() as reader:
        people = {each.user_id: each for each in staff.everyone(reader)}
        stored = staff.password_hash(reader, "C00000002")
    assert {user_id: person.role.value for user_id, person in people.items()} == {
        "C00000001": "executive",
        "C00000002": "cashier",
        "C00000003": "teller",
    }
    assert all(person.must_change_password for person in people.values())
    assert [person.till_account_id is not None for person in people.values()] == [False, True, True]
    assert stored
    passwords = Passwords(memory_kib=8192, at_once=1)
    assert passwords.check(stored[1], PASSWORD)
    assert not passwords.check(stored[1], "another")
    assert "staff of a role the bank does not have" in result.output
    assert "staff without a password" in result.output


def test_a_dry_run_reports_the_same_and_writes_nothing(
    sqlite_url: str, bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    before = dump(bank)
    first, second = tmp_path / "dry.csv", tmp_path / "real.csv"
    assert run(database_urls, "import", "legacy", sqlite_url, "--dry-run", "--report", str(first)).exit_code == 0
    assert dump(bank) == before
    run(database_urls, "import", "legacy", sqlite_url, "--report", str(second))
    with first.open() as dry, second.open() as real:
        dry_rows, real_rows = list(csv.DictReader(dry)), list(csv.DictReader(real))
    assert [{**row, "brought_in": ""} for row in real_rows] == dry_rows


def test_running_it_twice_changes_nothing_not_even_in_the_older_database(
    bank: Bank, database_urls: DatabaseUrls, tmp_path: Path, sqlite_url: str
) -> None:
    older = (tmp_path / "older.sqlite").read_bytes()
    first = run(database_urls, "import", "legacy", sqlite_url)
    before = dump(bank)
    second = run(database_urls, "import", "legacy", sqlite_url)
    assert second.exit_code == 0
    assert dump(bank) == before
    assert (tmp_path / "older.sqlite").read_bytes() == older
    assert not list(tmp_path.glob("older.sqlite-*"))
    assert "0 entries booked" in second.output
    assert second.output.split("entries booked")[0].splitlines()[:-1] == first.output.splitlines()[:-1]


def test_an_import_that_was_killed_goes_on_where_it_stopped(
    bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    url = write_sqlite(tmp_path / "older.sqlite", busy_branch(3000))
    kill_while_booking(database_urls, bank, "import", "legacy", url, currency="USD", entries=300)
    done = count(bank, "journal_entries")
    assert 300 <= done < 3000
    result = run(database_urls, "import", "legacy", url)
    assert result.exit_code == 0, result.output
    assert balances(bank)[str(CURRENT)][0] == 38000
    assert balances(bank)[str(LEFT)] == (7000, 0, "frozen")
    assert_sound(bank)
    before = dump(bank)
    run(database_urls, "import", "legacy", url)
    assert dump(bank) == before


def test_another_branch_of_the_same_numbers_is_kept_out(
    sqlite_url: str, bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    run(database_urls, "import", "legacy", sqlite_url)
    before = dump(bank)
    rows = small_branch()
    rows["customerlog"][0] = (1, A, "Customer Created", "2024-01-01 09:00:00")
    other = write_sqlite(tmp_path / "other.sqlite", rows)
    result = run(database_urls, "import", "legacy", other)
    assert result.exit_code == 1
    assert "Another older database" in result.output
    assert dump(bank) == before


def test_numbers_that_belong_to_somebody_here_keep_it_out(
    sqlite_url: str, bank: Bank, database_urls: DatabaseUrls
) -> None:
    def take(tx: sa.Connection) -> None:
        now = bank.clock.now()
        row = {"number": str(CURRENT), "name": "taken", "chart_code": "cash", "normal_side": "debit", "currency": "USD"}
        tx.execute(ledger_accounts.insert(), {**row, "opened_at": now})

    bank.run(take)
    before = dump(bank)
    for more in ((), ("--dry-run",)):
        result = run(database_urls, "import", "legacy", sqlite_url, *more)
        assert result.exit_code == 1
        assert f"Account {CURRENT} exists in this bank already" in result.output
    assert dump(bank) == before


def test_what_the_older_app_went_on_to_change_is_named_and_never_booked_over(
    sqlite_url: str, bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    run(database_urls, "import", "legacy", sqlite_url)
    rows = small_branch()
    # One more deposit that the older app booked since, and one balance that it lost since.
    rows["transactions"].append((17, SAVINGS, "Amount Deposited", 25, "2026-06-01 10:00:00"))
    rows["accounts"][1] = (SAVINGS, "savings", 100, A, "active", "Account successfully created", "2025-09-01 15:10:00")
    rows["accounts"][0] = (CURRENT, "current", 300, A, "active", "Account successfully created", "2025-09-01 15:06:10")
    later = write_sqlite(tmp_path / "later.sqlite", rows)
    result = run(database_urls, "import", "legacy", later)
    assert result.exit_code == 1
    assert balances(bank)[str(SAVINGS)][0] == 10000
    assert balances(bank)[str(CURRENT)][0] == 38000
    assert "NOT EQUAL" in result.output
    assert_sound(bank)


def test_the_real_branch_moves_in(bank: Bank, database_urls: DatabaseUrls, tmp_path: Path) -> None:
    url = f"sqlite:///{shared('legacy.sqlite')}"
    report = tmp_path / "report.csv"
    result = run(database_urls, "import", "legacy", url, "--report", str(report))
    assert result.exit_code == 0, result.output
    with shared("legacy-truth.csv").open() as file:
        truth = {row["acc_id"]: row["stored_balance"] for row in csv.DictReader(file)}
    with report.open() as file:
        rows = [row for row in csv.DictReader(file) if row["stored"]]
    assert len(rows) == len(truth) == 426
    here = balances(bank)
    for row in rows:
        assert row["brought_in"] == row["stored"]
        assert abs(float(truth[row["number"]]) - here[row["number"]][0] / 100) < 0.0051
    assert sum(balance for balance, _, _ in here.values()) == 859489374
    assert sum(status == "closed" for _, _, status in here.values()) == 16
    assert sum(status == "frozen" for _, _, status in here.values()) == 25 + 27
    assert sum((floor or 0) < 0 for _, floor, _ in here.values()) == 13
    assert_sound(bank)
    before = dump(bank)
    assert run(database_urls, "import", "legacy", url).exit_code == 0
    assert dump(bank) == before
