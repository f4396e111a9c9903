"""The bank's hold on its database: read, post, or run a use case in one database transaction."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolEmpty

from bank.clock import Clock
from bank.settings import Settings
from bank.storage.dialects import dialect_of
from bank.storage.dialects.base import Answer, Dialect, Message
from bank.storage.engine import make_engine
from bank.storage.errors import ClosedToWriting, DatabaseAway, OutcomeUnknown

P = ParamSpec("P")
T = TypeVar("T")

_ATTEMPTS = 8
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank: its settings, its clock, its database."""

    settings: Settings
    clock: Clock
    engine: sa.Engine
    #: No further attempt is begun after this long.
    patience_seconds: float = _PATIENCE_SECONDS

    @classmethod
    def open(cls, settings: Settings, *, statement_seconds: int | None = None) -> Bank:
        """The bank these settings describe; connects when first asked something."""
        engine = make_engine(settings.database_url, pool_size=settings.pool_size, statement_seconds=statement_seconds)
        patience = statement_seconds * 2 / 3 if statement_seconds else _PATIENCE_SECONDS
        return cls(settings, Clock(settings.business_timezone), engine, patience)

    @property
    def dialect(self) -> Dialect:
        """What this database does in its own way."""
        return dialect_of(self.engine)

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection in autocommit: each statement is its own database transaction.

        Raises:
            DatabaseAway: none can be had.
        """
        try:
            connection = self.engine.connect()
        except (DBAPIError, PoolEmpty) as error:
            raise DatabaseAway from error
        with connection:
            yield connection

    @contextmanager
    def reader(self) -> Iterator[sa.Connection]:
        """A connection for pages.

        Raises:
            DatabaseAway: also when it goes away while reading.
        """
        with self.connect() as connection:
            try:
                yield connection
            except DBAPIError as error:
                if any(how(error) for how in (self.dialect.broke_off, self.dialect.gave_up, self.dialect.lost_a_race)):
                    raise DatabaseAway from error
                raise

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection whose every read sees the same instant, while others go on writing.

        Raises:
            DatabaseAway: also when it goes away while reading.
        """
        with self.reader() as connection, self.dialect.snapshot(connection):
            yield connection

    def run(self, use_case: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a use case of several statements in one database transaction, again when another's took its place.

        Raises:
            DatabaseAway: the database went away before the commit; nothing was written.
            OutcomeUnknown: it went away during the commit.
        """
        broken_rule: IntegrityError | None = None
        for _ in self._attempts():
            with self.connect() as tx:
                try:
                    tx.exec_driver_sql(self.dialect.begin)
                    result = use_case(tx, *args, **kwargs)
                except BaseException as error:
                    if not self._again(tx, error):
                        self._explain(error)
                        raise
                    broken_rule = error if isinstance(error, IntegrityError) else None
                else:
                    self._commit(tx)
                    return result
        raise broken_rule or DatabaseAway

    def _attempts(self) -> Iterator[int]:
        """Count attempts, with a short wait between them, until they are too many or have taken too long."""
        give_up_at = time.monotonic() + self.patience_seconds
        for attempt in range(_ATTEMPTS):
            yield attempt
            if time.monotonic() > give_up_at:
                return
            _back_off(attempt)

    def _again(self, tx: sa.Connection, error: BaseException) -> bool:
        """Roll back. Was it only bad luck: a lost race, or a connection that had died in the pool?"""
        if isinstance(error, DBAPIError) and self.dialect.broke_off(error):
            tx.invalidate()
            return True
        self._roll_back(tx)
        if not isinstance(error, DBAPIError) or self.dialect.is_closed(error):
            return False
        # Two that write the same new row at once: the second finds it the next time.
        return isinstance(error, IntegrityError) or self.dialect.lost_a_race(error)

    @staticmethod
    def _roll_back(tx: sa.Connection) -> None:
        try:
            if not tx.invalidated:
                tx.exec_driver_sql("ROLLBACK")
        except DBAPIError:
            # The connection is gone, and the transaction with it: what the use case said is still what counts.
            tx.invalidate()

    def _explain(self, error: BaseException) -> None:
        if isinstance(error, DBAPIError) and self.dialect.is_closed(error):
            raise ClosedToWriting from error
        if isinstance(error, DBAPIError) and self.dialect.gave_up(error):
            raise DatabaseAway from error

    @staticmethod
    def _commit(tx: sa.Connection) -> None:
        try:
            tx.exec_driver_sql("COMMIT")
        except DBAPIError as error:
            tx.invalidate()
            raise OutcomeUnknown from error

    def post(self, batch: list[Message]) -> list[Answer]:
        """Put messages through the door in one database transaction of their own.

        Every message carries its idempotency key, so a broken connection is simply tried again.

        Raises:
            DatabaseAway: nothing was written.
            OutcomeUnknown: the database went away before it answered.
        """
        unknown = False
        for _ in self._attempts():
            try:
                with self.connect() as connection:
                    return self.dialect.post(connection, batch)
            except DatabaseAway:
                if not unknown:
                    raise
            except DBAPIError as error:
                if self.dialect.broke_off(error):
                    unknown = True
                elif not self.dialect.lost_a_race(error):
                    self._explain(error)
                    raise
        raise OutcomeUnknown if unknown else DatabaseAway


def _back_off(attempt: int) -> None:
    """Wait a little, differently from the others who wait."""
    time.sleep(random.uniform(0.005, 0.02 * 2 ** min(attempt, 4)))  # noqa: S311  # no secret
