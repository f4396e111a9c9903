"""Server-side sessions: a row each, known by a token of which only the digest is stored."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bank.audit.model import Author
from bank.identity.store import sessions
from bank.storage.metadata import generated_id


@dataclass(frozen=True, slots=True)
class Session:
    """An open session of a member of staff or a customer."""

    id: int
    kind: str
    person_id: int
    created_at: datetime
    last_used_at: datetime


def start(
    tx: sa.Connection, kind: str, person_id: int, *, by: Author, network_address: str, device: str
) -> tuple[int, str]:
    """Open a session of 256 bits; answers its id and the token for the cookie, which is stored nowhere."""
    token = secrets.token_urlsafe(32)
    row = {
        "token_digest": _digest(token),
        "kind": kind,
        "person_id": person_id,
        "created_at": by.at,
        "last_used_at": by.at,
        "network_address": network_address[:45],
        "device": device[:200],
    }
    return generated_id(tx.execute(sessions.insert(), row)), token


def live(token: str) -> sa.Select[Any]:
    """The query for a session that was not revoked; the caller joins whom it belongs to, and looks at the clock."""
    columns = [sessions.c[field] for field in Session.__dataclass_fields__]
    return sa.select(*columns).where(sessions.c.token_digest == _digest(token), sessions.c.revoked_at.is_(None))


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
    theirs = sessions.update().where(
        sessions.c.kind == kind, sessions.c.person_id == person_id, sessions.c.revoked_at.is_(None)
    )
    if but is not None:
        theirs = theirs.where(sessions.c.id != but)
    tx.execute(theirs.values(revoked_at=at))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
