"""What came in and went out, by month and by category, and what was on the accounts each day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import sqlalchemy as sa

from bank.accounts.store import Account
from bank.ledger.model import Side
from bank.money import Money
from bank.payments import counterparties
from bank.payments.model import next_month
from bank.spending import store
from bank.spending.movements import told_of
from bank.spending.rules import CATEGORIES, category_of

MONTHS: Final = 12
#: So many kinds of movements are told apart in one period; the smallest of more are put together as other.
MOST_ALIKE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month's money; `own` is what came from the customer's other accounts less what went to them."""

    first: date
    received: Money
    spent: Money
    own: Money
    closing: Money

    @property
    def last(self) -> date:
        """Its last day."""
        return next_month(self.first, 1) - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Year:
    """The last twelve months, oldest first, and the balance at the end of each of their days."""

    months: Sequence[Month]
    balances: Sequence[tuple[date, Money]]

    @property
    def moved(self) -> bool:
        """Was there any money at all?"""
        return any(balance.minor_units for _, balance in self.balances) or any(
            month.received.minor_units or month.spent.minor_units for month in self.months
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What a category received and spent in a period, and on which accounts it has movements."""

    category: str
    received: Money
    spent: Money
    count: int
    account_ids: tuple[int, ...]


def first_months(today: date, count: int = MONTHS) -> list[date]:
    """The first days of the last `count` months, oldest first, this month's included.

    >>> first_months(date(2026, 2, 14), 3)
    [datetime.date(2025, 12, 1), datetime.date(2026, 1, 1), datetime.date(2026, 2, 1)]
    """
    months = [today.year * 12 + today.month - 1 - ago for ago in range(count)]
    return [date(month // 12, month % 12 + 1, 1) for month in reversed(months)]


def year(reader: sa.Connection, accounts: Sequence[Account], mine: Collection[int], today: date) -> Year:
    """The last twelve months of these accounts, of one currency; `mine` are all of the customer's."""
    currency = accounts[0].ledger.currency
    firsts = first_months(today)
    balance, totals = store.balance_and_days(reader, [account.id for account in accounts], mine, firsts[0])
    sums: dict[date, Counter[tuple[Side, bool]]] = defaultdict(Counter)
    moved: Counter[date] = Counter()
    for each in totals:
        sums[each.day.replace(day=1)][each.side, each.own] += each.total
        moved[each.day] += each.total if each.side is Side.CREDIT else -each.total
    balances = _balances(balance, moved, firsts[0], today)
    months = []
    for first in firsts:
        of_month = sums[first]
        last = min(next_month(first, 1) - timedelta(days=1), today)
        months.append(
            Month(
                first,
                Money(of_month[Side.CREDIT, False], currency),
                Money(of_month[Side.DEBIT, False], currency),
                Money(of_month[Side.CREDIT, True] - of_month[Side.DEBIT, True], currency),
                Money(balances[last], currency),
            )
        )
    return Year(months, [(day, Money(balance, currency)) for day, balance in balances.items()])


def _balances(now: int, moved: Counter[date], first: date, today: date) -> dict[date, int]:
    """The balance at the end of each day, worked out backwards from the present one."""
    balance = now - sum(change for day, change in moved.items() if day > today)
    found: dict[date, int] = {}
    day = today
    while day >= first:
        found[day] = balance
        balance -= moved[day]
        day -= timedelta(days=1)
    return dict(reversed(found.items()))


def shares(
    reader: sa.Connection, accounts: Sequence[Account], mine: Collection[int], first: date, last: date, customer_id: int
) -> list[Share]:
    """What each category received and spent from `first` to `last`, most spent first; the empty ones left out."""
    currency = accounts[0].ledger.currency
    groups = store.alike(reader, [account.id for account in accounts], first, last, limit=MOST_ALIKE)
    others = counterparties.of_entries(reader, mine, {group.entry_id for group in groups}, customer_id)
    rules = store.rules_of(reader, customer_id)
    received, spent, count = Counter[str](), Counter[str](), Counter[str]()
    on: dict[str, set[int]] = defaultdict(set)
    for group in groups:
        other = others.get((group.account_id, group.entry_id))
        in_it = group.side is Side.CREDIT
        category = group.corrected or category_of(told_of(group.kind, group.narrative, other, received=in_it), rules)
        if category not in CATEGORIES:
            category = "other"
        (received if in_it else spent)[category] += group.total
        count[category] += group.count
        on[category].add(group.account_id)
    if len(groups) == MOST_ALIKE:
        # What the smallest of them come to is known from the days' totals.
        for each in store.by_day(reader, [account.id for account in accounts], mine, first, last):
            (received if each.side is Side.CREDIT else spent)["other"] += each.total
        for group in groups:
            (received if group.side is Side.CREDIT else spent)["other"] -= group.total
        count["other"] += 1
    found = [
        Share(
            category,
            Money(received[category], currency),
            Money(spent[category], currency),
            count[category],
            tuple(sorted(on[category])),
        )
        for category in CATEGORIES
        if count[category]
    ]
    return sorted(found, key=lambda share: (-share.spent.minor_units, -share.received.minor_units))
