"""MySQL's and MariaDB's answers; the door is a stored procedure."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from bank.storage.dialects.base import CLOSED, Answer, Dialect, Message, table_grants

# ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, and MariaDB's ER_CHECKREAD ("record has changed since last read").
_LOST_RACE = {1205, 1213, 1020}
# Read-only by option, mode or transaction; disk or table full.
_GAVE_UP = {1290, 1836, 1792, 1021, 1114}
# Shut down, interrupted, out of time: inside the door's procedure, its COMMIT may have come before.
_BROKE_OFF = {1053, 1317, 1969, 3024}
_MIGRATION_LOCK_SECONDS = 300
_LOCK_WAIT_SECONDS = 10


class MySQL(Dialect):
    """MySQL 8 and MariaDB 10.6 or newer by PyMySQL."""

    name = "mysql"
    begin = "START TRANSACTION"
    begin_snapshot = (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    )
    short_patience = "SET SESSION lock_wait_timeout = 5"
    triggers = (
        "SELECT trigger_name, event_object_table FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
    )

    def connect_args(self, statement_seconds: int | None) -> dict[str, Any]:
        patience = {"read_timeout": statement_seconds, "write_timeout": statement_seconds} if statement_seconds else {}
        lock_seconds = max(1, statement_seconds // 3) if statement_seconds else _LOCK_WAIT_SECONDS
        return {
            "charset": "utf8mb4",
            "connect_timeout": 5,
            "init_command": f"SET SESSION innodb_lock_wait_timeout = {lock_seconds}",
            **patience,
        }

    def on_connect(self, dbapi_connection: Any) -> None:
        with dbapi_connection.cursor() as cursor:
            # After waiting for a lock the door must see what the others committed.
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def lost_a_race(self, error: sa.exc.DBAPIError) -> bool:
        return _number(error) in _LOST_RACE

    def gave_up(self, error: sa.exc.DBAPIError) -> bool:
        return _number(error) in _GAVE_UP

    def broke_off(self, error: sa.exc.DBAPIError) -> bool:
        return super().broke_off(error) or _number(error) in _BROKE_OFF

    def post(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        return self._call(connection, "ledger_post", batch)

    def post_in(self, tx: sa.Connection, batch: list[Message]) -> list[Answer]:
        return self._call(tx, "ledger_post_in", batch)

    def _call(self, connection: sa.Connection, procedure: str, batch: list[Message]) -> list[Answer]:
        result = connection.exec_driver_sql(f"CALL {procedure}(%s)", (json.dumps(batch),))
        answers: list[Answer] = json.loads(result.scalar_one())
        return answers

    def refusal_of_writing(self, event: str, table: str) -> str:
        return (
            f"CREATE TRIGGER {CLOSED}_{event.lower()}_{table} BEFORE {event} ON {table} FOR EACH ROW"
            f" SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{CLOSED}: this bank is being moved'"
        )

    @contextmanager
    def one_migrator(self, connection: sa.Connection) -> Iterator[None]:
        # The lock belongs to the server, not the database: so it carries the database's name.
        name = connection.exec_driver_sql("SELECT CONCAT('bank-', LEFT(SHA1(DATABASE()), 20))").scalar_one()
        if not connection.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (name, _MIGRATION_LOCK_SECONDS)).scalar_one():
            raise TimeoutError("another migration has held the lock for five minutes")
        try:
            yield
        finally:
            if not connection.invalidated:
                connection.exec_driver_sql("SELECT RELEASE_LOCK(%s)", (name,))

    def grants(self, connection: sa.Connection, role: str) -> list[str]:
        if not re.fullmatch(r"[A-Za-z0-9_]{1,32}(@[A-Za-z0-9_.%:-]{1,60})?", role):
            raise ValueError("a MySQL role here is name or name@host")
        user, _, host = role.partition("@")
        account = f"'{user}'@'{host or '%'}'"
        procedures = ("ledger_post", "ledger_post_in")
        return [
            *(f"GRANT EXECUTE ON PROCEDURE {procedure} TO {account}" for procedure in procedures),
            *table_grants(account),
        ]

    def make_role(self, connection: sa.Connection, role: str) -> None:
        # Without a password it would be open to everybody, so it gets one that nobody knows.
        how, what = _identified(connection, secrets.token_urlsafe(32))
        connection.exec_driver_sql(f"CREATE USER IF NOT EXISTS '{role}'@'%%' {how}", (what,))

    def set_password(self, connection: sa.Connection, role: str, password: str) -> None:
        how, what = _identified(connection, password)
        connection.exec_driver_sql(f"ALTER USER '{role}'@'%%' {how}", (what,))


def _identified(connection: sa.Connection, password: str) -> tuple[str, str]:
    """How to tell the server a password so that no log of its own can hold it."""
    if not getattr(connection.dialect, "is_mariadb", False):
        # https://dev.mysql.com/doc/refman/8.4/en/password-logging.html: it writes such statements anew for its logs.
        return "IDENTIFIED BY %s", password
    # MariaDB logs the statement as it came, so it gets what it would keep: the hash of mysql_native_password.
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "IDENTIFIED BY PASSWORD %s", f"*{hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()}"


def _number(error: sa.exc.DBAPIError) -> Any:
    return error.orig.args[0] if error.orig and error.orig.args else None
