"""Tills, and the staff who answer for one each."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from bank.audit.model import Author
from bank.identity import staff as staff_members
from bank.identity.staff import Role, Staff
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store
from bank.ledger.model import Limits

# A till pays out for many customers: their limits are not its own, and the door knows no "without".
_NO_LIMITS: Final = Limits(10**18, 10**18)


def open_till(tx: sa.Connection, user_id: str, currency: str, *, by: Author) -> int:
    """The cash account of somebody's till, opened when there is none; answers its id.

    It cannot pay out more than it holds; one that was opened before tills were guarded is guarded now, unless more was
    paid out of it already.
    """
    number = f"till-{user_id}"
    if till := ledger_store.account_by_number(tx, number):
        if till.floor is None and till.balance >= 0:
            guard(tx, till.id, by=by, reason="Cash cannot be paid out that is not there")
        return till.id
    name = f"Till of {user_id}"
    return ledger.open_account(
        tx,
        number=number,
        name=name,
        chart_code="cash",
        currency=currency,
        floor=0,
        opened_at=by.at,
        limits=_NO_LIMITS,
    )


def guard(tx: sa.Connection, till_id: int, *, by: Author, reason: str) -> None:
    """Let no more be paid out of a till than it holds, from now on.

    Raises:
        FloorAboveBalance: more was paid out of it than it held; count it first.
    """
    ledger.set_floor(tx, till_id, 0, by=by, reason=reason)
    per_payment, per_day = _NO_LIMITS.per_payment, _NO_LIMITS.per_day
    ledger.set_limits(tx, till_id, per_payment=per_payment, per_day=per_day, by=by, reason=reason)


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
