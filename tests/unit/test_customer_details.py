"""What is typed of a customer, or into any field, is tidied before it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank.customers.model import CustomerDetails, tidy

#: Embeddings, overrides and isolates of direction, and their ends.
DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_text_cannot_turn_around_the_figures_beside_it(direction):
    assert tidy(f"Rent {direction}00.1") == "Rent 00.1"
    assert tidy(direction) == ""
    details = CustomerDetails(f"A{direction}na", None, f"1 {direction}Street", "Bangor")
    assert (details.name, details.address) == ("Ana", "1 Street")


@pytest.mark.parametrize("text", ["می\u200cخواهم", "क्\u200dष", "👨\u200d👩\u200d👧", "שלום\u200f!", "abc\u200e"])
def test_joiners_and_marks_of_direction_are_part_of_the_writing_and_stay(text):
    assert tidy(text) == text


def test_a_letter_and_its_accent_meet_when_a_direction_stood_between_them():
    assert tidy("e\u202e\u0301") == "é"


@given(st.text(alphabet=st.sampled_from("a e\u0301\u200d\t" + DIRECTIONS)))
def test_tidy_text_is_tidy(text):
    assert tidy(tidy(text)) == tidy(text)
