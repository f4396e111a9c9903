"""psycopg2, so that no call of it waits for ever.

libpq waits for an answer as long as the connection seems to be there, and nothing interrupts it. With a wait callback
psycopg2 waits in Python, where a deadline can be kept. https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries
"""

from __future__ import annotations

import select
import time
from typing import Any, Final

import psycopg2
from psycopg2 import extensions

_LOG_IN_SECONDS: Final = 5.0


class NoAnswerInTime(psycopg2.OperationalError):
    """The server has not answered in time; what it was asked may still happen."""


class Connection(extensions.connection):
    """A connection that waits for an answer for `answer_seconds`; None: for ever."""

    answer_seconds: float | None = None


def bounded(seconds: float) -> type[Connection]:
    """The kind of connection that waits so long for an answer, and for being let in."""
    return type("BoundedConnection", (Connection,), {"answer_seconds": seconds})


def _wait(connection: Any) -> None:
    """Wait until the connection has what it waits for.

    Raises:
        NoAnswerInTime: psycopg2 then closes the connection.
    """
    seconds = getattr(connection, "answer_seconds", None)
    if seconds is None and connection.status == extensions.STATUS_SETUP:
        seconds = _LOG_IN_SECONDS
    deadline = None if seconds is None else time.monotonic() + seconds
    while (state := connection.poll()) != extensions.POLL_OK:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        left = None if deadline is None else (deadline - time.monotonic()) * 1000
        if left is not None and (left <= 0 or not waiting.poll(left)):
            raise NoAnswerInTime(f"the database has not answered within {seconds:g} s")
        if left is None:
            waiting.poll()


extensions.set_wait_callback(_wait)
