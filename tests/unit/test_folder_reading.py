"""Every row of a folder is checked before any is loaded: what is bad is named by file, line and reason."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from bank.realdata.errors import FolderUnreadable
from bank.realdata.reading import read_folder
from tests import folder
from tests.older_app import shared

TODAY = date(2026, 3, 2)
GOOD = "20,10,1993-03-01,credit,cash_deposit,5.00,,,,"


def bad_rows(path: Path) -> list[str]:
    return [str(bad) for bad in read_folder(path, "CZK", today=TODAY).bad_rows]


def test_a_good_folder_has_no_bad_rows(tmp_path: Path) -> None:
    read = read_folder(folder.write(tmp_path), "CZK", today=TODAY)
    assert not read.bad_rows
    assert {account.number: list(account.balances())[-1] for account in read.accounts.values()} == {
        "370000010": 63910,
        "370000011": 4990,
    }
    assert read.accounts[11].lowest_balance() == -15010
    assert [each.id for each in read.accounts[10].transactions] == [1, 9, 2, 3, 4, 5, 6]
    assert [each.narrative for each in read.accounts[10].transactions] == [
        "Cash deposit",
        "Transfer from 66487163/ST: pension",
        "Transfer to 13943797/QR: household",
        "Cash withdrawal",
        "Card withdrawal",
        "Interest",
        "Fee: statement fee",
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("20,12,1993-03-01,credit,cash_deposit,5.00,,,,", "unknown account 12"),
        ("20,x,1993-03-01,credit,cash_deposit,5.00,,,,", "account_id 'x' is no whole number from 1 to 9999999"),
        ("20,10,1993-02-29,credit,cash_deposit,5.00,,,,", "booking_date '1993-02-29' is no date like 1994-03-31"),
        ("20,10,19930301,credit,cash_deposit,5.00,,,,", "booking_date '19930301' is no date like 1994-03-31"),
        ("20,10,2026-03-03,credit,cash_deposit,5.00,,,,", "'2026-03-03' is not between 1850-01-01 and today"),
        ("20,10,0001-01-01,credit,cash_deposit,5.00,,,,", "'0001-01-01' is not between 1850-01-01 and today"),
        ("20,10,1993-03-01,credit,cash_deposit,five,,,,", "amount 'five' is no amount like 1234.50"),
        ("20,10,1993-03-01,credit,cash_deposit,5.001,,,,", "amount '5.001' is no amount like 1234.50"),
        ("20,10,1993-03-01,credit,cash_deposit,٥,,,,", r"amount '\u0665' is no amount like 1234.50"),
        ("20,10,1993-03-01,credit,cash_deposit,NaN,,,,", "amount 'NaN' is no amount like 1234.50"),
        ("20,10,1993-03-01,credit,cash_deposit,1e3,,,,", "amount '1e3' is no amount like 1234.50"),
        ("20,10,1993-03-01,credit,cash_deposit,,,,,", "amount '' is no amount like 1234.50"),
        ("20,10,1993-03-01,credit,cash_deposit,0.00,,,,", "amount '0.00' is zero"),
        ("20,10,1993-03-01,credit,cash_deposit,-5.00,,,,", "amount '-5.00' is below zero"),
        ("20,10,1993-03-01,credit,cash_deposit,99999999999999,,,,", "is larger than the bank books at once"),
        ("20,10,1993-03-01,credit,bonus,5.00,,,,", "unknown operation 'bonus'"),
        ("20,10,1993-03-01,debit,cash_deposit,5.00,,,,", "cash_deposit is a credit, and direction is 'debit'"),
        ("1,10,1993-03-01,credit,cash_deposit,5.00,,,,", "transaction_id 1 came before"),
        ("20,10,1993-03-01,credit,cash_deposit,5.00,,", "8 fields in place of 10"),
        ('20,10,1993-03-01,credit,cash_deposit,5.00,,"open,,', "not a row of CSV: unexpected end of data"),
        ("20,10,1993-03-01,credit,cash_deposit,5.00,,a\0b,,", "has letters that cannot be printed"),
    ],
)
def test_a_bad_transaction_is_named_and_the_rest_is_read(tmp_path: Path, row: str, reason: str) -> None:
    spoilt = folder.plus("transactions", row, GOOD.replace("20", "21", 1))
    read = read_folder(folder.write(tmp_path, transactions=spoilt), "CZK", today=TODAY)
    [bad] = read.bad_rows
    assert (bad.file, bad.line) == ("transactions.csv.gz", 13)
    assert reason in bad.reason
    assert sum(1 for _ in read.transactions()) == 12


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("customers", "1,1945-02-04,male,Praha", "customers.csv:5: client_id 1 came before"),
        ("customers", "0,1945-02-04,male,Praha", "customers.csv:5: client_id '0' is no whole number from 1 to 9999999"),
        ("customers", "4,soon,male,Praha", "customers.csv:5: birth_date 'soon' is no date like 1994-03-31"),
        ("accounts", "10,1,monthly,1993-01-01", "accounts.csv:4: account_id 10 came before"),
        ("accounts", "12,1,monthly,", "accounts.csv:4: opened_on '' is no date like 1994-03-31"),
        ("accounts", "12,1,monthly,1993-01-01", "accounts.csv:4: account 12 has no owner"),
        ("holders", "4,10,owner", "holders.csv:5: unknown client 4"),
        ("holders", "1,12,owner", "holders.csv:5: unknown account 12"),
        ("holders", "3,10,friend", "holders.csv:5: unknown role 'friend'"),
        ("holders", "1,10,owner", "holders.csv:5: client 1 holds account 10 already"),
        ("closing_balances", "12,5.00,1", "closing_balances.csv:4: unknown account 12"),
        ("closing_balances", "10,five,1", "closing_balances.csv:4: amount 'five' is no amount like 1234.50"),
    ],
)
def test_a_bad_row_of_the_other_files_is_named(tmp_path: Path, name: str, row: str, expected: str) -> None:
    assert bad_rows(folder.write(tmp_path, **{name: folder.plus(name, row)})) == [expected]


def test_what_stands_on_a_bad_row_is_bad_too(tmp_path: Path) -> None:
    holders = folder.FILES["holders.csv"].replace("3,11,owner", "3,11,disponent")
    found = bad_rows(folder.write(tmp_path, holders=holders))
    assert found[0] == "accounts.csv:3: account 11 has no owner"
    assert found[1:5] == [f"transactions.csv.gz:{line}: unknown account 11" for line in (9, 10, 11, 12)]
    assert found[5:] == ["closing_balances.csv:3: unknown account 11"]


def test_a_line_that_is_not_utf_8_is_bad_and_the_next_is_read(tmp_path: Path) -> None:
    folder.write(tmp_path)
    path = tmp_path / "customers.csv"
    path.write_bytes(path.read_bytes() + b"4,1950-01-01,male,Pl\xe9zen\n5,1950-01-01,male,Brno\n")
    read = read_folder(tmp_path, "CZK", today=TODAY)
    assert [str(bad) for bad in read.bad_rows] == ["customers.csv:5: not UTF-8 text"]
    assert 5 in read.clients


def test_a_byte_order_mark_and_carriage_returns_are_no_fault(tmp_path: Path) -> None:
    folder.write(tmp_path)
    path = tmp_path / "accounts.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert bad_rows(tmp_path) == []


def test_a_compressed_file_that_was_cut_off_loses_no_whole_row_before_the_cut(tmp_path: Path) -> None:
    folder.write(tmp_path, transactions=folder.long_history(20_000))
    path = tmp_path / "transactions.csv.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read = read_folder(tmp_path, "CZK", today=TODAY)
    found = list(read.transactions())
    cut = next(bad for bad in read.bad_rows if bad.file == "transactions.csv.gz")
    assert 0 < len(found) < 20_000
    assert (cut.line, cut.reason) == (len(found) + 2, "the file ends here, before its end: it was cut off")
    assert all(each.minor_units == 100 for _, each in found)


def test_a_damaged_file_is_refused_since_no_row_of_it_can_be_trusted(tmp_path: Path) -> None:
    folder.write(tmp_path)
    path = tmp_path / "transactions.csv.gz"
    whole = path.read_bytes()
    for damaged in (
        gzip.compress(folder.FILES["transactions.csv"].encode())[:-8] + bytes(8),
        whole[:40] + bytes(20) + whole[60:],
        b"no gzip at all",
        b"",
    ):
        path.write_bytes(damaged)
        with pytest.raises(FolderUnreadable, match=r"transactions\.csv\.gz"):
            read_folder(tmp_path, "CZK", today=TODAY)


@pytest.mark.parametrize("name", ["customers", "accounts", "holders", "transactions"])
def test_a_missing_file_or_column_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    text = folder.FILES[f"{name}.csv"]
    column = {"customers": "birth_date", "accounts": "opened_on", "holders": "role", "transactions": "amount"}[name]
    folder.write(tmp_path, **{name: text.replace(column, "something", 1)})
    with pytest.raises(FolderUnreadable, match=f"{name}.*:1: the header has no column {column}"):
        read_folder(tmp_path, "CZK", today=TODAY)
    for path in tmp_path.glob(f"{name}.csv*"):
        path.unlink()
    with pytest.raises(FolderUnreadable, match=f"There is no {name}.csv"):
        read_folder(tmp_path, "CZK", today=TODAY)


def test_more_rows_than_the_bound_are_refused(tmp_path: Path) -> None:
    folder.write(tmp_path)
    assert read_folder(tmp_path, "CZK", today=TODAY, most_rows=11)
    with pytest.raises(FolderUnreadable, match=r"transactions\.csv\.gz has more than 10 rows"):
        read_folder(tmp_path, "CZK", today=TODAY, most_rows=10)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    folder.write(tmp_path, transactions=folder.plus("transactions", "1" * 20_000))
    with pytest.raises(FolderUnreadable, match="is no CSV file"):
        read_folder(tmp_path, "CZK", today=TODAY)


def test_a_plain_file_serves_as_well_as_a_compressed_one(tmp_path: Path) -> None:
    folder.write(tmp_path)
    (tmp_path / "transactions.csv.gz").unlink()
    (tmp_path / "transactions.csv").write_text(folder.FILES["transactions.csv"])
    assert sum(1 for _ in read_folder(tmp_path, "CZK", today=TODAY).transactions()) == 11


def test_a_currency_without_decimals_takes_none(tmp_path: Path) -> None:
    found = read_folder(folder.write(tmp_path), "JPY", today=TODAY).bad_rows
    assert any("amount '1000.00' is no amount like 1234" in bad.reason for bad in found)


def test_the_real_bank_has_no_bad_row(tmp_path: Path) -> None:
    read = read_folder(shared("berka"), "CZK", today=TODAY)
    assert not read.bad_rows
    assert (len(read.clients), len(read.accounts)) == (1201, 989)
    changes = [each.change for _, each in read.transactions()]
    assert len(changes) == 39_333
    assert sum(change for change in changes if change > 0) == 14_031_735_810
    assert sum(changes) == 3_140_255_420
    assert sum(account.lowest_balance() < 0 for account in read.accounts.values()) == 21
