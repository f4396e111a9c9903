"""A year of two people's money: wages, rent, shopping, savings; invented, and the same on every day it is loaded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

MONTHS: Final = 13
ANA, ZOE = 0, 1


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that moves money of one of CUSTOMERS; minor units of a currency with two decimals, above zero.

    A `transfer_in` comes from another bank and a `transfer_out` goes to one; `saving` is to the own savings account.
    """

    day: date
    person: int
    kind: str
    cents: int
    narrative: str


@dataclass(frozen=True, slots=True)
class Monthly:
    """The same thing on the same day of each month, of about the same amount."""

    person: int
    day: int
    kind: str
    cents: int
    narrative: str
    spread: int = 0


MONTHLY: Final = (
    Monthly(ANA, 25, "transfer_in", 296_000, "Northwind Robotics, salary"),
    Monthly(ANA, 1, "transfer_out", 142_000, "Casco Property, rent"),
    Monthly(ANA, 3, "transfer_out", 3_000, "City transit pass"),
    Monthly(ANA, 6, "transfer_out", 8_200, "Pine Tree Electric", 2_400),
    Monthly(ANA, 9, "transfer_out", 5_500, "Seacoast Internet"),
    Monthly(ANA, 12, "transfer_out", 2_800, "Beacon Mobile"),
    Monthly(ANA, 14, "transfer_out", 3_900, "Bay Club gym"),
    Monthly(ANA, 18, "transfer_out", 2_150, "Congress Street Pharmacy", 1_100),
    Monthly(ANA, 20, "withdrawal", 8_000, "Cash withdrawal"),
    Monthly(ANA, 26, "saving", 15_000, "Rainy days"),
    Monthly(ZOE, 14, "transfer_in", 69_000, "Tidal Press, payroll"),
    Monthly(ZOE, 28, "transfer_in", 69_000, "Tidal Press, payroll"),
    Monthly(ZOE, 1, "transfer_out", 64_000, "Mill Lane Homes, rent"),
    Monthly(ZOE, 4, "transfer_out", 3_000, "Bus pass"),
    Monthly(ZOE, 8, "transfer_out", 2_500, "Beacon Mobile"),
    Monthly(ZOE, 11, "transfer_out", 1_199, "Lantern Streaming"),
    Monthly(ZOE, 17, "withdrawal", 4_000, "Cash withdrawal"),
)

#: Person, weekdays (Monday is 0), the least and the most it costs, and where.
WEEKLY: Final = (
    (ANA, (2, 5), 3_800, 9_600, ("Harbor Market", "Greenleaf Grocery", "Mill Street Bakery")),
    (ANA, (4, 6), 900, 3_900, ("Lighthouse Coffee", "Old Port Pizza", "Noodle House", "Café Colón")),
    (ANA, (1,), 250, 1_400, ("Harbor Ferry", "Eastside Parking", "Bluebird Taxi")),
    (ZOE, (5,), 2_900, 6_200, ("Harbor Market", "Corner Grocery")),
    (ZOE, (3, 6), 600, 1_900, ("Lighthouse Coffee", "Taqueria Luna, cena", "Old Port Pizza")),
)

#: Person, month of the year, day, cents, what.
YEARLY: Final = (
    (ANA, 2, 21, 7_400, "Dr. Osei, dentist"),
    (ANA, 5, 16, 4_600, "Fore River Theatre tickets"),
    (ANA, 8, 7, 38_500, "Pine Lodge hotel"),
    (ANA, 10, 11, 2_890, "Tidewater Books"),
    (ANA, 12, 19, 6_250, "Casco Museum shop"),
    (ZOE, 3, 9, 3_150, "Casco Cinema"),
    (ZOE, 7, 18, 11_900, "Island Music festival"),
    (ZOE, 11, 8, 4_200, "Bangor Pharmacy"),
)

INTEREST: Final = (ANA, 1_250, "Interest")


def first_day(today: date) -> date:
    """When the story begins: the first of a month, a year and a month ago."""
    months = today.year * 12 + today.month - 1 - MONTHS
    return date(months // 12, months % 12 + 1, 1)


def happenings(first: date, last: date) -> Iterator[Happening]:
    """What happens from the day after `first` to `last`, in the order of the days."""
    # Each day has dice of its own, so that what happened on it does not depend on where the story begins.
    for day in (first + timedelta(days=number) for number in range(1, (last - first).days + 1)):
        dice = random.Random(day.toordinal())  # noqa: S311  # no secret
        for each in MONTHLY:
            if each.day == day.day:
                cents = each.cents + dice.randint(-each.spread, each.spread)
                yield Happening(day, each.person, each.kind, cents, each.narrative)
        for person, weekdays, least, most, places in WEEKLY:
            if day.weekday() in weekdays:
                yield Happening(day, person, "transfer_out", dice.randint(least, most), dice.choice(places))
        for person, month, of_month, cents, what in YEARLY:
            if (month, of_month) == (day.month, day.day):
                yield Happening(day, person, "transfer_out", cents, what)
        if (day + timedelta(days=1)).day == 1 and day.month % 3 == 0:
            person, cents, what = INTEREST
            yield Happening(day, person, "interest", cents, what)
