"""Tills, and the staff who answer for one each."""

from __future__ import annotations

import sqlalchemy as sa

from bank.audit.model import Author
from bank.identity import staff as staff_members
from bank.identity.staff import Role, Staff
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store


def open_till(tx: sa.Connection, user_id: str, currency: str, *, by: Author) -> int:
    """The cash account of somebody's till, opened when there is none; answers its id."""
    number = f"till-{user_id}"
    if till := ledger_store.account_by_number(tx, number):
        return till.id
    name = f"Till of {user_id}"
    return ledger.open_account(
        tx, number=number, name=name, chart_code="cash", currency=currency, floor=None, opened_at=by.at
    )


def take_on(
    tx: sa.Connection, *, user_id: str, name: str, role: Role, password_hash: str, currency: str, by: Author
) -> Staff:
    """Add a member of staff, with a till where the role has one.

    Raises:
        UserIdTaken: another one has this user id.
    """
    till_id = open_till(tx, user_id, currency, by=by) if role.handles_cash else None
    return staff_members.add(
        tx, user_id=user_id, name=name, role=role, password_hash=password_hash, till_account_id=till_id, by=by
    )


def give_role(tx: sa.Connection, person: Staff, role: Role, currency: str, *, by: Author) -> None:
    """Change the role, with a till where the new one has one.

    Raises:
        LastExecutive: nobody could administer the bank any more.
    """
    till_id = open_till(tx, person.user_id, currency, by=by) if role.handles_cash else None
    staff_members.set_role(tx, person.id, role, till_account_id=till_id, by=by)
