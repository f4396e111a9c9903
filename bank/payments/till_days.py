"""What went through a till on a day: each movement with the customer it was for, and the sums by kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from bank.accounts.store import owner_names
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
    """The `limit` movements of the day just before `before` (None: the newest), newest first, in two queries."""
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
    rows = reader.execute(query).all()
    owners = owner_names(reader, {row.other_id for row in rows})
    return [
        TillMovement(
            row.seq, row.id, row.booked_at, row.kind, row.narrative, row.number,
            together(owners[row.other_id]) if row.other_id in owners else row.name, row.other_id in owners,
            Money(row.minor_units, row.currency) if row.side == Side.DEBIT else None,
            Money(row.minor_units, row.currency) if row.side == Side.CREDIT else None,
            Money(row.balance_after, row.currency),
        )
        for row in rows
    ]  # fmt: skip


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
