"""Whom a customer pays, by the customer's own name for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.customers import store as customer_store
from bank.errors import Missing, Refused
from bank.language import gettext as _
from bank.ledger.tables import ledger_accounts
from bank.payments.name_check import same_name
from bank.payments.store import payees

MOST_PAYEES: Final = 200
#: In place of what a check found: the name is the customer's own word, compared with nobody's.
RENAMED: Final = "renamed"


class NoSuchPayee(Missing):
    """There is no such payee, or none of this customer's."""

    code = "no_such_payee"

    def __init__(self) -> None:
        super().__init__(_("There is no such payee."))


class TooManyPayees(Refused):
    """The customer has saved as many payees as one can."""

    code = "too_many_payees"

    def __init__(self) -> None:
        super().__init__(_("You have %(count)s payees already. Remove one of them first.", count=MOST_PAYEES))


@dataclass(frozen=True, slots=True)
class Payee:
    """An account that the customer pays, or paid; `name_check` is what was found when the name was given."""

    id: int
    account_id: int
    number: str
    name: str
    name_check: str
    removed_at: datetime | None

    @property
    def saved(self) -> bool:
        """Is it among the customer's payees, or does it only name what was paid?"""
        return self.removed_at is None

    def __str__(self) -> str:
        """How an audit record names the payee."""
        return f"payee:{self.id}"


_QUERY = sa.select(
    payees.c.id, payees.c.account_id, ledger_accounts.c.number, payees.c.name, payees.c.name_check, payees.c.removed_at
).join_from(payees, ledger_accounts, ledger_accounts.c.id == payees.c.account_id)


def of_customer(reader: sa.Connection, customer_id: int) -> list[Payee]:
    """The customer's saved payees, by name; never more than MOST_PAYEES."""
    query = _QUERY.where(payees.c.customer_id == customer_id, payees.c.removed_at.is_(None)).limit(MOST_PAYEES)
    return sorted((Payee(*row) for row in reader.execute(query)), key=lambda payee: (payee.name.casefold(), payee.id))


def by_id(reader: sa.Connection, customer_id: int, payee_id: int) -> Payee:
    """The customer's payee of this id, also one that is not saved.

    Raises:
        NoSuchPayee: there is none, or it is somebody else's.
    """
    found = _first(reader, _QUERY.where(payees.c.customer_id == customer_id, payees.c.id == payee_id))
    if found is None:
        raise NoSuchPayee
    return found


def by_account(reader: sa.Connection, customer_id: int, account_id: int) -> Payee | None:
    """How the customer calls the account, if it ever had a name from them."""
    return _first(reader, _QUERY.where(payees.c.customer_id == customer_id, payees.c.account_id == account_id))


def name(tx: sa.Connection, customer_id: int, account_id: int, called: str, name_check: str, *, by: Author) -> Payee:
    """Call the account by this name, which was checked; whether it is saved stays as it is, at first it is not."""
    if known := by_account(tx, customer_id, account_id):
        tx.execute(payees.update().where(payees.c.id == known.id).values(name=called, name_check=name_check))
    else:
        row = {"customer_id": customer_id, "account_id": account_id, "name": called, "name_check": name_check}
        tx.execute(payees.insert(), {**row, "created_at": by.at, "removed_at": by.at})
    found = by_account(tx, customer_id, account_id)
    assert found is not None
    return found


def save(tx: sa.Connection, customer_id: int, payee_id: int, *, by: Author) -> None:
    """Put it among the customer's payees. Twice is once.

    Raises:
        NoSuchPayee: the customer has none of this id.
        TooManyPayees: there are as many as one can have.
    """
    payee = by_id(tx, customer_id, payee_id)
    if payee.saved:
        return
    # One at a time, or two at once would both be the last.
    customer_store.lock(tx, customer_id)
    if len(of_customer(tx, customer_id)) >= MOST_PAYEES:
        raise TooManyPayees
    _change(
        tx, payee, "payee.saved", {"account": payee.account_id, "name_check": payee.name_check}, by, removed_at=None
    )


def rename(tx: sa.Connection, customer_id: int, payee_id: int, called: str, *, by: Author) -> None:
    """Call a saved payee otherwise. It is the customer's own word: it is not checked, and is not said to match.

    Raises:
        NoSuchPayee: the customer has saved none of this id.
    """
    payee = _saved(tx, customer_id, payee_id)
    if payee.name != called:
        found = payee.name_check if same_name(payee.name, called) else RENAMED
        _change(tx, payee, "payee.renamed", {"name": [payee.name, called]}, by, name=called, name_check=found)


def remove(tx: sa.Connection, customer_id: int, payee_id: int, *, by: Author) -> None:
    """Take it from the customer's payees; what was paid keeps its name. Twice is once.

    Raises:
        NoSuchPayee: the customer has none of this id.
    """
    payee = by_id(tx, customer_id, payee_id)
    if payee.saved:
        _change(tx, payee, "payee.removed", {"account": payee.account_id}, by, removed_at=by.at)


def _saved(tx: sa.Connection, customer_id: int, payee_id: int) -> Payee:
    payee = by_id(tx, customer_id, payee_id)
    if not payee.saved:
        raise NoSuchPayee
    return payee


def _change(tx: sa.Connection, payee: Payee, action: str, details: dict[str, Any], by: Author, **row: object) -> None:
    tx.execute(payees.update().where(payees.c.id == payee.id).values(**row))
    audit.record(tx, action, str(payee), by=by, details=details)


def _first(reader: sa.Connection, query: sa.Select[Any]) -> Payee | None:
    row = reader.execute(query).first()
    return Payee(*row) if row else None
