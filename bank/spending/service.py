"""Putting movements into another category than the rules would."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

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
    others = counterparties.of_entries(reader, mine, [entry.id], customer_id)
    corrected = store.corrections(reader, mine, [entry.id])
    rules = store.rules_of(reader, customer_id)
    found = []
    for posting in entry.postings:
        if posting.account_id in mine:
            movement = posting.account_id, entry.id
            other = others.get(movement)
            told = told_of(entry.kind, entry.narrative, other, received=posting.side is Side.CREDIT)
            found.append(Filed(posting.account_id, other, told, corrected.get(movement) or category_of(told, rules)))
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
