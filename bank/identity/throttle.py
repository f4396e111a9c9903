"""Slowing down whoever guesses: counted in the database, for each account and each source.

After FREE_FAILURES in a row each further attempt must wait, longer each time, at most
LONGEST_WAIT. Nobody is locked out for good, and sessions that are open stay open.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from bank.identity.store import throttles
from bank.storage.dialects import dialect_of

FREE_FAILURES: Final = {"account": 5, "source": 30}
FIRST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(minutes=15)
FORGOTTEN_AFTER: Final = timedelta(hours=1)


def wait_after(failures: int, free: int) -> timedelta:
    """How long the next attempt must wait after so many failures.

    >>> [wait_after(failures, 5).total_seconds() for failures in (4, 5, 6, 7, 50)]
    [0.0, 30.0, 60.0, 120.0, 900.0]
    """
    if failures < free:
        return timedelta(0)
    return min(FIRST_WAIT * (1 << min(failures - free, 20)), LONGEST_WAIT)


def attempt(tx: sa.Connection, *, account: str, source: str, at: datetime) -> bool:
    """Count an attempt before it is looked at, so that many at once cannot slip through. May it be looked at?

    The source is asked first: one that is told to wait cannot use up an account's attempts.
    """
    by_source = _attempt(tx, _subject("source", source), FREE_FAILURES["source"], at)
    return by_source and _attempt(tx, _account(tx, account, source), FREE_FAILURES["account"], at)


def succeeded(tx: sa.Connection, *, account: str, source: str, at: datetime) -> None:
    """Forget the failures, take this attempt back from the source, and know the source for this account from now on."""
    subject = _account(tx, account, source)
    tx.execute(throttles.delete().where(throttles.c.subject == subject))
    tx.execute(throttles.insert(), {"subject": _known(account, source), "failures": 0, "last_failed_at": at})
    _take_back(tx, _subject("source", source))


def taken_back(tx: sa.Connection, *, account: str, source: str) -> None:
    """It was no guess: do not count the attempt."""
    _take_back(tx, _subject("source", source))
    _take_back(tx, _account(tx, account, source))


def _account(tx: sa.Connection, account: str, source: str) -> str:
    """Where the account was opened before there is an allowance of its own, so that strangers cannot keep its owner out."""
    known = _known(account, source)
    found = tx.execute(sa.select(throttles.c.subject).where(throttles.c.subject == known)).first()
    return known if found else _subject("account", account)


def _known(account: str, source: str) -> str:
    return _subject("known", f"{source} {account}")


def _take_back(tx: sa.Connection, subject: str) -> None:
    mine = throttles.update().where(throttles.c.subject == subject, throttles.c.failures > 0)
    tx.execute(mine.values(failures=throttles.c.failures - 1))


def _attempt(tx: sa.Connection, subject: str, free: int, at: datetime) -> bool:
    query = sa.select(throttles.c.failures, throttles.c.last_failed_at).where(throttles.c.subject == subject)
    known = tx.execute(dialect_of(tx).lock(query)).first()
    if known is None:
        tx.execute(throttles.insert(), {"subject": subject, "failures": 1, "last_failed_at": at})
        return True
    failures = known.failures if at - known.last_failed_at < FORGOTTEN_AFTER else 0
    wait = wait_after(failures, free)
    # Of two at the same moment, the one that asked first may be written down last: that is no reason to wait.
    if wait and at - known.last_failed_at < wait:
        return False
    mine = throttles.update().where(throttles.c.subject == subject)
    tx.execute(mine.values(failures=failures + 1, last_failed_at=max(at, known.last_failed_at)))
    return True


def _subject(kind: str, name: str) -> str:
    """A digest: what strangers type as a user number may be somebody's password."""
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()
