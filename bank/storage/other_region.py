"""What the other region has: one thread of a process asks for all who wait for their payments to be there."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from bank.settings import Settings
from bank.storage.dialects import dialect_of
from bank.storage.engine import make_engine
from bank.storage.errors import OtherRegionAway, OutcomeUnknown
from bank.storage.secured import ALONE, Call, call

#: Between two questions, while somebody waits.
_PAUSE_SECONDS: Final = 0.002
#: So long one connection is kept in use: after that the pool sees again whether it leads where it should.
_TURN_SECONDS: Final = 0.25
#: It is not asked for before this part of what it took lately: across regions that would be dozens of vain questions.
_NOT_BEFORE: Final = 0.75
#: While the other region is away, and while there is none to ask, we look so often whether that is over.
_LOOK_SECONDS: Final = 0.5
#: And as long as anybody pays; the next one goes on looking.
_UNUSED_SECONDS: Final = 60.0

_logger = logging.getLogger(__name__)


class _Waiter:
    """A place in the log that somebody waits for, since when, and whether it is there."""

    __slots__ = ("is_there", "place", "since")

    def __init__(self, place: str) -> None:
        self.place = place
        self.since = time.monotonic()
        self.is_there = threading.Event()


class OtherRegion:
    """Whether the other region has what was committed; `asked` is the database that knows.

    That is the one nearest to this server: the replica beside it, of what it has received, or the primary, of what its
    standbys say they have. Which of the two it is at the moment it says itself, so that this goes on after a promotion.

    Somebody who waits in vain learns that the payment is being checked. From then on payments are refused before they
    are sent, so that no more become doubtful, until something that is committed on the primary is there in time again.
    """

    def __init__(self, asked: sa.Engine, primary: sa.Engine, seconds: float) -> None:
        """Wait for each payment for so many `seconds`; connects when the first one waits."""
        self.asked = asked
        self.away = False
        self.alone = False
        self._primary = primary
        self._seconds = seconds
        self._dialect = dialect_of(primary)
        self._waiters: list[_Waiter] = []
        self._used_at = 0.0
        self._usual_seconds = 0.0
        self._complaint = ""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @classmethod
    def to(cls, primary: sa.Engine, settings: Settings, answer_seconds: float) -> OtherRegion:
        """As the settings say."""
        url = settings.secured_by_url or settings.database_replica_url or settings.database_url
        return cls(make_engine(url, pool_size=1, statement_seconds=answer_seconds), primary, settings.secured_seconds)

    @contextmanager
    def securing(self) -> Iterator[Call]:
        """End only when the other region has what the body has moved, if it has moved anything.

        Raises:
            OutcomeUnknown: it has not, or not in time, or that cannot be known.
        """
        with call(self._refuse_if_away) as this:
            yield this
        if this.moves:
            self._wait_for(this.place)

    def wait_for_all(self) -> None:
        """End when the other region has all that is on the primary now.

        Raises:
            OutcomeUnknown: it has not, or not in time, or that cannot be known.
        """
        try:
            self._refuse_if_away()
            with self._primary.connect() as connection:
                place = self._dialect.end_of_log(connection)
        except (OtherRegionAway, sa.exc.SQLAlchemyError) as error:
            raise OutcomeUnknown from error
        self._wait_for(place)

    def _refuse_if_away(self) -> None:
        if self.away or self.alone:
            with self._changed:
                self._see_to_thread()
        if self.away:
            raise OtherRegionAway

    def _wait_for(self, place: str | None) -> None:
        if place is None:
            raise OutcomeUnknown
        if place == ALONE or self.alone:
            return
        waiter = _Waiter(place)
        with self._changed:
            self._waiters.append(waiter)
            self._see_to_thread()
            self._changed.notify()
        if waiter.is_there.wait(self._seconds):
            return
        with self._changed:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            self._say(away=True)
            self._changed.notify()
        raise OutcomeUnknown

    def _say(self, *, away: bool) -> None:
        if away is not self.away:
            self.away = away
            _logger.log(
                logging.ERROR if away else logging.INFO,
                "the other region %s: payments are %s",
                *(("does not have in time what is committed", "refused") if away else ("is back", "made again")),
            )

    # The thread's

    def _see_to_thread(self) -> None:
        self._used_at = time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="what the other region has", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while self._is_wanted():
            try:
                if self.away or self.alone:
                    self._look()
                if self._waiters:
                    self._answer()
            except sa.exc.SQLAlchemyError as error:
                self._complain(f"it cannot be asked: {type(error).__name__}")
                # They are not told no: their time is not over, and by then the database may be back.
                time.sleep(25 * _PAUSE_SECONDS)

    def _is_wanted(self) -> bool:
        """Wait until there is something to ask; the thread ends when there is nothing for long."""
        with self._changed:
            if not self._waiters:
                self._changed.wait(_LOOK_SECONDS if self.away or self.alone else _UNUSED_SECONDS)
            if not self._waiters and time.monotonic() - self._used_at > _UNUSED_SECONDS:
                self._thread = None
            return self._thread is not None

    def _complain(self, why: str) -> None:
        """Say why nothing is known of the other region: once, until something is."""
        if why != self._complaint:
            self._complaint = why
            _logger.error("what the other region has is not known: %s", why)

    def _answer(self) -> None:
        """Ask for all who wait, until nobody does, or for a turn."""
        ends_at = time.monotonic() + _TURN_SECONDS
        with self.asked.connect() as connection:
            self._complaint = ""
            while (waiters := list(self._waiters)) and time.monotonic() < ends_at:
                time.sleep(max(0, waiters[0].since + _NOT_BEFORE * self._usual_seconds - time.monotonic()))
                asked_at = time.monotonic()
                had = self._dialect.has_received(connection, [waiter.place for waiter in waiters])
                self._let_go(asked_at, [waiter for waiter, is_there in zip(waiters, had, strict=True) if is_there])
                time.sleep(_PAUSE_SECONDS)

    def _let_go(self, asked_at: float, waiters: list[_Waiter]) -> None:
        with self._changed:
            for waiter in waiters:
                waiter.is_there.set()
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        if waiters:
            # Shorter at once, longer little by little. Of a question that is long on its way, the way is no waiting.
            self._usual_seconds = min(asked_at - waiters[-1].since, 1.1 * self._usual_seconds + 0.001)

    def _look(self) -> None:
        """Does what is on the primary come to the other region again? Is there one to come to?"""
        with self._primary.connect() as connection:
            place = self._dialect.end_of_log(connection)
        self.alone = place == ALONE
        if self.alone:
            self._say(away=False)
            return
        ends_at = time.monotonic() + self._seconds
        with self.asked.connect() as connection:
            while time.monotonic() < ends_at:
                [is_there] = self._dialect.has_received(connection, [place])
                if is_there:
                    self._say(away=False)
                    return
                time.sleep(_PAUSE_SECONDS)
            if obstacle := self._dialect.cannot_see_received(connection):
                self._complain(obstacle)
