"""Reading near: on the replica in this server's region, as long as it shows nothing older than was shown before."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolEmpty

from bank.settings import Settings
from bank.storage.dialects import dialect_of
from bank.storage.engine import make_engine
from bank.storage.near import Request, Seen
from bank.storage.watch import Server

#: What was written in one region is in the other after half a round trip and a moment: waiting for it here is shorter than
#: asking the primary there.
_BEHIND_SECONDS: Final = 0.1
_LOOK_AGAIN_SECONDS: Final = 0.004
#: What a connection's `info` keeps: which database it reads, and since when that server has been up.
_DATABASE: Final = "database"
_INCARNATION: Final = "incarnation"


class Near:
    """The primary and its replica, and the choice between them for each request."""

    def __init__(self, primary: Server, replica: Server) -> None:
        """Read on `replica` what it has; its connections are made after this."""
        self.primary, self.replica = primary, replica
        self.dialect = dialect_of(primary.engine)
        self._database = ""
        sa.event.listen(replica.engine, "connect", self._identify)

    @classmethod
    def to(cls, primary: Server, settings: Settings, answer_seconds: float) -> Near:
        """As the settings say; connects when first asked."""
        url = settings.database_replica_url
        replica = make_engine(url, pool_size=settings.pool_size, statement_seconds=answer_seconds)
        return cls(primary, Server(replica, url, answer_seconds))

    def _identify(self, connection: Any, record: Any) -> None:
        record.info[_DATABASE], record.info[_INCARNATION] = self.dialect.identity(connection)
        self._database = record.info[_DATABASE]

    def first(self, query: sa.Select[Any], values: Mapping[str, Any] | None, here: Request) -> Sequence[sa.Row[Any]]:
        """The rows on the replica, when all of the request can be read there; none: ask the primary."""
        self.primary.expect()
        if not here.reads or self.replica.away:
            return ()
        with suppress(DBAPIError, PoolEmpty), self.replica.engine.connect() as connection:
            fit = here.of_no_session or self._comes_to_have(connection, here.seen)
            if fit and (rows := connection.execute(query, values).all()):
                here.incarnation = connection.info[_INCARNATION]
                here.as_of = self._as_of(connection) if self.primary.away else None
                return rows
        return ()

    def first_as_it_was(
        self, query: sa.Select[Any], values: Mapping[str, Any] | None, here: Request
    ) -> Sequence[sa.Row[Any]]:
        """The rows on the replica, however old that is: the primary is away.

        Raises:
            DBAPIError: so is the replica.
        """
        with self.replica.engine.connect() as connection:
            here.incarnation, here.as_of = connection.info[_INCARNATION], self._as_of(connection)
            return connection.execute(query, values).all()

    @contextmanager
    def connect(self, here: Request) -> Iterator[sa.Connection | None]:
        """A connection to the replica that the request's first query has found fit; None: it is not that one any more."""
        try:
            connection = self.replica.engine.connect()
        except (DBAPIError, PoolEmpty):
            yield None
            return
        with connection:
            yield connection if connection.info[_INCARNATION] == here.incarnation else None

    def seen_by(self, here: Request) -> Seen | None:
        """What the request's answer shows; asks the primary for its position, if it was read and has not told."""
        if here.as_of is not None:
            return here.seen
        if here.read_primary and not self.primary.away:
            with suppress(DBAPIError, PoolEmpty), self.primary.engine.connect() as connection:
                here.written, here.read_primary = self.dialect.position(connection), False
        if here.read_primary:
            return None
        if here.written:
            return Seen(self._database, "", here.written) if self._database else None
        return Seen(self._database, here.incarnation, "") if here.incarnation else here.seen

    def _can_tell(self, connection: sa.Connection, seen: Seen | None) -> bool:
        """Can this replica say whether it has what was seen?"""
        if seen is None or seen.database != connection.info[_DATABASE]:
            return False
        return not seen.incarnation or bool(seen.incarnation == connection.info[_INCARNATION])

    def _now_on_primary(self, replica: sa.Connection) -> Seen | None:
        if self.primary.away:
            return None
        with self.primary.engine.connect() as connection:
            return Seen(replica.info[_DATABASE], "", self.dialect.position(connection))

    def _comes_to_have(self, connection: sa.Connection, seen: Seen | None) -> bool:
        """Has the replica what was seen, or will it have it sooner than the primary could be asked for a page?"""
        if not self._can_tell(connection, seen):
            # All that was committed until now is enough for whatever was seen: one message, where a page has several.
            seen = self._now_on_primary(connection)
        if seen is None:
            return False
        ends_at = time.monotonic() + _BEHIND_SECONDS
        while seen.position and not self.dialect.has_reached(connection, seen.position):
            if time.monotonic() > ends_at:
                return False
            time.sleep(_LOOK_AGAIN_SECONDS)
        return True

    def _as_of(self, connection: sa.Connection) -> datetime:
        moment: datetime = connection.exec_driver_sql(self.dialect.newest).scalar_one()
        return moment.replace(tzinfo=UTC)
