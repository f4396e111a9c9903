"""Staff: who they are, their roles, log-in and passwords."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.errors import Conflict, Forbidden, Invalid, Missing
from bank.identity import sessions, tokens
from bank.identity.passwords import legacy_hash
from bank.identity.store import staff
from bank.language import gettext
from bank.language import marked as _
from bank.storage.dialects import dialect_of
from bank.storage.metadata import generated_id


class Role(StrEnum):
    """What a member of staff may do: docs/reference/access.md has the table."""

    EXECUTIVE = "executive"
    TELLER = "teller"
    CASHIER = "cashier"

    @property
    def handles_cash(self) -> bool:
        """Does this role have a till?"""
        return self is not Role.EXECUTIVE


ROLES: Final = {"executive": _("executive"), "teller": _("teller"), "cashier": _("cashier")}


def role_name(role: str) -> str:
    """A role as people read it."""
    return gettext(ROLES[role])


class UserIdTaken(Conflict):
    """Another member of staff has this user id."""

    code = "user_id_taken"

    def __init__(self, user_id: str) -> None:
        super().__init__(gettext("%(user_id)s is taken. Choose another user id.", user_id=user_id))


class NoSuchStaff(Missing):
    """There is no such member of staff."""

    code = "no_such_staff"

    def __init__(self) -> None:
        super().__init__(gettext("There is no member of staff with this user id."))


class LastExecutive(Conflict):
    """The bank keeps at least one executive who can log in."""

    code = "last_executive"

    def __init__(self) -> None:
        super().__init__(gettext("The bank keeps at least one executive who can log in. Add another one first."))


class OwnRole(Forbidden):
    """Nobody changes their own role."""

    code = "own_role"

    def __init__(self) -> None:
        super().__init__(gettext("You cannot change your own role. Another executive can."))


class InvalidUserId(Invalid):
    """A user id that cannot be one."""

    code = "invalid_user_id"

    def __init__(self) -> None:
        super().__init__(gettext("Enter a user id of 3 to 29 letters A to Z, digits, points, hyphens or underscores."))


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff."""

    id: int
    user_id: str
    name: str
    role: Role
    must_change_password: bool
    disabled_at: datetime | None
    till_account_id: int | None

    def __str__(self) -> str:
        """How an audit record names them."""
        return f"staff:{self.id}"


_COLUMNS = [staff.c[field] for field in Staff.__dataclass_fields__]


def read_user_id(text: str) -> str:
    """The user id in capitals, however it was typed.

    >>> read_user_id(" c00000001 ")
    'C00000001'

    Raises:
        InvalidUserId: it has other letters, or too few or many.
    """
    user_id = text.strip().upper()
    if (
        not 3 <= len(user_id) <= 29
        or not user_id.isascii()
        or not user_id.replace(".", "").replace("-", "").replace("_", "").isalnum()
    ):
        raise InvalidUserId
    return user_id


def temporary_password() -> str:
    """A password to hand over, of 80 bits in groups that can be read out; it must be changed at the first log-in."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def add(
    tx: sa.Connection,
    *,
    user_id: str,
    name: str,
    role: Role,
    password_hash: str,
    till_account_id: int | None,
    by: Author,
) -> Staff:
    """Take on a member of staff, who must change the password at the first log-in.

    Raises:
        UserIdTaken: another one has this user id.
    """
    row = {
        "user_id": user_id,
        "name": name,
        "role": role.value,
        "password_hash": password_hash,
        "must_change_password": True,
        "till_account_id": till_account_id,
        "created_at": by.at,
    }
    try:
        new_id = generated_id(tx.execute(staff.insert(), row))
    except sa.exc.IntegrityError as error:
        raise UserIdTaken(user_id) from error
    audit.record(tx, "staff.added", f"staff:{new_id}", by=by, details={"user_id": user_id, "role": role.value})
    added = by_id(tx, new_id)
    assert added is not None
    return added


def bring_in(
    tx: sa.Connection, *, user_id: str, name: str, role: Role, bcrypt_hash: str, till_account_id: int | None, by: Author
) -> Staff:
    """Take on a member of staff from the older app, whose old password opens the door once.

    Raises:
        UserIdTaken: another one has this user id.
    """
    stored = legacy_hash(bcrypt_hash)
    return add(tx, user_id=user_id, name=name, role=role, password_hash=stored, till_account_id=till_account_id, by=by)


def by_id(reader: sa.Connection, staff_id: int) -> Staff | None:
    """The member of staff, if there is one."""
    return _first(reader, staff.c.id == staff_id)


def by_user_id(reader: sa.Connection, user_id: str) -> Staff | None:
    """The member of staff with this user id, if there is one."""
    return _first(reader, staff.c.user_id == user_id)


def everyone(reader: sa.Connection) -> list[Staff]:
    """All staff by user id, those who left too."""
    return [of_row(row) for row in reader.execute(listing().order_by(staff.c.user_id))]


def listing() -> sa.Select[Any]:
    """The query of all staff, those who left too; `of_row` reads what it finds."""
    return sa.select(*_COLUMNS)


def names(reader: sa.Connection, who: Iterable[str | None]) -> dict[str, str]:
    """What those among `who` are called that are staff, by how an audit record names them: `staff:3`."""
    ids = {int(one.removeprefix("staff:")) for one in who if one and re.fullmatch(r"staff:[0-9]{1,18}", one)}
    if not ids:
        return {}
    rows = reader.execute(sa.select(staff.c.id, staff.c.name).where(staff.c.id.in_(ids)))
    return {f"staff:{staff_id}": name for staff_id, name in rows}


def password_hash(reader: sa.Connection, user_id: str) -> tuple[int, str] | None:
    """The id and stored hash of somebody who may log in."""
    query = sa.select(staff.c.id, staff.c.password_hash).where(
        staff.c.user_id == user_id, staff.c.disabled_at.is_(None)
    )
    row = reader.execute(query).first()
    return (row.id, row.password_hash) if row else None


def set_password(
    tx: sa.Connection, staff_id: int, new_hash: str, *, must_change: bool, by: Author, keep_session: int | None = None
) -> None:
    """Store a new password's hash and end their tokens and their sessions, but perhaps the one they are in."""
    tx.execute(
        staff.update().where(staff.c.id == staff_id).values(password_hash=new_hash, must_change_password=must_change)
    )
    sessions.revoke_all(tx, "staff", staff_id, at=by.at, but=keep_session)
    tokens.revoke_all(tx, "staff", staff_id, at=by.at)
    audit.record(tx, "staff.password_reset" if must_change else "staff.password_changed", f"staff:{staff_id}", by=by)


def rehash(tx: sa.Connection, staff_id: int, new_hash: str) -> None:
    """Store the same password's hash by newer parameters."""
    tx.execute(staff.update().where(staff.c.id == staff_id).values(password_hash=new_hash))


def set_role(tx: sa.Connection, staff_id: int, role: Role, *, till_account_id: int | None, by: Author) -> None:
    """Give another role; it counts from their next request on.

    Raises:
        OwnRole: it is their own.
        LastExecutive: nobody could administer the bank any more.
    """
    person = _locked(tx, staff_id)
    if str(person) == by.who:
        raise OwnRole
    if person.role is Role.EXECUTIVE and role is not Role.EXECUTIVE:
        _keep_an_executive(tx, staff_id)
    tx.execute(staff.update().where(staff.c.id == staff_id).values(role=role.value, till_account_id=till_account_id))
    audit.record(tx, "staff.role", str(person), by=by, details={"role": [person.role.value, role.value]})


def set_disabled(tx: sa.Connection, staff_id: int, disabled: bool, *, by: Author, reason: str) -> None:
    """Shut a member of staff out at once, or let them in again.

    Raises:
        LastExecutive: nobody could administer the bank any more.
    """
    person = _locked(tx, staff_id)
    if disabled:
        if person.role is Role.EXECUTIVE:
            _keep_an_executive(tx, staff_id)
        sessions.revoke_all(tx, "staff", staff_id, at=by.at)
        tokens.revoke_all(tx, "staff", staff_id, at=by.at)
    tx.execute(staff.update().where(staff.c.id == staff_id).values(disabled_at=by.at if disabled else None))
    audit.record(tx, "staff.disabled" if disabled else "staff.enabled", str(person), by=by, reason=reason)


def _keep_an_executive(tx: sa.Connection, but: int) -> None:
    able = sa.select(staff.c.id).where(staff.c.role == "executive", staff.c.disabled_at.is_(None)).order_by(staff.c.id)
    if not [row for row in tx.execute(dialect_of(tx).lock(able)) if row.id != but]:
        raise LastExecutive


def _locked(tx: sa.Connection, staff_id: int) -> Staff:
    row = tx.execute(dialect_of(tx).lock(sa.select(*_COLUMNS).where(staff.c.id == staff_id))).first()
    if row is None:
        raise NoSuchStaff
    return of_row(row)


def _first(reader: sa.Connection, condition: sa.ColumnElement[bool]) -> Staff | None:
    row = reader.execute(sa.select(*_COLUMNS).where(condition)).first()
    return of_row(row) if row else None


def of_row(row: Sequence[Any]) -> Staff:
    """The member of staff of one row of `listing`."""
    staff_id, user_id, name, role, *rest = row
    return Staff(staff_id, user_id, name, Role(role), *rest)
