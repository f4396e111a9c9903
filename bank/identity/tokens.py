"""Tokens for programs: what a person allows one to do in their name, until when; only a digest is stored."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.errors import Invalid, Missing, Refused
from bank.identity.sessions import digest
from bank.identity.store import api_tokens, customer_logins, staff
from bank.language import gettext, whole
from bank.language import marked as _
from bank.storage.dialects import dialect_of
from bank.storage.metadata import generated_id

#: What a token can be made for, in words: by kind of person.
SCOPES: Final = {
    "customer": {
        "accounts:read": _("See accounts, balances and transactions"),
        "statements:read": _("Download statements"),
        "payments:write": _("Make payments"),
    },
    "staff": {
        "branch:read": _("See what the branch sees"),
        "branch:write": _("Do what the branch does"),
    },
}
MOST_LIVE: Final = 20
MOST_DAYS: Final = 365
MOST_NAME: Final = 60

_PREFIX: Final = {"customer": "bank_c", "staff": "bank_s"}
_SHAPE: Final = re.compile(r"bank_([cs])[A-Za-z0-9_-]{43}", re.ASCII)
_KINDS: Final = {"c": "customer", "s": "staff"}


class NoSuchToken(Missing):
    """There is no such token, or it is somebody else's."""

    code = "no_such_token"

    def __init__(self) -> None:
        super().__init__(gettext("There is no such token."))


class TooManyTokens(Refused):
    """The person has as many live tokens as anybody may have."""

    code = "too_many_tokens"

    def __init__(self) -> None:
        super().__init__(
            gettext("Revoke a token first: you have %(most)s, and nobody may have more.", most=whole(MOST_LIVE))
        )


class UnfitToken(Invalid):
    """A token without a name or scope, or with an end that it cannot have."""

    code = "unfit_token"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its owner sees it; `last_used_on` is a day of the bank's, stored once a day."""

    id: int
    kind: str
    person_id: int
    name: str
    scopes: str
    created_at: datetime
    expires_at: datetime
    last_used_on: date | None

    def allows(self, scope: str) -> bool:
        """Was it made for this?"""
        return scope in self.scopes.split()


COLUMNS: Final = [api_tokens.c[field] for field in Token.__dataclass_fields__]


def read_secret(text: str) -> tuple[str, str] | None:
    """The kind of person and the digest of what looks like a token; None for anything else.

    >>> read_secret("bank_c" + "x" * 43)[0], read_secret("bank_c" + "x" * 42)
    ('customer', None)
    """
    found = _SHAPE.fullmatch(text)
    return (_KINDS[found[1]], digest(text)) if found else None


def make(
    tx: sa.Connection, kind: str, person_id: int, *, name: str, scopes: Collection[str], days: int, by: Author
) -> tuple[int, str]:
    """Make a token of 256 bits that ends after so many days; answers its id and the token, which is stored nowhere.

    Raises:
        UnfitToken: no name, no scope of this kind of person, or not 1 to 365 days.
        TooManyTokens: the person has 20 live ones.
    """
    _check(kind, name, scopes, days)
    _lock(tx, kind, person_id)
    if len(of_person(tx, kind, person_id, at=by.at)) >= MOST_LIVE:
        raise TooManyTokens
    token = _PREFIX[kind] + secrets.token_urlsafe(32)
    row = {
        "token_digest": digest(token),
        "kind": kind,
        "person_id": person_id,
        "name": name,
        "scopes": " ".join(sorted(scopes)),
        "created_at": by.at,
        "expires_at": by.at + timedelta(days=days),
    }
    token_id = generated_id(tx.execute(api_tokens.insert(), row))
    details = {"token": token_id, "name": name, "scopes": sorted(scopes), "days": days}
    audit.record(tx, "token.made", f"{kind}:{person_id}", by=by, details=details)
    return token_id, token


def live(kind: str, digest: str, *, at: datetime) -> sa.Select[Any]:
    """The query for a token that counts at this instant; the caller joins whose it is."""
    c = api_tokens.c
    return sa.select(*COLUMNS).where(
        c.token_digest == digest, c.kind == kind, c.revoked_at.is_(None), c.expires_at > at
    )


def of_person(reader: sa.Connection, kind: str, person_id: int, *, at: datetime) -> list[Token]:
    """The person's tokens that count, the latest first."""
    query = sa.select(*COLUMNS).where(_of(kind, person_id), api_tokens.c.revoked_at.is_(None))
    return [
        Token(*row)
        for row in reader.execute(query.where(api_tokens.c.expires_at > at).order_by(api_tokens.c.id.desc()))
    ]


def own(reader: sa.Connection, kind: str, person_id: int, token_id: int) -> Token:
    """One of the person's tokens, though it may have ended.

    Raises:
        NoSuchToken: it is not theirs.
    """
    row = reader.execute(sa.select(*COLUMNS).where(_of(kind, person_id), api_tokens.c.id == token_id)).first()
    if row is None:
        raise NoSuchToken
    return Token(*row)


def revoke(tx: sa.Connection, kind: str, person_id: int, token_id: int, *, by: Author) -> None:
    """End one of the person's tokens from its next use on; twice is once.

    Raises:
        NoSuchToken: it is not theirs.
    """
    own(tx, kind, person_id, token_id)
    live_one = api_tokens.update().where(api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
    if tx.execute(live_one.values(revoked_at=by.at)).rowcount:
        audit.record(tx, "token.revoked", f"{kind}:{person_id}", by=by, details={"token": token_id})


def revoke_all(tx: sa.Connection, kind: str, person_id: int, *, at: datetime) -> None:
    """End all tokens of a person: whoever knew the password until now may have made one."""
    tx.execute(api_tokens.update().where(_of(kind, person_id), api_tokens.c.revoked_at.is_(None)).values(revoked_at=at))


def note_use(tx: sa.Connection, token_id: int, day: date) -> None:
    """Store that the token was used on this day; a day that is stored already stays."""
    c = api_tokens.c
    earlier = sa.or_(c.last_used_on.is_(None), c.last_used_on < day)
    tx.execute(api_tokens.update().where(c.id == token_id, earlier).values(last_used_on=day))


def _check(kind: str, name: str, scopes: Collection[str], days: int) -> None:
    if not 0 < len(name) <= MOST_NAME:
        raise UnfitToken(gettext("Enter a name of at most %(most)s characters.", most=whole(MOST_NAME)))
    if not scopes or not set(scopes) <= SCOPES[kind].keys():
        raise UnfitToken(gettext("Choose what the token may do: %(scopes)s.", scopes=", ".join(SCOPES[kind])))
    if not 1 <= days <= MOST_DAYS:
        raise UnfitToken(gettext("Enter a number of days from 1 to %(most)s.", most=whole(MOST_DAYS)))


def _lock(tx: sa.Connection, kind: str, person_id: int) -> None:
    """Let two that make tokens for one person at the same moment do so one after the other."""
    key = staff.c.id if kind == "staff" else customer_logins.c.customer_id
    tx.execute(dialect_of(tx).lock(sa.select(key).where(key == person_id))).first()


def _of(kind: str, person_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(api_tokens.c.kind == kind, api_tokens.c.person_id == person_id)
