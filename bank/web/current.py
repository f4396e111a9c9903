"""What a view needs of the running bank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app, g

from bank.audit.model import Author
from bank.customers.identity_number import IdentityNumbers
from bank.customers.store import Customer
from bank.identity.passwords import Passwords
from bank.identity.sessions import Session
from bank.identity.staff import Staff
from bank.settings import Settings
from bank.storage.transaction import Bank


@dataclass(frozen=True, slots=True)
class Current:
    """The bank and what it hashes and seals with."""

    bank: Bank
    passwords: Passwords
    identities: IdentityNumbers


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in, by which session."""

    session: Session
    person: Staff | Customer

    @property
    def name(self) -> str:
        """What the page calls them."""
        return self.person.name


def current() -> Current:
    """The running bank's parts."""
    return cast("Current", current_app.extensions["bank"])


def bank() -> Bank:
    """The running bank."""
    return current().bank


def settings() -> Settings:
    """The running bank's settings."""
    return current().bank.settings


def visitor() -> Visitor | None:
    """Who is signed in, if anybody."""
    return cast("Visitor | None", g.get("visitor"))


def session_id() -> int:
    """The session of whoever is signed in."""
    signed_in = visitor()
    assert signed_in is not None
    return signed_in.session.id


def staff_member() -> Staff:
    """The member of staff whom the guard let in."""
    signed_in = visitor()
    assert signed_in is not None
    assert isinstance(signed_in.person, Staff)
    return signed_in.person


def customer() -> Customer:
    """The customer whom the guard let in."""
    signed_in = visitor()
    assert signed_in is not None
    assert isinstance(signed_in.person, Customer)
    return signed_in.person


def author(who: str | None = None) -> Author:
    """Who asks, now: the visitor, or `who` before anybody is signed in."""
    signed_in = visitor()
    now = bank().clock.now()
    return Author(
        who or str(signed_in.person if signed_in else "nobody"), now, bank().clock.business_date(now), g.request_id
    )
