"""The one door, and what is done to ledger accounts beside it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.errors import Refused
from bank.language import gettext as _
from bank.ledger import store
from bank.ledger.model import (
    CHART,
    SINGLE_ACCOUNTS,
    JournalEntry,
    Limits,
    Outcome,
    Posted,
    Posting,
    Release,
    outcome_of,
)
from bank.ledger.store import LedgerAccount
from bank.ledger.tables import ledger_accounts
from bank.storage.dialects import dialect_of
from bank.storage.metadata import generated_id
from bank.storage.transaction import Bank


class FloorAboveBalance(Refused):
    """The floor would lie above what is on the account."""

    code = "floor_above_balance"


class NotEmpty(Refused):
    """The account still holds or reserves money."""

    code = "account_not_empty"


def post(bank: Bank, batch: Iterable[JournalEntry]) -> list[Outcome]:
    """Put entries through the door in one database transaction; one outcome for each, in order.

    A refused entry moves nothing and spoils no other. A refusal is remembered with its
    key, so a late retry cannot pay after the customer was told no.

    Raises:
        DatabaseAway: nothing was posted.
        OutcomeUnknown: the same batch must be asked again to learn what happened.
    """
    return [outcome_of(answer) for answer in bank.post([entry.as_message() for entry in batch])]


def post_in(tx: sa.Connection, batch: Iterable[JournalEntry]) -> list[Outcome]:
    """Put entries through the door within the caller's database transaction."""
    messages = [entry.as_message() for entry in batch]
    return [outcome_of(answer) for answer in dialect_of(tx).post_in(tx, messages)]


def open_account(
    tx: sa.Connection,
    *,
    number: str,
    name: str,
    chart_code: str,
    currency: str,
    floor: int | None,
    opened_at: datetime,
    limits: Limits | None = None,
) -> int:
    """Open a ledger account with nothing on it; answers its id. `floor` None: the bank's own, nothing guards it."""
    row = {
        "number": number,
        "name": name,
        "chart_code": chart_code,
        "currency": currency,
        "floor": floor,
        "opened_at": opened_at,
    }
    inserted = tx.execute(ledger_accounts.insert(), {**row, "normal_side": CHART[chart_code].normal_side.value})
    account_id = generated_id(inserted)
    if limits:
        # The application's role may change limits, not insert them.
        own = {"limit_per_payment": limits.per_payment, "limit_per_day": limits.per_day}
        tx.execute(ledger_accounts.update().where(ledger_accounts.c.id == account_id).values(own))
    return account_id


def bank_account(tx: sa.Connection, chart_code: str, currency: str, *, at: datetime) -> LedgerAccount:
    """The bank's own account of this chart code and currency (like `suspense-USD`), opened when first asked for."""
    assert chart_code in SINGLE_ACCOUNTS, chart_code
    number = f"{chart_code}-{currency}"
    if account := store.account_by_number(tx, number):
        return account
    open_account(
        tx,
        number=number,
        name=CHART[chart_code].name,
        chart_code=chart_code,
        currency=currency,
        # Of all that is the bank's own, cash alone cannot go below nothing.
        floor=0 if chart_code == "vault" else None,
        opened_at=at,
    )
    account = store.account_by_number(tx, number)
    assert account is not None
    return account


def reversal(original: store.Entry, *, key: str, by: Author, narrative: str) -> JournalEntry:
    """The opposite of `original`; the door refuses it when it was reversed before."""
    return JournalEntry(
        caller=by.who,
        idempotency_key=key,
        kind="reversal",
        narrative=narrative,
        booking_date=by.business_date,
        value_date=by.business_date,
        booked_at=by.at,
        reverses=original.id,
        postings=tuple(
            Posting(posting.account_id, posting.side.other, posting.amount) for posting in original.postings
        ),
    )


def expire_holds(bank: Bank, *, at: datetime, who: str, batch_size: int = 500) -> int:
    """Give back every hold whose time has come; how many. Safe to run twice, in two places."""
    expired = last = 0
    today = bank.clock.business_date(at)
    while True:
        with bank.reader() as reader:
            due = store.expired_holds(reader, at, after=last, limit=batch_size)
        if not due:
            return expired
        last = due[-1].id
        outcomes = post(
            bank,
            [
                JournalEntry(
                    caller=who,
                    idempotency_key=f"hold-{hold.id}-expired",
                    kind="hold_expiry",
                    narrative="Hold expired",
                    booking_date=today,
                    value_date=today,
                    booked_at=at,
                    hold=Release(hold.id, hold.account_id, expired=True),
                )
                for hold in due
            ],
        )
        # What another sweep or a capture ended first is not counted again.
        expired += sum(isinstance(outcome, Posted) for outcome in outcomes)


def set_status(tx: sa.Connection, account_id: int, status: str, *, by: Author, reason: str) -> None:
    """Open, freeze (`debits_frozen`, `frozen`) or close a ledger account, after every payment that came before.

    Raises:
        NotEmpty: it is to be closed with money on it, or a hold.
    """
    account = store.lock(tx, account_id)
    if status == "closed" and (account.balance or account.held):
        raise NotEmpty(
            _(
                "The account cannot be closed: %(balance)s is on it, and %(held)s of that is held. Pay it out first.",
                balance=account.balance_money,
                held=account.held_money,
            )
        )
    tx.execute(ledger_accounts.update().where(ledger_accounts.c.id == account_id).values(status=status))
    audit.record(
        tx,
        f"account.{status}",
        f"account:{account_id}",
        by=by,
        reason=reason,
        details={"status": [account.status, status]},
    )


def set_floor(tx: sa.Connection, account_id: int, floor: int, *, by: Author, reason: str) -> None:
    """Let the account go down to `floor` minor units (an overdraft is a floor below zero) and no lower.

    Raises:
        FloorAboveBalance: it is already lower than that.
    """
    account = store.lock(tx, account_id)
    if account.balance - account.held < floor:
        raise FloorAboveBalance(
            _(
                "The account cannot keep this floor: only %(free)s of it is free.",
                free=account.balance_money - account.held_money,
            )
        )
    tx.execute(ledger_accounts.update().where(ledger_accounts.c.id == account_id).values(floor=floor))
    audit.record(
        tx, "account.floor", f"account:{account_id}", by=by, reason=reason, details={"floor": [account.floor, floor]}
    )


def set_limits(
    tx: sa.Connection, account_id: int, *, per_payment: int | None, per_day: int | None, by: Author, reason: str
) -> None:
    """Give the account limits of its own in minor units; None: the bank's default."""
    account = store.lock(tx, account_id)
    tx.execute(
        ledger_accounts.update()
        .where(ledger_accounts.c.id == account_id)
        .values(limit_per_payment=per_payment, limit_per_day=per_day)
    )
    changed = {"per_payment": [account.limit_per_payment, per_payment], "per_day": [account.limit_per_day, per_day]}
    audit.record(tx, "account.limits", f"account:{account_id}", by=by, reason=reason, details=changed)
