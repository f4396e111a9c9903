"""The ledger's reads, one query each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from bank.ledger.model import CHART, Side
from bank.ledger.tables import holds, journal_entries, ledger_accounts, postings
from bank.money import Money
from bank.storage.dialects import dialect_of


@dataclass(frozen=True, slots=True)
class LedgerAccount:
    """A ledger account as it stands; amounts in minor units, positive on its normal side."""

    id: int
    number: str
    name: str
    chart_code: str
    normal_side: str
    currency: str
    status: str
    balance: int
    held: int
    version: int
    floor: int | None
    limit_per_payment: int | None
    limit_per_day: int | None

    @property
    def balance_money(self) -> Money:
        """What is booked."""
        return Money(self.balance, self.currency)

    @property
    def held_money(self) -> Money:
        """What is reserved by holds."""
        return Money(self.held, self.currency)

    @property
    def available(self) -> Money:
        """What may still be spent: booked, less what is held, down to the floor."""
        return Money(self.balance - self.held - (self.floor or 0), self.currency)

    @property
    def overdraft(self) -> Money:
        """How far below zero it may go, where it has a floor."""
        return Money(-(self.floor or 0), self.currency)

    @property
    def own_limits(self) -> tuple[Money | None, Money | None]:
        """The most for one payment and for one day; None: the bank's."""
        per_payment, per_day = (
            None if limit is None else Money(limit, self.currency)
            for limit in (self.limit_per_payment, self.limit_per_day)
        )
        return per_payment, per_day


_ACCOUNT_COLUMNS = [ledger_accounts.c[field] for field in LedgerAccount.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class PostingRow:
    """One posting of an account, with the entry it belongs to."""

    account_id: int
    seq: int
    entry_id: int
    side: Side
    amount: Money
    balance_after: Money
    booking_date: date
    kind: str
    narrative: str
    booked_at: datetime
    value_date: date

    @property
    def signed(self) -> Money:
        """Above zero when a customer's account received it."""
        return self.amount if self.side is Side.CREDIT else -self.amount


@dataclass(frozen=True, slots=True)
class EntryPosting:
    """One side of an entry, with the account it moved."""

    account_id: int
    number: str
    name: str
    chart_code: str
    seq: int
    side: Side
    amount: Money
    balance_after: Money


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal entry with its postings; none when it was refused, or only touched a hold."""

    id: int
    caller: str
    kind: str
    narrative: str
    booking_date: date
    value_date: date
    booked_at: datetime
    reverses: int | None
    reversed_by: int | None
    hold_id: int | None
    refusal: str | None
    postings: tuple[EntryPosting, ...]


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold that still reserves something."""

    id: int
    account_id: int
    remaining: Money
    expires_at: datetime | None
    narrative: str


@dataclass(frozen=True, slots=True)
class TrialLine:
    """One line of the trial balance; minor units on the chart line's normal side."""

    chart_code: str
    normal_side: Side
    currency: str
    accounts: int
    balance: Money

    @property
    def debit(self) -> Money:
        """What stands in the debit column."""
        return self._column(Side.DEBIT)

    @property
    def credit(self) -> Money:
        """What stands in the credit column."""
        return self._column(Side.CREDIT)

    def _column(self, side: Side) -> Money:
        positive = (self.normal_side is side) == (self.balance.minor_units >= 0)
        return Money(abs(self.balance.minor_units) if positive else 0, self.currency)


def _account(reader: sa.Connection, query: sa.Select[Any]) -> LedgerAccount | None:
    row = reader.execute(query).first()
    return LedgerAccount(*row) if row else None


def account(reader: sa.Connection, account_id: int) -> LedgerAccount | None:
    """The ledger account, if there is one."""
    return _account(reader, sa.select(*_ACCOUNT_COLUMNS).where(ledger_accounts.c.id == account_id))


def account_by_number(reader: sa.Connection, number: str) -> LedgerAccount | None:
    """The ledger account of this number, if there is one."""
    return _account(reader, sa.select(*_ACCOUNT_COLUMNS).where(ledger_accounts.c.number == number))


def lock(tx: sa.Connection, account_id: int) -> LedgerAccount:
    """The ledger account, locked until the transaction ends."""
    query = dialect_of(tx).lock(sa.select(*_ACCOUNT_COLUMNS).where(ledger_accounts.c.id == account_id))
    found = _account(tx, query)
    assert found is not None, account_id
    return found


POSTING_COLUMNS = [
    postings.c.account_id, postings.c.seq, postings.c.entry_id, postings.c.side, postings.c.minor_units, postings.c.balance_after,
    postings.c.booking_date, journal_entries.c.kind, journal_entries.c.narrative, journal_entries.c.booked_at,
    journal_entries.c.value_date, ledger_accounts.c.currency,
]  # fmt: skip
POSTINGS = postings.join(journal_entries).join(ledger_accounts)


def posting_rows(reader: sa.Connection, query: sa.Select[Any]) -> list[PostingRow]:
    """What a query for POSTING_COLUMNS finds."""
    return [posting_row(row) for row in reader.execute(query)]


def posting_row(row: Iterable[Any]) -> PostingRow:
    """The posting of one row of POSTING_COLUMNS."""
    account_id, seq, entry_id, side, minor, after, booking_date, kind, narrative, booked_at, value_date, currency = row
    amount, balance = Money(minor, currency), Money(after, currency)
    return PostingRow(
        account_id, seq, entry_id, Side(side), amount, balance, booking_date, kind, narrative, booked_at, value_date
    )


def page_before(reader: sa.Connection, account_id: int, *, seq: int | None, limit: int) -> list[PostingRow]:
    """The `limit` postings just before `seq` (None: the newest), newest first."""
    query = sa.select(*POSTING_COLUMNS).select_from(POSTINGS).where(postings.c.account_id == account_id)
    if seq is not None:
        query = query.where(postings.c.seq < seq)
    return posting_rows(reader, query.order_by(postings.c.seq.desc()).limit(limit))


def postings_between(
    reader: sa.Connection, account_id: int, first: date, last: date, *, limit: int
) -> list[PostingRow]:
    """The first `limit` postings booked from `first` to `last`, both included, in the order of their days."""
    query = (
        sa.select(*POSTING_COLUMNS)
        .select_from(POSTINGS)
        .where(postings.c.account_id == account_id, postings.c.booking_date.between(first, last))
        .order_by(postings.c.booking_date, postings.c.seq)
        .limit(limit)
    )
    return posting_rows(reader, query)


def opening_and_postings(
    reader: sa.Connection, account_id: int, first: date, last: date, *, limit: int
) -> tuple[Money, list[PostingRow]]:
    """The balance before `first`, and what `postings_between` answers.

    In one query, so that a payment booked meanwhile is in both or in neither.
    """
    since = (
        sa.select(sa.func.coalesce(sa.func.sum(signed()), 0))
        .select_from(postings.join(ledger_accounts))
        .where(postings.c.account_id == account_id, postings.c.booking_date >= first)
        .scalar_subquery()
    )
    found = (
        sa.select(*POSTING_COLUMNS)
        .select_from(POSTINGS)
        .where(postings.c.account_id == account_id, postings.c.booking_date.between(first, last))
        .order_by(postings.c.booking_date, postings.c.seq)
        .limit(limit)
        .subquery()
    )
    # The outer join gives a row, with the opening balance, also when the period is empty.
    query = (
        sa.select(ledger_accounts.c.balance - since, ledger_accounts.c.currency, *found.c)
        .select_from(ledger_accounts.outerjoin(found, found.c.account_id == ledger_accounts.c.id))
        .where(ledger_accounts.c.id == account_id)
        .order_by(found.c.booking_date, found.c.seq)
    )
    rows = reader.execute(query).all()
    opening, currency = rows[0][:2]
    return Money(int(opening), currency), [posting_row(row[2:]) for row in rows if row[2] is not None]


def signed() -> sa.ColumnElement[int]:
    """A posting's amount, positive on its account's normal side."""
    return sa.case(
        (postings.c.side == ledger_accounts.c.normal_side, postings.c.minor_units), else_=-postings.c.minor_units
    )


def entry(reader: sa.Connection, entry_id: int) -> Entry | None:
    """A journal entry with its postings in order, if there is one."""
    return entry_of_rows(reader.execute(ENTRIES.where(journal_entries.c.id == entry_id)).all())


_LATER = journal_entries.alias("later")
#: A row for each posting of an entry, in order, or the one of an entry without any; `entry_of_rows` reads them.
ENTRIES = (
    sa.select(
        journal_entries.c.id, journal_entries.c.caller, journal_entries.c.kind, journal_entries.c.narrative,
        journal_entries.c.booking_date, journal_entries.c.value_date, journal_entries.c.booked_at, journal_entries.c.reverses,
        _LATER.c.id.label("reversed_by"), journal_entries.c.hold_id, journal_entries.c.refusal,
        postings.c.account_id, ledger_accounts.c.number, ledger_accounts.c.name, ledger_accounts.c.chart_code, postings.c.seq,
        postings.c.side, postings.c.minor_units, postings.c.balance_after, ledger_accounts.c.currency,
    )
    .select_from(
        journal_entries.outerjoin(_LATER, _LATER.c.reverses == journal_entries.c.id)
        .outerjoin(postings, postings.c.entry_id == journal_entries.c.id)
        .outerjoin(ledger_accounts, ledger_accounts.c.id == postings.c.account_id)
    )
    .order_by(postings.c.side.desc(), postings.c.account_id, postings.c.seq)
)  # fmt: skip
_OF_ENTRY = len(Entry.__dataclass_fields__) - 1  # all but the postings
_OF_POSTING = _OF_ENTRY + len(EntryPosting.__dataclass_fields__) + 1


def entry_of_rows(rows: Sequence[Sequence[Any]]) -> Entry | None:
    """The entry in the rows that `ENTRIES` found, if there were any; more columns may follow its own."""
    if not rows:
        return None
    sides = [row[_OF_ENTRY:_OF_POSTING] for row in rows if row[_OF_ENTRY] is not None]
    of_entry: dict[str, Any] = dict(zip(Entry.__dataclass_fields__, rows[0][:_OF_ENTRY], strict=False))
    return Entry(**of_entry, postings=tuple(_entry_posting(*side) for side in sides))


def _entry_posting(
    account_id: int, number: str, name: str, chart_code: str, seq: int, side: str, minor: int, after: int, currency: str
) -> EntryPosting:
    amount, balance = Money(minor, currency), Money(after, currency)
    return EntryPosting(account_id, number, name, chart_code, seq, Side(side), amount, balance)


def answer_by_key(reader: sa.Connection, caller: str, key: str) -> tuple[int, str | None] | None:
    """The id of the entry that `caller` asked for by `key`, and why it was refused, if it was; None: it never arrived."""
    row = reader.execute(_by_key(journal_entries.c.id, journal_entries.c.refusal, caller=caller, key=key)).first()
    return (row.id, row.refusal) if row else None


def entry_by_key(reader: sa.Connection, caller: str, key: str) -> int | None:
    """The id of the entry that `caller` asked for by `key`, posted or refused, if it ever arrived."""
    return reader.execute(_by_key(journal_entries.c.id, caller=caller, key=key)).scalar()


def _by_key(*columns: sa.ColumnElement[Any], caller: str, key: str) -> sa.Select[Any]:
    return sa.select(*columns).where(journal_entries.c.caller == caller, journal_entries.c.idempotency_key == key)


def active_holds(reader: sa.Connection, *account_ids: int) -> list[HoldRow]:
    """The accounts' holds that still reserve something, oldest first."""
    return _holds(reader, sa.select(holds.c.id).where(holds.c.account_id.in_(account_ids), holds.c.remaining > 0))


def hold_expires_at(reader: sa.Connection, hold_id: int) -> datetime | None:
    """When the hold ends by itself; None: it does not."""
    return reader.execute(sa.select(holds.c.expires_at).where(holds.c.id == hold_id)).scalar()


def expired_holds(reader: sa.Connection, at: datetime, *, after: int = 0, limit: int) -> list[HoldRow]:
    """The first `limit` holds after id `after` whose time was over at `at` and that still reserve something."""
    due = sa.select(holds.c.id).where(holds.c.expires_at <= at, holds.c.remaining > 0, holds.c.id > after)
    return _holds(reader, due.order_by(holds.c.id).limit(limit))


def _holds(reader: sa.Connection, chosen: sa.Select[Any]) -> list[HoldRow]:
    these = chosen.subquery()
    query = (
        sa.select(
            holds.c.id,
            holds.c.account_id,
            holds.c.remaining,
            ledger_accounts.c.currency,
            holds.c.expires_at,
            journal_entries.c.narrative,
        )
        .select_from(
            holds.join(these, these.c.id == holds.c.id).join(journal_entries, journal_entries.c.id == holds.c.id)
        )
        .join(ledger_accounts, ledger_accounts.c.id == holds.c.account_id)
        .order_by(holds.c.id)
    )
    return [
        HoldRow(hold_id, account_id, Money(left, currency), expires, why)
        for hold_id, account_id, left, currency, expires, why in reader.execute(query)
    ]


def trial_balance(reader: sa.Connection, day: date | None = None) -> list[TrialLine]:
    """What stands on each line of the chart, per currency: now, or at the end of `day`."""
    if day is None:
        balance = sa.func.sum(ledger_accounts.c.balance)
        query = sa.select(ledger_accounts.c.chart_code, ledger_accounts.c.currency, sa.func.count(), balance)
    else:
        moved = sa.func.coalesce(sa.func.sum(signed()), 0)
        query = sa.select(
            ledger_accounts.c.chart_code,
            ledger_accounts.c.currency,
            sa.func.count(ledger_accounts.c.id.distinct()),
            moved,
        ).outerjoin(postings, sa.and_(postings.c.account_id == ledger_accounts.c.id, postings.c.booking_date <= day))
    rows = reader.execute(query.group_by(ledger_accounts.c.chart_code, ledger_accounts.c.currency))
    found = {(code, currency): (accounts, int(total)) for code, currency, accounts, total in rows}
    return [
        TrialLine(code, CHART[code].normal_side, currency, *_line(found[code, currency], currency))
        for code, currency in sorted(found, key=lambda key: (list(CHART).index(key[0]), key[1]))
    ]


def _line(found: tuple[int, int], currency: str) -> tuple[int, Money]:
    return found[0], Money(found[1], currency)


def moved_by(reader: sa.Connection, caller: str) -> dict[int, int]:
    """What the entries of one caller did to each account they touched, in minor units on its normal side."""
    query = (
        sa.select(postings.c.account_id, sa.func.sum(signed()))
        .select_from(postings.join(ledger_accounts).join(journal_entries))
        .where(journal_entries.c.caller == caller)
        .group_by(postings.c.account_id)
    )
    return {account_id: int(total) for account_id, total in reader.execute(query)}
