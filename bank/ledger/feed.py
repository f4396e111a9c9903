"""An account's movements as people read them: newest day first, and the latest ones of several accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import sqlalchemy as sa

from bank.ledger.store import POSTING_COLUMNS, POSTINGS, PostingRow, posting_rows, signed
from bank.ledger.tables import ledger_accounts, postings
from bank.storage.prepared import prepared

#: Where a page of the feed ends: the day and the sequence number of its last posting.
Place = tuple[date, int]
#: What a query is asked with: values, or bound parameters for which they come later.
Number = int | sa.BindParameter[int]
Day = date | sa.BindParameter[date]


def place_of(reader: sa.Connection, account_id: int, seq: int) -> Place | None:
    """Where the account's posting `seq` stands in its feed, if there is one."""
    query = sa.select(postings.c.booking_date).where(postings.c.account_id == account_id, postings.c.seq == seq)
    day = reader.execute(query).scalar()
    return (day, seq) if day else None


def by_day(
    account_id: Number,
    *,
    before: tuple[Day, Number] | None = None,
    first: Day | None = None,
    last: Day | None = None,
    limit: Number,
) -> sa.Select[Any]:
    """The query of the `limit` postings just before a place (None: the newest) from `first` to `last`, newest day first.

    Within a day the last one booked comes first. What was booked later for an earlier day stands on its day, so days
    are whole, and a range of days is a range of the index.
    """
    query = sa.select(*POSTING_COLUMNS).select_from(POSTINGS).where(postings.c.account_id == account_id)
    if first is not None:
        query = query.where(postings.c.booking_date >= first)
    if last is not None:
        query = query.where(postings.c.booking_date <= last)
    if before is not None:
        day, seq = before
        # The first condition says nothing new, but lets every database begin at that day in the index.
        query = query.where(postings.c.booking_date <= day, sa.or_(postings.c.booking_date < day, postings.c.seq < seq))
    return query.order_by(postings.c.booking_date.desc(), postings.c.seq.desc()).limit(limit)


def day_totals(reader: sa.Connection, account_id: int, first: date, last: date) -> dict[date, int]:
    """What each day from `first` to `last` did to the account, in minor units on its normal side."""
    found = reader.execute(_DAY_TOTALS, {"account": account_id, "first": first, "last": last})
    return {day: int(total) for day, total in found}


_DAY_TOTALS: Final = prepared(
    sa.select(postings.c.booking_date, sa.func.sum(signed()))
    .select_from(postings.join(ledger_accounts))
    .where(
        postings.c.account_id == sa.bindparam("account"),
        postings.c.booking_date.between(sa.bindparam("first"), sa.bindparam("last")),
    )
    .group_by(postings.c.booking_date)
)


def latest(reader: sa.Connection, account_ids: Sequence[int], *, limit: int) -> list[PostingRow]:
    """What the query `newest` finds."""
    return posting_rows(reader, newest(account_ids, limit=limit)) if account_ids else []


def newest(account_ids: Sequence[Number], *, limit: Number) -> sa.Select[Any]:
    """The query of the `limit` postings booked last on any of these accounts, of which there is one, newest first."""
    of_each = [
        sa.select(
            sa.select(postings.c.account_id, postings.c.seq)
            .where(postings.c.account_id == account_id)
            .order_by(postings.c.seq.desc())
            .limit(limit)
            .subquery(f"newest_{number}")
        )
        for number, account_id in enumerate(account_ids)
    ]
    these = sa.union_all(*of_each).subquery("newest")
    return (
        sa.select(*POSTING_COLUMNS)
        .select_from(
            POSTINGS.join(these, sa.and_(these.c.account_id == postings.c.account_id, these.c.seq == postings.c.seq))
        )
        .order_by(postings.c.entry_id.desc(), postings.c.account_id, postings.c.seq)
        .limit(limit)
    )
