"""Charts as figures: where their bars, lines and labels stand in a picture of WIDTH by HEIGHT; templates draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from babel import dates, numbers

from bank import language
from bank.money import Money, exponent

# Small, so that the labels are readable when the picture is as narrow as a phone.
WIDTH: Final = 360
HEIGHT: Final = 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 354.0, 30.0, 186.0
_ROW: Final = 38


@dataclass(frozen=True, slots=True)
class Mark:
    """A label at a place of an axis."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, in one of the charts' colours, and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    colour: int
    words: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Two bars for each month."""

    bars: Sequence[Bar]
    across: Sequence[Mark]
    up: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class Line:
    """A line over days, the area below it, and a dot at the end of each month."""

    line: str
    area: str
    dots: Sequence[tuple[float, float]]
    across: Sequence[Mark]
    up: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class Rows:
    """A bar for each of several things, below its name; the picture is `height` high."""

    bars: Sequence[Bar]
    height: int


def ticks(least: int, most: int, most_ticks: int = 5) -> list[int]:
    """Round figures from `least` or below to `most` or above, evenly apart, zero among them.

    >>> ticks(0, 320_000), ticks(-1_200, 5_000)
    ([0, 100000, 200000, 300000, 400000], [-2000, 0, 2000, 4000, 6000])
    """
    least, most = min(least, 0), max(most, 0)
    step = 1
    while True:
        for factor in (1, 2, 5):
            low, high = -(-least // (step * factor)), -(-most // (step * factor))
            first = least // (step * factor)
            if high - first + 1 <= most_ticks:
                return [number * step * factor for number in range(min(first, low), max(high, first + 1) + 1)]
        step *= 10


def short(minor_units: int, currency: str) -> str:
    """An amount on an axis, as few characters as say it: `1.5K`."""
    value = minor_units / 10 ** exponent(currency)
    return str(numbers.format_compact_decimal(value, locale=language.locale(), fraction_digits=1))


def two_bars(months: Sequence[tuple[date, Money, Money]], words: tuple[str, str]) -> Bars:
    """For each month what came in and what went out; `words` are what the two are called."""
    up = ticks(0, max((max(left.minor_units, right.minor_units) for _, left, right in months), default=0))
    room = (_RIGHT - _LEFT) / max(len(months), 1)
    width = round(room * 0.36, 1)
    bars = []
    for number, (first, *both) in enumerate(months):
        start = _LEFT + room * number + (room - 2 * width - 1) / 2
        for side, amount in enumerate(both):
            y = _height(amount.minor_units, up)
            told = f"{language.month(first)}: {words[side]} {amount}"
            x = round(start + side * (width + 1), 1)
            bars.append(Bar(x, y, width, round(_BOTTOM - y, 1), side + 1, told))
    return Bars(
        bars,
        _months([(first, _LEFT + room * (n + 0.5)) for n, (first, *_) in enumerate(months)]),
        _up(up, months[0][1].currency),
    )


def line(balances: Sequence[tuple[date, Money]]) -> Line:
    """The balance at the end of each day."""
    units = [balance.minor_units for _, balance in balances]
    up = ticks(min(units), max(units))
    step = (_RIGHT - _LEFT) / max(len(balances) - 1, 1)
    points = [(round(_LEFT + step * n, 1), _height(value, up)) for n, value in enumerate(units)]
    # A balance stays as it is until it changes: steps, no slopes.
    path = f"M{points[0][0]} {points[0][1]}" + "".join(f"H{x}V{y}" for x, y in points[1:])
    zero = _height(0, up)
    days = [day for day, _ in balances]
    ends = [n for n, day in enumerate(days) if n == len(days) - 1 or days[n + 1].month != day.month]
    starts = [(day, points[n][0]) for n, day in enumerate(days) if day.day == 1]
    return Line(
        path,
        f"{path}V{zero}H{points[0][0]}Z",
        [points[n] for n in ends],
        _months([(day, x + 15 * step) for day, x in starts]),
        _up(up, balances[0][1].currency),
    )


def rows(amounts: Sequence[tuple[str, Money]]) -> Rows:
    """A bar for each amount, the greatest as long as the picture is wide."""
    most = max((amount.minor_units for _, amount in amounts), default=0) or 1
    bars = [
        Bar(0, n * _ROW + 22, max(round(amount.minor_units / most * WIDTH, 1), 1), 10, 1, f"{name}: {amount}")
        for n, (name, amount) in enumerate(amounts)
    ]
    return Rows(bars, len(amounts) * _ROW)


def _height(value: int, up: Sequence[int]) -> float:
    return round(_BOTTOM - (value - up[0]) / (up[-1] - up[0]) * (_BOTTOM - _TOP), 1)


def _up(up: Sequence[int], currency: str) -> list[Mark]:
    return [Mark(_height(value, up), short(value, currency)) for value in up]


def _months(places: Sequence[tuple[date, float]]) -> list[Mark]:
    """Every second month's name, or they would run into each other; the last one always has its own."""
    shown = places if len(places) <= 6 else places[::-1][::2][::-1]
    return [
        Mark(round(min(x, _RIGHT - 10), 1), dates.format_date(first, "LLL", locale=language.locale()))
        for first, x in shown
    ]
