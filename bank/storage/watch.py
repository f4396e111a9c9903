"""Whether a database server is there, found out aside, so that no page waits for one that is away."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import sqlalchemy as sa

from bank.storage.dialects import dialect_of

_TICK_SECONDS: Final = 1.0
#: An answer that takes longer makes us ask whether the server is there at all.
_LONG_SECONDS: Final = 2.0
#: While pages are asked for, a server that they do not use is asked this often.
_UNHEARD_SECONDS: Final = 15.0


class Server:
    """One database server as this process knows it.

    It is away when a connection to it fails, and back when one succeeds; a thread of its own tries every second.
    A server that has stopped without closing its connections is noticed when an answer takes long, and whoever waits for
    it is let go.
    """

    def __init__(self, engine: sa.Engine, probe: Callable[[], None]) -> None:
        """Watch the server behind `engine`; `probe` connects anew, or raises."""
        self.engine = engine
        self.away = False
        self._probe = probe
        self._descriptor = dialect_of(engine).descriptor
        self._in_use: dict[int, tuple[float, Any]] = {}
        self._heard_at = time.monotonic()
        self._expected_at = 0.0
        self._suspect = False
        self._wake = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        sa.event.listen(engine, "checkout", self._begin_use)
        sa.event.listen(engine, "checkin", self._end_use)
        sa.event.listen(engine, "handle_error", self._failed)

    def expect(self) -> None:
        """Make sure that it is known before long whether the server is there, though nothing is asked of it now."""
        self._expected_at = time.monotonic()
        self._see_to_thread()

    def _begin_use(self, connection: Any, record: Any, _proxy: Any) -> None:
        self._in_use[id(record)] = (time.monotonic(), connection)
        self._see_to_thread()

    def _end_use(self, _connection: Any, record: Any) -> None:
        self._in_use.pop(id(record), None)
        if not self._suspect:
            self._heard_at = time.monotonic()

    def _failed(self, context: sa.engine.ExceptionContext) -> None:
        if context.connection is None:
            self.away = True
        elif not context.is_disconnect:
            return
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
            self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
            stuck = self._stuck()
            if self.away or self._suspect or stuck or self._unheard():
                self._find_out(stuck)

    def _is_wanted(self) -> bool:
        """The thread ends when nobody has used or expected the server for a while; the next one starts another."""
        with self._guard:
            lately = time.monotonic() - max(self._heard_at, self._expected_at) < 4 * _UNHEARD_SECONDS
            if not (lately or self._in_use or self.away or self._suspect):
                self._thread = None
            return self._thread is not None

    def _stuck(self) -> list[Any]:
        long_ago = time.monotonic() - _LONG_SECONDS
        return [connection for since, connection in list(self._in_use.values()) if since < long_ago]

    def _let_go(self, connection: Any) -> None:
        """End another thread's waiting: libpq would wait for ever, and PyMySQL for as long as a statement may take."""
        with suppress(OSError):
            number = self._descriptor(connection)
            if number is not None:
                with socket.socket(fileno=os.dup(number)) as its:
                    its.shutdown(socket.SHUT_RDWR)

    def _unheard(self) -> bool:
        return self._expected_at - self._heard_at > _UNHEARD_SECONDS

    def _find_out(self, stuck: list[Any]) -> None:
        try:
            self._probe()
        except sa.exc.SQLAlchemyError:
            self.away = True
            for connection in stuck:
                self._let_go(connection)
        else:
            self._suspect = self.away = False
            self._heard_at = time.monotonic()
