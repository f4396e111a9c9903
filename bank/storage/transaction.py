"""The bank's hold on its database: read, post, or run a use case in one database transaction."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolEmpty

from bank.clock import Clock
from bank.settings import Settings
from bank.storage import near, secured
from bank.storage.committer import Committer
from bank.storage.dialects import dialect_of
from bank.storage.dialects.base import PATIENT_SECONDS, Answer, Dialect, Message
from bank.storage.engine import make_engine
from bank.storage.errors import ClosedToWriting, DatabaseAway, OutcomeUnknown
from bank.storage.lanes import PAYMENTS_AT_ONCE, Lane
from bank.storage.other_region import OtherRegion
from bank.storage.replica import Near
from bank.storage.watch import Server

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
    #: Where pages are read, if this server has a replica near it.
    near: Near | None = None
    #: What this process knows of the primary; None: it waits for it, however long that takes.
    primary: Server | None = None
    #: Who says that a payment is in the other region, if none is to be confirmed before it is.
    other_region: OtherRegion | None = None
    committer: Committer = field(init=False, repr=False, compare=False)
    #: Payments wait in the committer, which has one connection; other writes have one each, and leave some to pages.
    payments: Lane = field(init=False, repr=False, compare=False)
    writes: Lane = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        committer = Committer(
            lambda batch: self._through(self.dialect.send, batch), most=self.settings.group_commit_most
        )
        object.__setattr__(self, "committer", committer)
        object.__setattr__(self, "payments", Lane(PAYMENTS_AT_ONCE))
        object.__setattr__(self, "writes", Lane(max(1, self.settings.pool_size * 2 // 3)))

    @classmethod
    def open(cls, settings: Settings, *, statement_seconds: float | None = None, reads_near: bool = False) -> Bank:
        """The bank these settings describe; connects when first asked something. Only who `reads_near` uses a replica.

        With `statement_seconds`, no call of the database takes longer, and none is made while the database is away.
        """
        clock = Clock(settings.business_timezone)
        if statement_seconds is None:
            return cls(settings, clock, make_engine(settings.database_url, pool_size=settings.pool_size))
        # A little less, for what else there is to do.
        answer_seconds = 0.95 * statement_seconds
        engine = make_engine(settings.database_url, pool_size=settings.pool_size, statement_seconds=answer_seconds)
        primary = Server(engine, settings.database_url, answer_seconds)
        reading = Near.to(primary, settings, answer_seconds) if reads_near and settings.database_replica_url else None
        other_region = OtherRegion.to(engine, settings, answer_seconds) if settings.secured_seconds else None
        return cls(settings, clock, engine, statement_seconds * 2 / 3, reading, primary, other_region)

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
        if self.primary and self.primary.away:
            raise DatabaseAway
        try:
            connection = self.engine.connect()
        except (DBAPIError, PoolEmpty) as error:
            raise DatabaseAway from error
        with connection:
            yield connection

    def first(self, query: sa.Select[Any], values: Mapping[str, Any] | None = None) -> Sequence[sa.Row[Any]]:
        """What a request's first query finds, which decides as well where the request reads.

        A connection that had died in the pool is replaced by another.

        Raises:
            DatabaseAway: no database answers.
        """
        this = near.here()
        if self.near is None or this is None:
            return self._first(query, values)
        if rows := self.near.first(query, values, this):
            return rows
        try:
            return self._first(query, values)
        except DatabaseAway:
            if not this.reads:
                raise
        try:
            return self.near.first_as_it_was(query, values, this)
        except (DBAPIError, PoolEmpty) as error:
            raise DatabaseAway from error

    def _first(self, query: sa.Select[Any], values: Mapping[str, Any] | None) -> Sequence[sa.Row[Any]]:
        try:
            with self.reader() as reader:
                return reader.execute(query, values).all()
        except DatabaseAway as away:
            if not isinstance(away.__cause__, DBAPIError) or not away.__cause__.connection_invalidated:
                raise
        with self.reader() as reader:
            return reader.execute(query, values).all()

    @contextmanager
    def _connect_to_read(self) -> Iterator[sa.Connection]:
        this = near.here()
        if this and self.near and this.incarnation:
            with self.near.connect(this) as connection:
                if connection is not None:
                    yield connection
                    return
        if this:
            this.incarnation, this.read_primary = "", True
        with self.connect() as connection:
            yield connection

    @contextmanager
    def reader(self, *, patiently: bool = False) -> Iterator[sa.Connection]:
        """A connection for pages: to the primary, or to a replica if the request was found fit for it.

        Who reads `patiently`, for a document or a report, waits longer for each answer.

        Raises:
            DatabaseAway: also when it goes away while reading.
        """
        with self._connect_to_read() as connection:
            try:
                with self._patience(connection) if patiently else nullcontext():
                    yield connection
            except DBAPIError as error:
                if any(how(error) for how in (self.dialect.broke_off, self.dialect.gave_up, self.dialect.lost_a_race)):
                    raise DatabaseAway from error
                raise

    @contextmanager
    def _patience(self, connection: sa.Connection) -> Iterator[None]:
        """Wait longer within the body, where waiting is bounded at all."""
        if self.primary is None:
            yield
            return
        driver = connection.connection.dbapi_connection
        self.dialect.wait_for_answers(driver, PATIENT_SECONDS)
        try:
            yield
        finally:
            self.dialect.wait_for_answers(driver, self.primary.answer_seconds)

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
            QueueFull: too many write already, and none of them comes on.
            DatabaseAway: the database went away before the commit; nothing was written.
            OutcomeUnknown: it went away during the commit, or the other region does not have in time what was moved.
        """
        with self.writes.place(), self._securing():
            return self._run(use_case, *args, **kwargs)

    def _run(self, use_case: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
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

    def _commit(self, tx: sa.Connection) -> None:
        try:
            self.dialect.commit(tx)
        except DBAPIError as error:
            tx.invalidate()
            near.wrote(None)
            raise OutcomeUnknown from error

    def post(self, batch: list[Message]) -> list[Answer]:
        """Put messages through the door in one database transaction of their own.

        Every message carries its idempotency key, so a broken connection is simply tried again.

        Raises:
            QueueFull: too many write already, and none of them comes on; nothing was written.
            DatabaseAway: nothing was written.
            OutcomeUnknown: the database went away before it answered, or the other region does not have it in time.
        """
        near.wrote(None)  # Until the door says where.
        with self.writes.place(), self._securing():
            secured.moving()
            return self._through(self.dialect.post, batch)

    def send(self, message: Message) -> Answer:
        """Let the database look at who asks for a payment and make it, together with others of this moment.

        Raises:
            QueueFull: too many are waiting; nothing was sent.
            DatabaseAway: nothing was written.
            OutcomeUnknown: the database went away before it answered, or the other region does not have it in time.
        """
        near.wrote(None)  # Until the door says where.
        with self.payments.place(), self._securing() as call:
            secured.moving()
            answer = self.committer.submit(message)
            if call and answer[0] == "denied":
                call.moves = False
            return answer

    def secure(self) -> None:
        """Let the other region have what this request has read, if that is asked for, before it is told as done.

        Raises:
            OutcomeUnknown: it has not, or not in time.
        """
        this = near.here()
        # What was read on the replica is there.
        if self.other_region and not (this and this.incarnation):
            self.other_region.wait_for_all()

    @contextmanager
    def _securing(self) -> Iterator[secured.Call | None]:
        """End when the other region has what the body moves, if that is asked for: for a customer who waits for an answer.

        Raises:
            OtherRegionAway: nothing is moved, since it could not be secured.
            OutcomeUnknown: the other region does not have it in time.
        """
        if self.other_region is None:
            yield None
            return
        with self.other_region.securing() as call:
            yield call

    def _through(
        self, door: Callable[[sa.Connection, list[Message]], list[Answer]], batch: list[Message]
    ) -> list[Answer]:
        unknown = False
        for _ in self._attempts():
            try:
                with self.connect() as connection:
                    return door(connection, batch)
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
