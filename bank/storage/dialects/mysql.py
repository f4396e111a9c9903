"""MySQL's and MariaDB's answers; the door is a stored procedure."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from bank.storage import near, secured
from bank.storage.dialects.base import CLOSED, LOCK_SHARE, Answer, Dialect, Message, as_json, table_grants

# ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, MariaDB's ER_CHECKREAD ("record has changed since last read");
# ER_AUTOINC_READ_FAILED, which is how a deadlock over the next id is told; and ER_SP_DOES_NOT_EXIST: a migration replaces
# a procedure by dropping and making it.
_LOST_RACE = {1205, 1213, 1020, 1467, 1305}
# Read-only by option, mode or transaction; disk or table full, also as MariaDB tells it (EE_WRITE, ER_ERROR_ON_WRITE).
_GAVE_UP = {1290, 1836, 1792, 1021, 1114, 3, 1026}
# Shut down, interrupted, out of time: inside the door's procedure, its COMMIT may have come before.
_BROKE_OFF = {1053, 1317, 1969, 3024}
_MIGRATION_LOCK_SECONDS = 300
_LOCK_WAIT_SECONDS = 10
_LOG_IN_SECONDS = 5
# What PyMySQL tells of a connection that ended, or gave no answer, in the middle of a query.
_LOST = 2013


class MySQL(Dialect):
    """MySQL 8 and MariaDB 10.6 or newer by PyMySQL."""

    name = "mysql"
    begin = "START TRANSACTION"
    begin_snapshot = (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    )
    short_patience = "SET SESSION lock_wait_timeout = 5"
    the_time = "UTC_TIMESTAMP(6)"
    newest = "SELECT COALESCE((SELECT booked_at FROM journal_entries ORDER BY id DESC LIMIT 1), UTC_TIMESTAMP())"
    triggers = (
        "SELECT trigger_name, event_object_table FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
    )

    is_read_only = "SELECT @@GLOBAL.read_only"
    timeline = "SELECT CONCAT_WS('/', @@hostname, @@server_id)"

    def connect_args(self, statement_seconds: float | None) -> dict[str, Any]:
        patience = {"read_timeout": statement_seconds, "write_timeout": statement_seconds} if statement_seconds else {}
        lock_seconds = max(1, int(statement_seconds * LOCK_SHARE)) if statement_seconds else _LOCK_WAIT_SECONDS
        return {
            "charset": "utf8mb4",
            "connect_timeout": statement_seconds or _LOG_IN_SECONDS,
            "init_command": f"SET SESSION innodb_lock_wait_timeout = {lock_seconds}",
            **patience,
        }

    def wait_for_answers(self, dbapi_connection: Any, seconds: float) -> None:
        dbapi_connection._read_timeout = seconds  # noqa: SLF001

    def ran_out_of_time(self, error: BaseException) -> bool:
        return bool(error.args) and error.args[0] == _LOST and "timed out" in str(error)

    def on_connect(self, dbapi_connection: Any) -> None:
        with dbapi_connection.cursor() as cursor:
            # After waiting for a lock the door must see what the others committed.
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def commit_each(self, dbapi_connection: Any) -> None:
        dbapi_connection.autocommit(True)

    def descriptor(self, dbapi_connection: Any) -> int | None:
        # PyMySQL shows its socket to nobody.
        return int(dbapi_connection._sock.fileno()) if dbapi_connection.open else None  # noqa: SLF001

    def lost_a_race(self, error: sa.exc.DBAPIError) -> bool:
        return _number(error) in _LOST_RACE

    def gave_up(self, error: sa.exc.DBAPIError) -> bool:
        return _number(error) in _GAVE_UP

    def broke_off(self, error: sa.exc.DBAPIError) -> bool:
        return super().broke_off(error) or _number(error) in _BROKE_OFF

    def post(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        answers = self.post_in(connection, batch, "ledger_post")
        if near.wanted() or secured.wanted():
            self.tell_position(connection)
        return answers

    def post_in(self, tx: sa.Connection, batch: list[Message], procedure: str = "ledger_post_in") -> list[Answer]:
        secured.moving()
        answers: list[Answer] = json.loads(self._call(tx, procedure, batch)[0])
        return answers

    def send(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        answered, position = self._call(connection, "payments_send", batch)
        near.wrote(position)
        secured.committed(position)
        answers: list[Answer] = json.loads(answered)
        return answers

    def _call(self, connection: sa.Connection, procedure: str, batch: list[Message]) -> Any:
        """Call past SQLAlchemy's execution, which costs as much again as the driver's."""
        # In hexadecimal, or the driver would escape it letter by letter.
        text = as_json(batch).encode().hex()
        cursor: Any = connection.connection.cursor()
        try:
            cursor.execute(f"CALL {procedure}(_utf8mb4 X'{text}')")
            row = cursor.fetchone()
            cursor.close()
        except BaseException as error:  # noqa: BLE001 — told as SQLAlchemy would; one cut off in the middle leaves the pool
            connection._handle_dbapi_exception(error, f"CALL {procedure}", None, cursor, None)  # noqa: SLF001
        return row

    def take_room(self, tx: sa.Connection) -> None:
        # More than a transaction's log keeps in memory (binlog_cache_size, 32 KiB) goes to a file, which MariaDB gives back
        # only if it has more than 64 KiB. Few rows of letters of four bytes: each row costs as much again elsewhere.
        rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130)"
        tx.exec_driver_sql(
            f"INSERT INTO bank_facts (name, value) {rows} SELECT CONCAT(%s, i), REPEAT('\U0001f3e6', 200) FROM n",
            (f"room-{secrets.token_hex(8)}-",),
        )

    def position(self, connection: sa.Connection) -> str:
        position: str = connection.exec_driver_sql(f"SELECT {_position(connection)}").scalar_one()
        return position

    def has_reached(self, connection: sa.Connection, position: str) -> bool:
        [has_reached] = self.has_received(connection, [position])
        return has_reached

    def has_received(self, connection: sa.Connection, places: Sequence[str]) -> list[bool]:
        how = "MASTER_GTID_WAIT(%s, 0) = 0" if _is_mariadb(connection) else "GTID_SUBSET(%s, @@GLOBAL.gtid_executed)"
        row = connection.exec_driver_sql(f"SELECT {', '.join(how for _ in places)}", tuple(places)).one()
        return [bool(is_there) for is_there in row]

    def identity(self, dbapi_connection: Any) -> tuple[str, str]:
        schema = "information_schema" if "MariaDB" in dbapi_connection.get_server_info() else "performance_schema"
        with dbapi_connection.cursor() as cursor:
            cursor.execute(
                "SELECT CONCAT_WS('/', @@hostname, @@port, @@server_id, UNIX_TIMESTAMP() - variable_value)"
                f" FROM {schema}.global_status WHERE variable_name = 'Uptime'"
            )
            ((incarnation,),) = cursor.fetchall()
        # A position is of one database already: it names the servers that wrote.
        return self.name, incarnation

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

    def statements(self, connection: sa.Connection, prefix: str) -> list[str]:
        # A procedure tells it after its COMMIT, in the words of the server that it is made on.
        position = _position(connection)
        return [statement.replace("@@bank_position", position) for statement in super().statements(connection, prefix)]

    def grants(self, connection: sa.Connection, role: str) -> list[str]:
        if not re.fullmatch(r"[A-Za-z0-9_]{1,32}(@[A-Za-z0-9_.%:-]{1,60})?", role):
            raise ValueError("a MySQL role here is name or name@host")
        user, _, host = role.partition("@")
        account = f"'{user}'@'{host or '%'}'"
        procedures = ("ledger_post", "ledger_post_in", "payments_send")
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
    if not _is_mariadb(connection):
        # https://dev.mysql.com/doc/refman/8.4/en/password-logging.html: it writes such statements anew for its logs.
        return "IDENTIFIED BY %s", password
    # MariaDB logs the statement as it came, so it gets what it would keep: the hash of mysql_native_password.
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "IDENTIFIED BY PASSWORD %s", f"*{hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()}"


def _position(connection: sa.Connection) -> str:
    return "@@GLOBAL.gtid_current_pos" if _is_mariadb(connection) else "@@GLOBAL.gtid_executed"


def _is_mariadb(connection: sa.Connection) -> bool:
    return getattr(connection.dialect, "is_mariadb", False)


def _number(error: sa.exc.DBAPIError) -> Any:
    return error.orig.args[0] if error.orig and error.orig.args else None
