"""What went through a till on a day: each movement with the customer it was for, and the sums by kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from bank.accounts.store import account_holders
from bank.customers.store import customers
from bank.language import together
from bank.ledger.model import Side
from bank.ledger.tables import journal_entries, ledger_accounts, postings
from bank.money import Money


@dataclass(frozen=True, slots=True)
class TillMovement:
    """Cash that came in or went out; `number` is the other account, `name` its owners or what the bank calls it."""

    seq: int
    entry_id: int
    booked_at: datetime
    kind: str
    narrative: str
    number: str
    name: str
    for_customer: bool
    received: Money | None
    paid: Money | None
    total: Money


@dataclass(frozen=True, slots=True)
class KindSum:
    """What one kind of movement did to a till on a day."""

    kind: str
    many: int
    received: Money
    paid: Money


def movements(
    reader: sa.Connection, till_id: int, day: date, *, before: int | None = None, limit: int
) -> list[TillMovement]:
    """The `limit` movements of the day just before `before` (None: the newest), newest first."""
    till, other = ledger_accounts.alias("till"), ledger_accounts.alias("other")
    opposite, any_other = postings.alias("opposite"), postings.alias("any_other")
    # An entry over the counter has one other account; of an odd one with several, the first stands for all.
    first_other = (
        sa.select(sa.func.min(any_other.c.account_id))
        .where(any_other.c.entry_id == postings.c.entry_id, any_other.c.account_id != till_id)
        .scalar_subquery()
    )
    query = (
        sa.select(
            postings.c.seq, postings.c.side, postings.c.minor_units, postings.c.balance_after, till.c.currency,
            journal_entries.c.id, journal_entries.c.booked_at, journal_entries.c.kind, journal_entries.c.narrative,
            other.c.id.label("other_id"), other.c.number, other.c.name,
        )
        .select_from(postings)
        .join(journal_entries, journal_entries.c.id == postings.c.entry_id)
        .join(till, till.c.id == postings.c.account_id)
        .join(opposite, sa.and_(opposite.c.entry_id == postings.c.entry_id, opposite.c.account_id == first_other))
        .join(other, other.c.id == opposite.c.account_id)
        .where(postings.c.account_id == till_id, postings.c.booking_date == day)
        .order_by(postings.c.seq.desc())
        .limit(limit)
    )  # fmt: skip
    if before is not None:
        query = query.where(postings.c.seq < before)
    these = query.subquery("these")
    owned = sa.and_(account_holders.c.account_id == these.c.other_id, account_holders.c.role == "owner")
    with_owners = (
        sa.select(these, customers.c.name.label("owner_name"))
        .select_from(these.outerjoin(account_holders, owned))
        .outerjoin(customers, customers.c.id == account_holders.c.customer_id)
        .order_by(these.c.seq.desc(), customers.c.number)
    )
    return [_movement(list(of_one)) for _, of_one in groupby(reader.execute(with_owners), key=attrgetter("seq"))]


def _movement(rows: Sequence[sa.Row[Any]]) -> TillMovement:
    """The movement in these rows, of which there is one for each owner of the other account."""
    row = rows[0]
    owners = [one.owner_name for one in rows if one.owner_name is not None]
    return TillMovement(
        row.seq, row.id, row.booked_at, row.kind, row.narrative, row.number,
        together(owners) if owners else row.name, bool(owners),
        Money(row.minor_units, row.currency) if row.side == Side.DEBIT else None,
        Money(row.minor_units, row.currency) if row.side == Side.CREDIT else None,
        Money(row.balance_after, row.currency),
    )  # fmt: skip


def sums(reader: sa.Connection, till_id: int, day: date, currency: str, *, up_to: int | None = None) -> list[KindSum]:
    """What came in and went out on the day by kind, up to the till's posting `up_to` (None: all)."""

    def of(side: Side) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((postings.c.side == side.value, postings.c.minor_units), else_=0))

    query = (
        sa.select(journal_entries.c.kind, sa.func.count(), of(Side.DEBIT), of(Side.CREDIT))
        .join_from(postings, journal_entries)
        .where(postings.c.account_id == till_id, postings.c.booking_date == day)
        .group_by(journal_entries.c.kind)
        .order_by(journal_entries.c.kind)
    )
    if up_to is not None:
        query = query.where(postings.c.seq <= up_to)
    return [
        KindSum(kind, many, Money(int(received), currency), Money(int(paid), currency))
        for kind, many, received, paid in reader.execute(query)
    ]
