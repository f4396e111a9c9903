"""Server-side sessions: a row each, known by a token of which only the digest is stored."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.errors import Missing
from bank.identity.devices import Device, read_device
from bank.identity.store import sessions
from bank.language import gettext
from bank.storage.metadata import generated_id

#: How long a session is remembered after it began; the audit trail keeps every log-in for ever.
_KEPT: Final = timedelta(days=90)
_MOST_SHOWN: Final = 50


class NoSuchSession(Missing):
    """There is no such session, or it is somebody else's."""

    code = "no_such_session"

    def __init__(self) -> None:
        super().__init__(gettext("There is no such session."))


@dataclass(frozen=True, slots=True)
class Session:
    """An open session of a member of staff or a customer."""

    id: int
    kind: str
    person_id: int
    created_at: datetime
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is logged in; the last use is stored only with writes, so it may have been later."""

    id: int
    created_at: datetime
    last_used_at: datetime
    network_address: str
    device: str

    @property
    def on(self) -> Device:
        """The device, as far as its browser tells."""
        return read_device(self.device)


_PLACES = sa.select(*(sessions.c[field] for field in Place.__dataclass_fields__))


def start(
    tx: sa.Connection, kind: str, person_id: int, *, by: Author, network_address: str, device: str
) -> tuple[int, str]:
    """Open a session of 256 bits; answers its id and the token for the cookie, which is stored nowhere.

    The person's sessions of long ago are forgotten.
    """
    tx.execute(sessions.delete().where(_of(kind, person_id), sessions.c.created_at < by.at - _KEPT))
    token = secrets.token_urlsafe(32)
    row = {
        "token_digest": digest(token),
        "kind": kind,
        "person_id": person_id,
        "created_at": by.at,
        "last_used_at": by.at,
        "network_address": network_address[:45],
        "device": device[:200],
    }
    return generated_id(tx.execute(sessions.insert(), row)), token


#: The query for a session that was not revoked, by its token's `digest`; whoever asks joins whom it belongs to, and
#: looks at the clock.
LIVE: Final[sa.Select[Any]] = sa.select(*(sessions.c[field] for field in Session.__dataclass_fields__)).where(
    sessions.c.token_digest == sa.bindparam("digest"), sessions.c.revoked_at.is_(None)
)


def touch(tx: sa.Connection, session_id: int, last_used_at: datetime) -> None:
    """Store a last use that the cookie carried until now."""
    newer = sessions.update().where(sessions.c.id == session_id, sessions.c.last_used_at < last_used_at)
    tx.execute(newer.values(last_used_at=last_used_at))


def revoke(tx: sa.Connection, session_id: int, *, at: datetime) -> None:
    """End a session at once."""
    tx.execute(
        sessions.update().where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None)).values(revoked_at=at)
    )


def revoke_all(tx: sa.Connection, kind: str, person_id: int, *, at: datetime, but: int | None = None) -> None:
    """End all sessions of a person, but perhaps the one they are in."""
    theirs = sessions.update().where(_of(kind, person_id), sessions.c.revoked_at.is_(None))
    if but is not None:
        theirs = theirs.where(sessions.c.id != but)
    tx.execute(theirs.values(revoked_at=at))


def revoke_own(tx: sa.Connection, kind: str, person_id: int, session_id: int, *, by: Author) -> None:
    """End one of a person's own sessions at once; twice is once.

    Raises:
        NoSuchSession: it is not theirs.
    """
    own_place(tx, kind, person_id, session_id)
    open_one = sessions.update().where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None))
    if tx.execute(open_one.values(revoked_at=by.at)).rowcount:
        audit.record(tx, "session.ended", by.who, by=by, details={"session": session_id})


def revoke_others(tx: sa.Connection, kind: str, person_id: int, *, but: int, by: Author) -> None:
    """End all of a person's sessions but the one they are in."""
    revoke_all(tx, kind, person_id, at=by.at, but=but)
    audit.record(tx, "session.others_ended", by.who, by=by)


def places(reader: sa.Connection, kind: str, person_id: int, *, begun_after: datetime) -> list[Place]:
    """Where the person is logged in, the latest log-in first."""
    query = _PLACES.where(_of(kind, person_id), sessions.c.revoked_at.is_(None), sessions.c.created_at > begun_after)
    return [Place(*row) for row in reader.execute(query.order_by(sessions.c.id.desc()).limit(_MOST_SHOWN))]


def own_place(reader: sa.Connection, kind: str, person_id: int, session_id: int) -> Place:
    """One of the person's sessions, though it may have ended.

    Raises:
        NoSuchSession: it is not theirs.
    """
    row = reader.execute(_PLACES.where(_of(kind, person_id), sessions.c.id == session_id)).first()
    if row is None:
        raise NoSuchSession
    return Place(*row)


def log_in_before(reader: sa.Connection, kind: str, person_id: int, session_id: int) -> datetime | None:
    """When the person logged in the last time before this session, as far as it is remembered."""
    query = sa.select(sa.func.max(sessions.c.created_at)).where(_of(kind, person_id), sessions.c.id < session_id)
    return reader.execute(query).scalar()


def _of(kind: str, person_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(sessions.c.kind == kind, sessions.c.person_id == person_id)


def digest(token: str) -> str:
    """What is stored of a session's token."""
    return hashlib.sha256(token.encode()).hexdigest()
