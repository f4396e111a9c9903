"""Customers' own log-ins: enrolment by a one-time code from the branch, and their passwords."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.errors import Refused
from bank.identity import sessions, tokens
from bank.identity.store import customer_logins, one_time_codes
from bank.language import gettext as _

_LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_CODE_LENGTH: Final = 12


class WrongCode(Refused):
    """The customer number and one-time code do not belong together, or the code was used or is too old."""

    code = "wrong_code"

    def __init__(self) -> None:
        super().__init__(
            _(
                "The customer number or the one-time code is wrong, or the code was used, is too old, or was tried too often."
                " Check both, wait a few minutes, or ask the branch for a new code."
            )
        )


def issue_code(tx: sa.Connection, customer_id: int, *, seconds: int, by: Author) -> str:
    """A code of 59 bits to hand to the customer, shown once; earlier codes end."""
    code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))
    end_codes(tx, customer_id, at=by.at)
    row = {
        "customer_id": customer_id,
        "code_digest": _digest(customer_id, code),
        "issued_by": by.who,
        "issued_at": by.at,
    }
    tx.execute(one_time_codes.insert(), {**row, "expires_at": by.at + timedelta(seconds=seconds)})
    audit.record(tx, "login.code_issued", f"customer:{customer_id}", by=by)
    return "-".join(code[place : place + 4] for place in range(0, _CODE_LENGTH, 4))


def end_codes(tx: sa.Connection, customer_id: int, *, at: datetime) -> None:
    """Make all the customer's unused codes useless."""
    c = one_time_codes.c
    tx.execute(one_time_codes.update().where(c.customer_id == customer_id, c.used_at.is_(None)).values(used_at=at))


def redeem_code(tx: sa.Connection, customer_id: int, code: str, new_hash: str, *, by: Author) -> None:
    """Set the customer's password by a one-time code, and end all their sessions and tokens. A code is good once.

    Raises:
        WrongCode: it is not theirs, used, or too old.
    """
    digest = _digest(customer_id, re.sub(r"[\s-]", "", code).upper())
    good = (
        (one_time_codes.c.customer_id == customer_id)
        & (one_time_codes.c.code_digest == digest)
        & one_time_codes.c.used_at.is_(None)
        & (one_time_codes.c.expires_at > by.at)
    )
    if tx.execute(one_time_codes.update().where(good).values(used_at=by.at)).rowcount != 1:
        raise WrongCode
    _store(tx, customer_id, new_hash, at=by.at)
    sessions.revoke_all(tx, "customer", customer_id, at=by.at)
    tokens.revoke_all(tx, "customer", customer_id, at=by.at)
    audit.record(tx, "login.enrolled", f"customer:{customer_id}", by=by)


def change_password(tx: sa.Connection, customer_id: int, new_hash: str, *, by: Author, keep_session: int) -> None:
    """Store a new password's hash and end the customer's other sessions, and all tokens."""
    _store(tx, customer_id, new_hash, at=by.at)
    sessions.revoke_all(tx, "customer", customer_id, at=by.at, but=keep_session)
    tokens.revoke_all(tx, "customer", customer_id, at=by.at)
    audit.record(tx, "login.password_changed", f"customer:{customer_id}", by=by)


def password_hash(reader: sa.Connection, customer_id: int) -> str | None:
    """The stored hash, if the customer has enrolled."""
    return reader.execute(
        sa.select(customer_logins.c.password_hash).where(customer_logins.c.customer_id == customer_id)
    ).scalar()


def rehash(tx: sa.Connection, customer_id: int, new_hash: str) -> None:
    """Store the same password's hash by newer parameters."""
    tx.execute(
        customer_logins.update().where(customer_logins.c.customer_id == customer_id).values(password_hash=new_hash)
    )


def enrolled_at(reader: sa.Connection, customer_id: int) -> datetime | None:
    """When the customer first set a password, if ever."""
    return reader.execute(
        sa.select(customer_logins.c.enrolled_at).where(customer_logins.c.customer_id == customer_id)
    ).scalar()


def _store(tx: sa.Connection, customer_id: int, new_hash: str, *, at: datetime) -> None:
    mine = customer_logins.c.customer_id == customer_id
    if tx.execute(customer_logins.update().where(mine).values(password_hash=new_hash, changed_at=at)).rowcount == 0:
        row = {"customer_id": customer_id, "password_hash": new_hash, "enrolled_at": at, "changed_at": at}
        tx.execute(customer_logins.insert(), row)


def _digest(customer_id: int, code: str) -> str:
    return hashlib.sha256(f"{customer_id}:{code}".encode()).hexdigest()
