"""SQLite's answers; the door is the same algorithm in Python, under the one write lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa

from bank.storage.dialects.base import CLOSED, NO_ROLES, Answer, Dialect, Message, in_transaction
from bank.storage.dialects.sqlite_door import post_all
from bank.storage.dialects.sqlite_send import judge
from bank.storage.dialects.sqlite_turn import TurnTaking


class SQLite(Dialect):
    """SQLite 3.37 or newer, a file in WAL mode."""

    name = "sqlite"
    begin = "BEGIN IMMEDIATE"
    # Milliseconds, written as the microseconds that SQLAlchemy reads.
    the_time = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    short_patience = "PRAGMA busy_timeout = 5000"
    triggers = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"

    def connect_args(self, statement_seconds: float | None) -> dict[str, Any]:
        return {"timeout": max(1, statement_seconds / 2) if statement_seconds else 30, "factory": TurnTaking}

    def on_connect(self, dbapi_connection: Any) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "recursive_triggers = ON"):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    def lock(self, query: sa.Select[Any]) -> sa.Select[Any]:
        return query  # BEGIN IMMEDIATE already holds the one write lock.

    def lost_a_race(self, error: sa.exc.DBAPIError) -> bool:
        return _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))

    def gave_up(self, error: sa.exc.DBAPIError) -> bool:
        return _name(error).startswith(("SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN"))

    def post(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        with _driven(connection) as cursor, _committed(cursor, self.begin):
            return post_all(cursor, batch)

    def post_in(self, tx: sa.Connection, batch: list[Message]) -> list[Answer]:
        with _driven(tx) as cursor:
            return post_all(cursor, batch)

    def send(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        with in_transaction(connection, self.begin):
            judged = [judge(connection, item) for item in batch]
            posted = iter(self.post_in(connection, [one for one in judged if isinstance(one, dict)]))
            return [next(posted) if isinstance(one, dict) else one for one in judged]

    def refusal_of_writing(self, event: str, table: str) -> str:
        return (
            f"CREATE TRIGGER {CLOSED}_{event.lower()}_{table} BEFORE {event} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{CLOSED}: this bank is being moved'); END"
        )

    @contextmanager
    def one_migrator(self, connection: sa.Connection) -> Iterator[None]:
        with in_transaction(connection, "BEGIN EXCLUSIVE"):
            yield

    def grants(self, connection: sa.Connection, role: str) -> list[str]:
        raise ValueError(NO_ROLES)


@contextmanager
def _driven(connection: sa.Connection) -> Iterator[sqlite3.Cursor]:
    """The driver's cursor, past SQLAlchemy's execution that costs more than SQLite's; errors are told as it would."""
    cursor: Any = connection.connection.cursor()
    try:
        yield cursor
        cursor.close()
    except sqlite3.Error as error:
        connection._handle_dbapi_exception(error, "ledger_post", None, cursor, None)  # noqa: SLF001


@contextmanager
def _committed(cursor: sqlite3.Cursor, begin: str) -> Iterator[None]:
    cursor.execute(begin)
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        # A refused COMMIT may have ended the transaction already; what was refused is what counts.
        with suppress(sqlite3.Error):
            cursor.execute("ROLLBACK")
        raise


def _name(error: sa.exc.DBAPIError) -> str:
    name: str = getattr(error.orig, "sqlite_errorname", "")
    return name
