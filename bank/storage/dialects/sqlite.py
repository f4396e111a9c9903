"""SQLite's answers; the door is the same algorithm in Python, under the one write lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from bank.storage.dialects.base import CLOSED, NO_ROLES, Answer, Dialect, Message, in_transaction
from bank.storage.dialects.sqlite_door import post_one


class SQLite(Dialect):
    """SQLite 3.37 or newer, a file in WAL mode."""

    name = "sqlite"
    begin = "BEGIN IMMEDIATE"
    short_patience = "PRAGMA busy_timeout = 5000"
    triggers = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"

    def connect_args(self, statement_seconds: int | None) -> dict[str, Any]:
        return {"timeout": max(1, statement_seconds // 3) if statement_seconds else 30}

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
        with in_transaction(connection, self.begin):
            return self.post_in(connection, batch)

    def post_in(self, tx: sa.Connection, batch: list[Message]) -> list[Answer]:
        return [post_one(tx, message) for message in batch]

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


def _name(error: sa.exc.DBAPIError) -> str:
    name: str = getattr(error.orig, "sqlite_errorname", "")
    return name
