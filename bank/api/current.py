"""What a view of the API needs of the running bank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app, g

from bank.accounts.service import NoSuchAccount
from bank.accounts.store import Account, Holder
from bank.api.limits import Limits
from bank.audit.model import Author
from bank.customers.store import Customer
from bank.identity.staff import Staff
from bank.identity.tokens import Token
from bank.settings import Settings
from bank.storage.transaction import Bank


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token a call came with; its digest is how the log and the limits know it."""

    token: Token
    digest: str
    person: Staff | Customer
    #: The account that the address names, if it exists for them, and who may use it.
    account: Account | None = None
    holders: tuple[Holder, ...] = ()


def bank() -> Bank:
    """The running bank."""
    return cast("Bank", current_app.extensions["bank"].bank)


def settings() -> Settings:
    """The running bank's settings."""
    return bank().settings


def limits() -> Limits:
    """The rates of this process."""
    return cast("Limits", current_app.extensions["bank-api-limits"])


def digest() -> str:
    """The digest of the call's token, which was not looked up where the database does that with the payment itself."""
    return cast("str", g.api_digest)


def caller() -> Caller:
    """Whom the guard let in."""
    return cast("Caller", g.api_caller)


def customer() -> Customer:
    """The customer whom the guard let in."""
    person = caller().person
    assert isinstance(person, Customer)
    return person


def account_of(number: str) -> Account:
    """The account of this number, which the address names.

    Raises:
        NoSuchAccount: it does not exist for the token's owner.
    """
    found = caller().account
    if found is None or found.number != number:
        raise NoSuchAccount
    return found


def staff_member() -> Staff:
    """The member of staff whom the guard let in."""
    person = caller().person
    assert isinstance(person, Staff)
    return person


def author() -> Author:
    """Who asks, now."""
    now = bank().clock.now()
    return Author(str(caller().person), now, bank().clock.business_date(now), g.request_id)
