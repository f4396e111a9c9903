"""Numbers that people read out and type: a mistyped digit is found, whatever the spacing."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from bank.identifiers import InvalidNumber, masked, read_number, with_check_digit

SERIALS = st.integers(100_000_000, 999_999_999)


@given(serial=SERIALS)
def test_a_new_number_is_read_as_it_is(serial: int):
    number = with_check_digit(serial)

    assert len(number) == 10
    assert number.startswith(str(serial))
    assert read_number(number) == number


@given(serial=SERIALS, place=st.integers(0, 9), other=st.integers(1, 9))
def test_any_one_mistyped_digit_is_found(serial: int, place: int, other: int):
    number = with_check_digit(serial)
    wrong = number[:place] + str((int(number[place]) + other) % 10) + number[place + 1 :]

    with pytest.raises(InvalidNumber, match="mistyped"):
        read_number(wrong)


@given(serial=SERIALS, place=st.integers(0, 8))
def test_two_neighbours_changed_round_are_found_but_for_0_and_9(serial: int, place: int):
    number = with_check_digit(serial)
    pair = number[place : place + 2]
    swapped = number[:place] + pair[::-1] + number[place + 2 :]

    # Luhn's digit cannot tell 09 from 90.
    if swapped != number and set(pair) != {"0", "9"}:
        with pytest.raises(InvalidNumber):
            read_number(swapped)


@pytest.mark.parametrize(
    "typed", ["360200000", "360 200 000", "360-200-000", " 360200000\n", "360\N{NO-BREAK SPACE}200000"]
)
def test_an_imported_number_of_nine_digits_is_kept(typed: str):
    assert read_number(typed) == "360200000"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "-",
        "12345678",
        "36020000010",
        "36020000x",
        "36020000.",
        "٣٦٠٢٠٠٠٠٠",
        "+360200000",
        "1e8",
        "360200000\0",
    ],
)
def test_what_is_no_number_is_refused(typed: str):
    with pytest.raises(InvalidNumber, match="9 or 10 digits"):
        read_number(typed)


def test_only_the_last_four_digits_are_shown():
    assert masked("3602000001") == "\u200e•••• 0001"
    assert masked("360200000") == "\u200e•••• 0000"
