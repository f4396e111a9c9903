"""What tests of the ledger need: a bank on a database, accounts, entries, and a look at the books."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from bank.audit.model import Author
from bank.ledger import service, store, verify
from bank.ledger.model import CHART, JournalEntry, Outcome, Posting, Side
from bank.ledger.store import LedgerAccount
from bank.ledger.tables import holds, journal_entries, ledger_accounts, postings
from bank.money import Money
from bank.settings import DEVELOPMENT_IDENTITY_KEY, Settings
from bank.storage.transaction import Bank

NOON = datetime(2026, 3, 2, 17, 0, 0, 123456, tzinfo=UTC)
"""Midday of a Monday in New York, where the test bank is."""
TODAY = date(2026, 3, 2)
OWNER = Author("staff:1", NOON, TODAY)

_serials = itertools.count(1)


@contextmanager
def opened(url: str, *, pool_size: int = 2) -> Iterator[Bank]:
    """A bank on the database at `url`; its connections end with the context."""
    settings = Settings(
        database_url=url,
        secret_key="x" * 40,
        identity_keys=(DEVELOPMENT_IDENTITY_KEY,),
        pool_size=pool_size,
        password_memory_kib=8192,
    )
    bank = Bank.open(settings)
    try:
        yield bank
    finally:
        bank.engine.dispose()


def an_account(
    bank: Bank, *, balance: int = 0, floor: int | None = 0, chart_code: str = "current", currency: str = "USD"
) -> int:
    """Open a ledger account with `balance` minor units on it, from a till of its own; answers its id."""
    serial = next(_serials)

    def use_case(tx: sa.Connection) -> int:
        account = _open(tx, f"{chart_code}-{serial}", chart_code, currency, floor)
        if balance:
            till = _open(tx, f"till-{serial}", "cash", currency, None)
            [outcome] = service.post_in(tx, [move(till, account, balance, currency=currency, caller="an_account")])
            outcome.or_raise()
        return account

    return bank.run(use_case)


def a_till(bank: Bank, *, currency: str = "USD") -> int:
    """Open a till; answers its ledger account's id."""
    return an_account(bank, floor=None, chart_code="cash", currency=currency)


def _open(tx: sa.Connection, number: str, chart_code: str, currency: str, floor: int | None) -> int:
    return service.open_account(
        tx, number=number, name=number, chart_code=chart_code, currency=currency, floor=floor, opened_at=NOON
    )


def entry(*moved: tuple[int, Side, int], currency: str = "USD", **fields: Any) -> JournalEntry:
    """A journal entry of (account, side, minor units); what is not given is of no interest."""
    defaults: dict[str, Any] = {
        "caller": "test",
        "idempotency_key": f"key-{next(_serials)}",
        "kind": "test",
        "narrative": "",
        "booking_date": TODAY,
        "value_date": TODAY,
        "booked_at": NOON,
    }
    sides = tuple(Posting(account, side, Money(minor, currency)) for account, side, minor in moved)
    return JournalEntry(**{**defaults, "postings": sides, **fields})


def move(payer: int, payee: int, minor: int, **fields: Any) -> JournalEntry:
    """An entry that debits `payer` and credits `payee`. A deposit's payer is a till, which grows by it."""
    return entry((payer, Side.DEBIT, minor), (payee, Side.CREDIT, minor), **fields)


def the_account(bank: Bank, account_id: int) -> LedgerAccount:
    """The account as it stands."""
    with bank.reader() as reader:
        found = store.account(reader, account_id)
    assert found is not None, account_id
    return found


def balance(bank: Bank, account_id: int) -> int:
    """What is booked on the account, in minor units."""
    return the_account(bank, account_id).balance


def named(outcome: Outcome | BaseException) -> str:
    """The outcome in a word: `Posted`, `Replayed`, or why not."""
    if isinstance(outcome, BaseException):
        return getattr(outcome, "code", repr(outcome))
    error = getattr(outcome, "error", None)
    return error.code if error else type(outcome).__name__


def assert_books_balance(bank: Bank) -> None:
    """Every invariant of the ledger holds: as the bank verifies it, and as this module adds it up."""
    with bank.snapshot() as reader:
        broken = added_up(reader)
        broken += map(str, verify.verify(reader))
    assert not broken, "\n".join(broken)


def added_up(reader: sa.Connection) -> list[str]:
    """What is wrong with the books, found by reading all rows and adding them up here."""
    broken = []
    accounts = {row.id: row for row in reader.execute(sa.select(ledger_accounts))}
    rows = list(reader.execute(sa.select(postings).order_by(postings.c.account_id, postings.c.seq)))
    by_account = {key: list(group) for key, group in itertools.groupby(rows, key=lambda row: row.account_id)}
    entries = {row.id: row for row in reader.execute(sa.select(journal_entries).order_by(journal_entries.c.id))}
    for account in accounts.values():
        mine = by_account.get(account.id, [])
        balance = 0
        for seq, row in enumerate(mine, start=1):
            balance += row.minor_units if row.side == account.normal_side else -row.minor_units
            if (row.seq, row.balance_after) != (seq, balance):
                broken.append(f"{account.number}: posting {row.seq} ends at {row.balance_after}, not {balance}")
        if (account.balance, account.version) != (balance, len(mine)):
            broken.append(
                f"{account.number}: {account.balance} after {account.version}, not {balance} after {len(mine)}"
            )
        if account.floor is not None and balance - account.held < account.floor:
            broken.append(f"{account.number}: {balance} less {account.held} held is under {account.floor}")
        if account.status == "closed" and (balance or account.held):
            broken.append(f"{account.number}: closed with {balance} on it")
        if account.normal_side != CHART[account.chart_code].normal_side:
            broken.append(f"{account.number}: grows on the wrong side")
    sums: dict[tuple[int, str], int] = {}
    for row in rows:
        place = (row.entry_id, accounts[row.account_id].currency)
        sums[place] = sums.get(place, 0) + (row.minor_units if row.side == "debit" else -row.minor_units)
    broken += [f"entry {entry_id}: {gap} {currency} apart" for (entry_id, currency), gap in sums.items() if gap]
    moved = {entry_id for entry_id, _ in sums}
    broken += [f"entry {row.id}: refused and yet posted" for row in entries.values() if row.refusal and row.id in moved]
    return broken + _holds_added_up(reader, accounts, entries)


def _holds_added_up(reader: sa.Connection, accounts: dict[int, Any], entries: dict[int, Any]) -> list[str]:
    broken = []
    reserved = dict.fromkeys(accounts, 0)
    changed: dict[int, list[int]] = {}
    for row in entries.values():
        if row.hold_change is not None:
            changed.setdefault(row.hold_id or row.id, []).append(row.hold_change)
    for hold in reader.execute(sa.select(holds)):
        reserved[hold.account_id] += hold.remaining
        changes = changed[hold.id]
        if hold.remaining != sum(changes) or changes[0] != hold.minor_units:
            broken.append(f"hold {hold.id}: {hold.remaining} left after {changes}")
    return broken + [
        f"{account.number}: {account.held} held, not {reserved[account.id]}"
        for account in accounts.values()
        if account.held != reserved[account.id]
    ]
