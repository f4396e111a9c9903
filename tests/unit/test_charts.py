"""Charts: bars as long as their amounts, labels that are readable, and pictures that hold them all."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank.language import read_in
from bank.money import MAX_MINOR_UNITS, Money
from bank.spending.figures import first_months
from bank.web.customer import charts


def usd(cents: int) -> Money:
    return Money(cents, "USD")


AMOUNTS = st.integers(-MAX_MINOR_UNITS, MAX_MINOR_UNITS)


@given(least=AMOUNTS, most=AMOUNTS)
def test_an_axis_has_a_few_round_figures_evenly_apart_that_hold_everything_and_zero(least: int, most: int):
    up = charts.ticks(min(least, most), max(least, most))
    steps = {after - before for before, after in pairwise(up)}

    assert 2 <= len(up) <= 6
    assert len(steps) == 1
    assert up[0] <= min(least, most, 0)
    assert up[-1] >= max(least, most, 0)
    assert 0 in up
    assert str(steps.pop()).rstrip("0") in ("1", "2", "5")


def test_bars_are_as_high_as_their_amounts_and_stand_on_the_axis():
    months = first_months(date(2026, 3, 5))
    drawn = charts.two_bars([(first, usd(400_00), usd(100_00)) for first in months], ("In", "Out"))

    assert len(drawn.bars) == 24
    received, spent = drawn.bars[:2]
    assert received.height == pytest.approx(4 * spent.height, abs=0.5)
    assert received.y + received.height == pytest.approx(spent.y + spent.height, abs=0.2)
    assert (received.colour, spent.colour) == (1, 2)
    assert spent.words == "April 2025: Out 100.00 USD"
    lefts = [bar.x for bar in drawn.bars]
    assert lefts == sorted(lefts)
    assert all(bar.x >= 0 and bar.x + bar.width <= charts.WIDTH for bar in drawn.bars)
    # The present month has its name, and so has every second one before.
    assert [mark.words for mark in drawn.across] == ["May", "Jul", "Sep", "Nov", "Jan", "Mar"]


def test_months_without_money_have_no_height():
    drawn = charts.two_bars([(date(2026, 3, 1), usd(0), usd(0))], ("In", "Out"))

    assert [bar.height for bar in drawn.bars] == [0, 0]


def test_the_line_goes_below_zero_where_the_balance_does_and_has_a_dot_for_each_month():
    first = date(2026, 1, 1)
    balances = [(first + timedelta(days=n), usd(100_00 if n < 31 else -50_00)) for n in range(59)]

    drawn = charts.line(balances)

    (_, high), (_, low) = drawn.dots
    zero = next(mark.at for mark in drawn.up if mark.words == "0")
    assert high < zero < low
    assert zero - high == pytest.approx(2 * (low - zero), abs=0.5)
    assert drawn.line.startswith("M46.0 ")
    assert drawn.area.endswith("Z")


def test_one_day_is_a_line_too():
    assert charts.line([(date(2026, 1, 1), usd(5))]).dots


def test_the_longest_row_is_as_wide_as_the_picture_and_none_is_out_of_sight():
    drawn = charts.rows([("Housing", usd(1_000_00)), ("Cash", usd(250_00)), ("Fees", usd(1))])

    assert [bar.width for bar in drawn.bars] == [charts.WIDTH, charts.WIDTH / 4, 1]
    assert drawn.height >= drawn.bars[-1].y + drawn.bars[-1].height


def test_labels_are_in_the_readers_language():
    with read_in("es"):
        drawn = charts.two_bars([(date(2026, 1, 1), usd(1_500_000_00), usd(1))], ("Entra", "Sale"))

    assert drawn.across[0].words == "ene"
    assert "M" in drawn.up[-1].words
