"""What staff do for customers; accounts' side of deactivation is in bank.accounts."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.customers import store
from bank.customers.identity_number import (
    IdentityNumbers,
    InvalidIdentityNumber,
    SealedIdentity,
    read_identity_number,
)
from bank.customers.model import CustomerDetails
from bank.customers.store import Customer, customers
from bank.errors import Conflict, Missing, Refused
from bank.identifiers import InvalidNumber, read_number
from bank.language import folded
from bank.language import gettext as _
from bank.storage.dialects import dialect_of
from bank.storage.metadata import generated_id
from bank.storage.series import next_number


class IdentityTaken(Conflict):
    """Another customer has this identity number."""

    code = "identity_taken"


class CustomerInactive(Refused):
    """The customer is deactivated."""

    code = "customer_inactive"

    def __init__(self) -> None:
        super().__init__(_("The customer is deactivated. Activate the customer first."))


class NoSuchCustomer(Missing):
    """There is no such customer."""

    code = "no_such_customer"

    def __init__(self) -> None:
        super().__init__(_("There is no customer of this number."))


def register(
    tx: sa.Connection, details: CustomerDetails, identity: SealedIdentity, known_digests: list[str], *, by: Author
) -> Customer:
    """Take on a new customer; `known_digests` are the digests the identity number may be stored by.

    Raises:
        IdentityTaken: another customer has this identity number.
    """
    _refuse_taken(tx, known_digests, but=None)
    return bring_in(tx, details, identity, number=next_number(tx, "customers"), by=by, action="customer.registered")


def bring_in(
    tx: sa.Connection,
    details: CustomerDetails,
    identity: SealedIdentity | None,
    *,
    number: str,
    by: Author,
    action: str,
    status: str = "active",
    since: datetime | None = None,
    notes: dict[str, Any] | None = None,
) -> Customer:
    """Write a customer's row under a given number, as an import does. Nothing is checked.

    `since` is when they became a customer (default: now); `notes` go to the audit trail.

    Raises:
        IdentityTaken: another customer has this identity number.
    """
    row = {
        **asdict(details),
        "number": number,
        "search_name": folded(details.name)[:400],
        "identity_sealed": identity and identity.sealed,
        "identity_digest": identity and identity.digest,
        "status": status,
        "created_at": since or by.at,
    }
    try:
        inserted = tx.execute(customers.insert(), row)
    except sa.exc.IntegrityError as error:
        raise IdentityTaken(_("Another customer has this identity number. Look it up first.")) from error
    customer = store.by_id(tx, generated_id(inserted))
    assert customer is not None
    audit.record(tx, action, str(customer), by=by, details={"number": number, **(notes or {})})
    return customer


def edit(
    tx: sa.Connection,
    customer_id: int,
    details: CustomerDetails,
    *,
    by: Author,
    identity: SealedIdentity | None = None,
    known_digests: list[str] | None = None,
) -> Customer:
    """Correct what is recorded; old and new values go to the audit trail, of the identity number only that it changed.

    Raises:
        CustomerInactive: a deactivated customer's record is not edited.
        IdentityTaken: another customer has the new identity number.
    """
    old = _locked(tx, customer_id)
    if not old.active:
        raise CustomerInactive
    changes = details.changes_from(old)
    row = {**asdict(details), "search_name": folded(details.name)[:400]}
    if identity:
        _refuse_taken(tx, known_digests or [], but=customer_id)
        row |= {"identity_sealed": identity.sealed, "identity_digest": identity.digest}
        changes["identity_number"] = ["(sealed)", "(sealed)"]
    if changes:
        tx.execute(customers.update().where(customers.c.id == customer_id).values(row))
        audit.record(tx, "customer.edited", str(old), by=by, details=changes)
    updated = store.by_id(tx, customer_id)
    assert updated is not None
    return updated


def change_contact(tx: sa.Connection, customer_id: int, contact: dict[str, str], *, by: Author) -> Customer:
    """Change how the customer can be reached (email, phone, address, city, region, postcode); the rest stays.

    Raises:
        CustomerInactive: a deactivated customer's record is not edited.
    """
    old = _locked(tx, customer_id)
    kept = {field: getattr(old, field) for field in CustomerDetails.__dataclass_fields__}
    return edit(tx, customer_id, CustomerDetails(**{**kept, **contact}), by=by)


def set_active(tx: sa.Connection, customer_id: int, active: bool, *, by: Author, reason: str) -> Customer:
    """Deactivate or re-activate the customer; doing it twice is doing it once."""
    customer = _locked(tx, customer_id)
    status = "active" if active else "inactive"
    if customer.status != status:
        tx.execute(customers.update().where(customers.c.id == customer_id).values(status=status))
        audit.record(tx, f"customer.{'activated' if active else 'deactivated'}", str(customer), by=by, reason=reason)
    return customer


def find_one(reader: sa.Connection, text: str, identities: IdentityNumbers) -> Customer | None:
    """The customer of this customer number or identity number, if there is one."""
    return _by_number(reader, text) or _by_identity(reader, text, identities)


def find(reader: sa.Connection, text: str, *, after: str | None, limit: int) -> list[Customer]:
    """The customer of this number, or else those with `text` in their name.

    Identity numbers are not looked for: what is asked here stands in an address.
    """
    exact = _by_number(reader, text)
    return [exact] if exact else store.named_like(reader, text, after=after, limit=limit)


def _by_number(reader: sa.Connection, text: str) -> Customer | None:
    try:
        return store.by_number(reader, read_number(text))
    except InvalidNumber:
        return None


def _by_identity(reader: sa.Connection, text: str, identities: IdentityNumbers) -> Customer | None:
    try:
        return store.by_identity(reader, identities.digests(read_identity_number(text)))
    except InvalidIdentityNumber:
        return None


def rotate_identities(tx: sa.Connection, identities: IdentityNumbers, *, after: int, limit: int) -> int | None:
    """Seal the next `limit` customers' identity numbers under the newest key; the last id done, None at the end."""
    query = (
        sa.select(customers.c.id, customers.c.identity_sealed)
        .where(customers.c.id > after)
        .order_by(customers.c.id)
        .limit(limit)
    )
    # Locked: a correction at the same moment must not be written over by what was read before it.
    rows = tx.execute(dialect_of(tx).lock(query)).all()
    for customer_id, sealed in rows:
        if sealed is not None:
            again = identities.seal(identities.open(sealed))
            mine = customers.update().where(customers.c.id == customer_id)
            tx.execute(mine.values(identity_sealed=again.sealed, identity_digest=again.digest))
    return rows[-1].id if rows else None


def _locked(tx: sa.Connection, customer_id: int) -> Customer:
    customer = store.lock(tx, customer_id)
    if customer is None:
        raise NoSuchCustomer
    return customer


def _refuse_taken(tx: sa.Connection, digests: list[str], *, but: int | None) -> None:
    other = store.by_identity(tx, digests)
    if other and other.id != but:
        raise IdentityTaken(_("Customer %(number)s has this identity number.", number=other.number))
