"""Corrected categories and customers' own rules, and what movements add up to: the tables and their reads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa

from bank.ledger.model import Side
from bank.ledger.tables import journal_entries, ledger_accounts, postings
from bank.storage.metadata import MYSQL_OPTIONS, Id, Instant, metadata
from bank.storage.prepared import prepared

# A movement's category as a customer corrected it; the last correction counts for everybody who holds the account.
category_corrections = sa.Table(
    "category_corrections",
    metadata,
    sa.Column("account_id", Id, sa.ForeignKey("accounts.id"), primary_key=True, autoincrement=False),
    sa.Column("entry_id", Id, sa.ForeignKey("journal_entries.id"), primary_key=True, autoincrement=False),
    sa.Column("category", sa.String(20), nullable=False),
    sa.Column("customer_id", Id, nullable=False),
    sa.Column("at", Instant, nullable=False),
    **MYSQL_OPTIONS,
)

# "Always put this here": a customer's own rule, by the folded words that a movement goes by.
category_rules = sa.Table(
    "category_rules",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("customer_id", Id, sa.ForeignKey("customers.id"), nullable=False),
    sa.Column("words", sa.String(200), nullable=False),
    sa.Column("category", sa.String(20), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.UniqueConstraint("customer_id", "words"),
    **MYSQL_OPTIONS,
)


_RULES: Final = prepared(
    sa.select(category_rules.c.words, category_rules.c.category).where(
        category_rules.c.customer_id == sa.bindparam("customer")
    )
)


@dataclass(frozen=True, slots=True)
class DayTotal:
    """What the postings of one side did on one day; `own`: between the customer's accounts. Minor units."""

    day: date
    side: Side
    own: bool
    total: int


@dataclass(frozen=True, slots=True)
class Alike:
    """Movements of an account that only differ in day and amount; `entry_id` is one of them."""

    account_id: int
    kind: str
    side: Side
    narrative: str
    corrected: str | None
    entry_id: int
    count: int
    total: int


def rules_of(reader: sa.Connection, customer_id: int) -> dict[str, str]:
    """The customer's own rules: categories by the words that a movement goes by."""
    return {row.words: row.category for row in reader.execute(_RULES, {"customer": customer_id})}


def with_corrections(query: sa.Select[Any], these: sa.FromClause) -> sa.Select[Any]:
    """The query, which reads `these` movements, with `corrected`: the category that each was put into by hand."""
    c = category_corrections.c
    of_it = sa.and_(c.account_id == these.c.account_id, c.entry_id == these.c.entry_id)
    return query.add_columns(c.category.label("corrected")).outerjoin(category_corrections, of_it)


def correct(
    tx: sa.Connection, account_id: int, entry_id: int, category: str, *, customer_id: int, at: datetime
) -> None:
    """Put a movement into a category by hand."""
    c = category_corrections.c
    row = {"category": category, "customer_id": customer_id, "at": at}
    mine = category_corrections.update().where(c.account_id == account_id, c.entry_id == entry_id)
    # Of two at once, the second finds the first's row when it is tried again.
    if not tx.execute(mine.values(row)).rowcount:
        tx.execute(category_corrections.insert(), {"account_id": account_id, "entry_id": entry_id, **row})


def put_rule(tx: sa.Connection, customer_id: int, words: str, category: str, *, at: datetime) -> None:
    """Make or change the customer's rule for what goes by these words."""
    c = category_rules.c
    row = {"category": category, "at": at}
    if not tx.execute(
        category_rules.update().where(c.customer_id == customer_id, c.words == words).values(row)
    ).rowcount:
        tx.execute(category_rules.insert(), {"customer_id": customer_id, "words": words, **row})


def by_day(
    reader: sa.Connection, account_ids: Collection[int], mine: Collection[int], first: date, last: date | None = None
) -> list[DayTotal]:
    """What was booked on these accounts from `first` to `last`, by day and side; `mine` are all of the customer's."""
    return [_day_total(*row) for row in reader.execute(_by_day(account_ids, mine, first, last))]


def balance_and_days(
    reader: sa.Connection, account_ids: Collection[int], mine: Collection[int], first: date
) -> tuple[int, list[DayTotal]]:
    """What is on these accounts now, in minor units, and what was booked from `first` on, as `by_day` tells it.

    In one query, so that what is booked meanwhile is in both or in neither.
    """
    days = _by_day(account_ids, mine, first, None).subquery()
    now = (
        sa.select(sa.func.sum(ledger_accounts.c.balance).label("balance"))
        .where(ledger_accounts.c.id.in_(list(account_ids)))
        .subquery()
    )
    rows = reader.execute(sa.select(now.c.balance, *days.c).select_from(now.outerjoin(days, sa.true()))).all()
    return int(rows[0].balance), [_day_total(*row[1:]) for row in rows if row[1] is not None]


def _by_day(
    account_ids: Collection[int], mine: Collection[int], first: date, last: date | None
) -> sa.Select[tuple[date, str, int, Any]]:
    other = postings.alias("other")
    own = sa.exists().where(
        other.c.entry_id == postings.c.entry_id,
        other.c.account_id != postings.c.account_id,
        other.c.account_id.in_(list(mine)),
    )
    each = (
        sa.select(
            postings.c.booking_date,
            postings.c.side,
            postings.c.minor_units,
            sa.case((own, 1), else_=0).label("own"),
        )
        .where(postings.c.account_id.in_(list(account_ids)), postings.c.booking_date.between(first, last or date.max))
        .subquery()
    )
    return sa.select(each.c.booking_date, each.c.side, each.c.own, sa.func.sum(each.c.minor_units)).group_by(
        each.c.booking_date, each.c.side, each.c.own
    )


def _day_total(day: date, side: str, own: int, total: Any) -> DayTotal:
    return DayTotal(day, Side(side), bool(own), int(total))


def alike(reader: sa.Connection, account_ids: Collection[int], first: date, last: date, *, limit: int) -> list[Alike]:
    """What was booked from `first` to `last`, movements alike put together; the `limit` greatest sums."""
    other = postings.alias("other")
    other_side = (
        sa.select(sa.func.min(other.c.account_id))
        .where(other.c.entry_id == postings.c.entry_id, other.c.side != postings.c.side)
        .scalar_subquery()
    )
    c = category_corrections.c
    corrected = sa.and_(c.account_id == postings.c.account_id, c.entry_id == postings.c.entry_id)
    each = (
        sa.select(
            postings.c.account_id,
            journal_entries.c.kind,
            postings.c.side,
            journal_entries.c.narrative,
            c.category,
            other_side.label("other_side"),
            postings.c.entry_id,
            postings.c.minor_units,
        )
        .select_from(postings.join(journal_entries).outerjoin(category_corrections, corrected))
        .where(postings.c.account_id.in_(list(account_ids)), postings.c.booking_date.between(first, last))
        .subquery()
    )
    likeness = (each.c.account_id, each.c.kind, each.c.side, each.c.narrative, each.c.category, each.c.other_side)
    total = sa.func.sum(each.c.minor_units)
    query = (
        sa.select(*likeness[:5], sa.func.min(each.c.entry_id), sa.func.count(), total)
        .group_by(*likeness)
        .order_by(total.desc(), sa.func.min(each.c.entry_id))
        .limit(limit)
    )
    return [
        Alike(account_id, kind, Side(side), narrative, corrected, entry_id, count, int(total))
        for account_id, kind, side, narrative, corrected, entry_id, count, total in reader.execute(query)
    ]
