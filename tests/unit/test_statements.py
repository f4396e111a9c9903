"""Statements as values: they add up, they name their period, and their text breaks no file."""

from __future__ import annotations

import doctest
import importlib
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank.money import Money
from bank.payments.model import kind_words
from bank.statements.errors import InvalidPeriod, PeriodTooLong
from bank.statements.model import (
    Days,
    Latest,
    Statement,
    StatementLine,
    one_line,
    read_days,
    read_latest,
)

MARCH = Days(date(2026, 3, 1), date(2026, 3, 31))


def line(units: int, after: int, **fields: Any) -> StatementLine:
    defaults: dict[str, Any] = {
        "booking_date": date(2026, 3, 2),
        "value_date": date(2026, 3, 2),
        "description": "Rent",
        "kind": "Transfer out",
        "reference": "7",
        "amount": Money(units, "USD"),
        "balance": Money(after, "USD"),
    }
    return StatementLine(**{**defaults, **fields})


def statement(*lines: StatementLine, opening: int = 0, **fields: Any) -> Statement:
    defaults: dict[str, Any] = {
        "bank_name": "Harbour Bank",
        "account_number": "3602000001",
        "product": "Current account",
        "holders": ("Ana Lima",),
        "currency": "USD",
        "period": MARCH,
        "made_at": datetime(2026, 4, 1, 8, 5, tzinfo=UTC),
        "opening": Money(opening, "USD"),
        "lines": lines,
    }
    return Statement(**{**defaults, **fields})


@pytest.mark.parametrize("module", ["model", "render.csv", "render.scripts"])
def test_the_examples_in_the_docstrings_are_true(module):
    assert doctest.testmod(importlib.import_module(f"bank.statements.{module}")).failed == 0


def test_a_statement_sums_what_came_in_and_what_went_out():
    made = statement(line(500, 600), line(-250, 350), line(-1, 349), opening=100)

    assert (made.total_in.minor_units, made.total_out.minor_units) == (500, 251)
    assert made.opening + made.total_in - made.total_out == made.closing == Money(349, "USD")


def test_a_statement_without_lines_closes_as_it_opened():
    assert statement(opening=100).closing == Money(100, "USD")


@pytest.mark.parametrize(
    "wrong",
    [
        [line(500, 599)],
        [line(500, 600), line(500, 1101)],
        [line(500, 600, amount=Money(500, "EUR"))],
        [line(500, 600, balance=Money(600, "EUR"))],
    ],
)
def test_a_statement_that_does_not_add_up_cannot_exist(wrong):
    with pytest.raises(AssertionError, match="does not continue"):
        statement(*wrong, opening=100)


def test_a_line_without_a_description_cannot_exist():
    with pytest.raises(AssertionError, match="what it is for"):
        line(1, 1, description="")


@given(opening=st.integers(-(10**18), 10**18), amounts=st.lists(st.integers(-(10**15), 10**15).filter(bool)))
def test_opening_and_lines_make_the_closing_balance(opening, amounts):
    balance = opening
    lines = [line(amount, balance := balance + amount) for amount in amounts]

    made = statement(*lines, opening=opening)

    assert made.closing.minor_units == opening + sum(amounts)
    assert made.opening + made.total_in - made.total_out == made.closing


@pytest.mark.parametrize(
    ("first", "last", "slug"),
    [
        ("2026-03-01", "2026-03-31", "2026-03"),
        ("2024-02-01", "2024-02-29", "2024-02"),
        ("2026-02-01", "2026-02-28", "2026-02"),
        ("2024-02-01", "2024-02-28", "2024-02-01-to-2024-02-28"),
        ("2026-12-01", "2026-12-31", "2026-12"),
        ("2026-01-01", "2026-12-31", "2026"),
        ("2025-01-01", "2026-12-31", "2025-01-01-to-2026-12-31"),
        ("2026-03-01", "2026-04-30", "2026-03-01-to-2026-04-30"),
        ("2026-03-05", "2026-03-05", "2026-03-05"),
    ],
)
def test_a_files_name_says_the_period_as_shortly_as_it_can(first, last, slug):
    assert read_days(first, last).slug == slug


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-03-02", "2026-03-01"),
        ("2026-02-29", "2026-03-01"),
        ("2026-03-01", "2026-04-31"),
        ("2026-13-01", "2026-13-02"),
        ("", "2026-03-01"),
        ("2026-03-01", ""),
        ("01.03.2026", "2026-03-01"),
        ("20260301", "20260302"),
        ("2026-W10-1", "2026-W10-2"),
        ("0000-01-01", "2026-03-01"),
        ("٢٠٢٦-٠٣-٠١", "2026-03-01"),
        ("2026-03-01T00:00", "2026-03-02"),
    ],
)
def test_days_that_are_none_or_the_wrong_way_round_are_refused(first, last):
    with pytest.raises(InvalidPeriod, match=r"^(Enter|Choose) .*\.$"):
        read_days(first, last)


def test_blanks_around_a_typed_period_are_ignored():
    assert read_days(" 2026-03-01 ", "2026-03-31\n") == MARCH
    assert read_latest(" 20 ") == Latest(20)


@pytest.mark.parametrize("typed", ["0", "-1", "1001", "", "ten", "1.5", "1e3", "١٢", "9" * 5000])
def test_a_number_of_lines_outside_1_to_1000_is_refused(typed):
    with pytest.raises(InvalidPeriod, match="from 1 to 1,000"):
        read_latest(typed)


@pytest.mark.parametrize(("count", "words"), [(1, "Last transaction"), (20, "Last 20 transactions")])
def test_the_latest_lines_are_named_in_words(count, words):
    assert str(Latest(count)) == words
    assert Latest(1000).slug == "last-1000"


def test_too_long_a_period_says_what_to_choose_instead():
    assert str(PeriodTooLong(10_000)).startswith("Choose a shorter period: this one has more than 10,000 transactions")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Rent\tMarch\r\nPaid", "Rent March Paid"),
        ("  Rent  ", "Rent"),
        ("\0\x07\x1b[31mred", "[31mred"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("pay \u202e00.001\u202c now", "pay 00.001 now"),
        ("a\ud800b", "a b"),
        ("a\uffff\U0001fffeb", "a b"),
        ("a\u2028b\u00a0c", "a b c"),
        ("\u200b\u200d\ufeff", ""),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
    ],
)
def test_text_becomes_one_harmless_line(typed, shown):
    assert one_line(typed) == shown


@given(st.text())
def test_one_line_keeps_every_visible_character(text):
    shown = one_line(text)

    assert one_line(shown) == shown
    visible = [c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c)[0] in "LMNPS"]
    assert [c for c in shown if unicodedata.category(c)[0] in "LMNPS"] == visible


@pytest.mark.parametrize(
    ("kind", "received", "words"),
    [
        ("transfer", True, "Transfer in"),
        ("transfer", False, "Transfer out"),
        ("deposit", True, "Cash deposit"),
        ("household_payment", False, "Household payment"),
        ("", True, "Transaction"),
    ],
)
def test_a_kind_is_words_even_when_it_is_new(kind, received, words):
    assert kind_words(kind, received=received) == words


def test_the_time_of_making_is_shown_with_its_zone():
    east = timezone(timedelta(hours=3), "EAT")

    assert statement().made_at_words == "1 April 2026, 08:05 UTC"
    assert statement(made_at=datetime(2026, 4, 1, 0, 5, tzinfo=east)).made_at_words == "1 April 2026, 00:05 EAT"
    with pytest.raises(AssertionError):
        statement(made_at=datetime(2026, 4, 1))  # noqa: DTZ001
