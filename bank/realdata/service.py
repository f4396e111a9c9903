"""Bring a checked folder in; safe to stop at any instant and to run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.audit.model import Author
from bank.clock import Clock
from bank.customers import service as customers
from bank.customers import store as customer_store
from bank.customers.model import CustomerDetails
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store
from bank.ledger.model import Declined, JournalEntry, Outcome, Posting, Replayed, Side
from bank.money import Money
from bank.realdata import store
from bank.realdata.errors import NumberInUse
from bank.realdata.model import OPERATIONS, Client, Folder, FolderAccount, Transaction
from bank.storage.transaction import Bank

Progress = Callable[[int], object]

CALLER: Final = "import:transactions"
_TILL: Final = "till-transactions"
# The door walks all versions of a row that its transaction made: long batches on one till are slow.
BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was done: entries booked now and before, overdrafts given, what the ledger refused, what differs."""

    booked: int
    booked_before: int
    floors: tuple[tuple[str, Money], ...]
    refused: tuple[tuple[Transaction, str], ...]
    differing: tuple[Difference, ...]
    compared: int


@dataclass(frozen=True, slots=True)
class Difference:
    """An account that does not end as the folder says."""

    number: str
    should_be: Money
    is_here: Money

    def __str__(self) -> str:
        return f"account {self.number}: {self.is_here} here, {self.should_be} by closing_balances.csv"


def steps(folder: Folder) -> int:
    """How many steps `load` tells its progress of."""
    return len(folder.clients) + len(folder.accounts) + sum(1 for _ in folder.transactions())


def load(bank: Bank, folder: Folder, *, by: Author, progress: Progress) -> Loaded:
    """Write the folder's clients, accounts and transactions; what is there already is left as it is.

    Raises:
        NumberInUse: a number belongs to somebody who came otherwise; nothing was written.
    """
    with bank.snapshot() as reader:
        _refuse_taken_numbers(reader, folder)
    for clients in store.batches(folder.clients.values(), BATCH):
        bank.run(_bring_in_clients, clients, by)
        progress(len(clients))
    with bank.reader() as reader:
        keys = store.booked_keys(reader, CALLER)
    for some in store.batches(folder.accounts.values(), BATCH):
        bank.run(_bring_in_accounts, some, folder, bank.settings.currency, bank.clock, keys, by)
        progress(len(some))
    booked = booked_before = 0
    refused: list[tuple[Transaction, str]] = []
    for transaction, outcome in _book(bank, folder, by, progress):
        first = outcome.first if isinstance(outcome, Replayed) else outcome
        if isinstance(first, Declined):
            refused.append((transaction, str(first.error)))
        elif isinstance(outcome, Replayed):
            booked_before += 1
        else:
            booked += 1
    differing = tuple(_compare(bank, folder))
    compared = sum(account.closing_balance is not None for account in folder.accounts.values())
    return Loaded(booked, booked_before, tuple(floors(folder, bank)), tuple(refused), differing, compared)


def floors(folder: Folder, bank: Bank) -> Iterator[tuple[str, Money]]:
    """The accounts that the file lets go below zero, each with the overdraft it needs."""
    for account in folder.accounts.values():
        if lowest := account.lowest_balance():
            yield account.number, Money(lowest, bank.settings.currency)


def _refuse_taken_numbers(reader: sa.Connection, folder: Folder) -> None:
    for what, action, ids in (
        ("Customer", "customer", store.customer_ids(reader, (each.number for each in folder.clients.values()))),
        ("Account", "account", store.account_ids(reader, (each.number for each in folder.accounts.values()))),
    ):
        mine = store.imported(reader, CALLER, f"{action}.imported") if ids else set()
        for number, row_id in sorted(ids.items()):
            if f"{action}:{row_id}" not in mine:
                raise NumberInUse(what, number)


def _bring_in_clients(tx: sa.Connection, clients: list[Client], by: Author) -> None:
    there = store.customer_ids(tx, (client.number for client in clients))
    for client in clients:
        if client.number not in there:
            details = CustomerDetails(f"Client {client.id}", client.birth_date, address="", city=client.district)
            customers.bring_in(tx, details, None, number=client.number, by=by, action="customer.imported")


def _bring_in_accounts(
    tx: sa.Connection,
    some: list[FolderAccount],
    folder: Folder,
    currency: str,
    clock: Clock,
    booked_keys: set[str],
    by: Author,
) -> None:
    there = store.account_ids(tx, (account.number for account in some))
    for account in some:
        if account.number not in there:
            _bring_in_account(tx, account, folder, currency, clock, by)
        elif any(_key(transaction) not in booked_keys for transaction in account.transactions):
            _lower_floor(tx, there[account.number], account.lowest_balance(), by)


def _bring_in_account(
    tx: sa.Connection, old: FolderAccount, folder: Folder, currency: str, clock: Clock, by: Author
) -> None:
    holders = {client: customer_store.by_number(tx, folder.clients[client].number) for client in old.holders}
    owner = holders[old.owner] if old.owner else None
    assert owner is not None, old.number
    account = accounts.bring_in(
        tx,
        owner,
        "current",
        currency,
        number=old.number,
        floor=old.lowest_balance(),
        by=by,
        action="account.imported",
        opened=(_start_of(old.opened_on, clock), old.opened_on),
    )
    for client, role in old.holders.items():
        holder = holders[client]
        if holder is not None and holder.id != owner.id:
            accounts.add_holder(tx, account, holder, role, by=by)


def _lower_floor(tx: sa.Connection, account_id: int, lowest: int, by: Author) -> None:
    """Rows that came later, because they were bad the first time, may need more of an overdraft."""
    known = ledger_store.lock(tx, account_id)
    if known.floor is not None and lowest < known.floor:
        ledger.set_floor(tx, account_id, lowest, by=by, reason="The lowest balance in the folder of transactions")


def _start_of(day: date, clock: Clock) -> datetime:
    """The data has days; the instant is the first of the bank's day."""
    return datetime.combine(day, time(), clock.business_timezone)


def _book(bank: Bank, folder: Folder, by: Author, progress: Progress) -> Iterator[tuple[Transaction, Outcome]]:
    against = bank.run(_own_accounts, bank.settings.currency, by)
    with bank.reader() as reader:
        ids = store.account_ids(reader, (account.number for account in folder.accounts.values()))
    for some in store.batches(folder.transactions(), BATCH):
        entries = [_entry(bank, each, ids[account.number], against) for account, each in some]
        for (_, transaction), outcome in zip(some, ledger.post(bank, entries), strict=True):
            yield transaction, outcome
        progress(len(some))


def _own_accounts(tx: sa.Connection, currency: str, by: Author) -> dict[str, int]:
    """The bank's own side of each operation, by chart code."""
    codes: Iterable[str] = sorted({operation.against for operation in OPERATIONS.values()} - {"cash"})
    own = {code: ledger.bank_account(tx, code, currency, at=by.at).id for code in codes}
    if till := ledger_store.account_by_number(tx, _TILL):
        return {**own, "cash": till.id}
    name = "Cash of imported transactions"
    till_id = ledger.open_account(
        tx, number=_TILL, name=name, chart_code="cash", currency=currency, floor=None, opened_at=by.at
    )
    return {**own, "cash": till_id}


def _key(transaction: Transaction) -> str:
    return f"transaction-{transaction.id}"


def _entry(bank: Bank, transaction: Transaction, account_id: int, against: dict[str, int]) -> JournalEntry:
    amount = Money(transaction.minor_units, bank.settings.currency)
    side = Side(transaction.operation.direction)
    return JournalEntry(
        caller=CALLER,
        idempotency_key=_key(transaction),
        kind=transaction.operation.kind,
        narrative=transaction.narrative,
        booking_date=transaction.day,
        value_date=transaction.day,
        booked_at=_start_of(transaction.day, bank.clock),
        postings=(
            Posting(account_id, side, amount),
            Posting(against[transaction.operation.against], side.other, amount),
        ),
    )


def _compare(bank: Bank, folder: Folder) -> Iterator[Difference]:
    """Hold what was brought in against the folder's closing balances, by account."""
    with bank.snapshot() as reader:
        ids = store.account_ids(reader, (account.number for account in folder.accounts.values()))
        moved = ledger_store.moved_by(reader, CALLER)
    for account in folder.accounts.values():
        if account.closing_balance is None:
            continue
        should_be = Money(account.closing_balance, bank.settings.currency)
        is_here = Money(moved.get(ids[account.number], 0), bank.settings.currency)
        if is_here != should_be:
            yield Difference(account.number, should_be, is_here)
