"""Putting movements into another category than the rules would."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.ledger.model import Side
from bank.ledger.store import Entry
from bank.payments import counterparties
from bank.payments.counterparties import Counterparty
from bank.spending import store
from bank.spending.movements import told_of
from bank.spending.rules import Told, category_of


@dataclass(frozen=True, slots=True)
class Filed:
    """Where a movement of one account stands: who is on the other side, what the rules see of it, and its category."""

    account_id: int
    other: Counterparty | None
    told: Told
    category: str


def filed(reader: sa.Connection, entry: Entry, mine: Collection[int], *, customer_id: int) -> list[Filed]:
    """Where the entry's movements on the accounts `mine` stand."""
    rules = store.rules_of(reader, customer_id)
    these = counterparties.movements_of(mine, [entry.id])
    query = store.with_corrections(counterparties.with_others(these, customer_id), these)
    found = []
    rows = reader.execute(query.order_by(these.c.side.desc(), these.c.account_id, counterparties.OWNERS))
    for account_id, of_one in groupby(rows, key=attrgetter("account_id")):
        movement = list(of_one)
        other = counterparties.other_of_rows(movement)
        told = told_of(entry.kind, entry.narrative, other, received=movement[0].side == Side.CREDIT)
        found.append(Filed(account_id, other, told, movement[0].corrected or category_of(told, rules)))
    return found


def file_under(
    tx: sa.Connection,
    entry: Entry,
    mine: Collection[int],
    category: str,
    *,
    all_alike: bool,
    customer_id: int,
    by: Author,
) -> None:
    """Put the entry's movements on the accounts `mine` into a category; with `all_alike`, by a rule, others like them too.

    Whoever holds the account sees the corrected category; the rule is this customer's. Doing it twice is doing it once.
    """
    rules = store.rules_of(tx, customer_id)
    for each in filed(tx, entry, mine, customer_id=customer_id):
        new_rule = all_alike and bool(each.told.words) and rules.get(each.told.words) != category
        store.correct(tx, each.account_id, entry.id, category, customer_id=customer_id, at=by.at)
        if new_rule:
            store.put_rule(tx, customer_id, each.told.words, category, at=by.at)
        if each.category != category or new_rule:
            changed = {"category": [each.category, category], "all_alike": all_alike}
            audit.record(tx, "movement.category", f"entry:{entry.id}", by=by, details=changed)
