"""Jobs that timers start on every server of both regions, and that one of them runs.

A row per job on the primary says who runs it, until when it may be believed, and when it was finished. All instants are
the database's: servers' clocks differ. A row is no lock of a connection, so it is on a replica that is promoted too,
and is the same on every database. Asynchronous replication may lose the newest one with its primary; a job is then run
twice, which each must bear anyway: what it does is done once by the ledger's keys and its own rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from bank.errors import Unavailable
from bank.storage.dialects import dialect_of
from bank.storage.metadata import MYSQL_OPTIONS, Instant, metadata
from bank.storage.transaction import Bank

#: So long a run is believed without a word from it.
LEASE_SECONDS: Final = 60.0
#: A clock that is further from the database's decides wrongly what is due.
MOST_APART: Final = timedelta(seconds=60)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("slot", sa.String(20), nullable=False),
    sa.Column("run_by", sa.String(100), nullable=False),
    sa.Column("runs", sa.BigInteger, nullable=False),
    sa.Column("begun_at", Instant, nullable=False),
    sa.Column("lease_until", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    **MYSQL_OPTIONS,
)


class ClockApart(Unavailable):
    """This server's clock is too far from the database's to decide what is due."""

    code = "clock_apart"

    def __init__(self, apart: timedelta) -> None:
        seconds = round(apart.total_seconds())
        super().__init__(
            f"This server's clock is {abs(seconds)} seconds {'ahead of' if seconds > 0 else 'behind'} the database's, and"
            " the job decides by it what is due. Nothing was done: another server does it. Set the clock."
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """This job is ours to run, as its run of this number; another number means that somebody took it up after us."""

    name: str
    run: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody else runs the job, since an instant; or has done it for this slot, at an instant."""

    run_by: str
    at: datetime
    done: bool


def are_kept(bank: Bank) -> bool:
    """Can this database say who runs what? Not before its migration and the grant that follows it.

    Raises:
        DatabaseAway: it cannot be asked.
    """
    try:
        with bank.reader() as reader:
            reader.execute(sa.select(jobs.c.name).limit(1))
    except sa.exc.DBAPIError:
        return False
    return True


def hour(instant: datetime) -> str:
    """The slot of what is done once an hour. In UTC: a zone's clocks go through one hour of autumn twice.

    >>> hour(datetime(2026, 11, 23, 14, 5, tzinfo=UTC))
    '2026-11-23T14'
    """
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H")


def claim(
    tx: sa.Connection,
    name: str,
    *,
    run_by: str,
    server_time: datetime,
    hourly: bool,
    lease_seconds: float = LEASE_SECONDS,
) -> Claim | Taken:
    """Take the job, unless somebody runs it, or, if it is `hourly`, has done it in this hour of the database's.

    `server_time` is what this server's clock says now. Whoever has not renewed its lease in time is held for dead.

    Raises:
        ClockApart: that is another time than the database's.
    """
    known = tx.execute(dialect_of(tx).lock(sa.select(jobs).where(jobs.c.name == name))).first()
    now = _now(tx)
    if abs(server_time - now) > MOST_APART:
        raise ClockApart(server_time - now)
    slot = hour(now) if hourly else ""
    taken = _by_whom(known, slot, now) if known else None
    if taken:
        return taken
    begun: dict[str, Any] = {
        "slot": slot,
        "run_by": run_by[:100],
        "runs": known.runs + 1 if known else 1,
        "begun_at": now,
        "lease_until": now + timedelta(seconds=lease_seconds),
        "finished_at": None,
    }
    tx.execute(jobs.update().where(jobs.c.name == name) if known else jobs.insert().values(name=name), begun)
    return Claim(name, begun["runs"])


def _by_whom(known: sa.Row[Any], slot: str, now: datetime) -> Taken | None:
    if known.finished_at is None:
        return Taken(known.run_by, known.begun_at, done=False) if known.lease_until > now else None
    return Taken(known.run_by, known.finished_at, done=True) if slot and known.slot == slot else None


def renew(tx: sa.Connection, mine: Claim, *, lease_seconds: float = LEASE_SECONDS) -> bool:
    """Let the claim be believed for longer; False: somebody else has taken the job up."""
    return _change(tx, mine, lease_until=_now(tx) + timedelta(seconds=lease_seconds))


def finish(tx: sa.Connection, mine: Claim) -> bool:
    """Say that the job is done for its slot; False: somebody else has taken it up meanwhile."""
    return _change(tx, mine, finished_at=_now(tx))


def give_up(tx: sa.Connection, mine: Claim) -> bool:
    """Leave the job, which failed, to the next who asks for it."""
    return _change(tx, mine, lease_until=_now(tx))


def _change(tx: sa.Connection, mine: Claim, **values: Any) -> bool:
    still_mine = sa.and_(jobs.c.name == mine.name, jobs.c.runs == mine.run, jobs.c.finished_at.is_(None))
    return tx.execute(jobs.update().where(still_mine).values(**values)).rowcount == 1


def _now(tx: sa.Connection) -> datetime:
    """The database's time, this very moment."""
    time = sa.literal_column(dialect_of(tx).the_time, Instant())
    now: datetime = tx.execute(sa.select(time)).scalar_one()
    return now
