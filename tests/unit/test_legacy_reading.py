"""Reading the older app's database: its numbers, its transfers, its oddities."""

from __future__ import annotations

import csv
import io
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bank.legacy import store
from bank.legacy.history import read_history
from bank.legacy.model import OldTransaction, stored_balance, whole_amount
from bank.legacy.plan import Plan, make_plan
from bank.legacy.report import KINDS, Finding, summary, write_csv
from bank.legacy.service import reconciliation
from bank.money import Money
from bank.storage.foreign import SourceUnreadable
from tests.older_app import CURRENT, SAVINGS, A, shared, small_branch, write_sqlite

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (5, 5),
        ("１００", 100),
        ("٣", 3),
        (" 7 ", 7),
        (-4, -4),
        (2.9, 2),
        ("2.9", None),
        ("", None),
        (None, None),
        (float("inf"), None),
        (float("nan"), None),
        (10**16, None),
        ("9" * 5000, None),
    ],
)
def test_an_amount_is_read_as_the_older_app_read_it(stored: Any, read: int | None) -> None:
    assert whole_amount(stored) == read


@pytest.mark.parametrize(
    ("stored", "currency", "minor_units", "rounded"),
    [
        (286.81999999999994, "USD", 28682, True),
        (837.365, "USD", 83737, True),
        (-0.005, "USD", -1, True),
        (10.75, "USD", 1075, False),
        (10.75, "JPY", 11, True),
        (Decimal("3.10"), "USD", 310, False),
        ("12", "USD", 1200, False),
    ],
)
def test_a_balance_is_rounded_half_up_to_the_minor_unit(
    stored: Any, currency: str, minor_units: int, rounded: bool
) -> None:
    read = stored_balance(stored, currency)
    assert read is not None
    assert (read[0].minor_units, read[1]) == (minor_units, rounded)


@pytest.mark.parametrize("stored", [float("inf"), float("nan"), "plenty", None, "", 10**15])
def test_a_balance_that_makes_no_sense_is_not_read(stored: Any) -> None:
    assert stored_balance(stored, "USD") is None


def history(*rows: tuple[int, str, Any]) -> Any:
    old = [
        OldTransaction(number, account, message, amount, NOW)
        for number, (account, message, amount) in enumerate(rows, 1)
    ]
    return read_history(tuple(old), {CURRENT, SAVINGS}, "USD", otherwise_at=NOW)


def test_the_two_rows_of_a_transfer_are_one_movement_though_others_stand_between() -> None:
    read = history(
        (CURRENT, f"Amount Transfered to {SAVINGS}", 5),
        (SAVINGS, f"Amount Transfered to {CURRENT}", 5),
        (SAVINGS, f"Amount received from {CURRENT}", 5),
        (CURRENT, f"Amount received from {SAVINGS}", 5),
    )
    assert [(move.key, move.payer, move.payee) for move in read.movements] == [
        ("legacy-trans-1", CURRENT, SAVINGS),
        ("legacy-trans-2", SAVINGS, CURRENT),
    ]
    assert not read.findings


def test_what_a_crash_left_alone_stays_alone_and_goes_against_suspense() -> None:
    read = history(
        (CURRENT, f"Amount Transfered to {SAVINGS}", 5),
        (CURRENT, f"Amount Transfered to {SAVINGS}", 5),
        (SAVINGS, f"Amount received from {CURRENT}", 5),
        (SAVINGS, f"Amount received from {CURRENT}", 6),
    )
    assert [(move.key, move.payer, move.payee) for move in read.movements] == [
        ("legacy-trans-1", CURRENT, "suspense"),
        ("legacy-trans-2", CURRENT, SAVINGS),
        ("legacy-trans-4", "suspense", SAVINGS),
    ]
    assert [(finding.kind, finding.number) for finding in read.findings] == [
        ("half_transfer", "1"),
        ("half_transfer", "4"),
    ]


def test_a_transfer_of_less_than_zero_goes_the_other_way() -> None:
    read = history((CURRENT, f"Amount Transfered to {SAVINGS}", -5), (SAVINGS, f"Amount received from {CURRENT}", -5))
    [movement] = read.movements
    assert (movement.payer, movement.payee, movement.minor_units) == (SAVINGS, CURRENT, 500)
    assert [finding.kind for finding in read.findings] == ["negative_amount", "negative_amount"]


def test_rows_that_cannot_be_booked_are_named_once_each() -> None:
    read = history(
        (CURRENT, "Amount Deposited", "abc"),
        (CURRENT, "Amount Deposited", 0),
        (CURRENT, "Bonus", 4),
        (1, "Amount Deposited", 4),
    )
    assert not read.movements
    kinds = [finding.kind for finding in read.findings]
    assert kinds == [
        "text_amount",
        "amount_unreadable",
        "zero_amount",
        "unknown_message",
        "transaction_without_account",
    ]


def test_a_database_of_something_else_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, whatever its name says" * 9)
    rows = small_branch()
    write_sqlite(tmp_path / "older.sqlite", rows)
    for url, says in (
        (f"sqlite:///{tmp_path}/none.sqlite", "There is no file"),
        (f"sqlite:///{tmp_path}/text", "cannot be read"),
        ("postgresql://localhost/bank", "sqlite:///FILE or mysql://"),
        (str(tmp_path / "older.sqlite"), "sqlite:///FILE or mysql://"),
        ("mysql://user:secret@127.0.0.1:1/none", "cannot be read"),
    ):
        with pytest.raises(SourceUnreadable, match=says) as refused:
            store.read(url)
        assert "secret" not in str(refused.value)


def test_a_database_without_one_of_the_tables_is_refused(tmp_path: Path) -> None:
    url = write_sqlite(tmp_path / "older.sqlite", small_branch())
    connection = sqlite3.connect(tmp_path / "older.sqlite")
    connection.execute("DROP TABLE customerlog")
    connection.commit()
    connection.close()
    with pytest.raises(SourceUnreadable, match="no table customerlog"):
        store.read(url)


def test_accounts_nobody_holds_and_balances_nobody_can_read_are_named(tmp_path: Path) -> None:
    rows = small_branch()
    rows["accounts"] += [
        (360110005, "current", "plenty", 110110000, "active", "Account successfully created", None),
        (360110006, "current", 12.345, 110119999, "active", "Account successfully created", None),
        (360110007, "current", 12.345, 110110000, "closed?", "Account successfully created", "long ago"),
    ]
    plan = make_plan(store.read(write_sqlite(tmp_path / "older.sqlite", rows)), "USD", now=NOW)
    found = {(finding.kind, finding.number) for finding in plan.findings}
    assert ("balance_unreadable", "360110005") in found
    assert ("account_without_customer", "360110006") in found
    assert ("balance_rounded", "360110007") in found
    assert ("unknown_status", "360110007") in found
    assert "360110006" not in {account.old.number for account in plan.accounts}


@pytest.mark.parametrize(
    "stored",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0001-01-01 00:00:00", "0999-12-31", "long ago"],
)
def test_an_instant_that_has_no_day_here_is_one_that_cannot_be_read(tmp_path: Path, stored: str) -> None:
    rows = small_branch()
    rows["customerlog"] = [(1, A, "Customer Created", stored)]
    rows["accounts"] = [(*row[:-1], stored) for row in rows["accounts"]]
    rows["transactions"] = [(1, CURRENT, "Amount Deposited", 100, stored)]
    old = store.read(write_sqlite(tmp_path / "older.sqlite", rows))
    assert {row.at for row in (*old.log, *old.transactions)} | {row.last_update for row in old.accounts} == {None}
    plan = make_plan(old, "USD", now=NOW)
    assert [finding.number for finding in plan.findings if finding.kind == "no_time"] == ["1"]
    assert {account.opened_at for account in plan.accounts} == {NOW}


def test_no_cell_of_the_report_is_a_formula_and_amounts_stay_figures() -> None:
    amount = Money(-100, "USD")
    findings = [
        Finding("unknown_status", "account", "=1+1", "status: ;=HYPERLINK(1)", amount, amount),
        Finding("staff_unusable_user_id", "staff", "@SUM(A1)"),
    ]
    write_csv(findings, file := io.StringIO(newline=""))
    rows = list(csv.DictReader(file.getvalue().splitlines()))
    assert [row["number"] for row in rows] == ["'=1+1", "'@SUM(A1)"]
    assert (rows[0]["detail"], rows[0]["amount"], rows[0]["stored"]) == ("status: ;'=HYPERLINK(1)", "-1.00", "-1.00")


def test_a_bank_in_yen_reads_whole_amounts_as_yen(tmp_path: Path) -> None:
    plan = make_plan(store.read(write_sqlite(tmp_path / "older.sqlite", small_branch())), "JPY", now=NOW)
    assert plan.accounts[0].stored.minor_units == 380


# The branch's real file: what its description says a report can know from the file alone.

FIGURES = {
    "stored_above_history": 299,
    "stored_below_history": 15,
    "history_agrees": 112,
    "went_below_zero": 11,
    "negative_balance": 9,
    "balance_not_whole": 38,
    "balance_rounded": 5,
    "negative_amount": 14,
    "zero_amount": 6,
    "text_amount": 2,
    "account_frozen_with_money": 25,
    "account_closed": 16,
    "deactivated_customer_with_active_account": 18,
    "account_frozen_for_customer": 27,
    "active_customer_with_deactivated_account": 30,
    "transaction_while_deactivated": 130,
    "two_accounts_of_one_type": 2,
    "ssn_one_zero_restored": 34,
    "ssn_two_zeros_restored": 9,
    "ssn_more_zeros_restored": 4,
    "age_odd": 4,
    "blank_address": 3,
    "name_without_latin_letters": 24,
    "name_not_ascii": 155,
    "name_with_apostrophe": 34,
    "name_with_hyphen": 42,
    "name_decomposed": 4,
    "name_beyond_16_bits": 1,
    "name_with_invisible_letter": 1,
    "name_with_stray_blanks": 7,
    "name_in_one_case": 10,
    "name_of_one_word": 1,
    "name_shared": 3,
    "state_spelling": 11,
    # By the description 4: it leaves out 360110356, opened on 2026-03-11 for 110110185, deactivated on 2026-01-02.
    "opened_while_deactivated": 5,
    "overdraft_floor": 13,
}
SUMS = {
    "negative_balance": "-3965.50",
    "account_frozen_with_money": "84200.89",
    "account_frozen_for_customer": "103562.70",
}
NAMED = {
    "negative_balance": "360110073 360110114 360110123 360110147 360110296 360110322 360110337 360110380 360110390",
    "balance_rounded": "360110024 360110079 360110089 360110170 360110308",
    "negative_amount": "1565 2900 5627 6026 6043 6074 6081 6082 6105 6123 6124 6132 6138 6139",
    "zero_amount": "514 654 1356 2979 3528 5185",
    "text_amount": "1206 1434",
    "two_accounts_of_one_type": "110110087 110110239",
    "blank_address": "110110062 110110152 110110226",
    "age_odd": "110110019 110110221 110110223 110110282",
    "opened_while_deactivated": "360110356 360110388 360110395 360110403 360110413",
}


@pytest.fixture(scope="module")
def real_plan() -> Plan:
    return make_plan(store.read(f"sqlite:///{shared('legacy.sqlite')}"), "USD", now=NOW)


def test_the_report_on_the_real_branch_counts_as_its_description_does(real_plan: Plan) -> None:
    lines = {line.kind: line for line in summary([*reconciliation(real_plan), *real_plan.findings])}
    assert {kind: line.count for kind, line in lines.items()} == FIGURES
    assert {kind: lines[kind].total.plain for kind in SUMS if lines[kind].total} == SUMS


@pytest.mark.parametrize("kind", NAMED)
def test_the_report_on_the_real_branch_names_the_same_subjects(real_plan: Plan, kind: str) -> None:
    found = {finding.number for finding in real_plan.findings if finding.kind == kind}
    assert found == set(NAMED[kind].split())


def test_every_account_of_the_real_branch_differs_by_what_its_description_says(real_plan: Plan) -> None:
    with shared("legacy-truth.csv").open() as file:
        truth = {
            row["acc_id"]: (
                stored_balance(Decimal(row["stored_balance"]), "USD")[0],  # type: ignore[index]
                stored_balance(Decimal(row["history_sum"]), "USD")[0],  # type: ignore[index]
                stored_balance(Decimal(row["stored_minus_history"]), "USD")[0],  # type: ignore[index]
            )
            for row in csv.DictReader(file)
        }
    found = {each.number: (each.stored, each.history, each.amount) for each in reconciliation(real_plan)}
    assert found == truth
    assert len(found) == 426


def test_the_report_carries_no_name_and_no_identity_number(real_plan: Plan) -> None:
    said = " ".join(f"{finding.number} {finding.detail}" for finding in real_plan.findings)
    for person in real_plan.customers:
        assert person.details.name not in said
        assert str(person.old.ssn) not in said.split()


def test_every_kind_of_finding_has_its_sentence() -> None:
    assert all(sentence and not sentence.endswith(".") for sentence in KINDS.values())
