"""A folder of another bank's transactions goes through the door: all of it, once, or named why not."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result

from bank.accounts import store as account_store
from bank.accounts import verify as accounts_verify
from bank.customers import store as customer_store
from bank.ledger import store as ledger_store
from bank.ledger import verify
from bank.ledger.tables import ledger_accounts
from bank.storage.transaction import Bank
from tests import folder
from tests.imports import count, dump, kill_while_booking, run
from tests.older_app import shared
from tests.servers import DatabaseUrls

#: One row for everything that can be wrong with one.
BAD = (
    "20,12,1993-03-01,credit,cash_deposit,5.00,,,,",
    "21,10,1993-02-30,credit,cash_deposit,5.00,,,,",
    "22,10,1993-03-01,credit,cash_deposit,five,,,,",
    "23,10,1993-03-01,credit,cash_deposit,0,,,,",
    "24,10,1993-03-01,credit,cash_deposit,-5,,,,",
    "25,10,1993-03-01,credit,bonus,5.00,,,,",
    "26,10,1993-03-01,debit,cash_deposit,5.00,,,,",
    "1,10,1993-03-01,credit,cash_deposit,5.00,,,,",
    "27,10,1993-03-01,credit",
)


def load(urls: DatabaseUrls, *arguments: str, currency: str = "CZK") -> Result:
    """`bank import transactions ARGUMENTS`."""
    return run(urls, "import", "transactions", *arguments, currency=currency)


def balances(bank: Bank) -> dict[str, tuple[int, int | None]]:
    with bank.reader() as reader:
        accounts = [account_store.of_row(row) for row in reader.execute(account_store.listing(status=None))]
    return {each.number: (each.ledger.balance, each.ledger.floor) for each in accounts}


def assert_sound(bank: Bank) -> None:
    with bank.snapshot() as reader:
        assert [*verify.verify(reader), *accounts_verify.verify(reader)] == []


def test_a_good_folder_is_loaded_with_holders_floors_and_counter_accounts(
    bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    result = load(database_urls, str(folder.write(tmp_path)), "--strict")
    assert result.exit_code == 0, result.output
    assert "account 370000011: went below zero, overdraft floor -150.10 CZK" in result.output
    assert "2 of 2 closing balances are equal" in result.output
    assert balances(bank) == {"370000010": (63910, 0), "370000011": (4990, -15010)}
    with bank.reader() as reader:
        account = account_store.by_number(reader, "370000010")
        first = customer_store.by_number(reader, "120000001")
        assert account
        assert first
        holders = [(holder.name, holder.role) for holder in account_store.holders(reader, account.id)]
        lines = {line.chart_code: line.balance.minor_units for line in ledger_store.trial_balance(reader)}
        rows = ledger_store.page_before(reader, account.id, seq=None, limit=10)
    assert holders == [("Client 1", "owner"), ("Client 2", "authorised")]
    assert (first.birth_date, first.city, str(account.opened_on)) == (date(1945, 2, 4), "Praha", "1993-01-01")
    assert lines == {
        "current": 68900,
        "cash": 100000 - 40000 + 10000 - 25000 + 20000,
        "clearing": 20050 - 5000 - 10000,
        "interest_paid": 320,
        "penalty_interest": 10,
        "fee_income": 1460,
    }
    assert [(row.kind, str(row.booking_date), row.signed.minor_units) for row in reversed(rows)][:3] == [
        ("deposit", "1993-01-01", 100000),
        ("transfer_in", "1993-01-02", 20050),
        ("transfer_out", "1993-01-03", -5000),
    ]
    assert rows[-2].narrative == "Transfer from 66487163/ST: pension"
    assert_sound(bank)


def test_loading_it_twice_changes_nothing(bank: Bank, database_urls: DatabaseUrls, tmp_path: Path) -> None:
    path = str(folder.write(tmp_path))
    load(database_urls, path)
    before = dump(bank)
    result = load(database_urls, path, "--strict")
    assert result.exit_code == 0
    assert "0 entries booked, 11 had been booked before" in result.output
    assert dump(bank) == before


def test_strict_loads_nothing_when_any_row_is_bad(bank: Bank, database_urls: DatabaseUrls, tmp_path: Path) -> None:
    before = dump(bank)
    path = folder.write(tmp_path / "in", transactions=folder.plus("transactions", *BAD))
    report = tmp_path / "report.csv"
    result = load(database_urls, str(path), "--strict", "--report", str(report))
    assert result.exit_code == 1
    assert f"Nothing was loaded: {len(BAD)} rows are bad." in result.output
    assert dump(bank) == before
    with report.open() as file:
        assert [row["line"] for row in csv.DictReader(file)] == [str(13 + number) for number in range(len(BAD))]


@pytest.mark.dialects("sqlite")
def test_no_cell_of_the_report_is_a_formula(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    path = folder.write(tmp_path / "in", holders=folder.plus("holders", "3,10,;=1+1"))
    report = tmp_path / "report.csv"
    load(database_urls, str(path), "--strict", "--report", str(report))
    with report.open() as file:
        [row] = csv.DictReader(file)
    assert row["detail"] == "unknown role ';'=1+1'"


def test_without_strict_bad_rows_are_named_and_the_rest_is_loaded(
    bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    path = folder.write(tmp_path, transactions=folder.plus("transactions", *BAD))
    result = load(database_urls, str(path))
    assert result.exit_code == 0, result.output
    for number, row in enumerate(BAD):
        assert f"transactions.csv.gz:{13 + number}: " in result.output, row
    assert balances(bank) == {"370000010": (63910, 0), "370000011": (4990, -15010)}
    assert_sound(bank)


def test_rows_that_were_mended_are_loaded_by_the_next_run(
    bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    good = "30,10,1993-03-01,debit,cash_withdrawal,700.00,,,,"
    closing = folder.FILES["closing_balances.csv"].replace("10,639.10", "10,-60.90")
    spoilt = folder.plus("transactions", good.replace("700.00", "seven hundred"))
    result = load(database_urls, str(folder.write(tmp_path, transactions=spoilt, closing_balances=closing)))
    assert result.exit_code == 1
    assert "account 370000010: 639.10 CZK here, -60.90 CZK by closing_balances.csv" in result.output
    mended = folder.plus("transactions", good)
    result = load(database_urls, str(folder.write(tmp_path, transactions=mended, closing_balances=closing)))
    assert result.exit_code == 0, result.output
    assert "1 entries booked, 11 had been booked before" in result.output
    assert balances(bank)["370000010"] == (-6090, -6090)
    assert_sound(bank)


def test_a_row_that_changed_since_it_was_booked_is_refused(
    bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    load(database_urls, str(folder.write(tmp_path)))
    changed = folder.FILES["transactions.csv"].replace("cash_deposit,1000.00", "cash_deposit,9000.00")
    result = load(database_urls, str(folder.write(tmp_path, transactions=changed)))
    assert result.exit_code == 1
    assert "transaction 1 (line 2): This operation was already used for something else" in result.output
    assert balances(bank)["370000010"][0] == 63910


def test_a_bank_of_another_currency_refuses_the_folder(bank: Bank, database_urls: DatabaseUrls, tmp_path: Path) -> None:
    before = dump(bank)
    result = load(database_urls, str(folder.write(tmp_path)), currency="USD")
    assert result.exit_code == 1
    assert "The folder's amounts are in CZK, and this bank keeps USD." in result.output
    assert dump(bank) == before


@pytest.mark.parametrize("what", ["customer", "account"])
def test_a_number_that_belongs_to_somebody_here_keeps_the_folder_out(
    bank: Bank, database_urls: DatabaseUrls, tmp_path: Path, what: str
) -> None:
    def take(tx: sa.Connection) -> None:
        now = bank.clock.now()
        if what == "account":
            row = {"number": "370000011", "name": "", "chart_code": "cash", "normal_side": "debit", "currency": "CZK"}
            tx.execute(ledger_accounts.insert(), {**row, "opened_at": now})
        else:
            empty = dict.fromkeys("address city region postcode email phone".split(), "")
            row = {"number": "120000003", "name": "Ann", "search_name": "ann", **empty, "created_at": now}
            tx.execute(customer_store.customers.insert(), row)

    bank.run(take)
    before = dump(bank)
    result = load(database_urls, str(folder.write(tmp_path)))
    assert result.exit_code == 1
    assert "exists in this bank and is not from such a folder" in result.output
    assert dump(bank) == before


def test_a_load_that_was_killed_goes_on_where_it_stopped(
    bank: Bank, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    closing = "account_id,closing_balance\n10,3000.00\n11,0\n"
    history = folder.long_history(3000)
    path = str(folder.write(tmp_path, transactions=history, closing_balances=closing))
    kill_while_booking(database_urls, bank, "import", "transactions", path, currency="CZK", entries=300)
    assert 300 <= count(bank, "journal_entries") < 3000
    result = load(database_urls, path)
    assert result.exit_code == 0, result.output
    assert balances(bank)["370000010"][0] == 300000
    assert count(bank, "journal_entries") == 3000
    assert_sound(bank)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_real_bank_is_loaded_to_its_closing_balances(bank: Bank, database_urls: DatabaseUrls) -> None:
    result = load(database_urls, str(shared("berka")), "--strict")
    assert result.exit_code == 0, result.output
    assert "39333 entries booked" in result.output
    assert "989 of 989 closing balances are equal" in result.output
    assert result.output.count("went below zero") == 21
    with (shared("berka") / "closing_balances.csv").open() as file:
        closing = {f"37{int(row['account_id']):07d}": row["closing_balance"] for row in csv.DictReader(file)}
    assert {number: f"{balance / 100:.2f}" for number, (balance, _) in balances(bank).items()} == closing
    assert_sound(bank)
