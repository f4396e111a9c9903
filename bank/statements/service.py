"""Make statements; each reads the ledger once, so that it adds up whatever is booked meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import accumulate
from typing import Final

import sqlalchemy as sa

from bank.accounts.model import product_name
from bank.accounts.store import Account
from bank.ledger import store as ledger
from bank.ledger.store import PostingRow
from bank.money import Money
from bank.payments.model import kind_words, told
from bank.statements.errors import PeriodTooLong
from bank.statements.model import Days, Latest, Period, Statement, StatementLine, one_line

# A file of so many lines takes seconds of a processor; a PDF takes more, and holds fewer.
MOST_LINES: Final = 10_000


def last(
    reader: sa.Connection, account: Account, count: int, *, holders: Iterable[str], bank_name: str, made_at: datetime
) -> Statement:
    """The newest `count` lines, in the order in which they were booked.

    Raises:
        InvalidPeriod: `count` is not from 1 to 1,000.
    """
    period = Latest(count)
    rows = ledger.page_before(reader, account.id, seq=None, limit=period.count)[::-1]
    opening = rows[0].balance_after - rows[0].signed if rows else Money(0, account.ledger.currency)
    return _statement(account, period, opening, rows, holders=holders, bank_name=bank_name, made_at=made_at)


def between(
    reader: sa.Connection,
    account: Account,
    first: date,
    last: date,
    *,
    holders: Iterable[str],
    bank_name: str,
    made_at: datetime,
    most_lines: int = MOST_LINES,
) -> Statement:
    """The lines booked from `first` to `last`, both included, by day and within a day as booked.

    The running balance is that of this order: what was booked later for an earlier day stands on its day.

    Raises:
        InvalidPeriod: `first` is after `last`.
        PeriodTooLong: it has more than `most_lines` lines.
    """
    period = Days(first, last)
    opening, rows = ledger.opening_and_postings(reader, account.id, first, last, limit=most_lines + 1)
    if len(rows) > most_lines:
        raise PeriodTooLong(most_lines)
    return _statement(account, period, opening, rows, holders=holders, bank_name=bank_name, made_at=made_at)


def _statement(
    account: Account,
    period: Period,
    opening: Money,
    rows: Sequence[PostingRow],
    *,
    holders: Iterable[str],
    bank_name: str,
    made_at: datetime,
) -> Statement:
    balances = accumulate((row.signed for row in rows), initial=opening)
    next(balances)  # the opening balance itself
    return Statement(
        bank_name=one_line(bank_name),
        account_number=account.number,
        product=product_name(account.product),
        holders=tuple(one_line(holder) for holder in holders),
        currency=account.ledger.currency,
        period=period,
        made_at=made_at,
        opening=opening,
        lines=tuple(_line(row, balance) for row, balance in zip(rows, balances, strict=True)),
    )


def _line(row: PostingRow, balance: Money) -> StatementLine:
    kind = kind_words(row.kind, received=row.signed.minor_units > 0)
    return StatementLine(
        booking_date=row.booking_date,
        value_date=row.value_date,
        description=one_line(told(row.narrative, row.kind, received=row.signed.minor_units > 0)) or kind,
        kind=kind,
        reference=str(row.entry_id),
        amount=row.signed,
        balance=balance,
    )
