"""Asking whose an account is: counted for each customer, so that nobody can find out by trying."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from bank.accounts import store as account_store
from bank.audit.model import Author
from bank.customers import store as customer_store
from bank.errors import Conflict, Refused
from bank.language import gettext as _
from bank.language import minute
from bank.payments import payees
from bank.payments.name_check import CLOSE, NONE, check, same_name
from bank.payments.payees import RENAMED, Payee
from bank.payments.service import UnknownPayee
from bank.payments.store import name_checks
from bank.settings import Settings
from bank.storage.transaction import Bank

OWN: Final = "own"
UNKNOWN: Final = "unknown"
_DAY: Final = timedelta(days=1)


class TooManyNameChecks(Refused):
    """The customer has tried as many account numbers as one may within a day."""

    code = "too_many_name_checks"

    def __init__(self, count: int, again_at: str) -> None:
        super().__init__(
            _(
                "You have tried %(count)s account numbers within a day, and that is the most. Try again after %(again_at)s.",
                count=count,
                again_at=again_at,
            )
        )


class AlreadySaved(Conflict):
    """The account is among the customer's payees, under another name."""

    code = "already_saved"

    def __init__(self, payee: Payee) -> None:
        super().__init__(
            _("You have saved this account as “%(name)s”: choose it among your payees, or rename it.", name=payee.name)
        )


@dataclass(frozen=True, slots=True)
class Recipient:
    """An account that may be paid, by the customer's name for it. `name_check` of the customer's own is `own`, without a name."""

    account_id: int
    number: str
    name: str
    name_check: str
    payee: Payee | None = None


def find(bank: Bank, customer_id: int, name: str, number: str, *, by: Author) -> Recipient:
    """Check `name` against the owners of account `number`, and remember how the customer calls it.

    Raises:
        TooManyNameChecks: the customer has tried too many numbers.
        UnknownPayee: no account has this number; it counts as a try.
        AlreadySaved: the account is saved under another name.
    """

    def use_case(tx: sa.Connection) -> Recipient | None:
        customer_store.lock(tx, customer_id)
        account = account_store.by_number(tx, number)
        if account is None:
            count_try(tx, bank.settings, customer_id, number, UNKNOWN, by.at)
            return None
        if account_store.held_by(tx, customer_id, number):
            return Recipient(account.id, number, "", OWN)
        known = payees.by_account(tx, customer_id, account.id)
        own_word = known is not None and known.name_check == RENAMED and not known.saved
        if known is None or own_word or not same_name(known.name, name):
            if known and known.saved:
                raise AlreadySaved(known)
            found = check(name, _owners(tx, account.id))
            count_try(tx, bank.settings, customer_id, number, found.result, by.at)
            known = payees.name(tx, customer_id, account.id, name, found.result, by=by)
        return Recipient(account.id, number, known.name, known.name_check, known)

    recipient = bank.run(use_case)
    if recipient is None:
        # Not within the transaction: the try must be remembered.
        raise UnknownPayee
    return recipient


def use_holders_name(tx: sa.Connection, customer_id: int, payee_id: int, *, by: Author) -> Payee:
    """Call the payee as the account's owner is called, when the name given was close to it; else change nothing."""
    payee = payees.by_id(tx, customer_id, payee_id)
    holder = holders_name(tx, payee)
    if holder is None:
        return payee
    return payees.name(tx, customer_id, payee.account_id, holder, check(holder, [holder]).result, by=by)


def holders_name(reader: sa.Connection, payee: Payee) -> str | None:
    """The owner's name that the payee's was found close to; None when the customer may not know it, or knows it."""
    return check(payee.name, _owners(reader, payee.account_id)).holder if payee.name_check == CLOSE else None


def count_payment(bank: Bank, customer_id: int, number: str, *, by: Author) -> None:
    """Count a payment to a number that the customer never tried, paid or saved: it tells whether there is an account.

    Raises:
        TooManyNameChecks: the customer has tried too many numbers.
    """
    with bank.reader() as reader:
        if _is_known(reader, customer_id, number):
            return

    def use_case(tx: sa.Connection) -> None:
        customer_store.lock(tx, customer_id)
        # A double click waited here for its first half.
        if not _is_known(tx, customer_id, number):
            there = account_store.by_number(tx, number)
            count_try(tx, bank.settings, customer_id, number, NONE if there else UNKNOWN, by.at)

    bank.run(use_case)


def _is_known(reader: sa.Connection, customer_id: int, number: str) -> bool:
    c = name_checks.c
    tried = sa.select(c.id).where(c.customer_id == customer_id, c.number == number, c.result != UNKNOWN).limit(1)
    if account_store.held_by(reader, customer_id, number) or reader.execute(tried).first():
        return True
    account = account_store.by_number(reader, number)
    return account is not None and payees.by_account(reader, customer_id, account.id) is not None


def count_try(tx: sa.Connection, settings: Settings, customer_id: int, number: str, result: str, at: datetime) -> None:
    """Write down a try, unless there were too many; whoever calls holds the customer's lock."""
    c, most = name_checks.c, settings.name_checks_per_day
    lately = sa.select(c.at).where(c.customer_id == customer_id, c.at > at - _DAY).order_by(c.at.desc()).limit(most)
    tries = list(tx.execute(lately).scalars())
    if len(tries) >= most:
        again_at = (tries[-1] + _DAY).astimezone(settings.business_timezone)
        raise TooManyNameChecks(most, minute(again_at))
    tx.execute(name_checks.insert(), {"customer_id": customer_id, "at": at, "number": number, "result": result})


def _owners(reader: sa.Connection, account_id: int) -> list[str]:
    return account_store.owner_names(reader, [account_id]).get(account_id, [])
