"""Writers of one SQLite file take turns, in the order in which they came.

SQLite lets a writer that finds the file locked sleep and look again, ever less often: of several busy processes one
then waits for seconds. So whoever begins to write first waits for a lock on a file beside the database, which
the system passes on, also when its holder dies. A writer that does not know of it waits as SQLite lets it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

_BEGINS: Final = frozenset({"BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"})


class Turn:
    """One connection's place among the writers; nobody waits for longer than `seconds`."""

    def __init__(self, database: str, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        #: The lock belongs to what was opened, not to the process: so a thread of ours waits like anybody else.
        self._file: int | None = None
        self._is_mine = False

    def take(self) -> None:
        """Wait until nobody else of us writes.

        Raises:
            sqlite3.OperationalError: SQLITE_BUSY, the time is over.
        """
        if self._is_mine:
            return
        # Where no file can be made, no database can be written either: SQLite says so better.
        with suppress(OSError):
            self._lock(self._opened())

    def give(self) -> None:
        """Let the next one write."""
        if self._is_mine and self._file is not None:
            self._is_mine = False
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Never write again."""
        self._is_mine = False
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # A connection that nobody closed must not keep the others waiting.
    __del__ = leave

    def _opened(self) -> int:
        if self._file is None:
            # To lock it, reading is enough: so several users can share it as they share the database.
            mode = Path(self._database).stat().st_mode & 0o666
            self._file = os.open(f"{self._database}-turn", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, mode)
        return self._file

    def _lock(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The system knows no wait with an end, so another thread waits.
            waiter = _Waiter(file)
            waiter.start()
            if not waiter.got_it_within(self._seconds):
                self._file = None
                raise _busy() from None
        self._is_mine = True


class _Waiter(threading.Thread):
    """Waits for the lock; once the one who sent it has given up, the file is its own, and is closed."""

    def __init__(self, file: int) -> None:
        super().__init__(name="sqlite-turn", daemon=True)
        self._file = file
        self._settled = threading.Lock()
        self._has_it = threading.Event()
        self._given_up = False

    def run(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        with self._settled:
            self._has_it.set()
            if self._given_up:
                os.close(self._file)

    def got_it_within(self, seconds: float) -> bool:
        if self._has_it.wait(seconds):
            return True
        with self._settled:
            self._given_up = not self._has_it.is_set()
        return not self._given_up


def _busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked: others have been writing all the time")
    error.sqlite_errorname, error.sqlite_errorcode = "SQLITE_BUSY", sqlite3.SQLITE_BUSY
    return error


class TurnTaking(sqlite3.Connection):
    """A connection that takes its turn before it begins to write, and gives it when its transaction is over."""

    def __init__(self, database: str, timeout: float = 5.0, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, timeout, *args, **kwargs)
        self.turn = Turn(database, timeout)

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _Cursor)

    def close(self) -> None:
        super().close()
        self.turn.leave()


class _Cursor(sqlite3.Cursor):
    connection: TurnTaking

    def execute(self, statement: str, parameters: Any = (), /) -> _Cursor:
        if statement in _BEGINS:
            self.connection.turn.take()
        try:
            return super().execute(statement, parameters)
        finally:
            if not self.connection.in_transaction:
                self.connection.turn.give()
