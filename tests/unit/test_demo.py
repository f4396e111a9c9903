"""The demonstration's year: the same whenever it is loaded, affordable, and with everything that pages show."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from bank.demo import lives
from bank.demo.story import CUSTOMERS
from bank.spending.rules import Told, category_of

DAYS = [date(2026, 1, 1), date(2026, 3, 31), date(2028, 2, 29), date(2026, 12, 31)]


@pytest.mark.parametrize("today", DAYS)
def test_nobody_runs_out_of_money_however_long_ago_it_began(today: date):
    left = {person: CUSTOMERS[person].current * 100 for person in (lives.ANA, lives.ZOE)}
    for each in lives.happenings(lives.first_day(today), today):
        if each.kind != "interest":
            left[each.person] += each.cents if each.kind == "transfer_in" else -each.cents
        assert left[each.person] > 0, each


def test_what_happened_on_a_day_is_the_same_whenever_the_story_is_told():
    first, last = date(2026, 3, 1), date(2026, 3, 31)
    earlier = [each for each in lives.happenings(date(2025, 1, 1), date(2026, 4, 9)) if first < each.day <= last]

    assert list(lives.happenings(first, last)) == earlier
    assert lives.first_day(date(2026, 3, 31)) == date(2025, 2, 1)


def test_every_month_has_wages_rent_and_a_bit_of_everything():
    told = Counter(
        category_of(
            Told(each.kind, each.kind == "transfer_in", each.narrative, to_account=False, own=each.kind == "saving")
        )
        for each in lives.happenings(date(2026, 2, 28), date(2026, 3, 31))
        if each.person == lives.ANA
    )

    assert set(told) >= {
        "income", "housing", "groceries", "eating_out", "transport", "bills", "health", "cash", "own", "fees",
    }  # fmt: skip
    assert "other" not in told
