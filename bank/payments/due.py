"""The day's work: make the scheduled payments whose day has come, each once, however often and wherever this runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import sqlalchemy as sa

from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount
from bank.audit.model import Author
from bank.customers import store as customer_store
from bank.customers.service import CustomerInactive
from bank.errors import BankError, Unavailable
from bank.ledger.errors import AccountClosed
from bank.money import Money
from bank.payments import scheduled
from bank.payments import service as payments
from bank.payments.model import TransferOrder, next_month
from bank.payments.store import scheduled_payments
from bank.settings import Settings
from bank.storage.transaction import Bank

_READ_AT_ONCE = 100
#: What refuses one month's payment for this reason would refuse every other: no further one waits.
_LAST = (AccountClosed.code, NoSuchAccount.code)


def count(reader: sa.Connection, today: date) -> int:
    """How many payments are waiting whose day is `today` or past."""
    return reader.execute(sa.select(sa.func.count()).select_from(scheduled_payments).where(_is_due(today))).scalar_one()


def oldest(reader: sa.Connection, today: date, *, limit: int = _READ_AT_ONCE) -> list[sa.Row[Any]]:
    """The first `limit` of them: id, due_on, minor_units, currency; by day."""
    c = scheduled_payments.c
    query = sa.select(c.id, c.due_on, c.minor_units, c.currency).where(_is_due(today))
    return list(reader.execute(query.order_by(c.due_on, c.id).limit(limit)))


def _is_due(today: date) -> sa.ColumnElement[bool]:
    return sa.and_(scheduled_payments.c.status == "waiting", scheduled_payments.c.due_on <= today)


def pay_all(bank: Bank, *, progress: Callable[[int], None] = lambda _: None) -> Counter[str]:
    """Make every payment that is due, the oldest first; how many were `done` and how many `refused`.

    A monthly one whose days were missed is made once for each of them.

    Raises:
        Unavailable: the database went away; what is not made yet is made the next time.
    """
    made: Counter[str] = Counter()
    while True:
        now = bank.clock.now()
        today = bank.clock.business_date(now)
        with bank.reader() as reader:
            due = oldest(reader, today)
        if not due:
            return made
        for row in due:
            made.update(filter(None, [bank.run(pay, bank.settings, row.id, Author("cli:payments", now, today))]))
            progress(1)


def pay(tx: sa.Connection, settings: Settings, scheduled_id: int, by: Author) -> str | None:
    """Make one payment as its customer, in one database transaction with its status and its follower.

    Answers `done` or `refused`; None when somebody else was first, or it was cancelled.
    """
    row = scheduled.lock(tx, scheduled_id)
    if row is None or row.status != "waiting" or row.due_on > by.business_date:
        return None
    ends = False
    payer = Author(f"customer:{row.customer_id}", by.at, by.business_date)
    try:
        entry_id = _transfer(tx, settings, row, payer)
    except Unavailable:
        raise
    except BankError as refused:
        # The refusal is no exception of the transaction: it is remembered, here and in the ledger.
        ends = refused.code in _LAST
        refusal = {"code": refused.code, "facts": getattr(refused, "facts", {})}
        scheduled.decide(tx, scheduled_id, "refused", by=by, refusal=refusal)
        status = "refused"
    else:
        scheduled.decide(tx, scheduled_id, "done", by=by, entry_id=entry_id)
        status = "done"
    if row.repeats == "monthly" and not ends:
        _follow(tx, row, by)
    return status


def _transfer(tx: sa.Connection, settings: Settings, row: sa.Row[Any], by: Author) -> int:
    """The payment that the row asks for, if its customer could still make it today."""
    customer = customer_store.by_id(tx, row.customer_id)
    if customer is None or not customer.active:
        raise CustomerInactive
    if not any(holder.customer_id == row.customer_id for holder in account_store.holders(tx, row.from_account_id)):
        raise NoSuchAccount
    order = TransferOrder(
        row.from_account_id,
        row.to_account_id,
        Money(row.minor_units, row.currency),
        row.reference,
        f"scheduled:{row.id}",
        row.customer_id,
    )
    return payments.transfer_in(tx, settings, order, by=by).entry_id


def _follow(tx: sa.Connection, row: sa.Row[Any], by: Author) -> None:
    """Let the next month's payment wait, under an operation that only it can have."""
    first, number = (*row.operation.split("/"), "1")[:2]
    same = (
        "customer_id", "from_account_id", "to_account_id", "payee_name", "minor_units", "currency", "reference", "repeats",
        "day_of_month",
    )  # fmt: skip
    following = {name: getattr(row, name) for name in same} | {
        "operation": f"{first}/{int(number) + 1}",
        "due_on": next_month(row.due_on, row.day_of_month),
        "created_at": by.at,
    }
    tx.execute(scheduled_payments.insert(), following)
