"""Warnings about customers: raised and lifted by executives, seen by all staff; and why somebody opened a record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.audit.store import audit_records
from bank.customers import store
from bank.customers.service import NoSuchCustomer
from bank.customers.store import Customer, customer_warnings
from bank.errors import Forbidden, Missing
from bank.language import gettext as _
from bank.storage.metadata import generated_id

#: So long a reason counts, for this member of staff and this customer.
REASON_MINUTES: Final = 15


@dataclass(frozen=True, slots=True)
class CustomerWarning:
    """What staff should know before they serve this customer; with `needs_reason`, opening the record takes one."""

    id: int
    customer_id: int
    told: str
    needs_reason: bool
    raised_by: str
    raised_at: datetime


class NoSuchWarning(Missing):
    """There is no such warning about this customer, or it was lifted."""

    code = "no_such_warning"

    def __init__(self) -> None:
        super().__init__(_("There is no such warning about this customer. Somebody may have lifted it."))


class ReasonNeeded(Forbidden):
    """This customer's record is opened only for a reason, which is kept."""

    code = "reason_needed"

    def __init__(self, number: str) -> None:
        super().__init__(_("Say why you open the record of customer %(number)s.", number=number))
        self.number = number


_COLUMNS = [customer_warnings.c[field] for field in CustomerWarning.__dataclass_fields__]


def standing(reader: sa.Connection, customer_ids: list[int]) -> list[CustomerWarning]:
    """The warnings about these customers that nobody has lifted, oldest first."""
    query = (
        sa.select(*_COLUMNS)
        .where(customer_warnings.c.customer_id.in_(customer_ids), customer_warnings.c.lifted_at.is_(None))
        .order_by(customer_warnings.c.id)
    )
    return [CustomerWarning(*row) for row in reader.execute(query)]


def warn(tx: sa.Connection, customer_id: int, told: str, *, needs_reason: bool, by: Author, operation: str) -> None:
    """Raise a warning; the same `operation` raises it once.

    Raises:
        NoSuchCustomer: there is none of this id.
    """
    customer = _locked(tx, customer_id)
    if _done(tx, "customer.warned", customer, operation):
        return
    row = {"customer_id": customer_id, "told": told, "needs_reason": needs_reason}
    inserted = tx.execute(customer_warnings.insert(), {**row, "raised_by": by.who, "raised_at": by.at})
    details = {"warning": generated_id(inserted), "needs_reason": needs_reason, "operation": operation}
    audit.record(tx, "customer.warned", str(customer), by=by, reason=told, details=details)


def lift(tx: sa.Connection, customer_id: int, warning_id: int, *, by: Author, reason: str) -> None:
    """Lift a warning; lifting it twice is lifting it once.

    Raises:
        NoSuchCustomer: there is none of this id.
        NoSuchWarning: it never was, or is about somebody else.
    """
    subject = str(_locked(tx, customer_id))
    c = customer_warnings.c
    row = tx.execute(sa.select(c.lifted_at).where(c.id == warning_id, c.customer_id == customer_id)).first()
    if row is None:
        raise NoSuchWarning
    if row.lifted_at is None:
        tx.execute(customer_warnings.update().where(c.id == warning_id).values(lifted_by=by.who, lifted_at=by.at))
        audit.record(tx, "customer.warning_lifted", subject, by=by, reason=reason, details={"warning": warning_id})


def open_record(tx: sa.Connection, customer_id: int, *, by: Author, reason: str, operation: str) -> None:
    """Keep why this member of staff opens the customer's record.

    Raises:
        NoSuchCustomer: there is none of this id.
    """
    customer = _locked(tx, customer_id)
    if not _done(tx, "customer.opened", customer, operation):
        audit.record(tx, "customer.opened", str(customer), by=by, reason=reason, details={"operation": operation})


def show_identity(tx: sa.Connection, customer_id: int, *, by: Author, reason: str, operation: str) -> bool:
    """Keep why the identity number is shown; False: this `operation` has shown it already.

    Raises:
        NoSuchCustomer: there is none of this id.
    """
    customer = _locked(tx, customer_id)
    if _done(tx, "customer.identity_shown", customer, operation):
        return False
    details = {"operation": operation}
    audit.record(tx, "customer.identity_shown", str(customer), by=by, reason=reason, details=details)
    return True


def unexplained(
    reader: sa.Connection, about: Iterable[CustomerWarning], who: str, *, since: datetime
) -> Customer | None:
    """The first customer of these warnings, which ask for a reason, to whose record `who` has given none since then."""
    asking = {f"customer:{warning.customer_id}": warning.customer_id for warning in about}
    c = audit_records.c
    given = sa.select(c.subject).where(
        c.subject.in_(list(asking)), c.action == "customer.opened", c.who == who, c.at >= since
    )
    for subject in reader.execute(given.distinct()).scalars():
        del asking[subject]
    return store.by_id(reader, min(asking.values())) if asking else None


def _done(tx: sa.Connection, action: str, customer: Customer, operation: str) -> bool:
    """Was this operation done already? Whoever calls holds the customer's lock."""
    return any(details.get("operation") == operation for details in audit.details(tx, action, str(customer)))


def _locked(tx: sa.Connection, customer_id: int) -> Customer:
    customer = store.lock(tx, customer_id)
    if customer is None:
        raise NoSuchCustomer
    return customer
