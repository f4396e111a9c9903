"""Whether a database server is there, found out aside, so that nobody waits long for one that is away."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import sqlalchemy as sa

from bank.storage.dialects import dialect_of
from bank.storage.engine import make_engine

_TICK_SECONDS: Final = 1.0
#: One that is away is asked so often, so that it is used again soon.
_AWAY_TICK_SECONDS: Final = 0.25
#: Longer it is not waited for: the next question may go to another server, which has taken over meanwhile.
_ASK_SECONDS: Final = 1.0
#: While pages are asked for, a server that they do not use is asked this often.
_UNHEARD_SECONDS: Final = 15.0


class Server:
    """One database server as this process knows it.

    It is away when a connection to it fails, or when it leaves a call without an answer and has answered no other one
    since; and back when it answers again. Meanwhile whoever needs it is told so at once, and a thread asks it alone.
    """

    def __init__(self, engine: sa.Engine, url: str, answer_seconds: float) -> None:
        """Watch the server behind `engine`, whose calls give up after so long; asks it by connections of its own."""
        self.engine = engine
        self.away = False
        self.answer_seconds = answer_seconds
        self._asking = make_engine(url, pool_size=1, statement_seconds=min(answer_seconds, _ASK_SECONDS))
        self._dialect = dialect_of(engine)
        self._heard_at = time.monotonic()
        self._expected_at = 0.0
        self._suspect = False
        self._wake = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        sa.event.listen(engine, "checkin", self._end_use)
        sa.event.listen(engine, "handle_error", self._failed)

    def expect(self) -> None:
        """Make sure that it is known before long whether the server is there, though nothing is asked of it now."""
        self._expected_at = time.monotonic()
        self._see_to_thread()

    def _end_use(self, connection: Any, _record: Any) -> None:
        if connection is not None and not self._suspect:
            self._heard_at = time.monotonic()

    def _failed(self, context: sa.engine.ExceptionContext) -> None:
        if context.connection is None:
            self.away = True
        elif not context.is_disconnect:
            return
        elif self._dialect.ran_out_of_time(context.original_exception):
            # Slow for one call alone is not away: others were answered meanwhile.
            self.away = self.away or time.monotonic() - self._heard_at >= self.answer_seconds
        self._suspect = True
        self._see_to_thread()
        self._wake.set()

    def _see_to_thread(self) -> None:
        if self._thread is not None:
            return
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="watch of a database", daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        while self._is_wanted():
            self._wake.wait(_AWAY_TICK_SECONDS if self.away else _TICK_SECONDS)
            self._wake.clear()
            if self.away or self._suspect or self._unheard():
                self._find_out()

    def _is_wanted(self) -> bool:
        """The thread ends when nobody has used or expected the server for a while; the next one starts another."""
        with self._guard:
            lately = time.monotonic() - max(self._heard_at, self._expected_at) < 4 * _UNHEARD_SECONDS
            if not (lately or self.away or self._suspect):
                self._thread = None
            return self._thread is not None

    def _unheard(self) -> bool:
        return self._expected_at - self._heard_at > _UNHEARD_SECONDS

    def _find_out(self) -> None:
        try:
            with self._asking.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except sa.exc.SQLAlchemyError:
            self.away = True
        else:
            self._suspect = self.away = False
            self._heard_at = time.monotonic()
