"""Amounts are read exactly as docs/reference/amounts.md says, or refused with a sentence."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from bank.language import LANGUAGES, read_in
from bank.money import EXPONENTS, MAX_MINOR_UNITS, InvalidAmount, Money, allocate, exponent, parse_amount

PAGE = Path(__file__).parents[2] / "docs/reference/amounts.md"
CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF"])
MINOR_UNITS = st.integers(1, MAX_MINOR_UNITS)


@pytest.mark.parametrize(
    ("typed", "minor_units"),
    [
        ("1", 1_00),
        ("0.01", 1),
        ("1.5", 1_50),
        ("1250.50", 1_250_50),
        ("1,250.50", 1_250_50),
        ("1,250", 1_250_00),
        ("1,234,567.89", 1_234_567_89),
        ("999,999", 999_999_00),
        (" 5 ", 5_00),
        ("\t5\n", 5_00),
        ("\N{NO-BREAK SPACE}5", 5_00),
        ("007", 7_00),
        ("0" * 5_000 + "7", 7_00),
        ("10,000,000,000,000.00", MAX_MINOR_UNITS),
        ("10000000000000", MAX_MINOR_UNITS),
    ],
)
def test_an_amount_is_read_exactly(typed: str, minor_units: int):
    assert parse_amount(typed, "USD") == Money(minor_units, "USD")


NOT_LIKE_THAT = "Enter the amount in digits like 1,250.00: a point before the decimals, commas only between thousands."
NO_SIGN = "Enter an amount above zero, without a minus sign."
NOT_ZERO = "Enter an amount above zero."
TOO_FINE = "Enter at most 2 digits after the point: USD has no smaller unit."
TOO_MUCH = "Enter 10,000,000,000,000.00 or less: the bank books no larger amount at once."


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter an amount."),
        ("   ", "Enter an amount."),
        ("-1", NO_SIGN),
        ("−1", NO_SIGN),
        ("-0", NO_SIGN),
        ("--1", NO_SIGN),
        ("+1", NOT_LIKE_THAT),
        ("0", NOT_ZERO),
        ("0.00", NOT_ZERO),
        ("000", NOT_ZERO),
        ("1e9", NOT_LIKE_THAT),
        ("1E9", NOT_LIKE_THAT),
        ("NaN", NOT_LIKE_THAT),
        ("inf", NOT_LIKE_THAT),
        ("-inf", NO_SIGN),
        ("Infinity", NOT_LIKE_THAT),
        ("0x10", NOT_LIKE_THAT),
        ("1_000", NOT_LIKE_THAT),
        ("١٢", NOT_LIKE_THAT),
        ("１２", NOT_LIKE_THAT),
        ("²", NOT_LIKE_THAT),
        ("½", NOT_LIKE_THAT),
        ("1.001", TOO_FINE),
        ("1.000", TOO_FINE),
        ("0.001", TOO_FINE),
        ("1." + "0" * 5_000, TOO_FINE),
        ("1,00", NOT_LIKE_THAT),
        ("0,100", NOT_LIKE_THAT),
        ("000,100", NOT_LIKE_THAT),
        ("1.250,50", NOT_LIKE_THAT),
        ("1250,50", NOT_LIKE_THAT),
        ("1,2500", NOT_LIKE_THAT),
        ("1250,500", NOT_LIKE_THAT),
        ("12,34,567", NOT_LIKE_THAT),
        (",100", NOT_LIKE_THAT),
        ("1,,000", NOT_LIKE_THAT),
        ("1.5.0", NOT_LIKE_THAT),
        (".5", NOT_LIKE_THAT),
        ("5.", NOT_LIKE_THAT),
        (".", NOT_LIKE_THAT),
        ("1 250", NOT_LIKE_THAT),
        ("1'250", NOT_LIKE_THAT),
        ("$5", NOT_LIKE_THAT),
        ("5 USD", NOT_LIKE_THAT),
        ("five", NOT_LIKE_THAT),
        ("5\0", NOT_LIKE_THAT),
        ("5\n6", NOT_LIKE_THAT),
        ("1" + "0" * 40, TOO_MUCH),
        ("9" * 100_000, TOO_MUCH),
        ("10000000000000.01", TOO_MUCH),
        ("99999999999999.99", TOO_MUCH),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_not_exactly_an_amount_is_refused_with_a_sentence(typed: str, sentence: str):
    with pytest.raises(InvalidAmount) as refused:
        parse_amount(typed, "USD")
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("typed", "currency", "expected"),
    [
        ("500", "JPY", 500),
        ("1,500", "JPY", 1500),
        ("500.0", "JPY", "Enter a whole amount: JPY has no smaller unit."),
        (
            "x",
            "JPY",
            "Enter the amount in digits like 1,250: a point before the decimals, commas only between thousands.",
        ),
        ("1.005", "KWD", 1005),
        ("1.5", "KWD", 1500),
        ("1.0005", "KWD", "Enter at most 3 digits after the point: KWD has no smaller unit."),
        ("1000000000000", "KWD", MAX_MINOR_UNITS),
        ("1000000000000.001", "KWD", "Enter 1,000,000,000,000.000 or less: the bank books no larger amount at once."),
    ],
)
def test_a_currency_has_its_own_decimals(typed: str, currency: str, expected: int | str):
    try:
        read: int | str = parse_amount(typed, currency).minor_units
    except InvalidAmount as refused:
        read = str(refused)
    assert read == expected


@given(minor_units=MINOR_UNITS, currency=CURRENCIES, blanks=st.sampled_from(["", " ", "\t "]))
@example(minor_units=1, currency="USD", blanks="")
@example(minor_units=MAX_MINOR_UNITS, currency="KWD", blanks="")
def test_what_the_bank_writes_it_reads_again(minor_units: int, currency: str, blanks: str):
    amount = Money(minor_units, currency)

    assert parse_amount(blanks + amount.figure + blanks, currency) == amount
    assert parse_amount(blanks + amount.plain + blanks, currency) == amount


@given(typed=st.text() | st.text(alphabet="0123456789,. -+e"), currency=CURRENCIES)
def test_whatever_is_typed_is_read_as_what_it_says_or_refused(typed: str, currency: str):
    try:
        amount = parse_amount(typed, currency)
    except InvalidAmount:
        return
    assert 0 < amount.minor_units <= MAX_MINOR_UNITS
    # The same number, however it was written: without its commas and its idle zeros.
    whole, _, fraction = typed.strip().replace(",", "").partition(".")
    assert (
        int(whole) * 10 ** exponent(currency) + int(fraction.ljust(exponent(currency), "0") or "0")
        == amount.minor_units
    )


@given(minor_units=st.integers(-MAX_MINOR_UNITS, MAX_MINOR_UNITS), currency=CURRENCIES)
def test_a_figure_has_all_its_decimals_and_a_comma_at_each_thousand(minor_units: int, currency: str):
    amount = Money(minor_units, currency)
    decimals = exponent(currency)

    assert re.fullmatch(r"-?\d{1,3}(,\d{3})*" + (rf"\.\d{{{decimals}}}" if decimals else ""), amount.figure)
    assert int(amount.figure.replace(",", "").replace(".", "")) == minor_units
    assert amount.plain == amount.figure.replace(",", "")
    assert str(amount) == f"{amount.figure} {currency}"


@given(minor_units=st.integers(0, MAX_MINOR_UNITS), parts=st.integers(1, 50))
def test_a_division_loses_and_makes_nothing(minor_units: int, parts: int):
    shares = [share.minor_units for share in allocate(Money(minor_units, "USD"), parts)]

    assert sum(shares) == minor_units
    assert len(shares) == parts
    assert max(shares) - min(shares) <= 1


def test_amounts_of_different_currencies_cannot_be_added():
    with pytest.raises(AssertionError, match="different currencies"):
        Money(1, "USD") + Money(1, "EUR")


def test_amounts_are_added_subtracted_and_turned_around():
    assert Money(3, "USD") + Money(2, "USD") - Money(1, "USD") == Money(4, "USD")
    assert -Money(3, "USD") == Money(-3, "USD")


def test_every_exponent_is_that_of_a_currency():
    assert all(re.fullmatch("[A-Z]{3}", currency) and decimals in (0, 3, 4) for currency, decimals in EXPONENTS.items())


def rows_of_the_page() -> list[tuple[str, str, str]]:
    """The language of each table of the page, what is typed, and what the page says is read."""
    found = []
    for language, table in zip(("en", "es"), PAGE.read_text().split("\n## In Spanish\n"), strict=True):
        rows = re.findall(r"^\| (`.*`) \| ([^|]+) \|", table, re.MULTILINE)
        found += [(language, typed, read.strip()) for cell, read in rows for typed in re.findall("`([^`]+)`", cell)]
    return found


@pytest.mark.parametrize(("language", "typed", "read"), rows_of_the_page())
def test_the_page_says_what_is_so(language: str, typed: str, read: str):
    with read_in(language):
        if read == "refused":
            with pytest.raises(InvalidAmount):
                parse_amount(typed, "USD")
        else:
            assert parse_amount(typed, "USD").figure == read


def test_the_page_has_a_table_for_each_language():
    assert min(Counter(language for language, _, _ in rows_of_the_page()).values()) > 10
    assert {language for language, _, _ in rows_of_the_page()} == set(LANGUAGES)


@given(st.text("0123456789.,", max_size=12))
def test_no_text_means_one_amount_in_english_and_another_in_spanish(typed: str):
    read = set()
    for language in LANGUAGES:
        with read_in(language), suppress(InvalidAmount):
            read.add(parse_amount(typed, "USD"))

    assert len(read) < 2
