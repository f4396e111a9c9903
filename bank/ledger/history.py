"""An account's postings as programs read them: page by page, and the balance as of an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import sqlalchemy as sa

from bank.ledger.model import Side
from bank.ledger.store import POSTING_COLUMNS, POSTINGS, LedgerAccount, PostingRow, posting_rows, signed
from bank.ledger.tables import journal_entries, ledger_accounts, postings
from bank.money import Money

#: No page looks at more postings than these, however few it finds, so that no search keeps the database busy.
MOST_LOOKED_AT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which postings: booked from `first` to `last`, of one side, of `least` to `most` minor units; None: any."""

    first: date | None = None
    last: date | None = None
    side: Side | None = None
    least: int | None = None
    most: int | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As the database reads them."""
        c = postings.c
        found: list[sa.ColumnElement[bool]] = []
        if self.first is not None:
            found.append(c.booking_date >= self.first)
        if self.last is not None:
            found.append(c.booking_date <= self.last)
        if self.side is not None:
            found.append(c.side == self.side.value)
        if self.least is not None:
            found.append(c.minor_units >= self.least)
        if self.most is not None:
            found.append(c.minor_units <= self.most)
        return found


def page(
    reader: sa.Connection, account: LedgerAccount, wanted: Wanted, *, before: int | None, limit: int
) -> tuple[list[PostingRow], int | None]:
    """The `limit` postings before number `before` (None: the newest), newest first, and before which to go on.

    A page may hold fewer, or none, and yet not be the last one. What is booked meanwhile moves none of them: numbers
    have no gaps, and only ever grow.
    """
    upper = account.version + 1 if before is None else min(before, account.version + 1)
    lower = max(1, upper - MOST_LOOKED_AT)
    query = (
        sa.select(*POSTING_COLUMNS)
        .select_from(POSTINGS)
        .where(postings.c.account_id == account.id, postings.c.seq < upper, postings.c.seq >= lower)
        .where(*wanted.conditions())
        .order_by(postings.c.seq.desc())
        .limit(limit)
    )
    found = posting_rows(reader, query)
    reached = found[-1].seq if len(found) == limit else lower
    return found, reached if reached > 1 else None


def balance_at(reader: sa.Connection, account_id: int, at: datetime) -> Money:
    """What was booked until that instant: the balance as it stands, less what was booked after it.

    It takes as long as there are postings on the account: an instant of booking is no order, for of two payments at
    the same moment the one that was asked for first may be booked last.
    """
    moved = postings.join(journal_entries, journal_entries.c.id == postings.c.entry_id)
    later = (
        sa.select(sa.func.coalesce(sa.func.sum(signed()), 0))
        .select_from(moved)
        .where(postings.c.account_id == ledger_accounts.c.id, journal_entries.c.booked_at > at)
        .correlate(ledger_accounts)
        .scalar_subquery()
    )
    query = sa.select(ledger_accounts.c.balance - later, ledger_accounts.c.currency)
    minor_units, currency = reader.execute(query.where(ledger_accounts.c.id == account_id)).one()
    return Money(int(minor_units), currency)
