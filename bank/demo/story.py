"""Who is in the demonstration, and what happens to them; all of it is invented."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from bank.customers.model import CustomerDetails
from bank.identity.staff import Role


@dataclass(frozen=True, slots=True)
class DemoStaff:
    """A member of staff with a published password."""

    user_id: str
    name: str
    role: Role
    password: str


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """A customer; `password` None: not enrolled yet. Opening amounts are whole units of the currency."""

    details: CustomerDetails
    identity_number: str
    password: str | None
    current: int
    savings: int | None = None


STAFF: Final = (
    DemoStaff("C00000001", "Grace Okafor", Role.EXECUTIVE, "granite lantern otter 41"),
    DemoStaff("C00000002", "Tomas Lindqvist", Role.CASHIER, "velvet compass harbor 52"),
    DemoStaff("C00000003", "Mei Tanaka", Role.TELLER, "copper meadow violin 63"),
)

CUSTOMERS: Final = (
    DemoCustomer(
        CustomerDetails(
            "Ana Lima",
            date(1988, 4, 12),
            "14 Harbor Street",
            "Portland",
            "ME",
            "04101",
            "ana.lima@example.org",
            "+1 207 555 0114",
        ),
        "012-34-5678",
        "maple orbit saddle 17",
        2_400,
        5_000,
    ),
    DemoCustomer(
        CustomerDetails(
            "Zoë O'Brien",
            date(1995, 11, 3),
            "2 Mill Lane",
            "Bangor",
            "ME",
            "04401",
            "zoe.obrien@example.org",
            "+1 207 555 0120",
        ),
        "045-67-8901",
        "walnut signal river 28",
        860,
    ),
    DemoCustomer(
        CustomerDetails("李小龙", date(1979, 1, 30), "77 Congress Square", "Portland", "ME", "04101"),
        "078-90-1234",
        None,
        12_000,
        640,
    ),
    DemoCustomer(
        CustomerDetails("Samuel Adeyemi", date(1962, 7, 19), "9 Orchard Road", "Augusta", "ME", "04330"),
        "101-23-4567",
        None,
        310,
    ),
)

#: (days ago, who pays, who is paid, minor units of a currency with two decimals, reference)
TRANSFERS: Final = (
    (84, 0, 1, 4_500, "Concert tickets"),
    (70, 2, 0, 125_000, "Rent"),
    (61, 0, 3, 2_375, "Apples and cider"),
    (40, 2, 0, 125_000, "Rent"),
    (33, 1, 0, 1_850, "Lunch, thank you"),
    (21, 0, 1, 999, "Book club"),
    (12, 3, 2, 7_000, "Guitar lessons"),
    (10, 2, 0, 125_000, "Rent"),
    (3, 0, 3, 3_040, "Honey"),
    (1, 1, 3, 1_525, "Plant fair"),
)

#: What happens on the very day: who, minor units of a currency with two decimals, where.
TODAY: Final = ((0, 485, "Lighthouse Coffee"),)

#: Who has saved whom to pay.
PAYEES: Final = ((0, 1), (0, 3), (1, 0), (1, 3))

#: Who pays whom, minor units of a currency with two decimals, reference, in how many days, how often.
SCHEDULED: Final = ((0, 1, 4_500, "Concert tickets", 9, "once"), (0, 3, 3_500, "Guitar lessons", 4, "monthly"))

#: Whose money is reserved: minor units of a currency with two decimals, what for, for how many days.
HOLD: Final = (0, 6_400, "Pine Lodge hotel, deposit", 5)

#: Cash that was delivered to the bank when it opened, and what each till took of it: whole units of the currency.
VAULT: Final = 100_000
TILL: Final = 15_000
