"""PostgreSQL's answers; the door is a function."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import encrypt_password

from bank.storage import near
from bank.storage.dialects.base import CLOSED, Answer, Dialect, Message, as_json, in_transaction, table_grants

# serialization_failure, deadlock_detected, lock_not_available. https://www.postgresql.org/docs/15/errcodes-appendix.html
_LOST_RACE = {"40001", "40P01", "55P03"}
# query_canceled, read_only_sql_transaction (a standby, or a primary about to be one), and insufficient resources.
_GAVE_UP = {"57014", "25006", "53100", "53200", "53300"}
_POST = "SELECT ledger_post(%s)"
_SEND = "SELECT payments_send(%s)"
# How far the log is on disk, as each commit is before anybody sees it, and the first transaction that is not over. Of one
# that has not committed yet, its number: its commit tells all before it.
_POSITION = "concat_ws(' ', pg_current_wal_flush_lsn(), pg_snapshot_xmax(pg_current_snapshot()))"
_OWN_POSITION = f"coalesce('x' || pg_current_xact_id_if_assigned()::text, {_POSITION})"
# The door first: a list is evaluated from left to right.
_POST_AND_TELL = f"{_POST}, {_OWN_POSITION}"
_SEND_AND_TELL = f"{_SEND}, {_OWN_POSITION}"
# One that was promoted is a primary itself. On disk may be half a record, which a standby cannot apply until the rest comes:
# on a quiet primary that takes seconds, but then all transactions before are over there as well.
_HAS_REACHED = (
    "SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= %(log)s::pg_lsn"
    " OR pg_snapshot_xmin(pg_current_snapshot()) >= %(transaction)s::xid8"
)
# `pg_visible_in_snapshot` is no help: of a snapshot on a standby it does not see who is in progress.
_HAS_REACHED_OWN = (
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN true"
    " WHEN pg_snapshot_xmax(pg_current_snapshot()) <= %(transaction)s::xid8 THEN false"
    " ELSE coalesce(pg_xact_status(%(transaction)s::xid8) <> 'in progress', true) END"
)
_MIGRATION_LOCK = 0x62616E6B  # "bank"


class PostgreSQL(Dialect):
    """PostgreSQL 13 or newer by psycopg2."""

    name = "postgresql"
    begin_snapshot = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",)
    short_patience = "SET lock_timeout = '5s'"
    triggers = (
        "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
        " WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace"
    )
    newest = (
        "SELECT coalesce(pg_last_xact_replay_timestamp(),"
        " (SELECT booked_at FROM journal_entries ORDER BY id DESC LIMIT 1), now())"
    )

    def connect_args(self, statement_seconds: int | None) -> dict[str, Any]:
        limits = (
            # Pages' joins are written in a good order: trying all of them out takes longer than reading what they find.
            f" -c join_collapse_limit=4 -c statement_timeout={statement_seconds}s -c lock_timeout={max(1, statement_seconds // 3)}s"
            if statement_seconds
            else ""
        )
        return {"connect_timeout": 5, "options": f"-c timezone=UTC -c idle_in_transaction_session_timeout=60s{limits}"}

    def descriptor(self, dbapi_connection: Any) -> int | None:
        return None if dbapi_connection.closed else int(dbapi_connection.fileno())

    def lost_a_race(self, error: sa.exc.DBAPIError) -> bool:
        return getattr(error.orig, "pgcode", None) in _LOST_RACE

    def gave_up(self, error: sa.exc.DBAPIError) -> bool:
        return getattr(error.orig, "pgcode", None) in _GAVE_UP

    def post(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        # In autocommit a statement is its own transaction.
        return self._alone(connection, _POST_AND_TELL, batch) if near.wanted() else self.post_in(connection, batch)

    def post_in(self, tx: sa.Connection, batch: list[Message]) -> list[Answer]:
        [answers] = _called(tx, _POST, batch)
        return list(answers)

    def commit(self, tx: sa.Connection) -> None:
        if near.wanted():
            # The place in the log is not known before the commit; in the same message it costs no other.
            near.wrote(tx.exec_driver_sql(f"COMMIT; SELECT {_POSITION}").scalar_one())
        else:
            tx.exec_driver_sql("COMMIT")

    def position(self, connection: sa.Connection) -> str:
        position: str = connection.exec_driver_sql(f"SELECT {_POSITION}").scalar_one()
        return position

    def has_reached(self, connection: sa.Connection, position: str) -> bool:
        log, _, transaction = position.replace("x", " ").partition(" ")
        query = _HAS_REACHED if log else _HAS_REACHED_OWN
        return bool(connection.exec_driver_sql(query, {"log": log, "transaction": transaction}).scalar_one())

    def identity(self, dbapi_connection: Any) -> tuple[str, str]:
        with dbapi_connection.cursor() as cursor:
            cursor.execute("SELECT system_identifier::text, pg_postmaster_start_time()::text FROM pg_control_system()")
            database, started = cursor.fetchone()
        return database, started

    def in_byte_order(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return column.collate("C") if isinstance(column.type, sa.String) else column

    def send(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        if near.wanted():
            return self._alone(connection, _SEND_AND_TELL, batch)
        [answers] = _called(connection, _SEND, batch)
        return list(answers)

    @staticmethod
    def _alone(connection: sa.Connection, query: str, batch: list[Message]) -> list[Answer]:
        answers, position = _called(connection, query, batch)
        near.wrote(position)
        return list(answers)

    def refusals_of_writing(self, table: str) -> dict[str, str]:
        # One trigger sees them all, and TRUNCATE; it falls with its function.
        name = f"{CLOSED}_{table}"
        return {name: self.refusal_of_writing("INSERT OR UPDATE OR DELETE OR TRUNCATE", table)}

    def refusal_of_writing(self, event: str, table: str) -> str:
        name = f"{CLOSED}_{table}"
        return (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$BEGIN RAISE EXCEPTION '{CLOSED}: this bank is being moved'; END$$;"
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )

    def allow_writing(self, trigger: str, table: str) -> str:
        return f"DROP FUNCTION {trigger}() CASCADE"

    def continue_ids(self, connection: sa.Connection, table: str, column: str) -> None:
        connection.exec_driver_sql(
            f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table}"
            f" HAVING max({column}) IS NOT NULL"
        )

    @contextmanager
    def one_migrator(self, connection: sa.Connection) -> Iterator[None]:
        with in_transaction(connection, "BEGIN"):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            yield

    def statements(self, connection: sa.Connection, prefix: str) -> list[str]:
        schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
        return [statement.format(schema=schema) for statement in super().statements(connection, prefix)]

    def grants(self, connection: sa.Connection, role: str) -> list[str]:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", role):
            raise ValueError("a PostgreSQL role here has small letters, digits and underscores")
        schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
        return [
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
            f"GRANT EXECUTE ON FUNCTION ledger_post(jsonb), payments_send(jsonb) TO {role}",
            *table_grants(role),
        ]

    def make_role(self, connection: sa.Connection, role: str) -> None:
        known = connection.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).first()
        if known is None:
            # One without a password is let in by no password.
            connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")

    def set_password(self, connection: sa.Connection, role: str, password: str) -> None:
        # Only what checks a password travels, so no log of the server's can hold the password itself.
        driver: Any = connection.connection.dbapi_connection
        verifier = encrypt_password(password, role, driver, "scram-sha-256")
        connection.exec_driver_sql(f"ALTER ROLE {role} PASSWORD %s", (verifier,))


def _called(connection: sa.Connection, statement: str, batch: list[Message]) -> tuple[Any, ...]:
    """Give a batch to a function of the database; answers its row.

    By the driver's own cursor: by SQLAlchemy's, a payment takes the client more than twice the CPU.

    Raises:
        DBAPIError: as from SQLAlchemy.
    """
    driver: Any = connection.connection.dbapi_connection
    try:
        with driver.cursor() as cursor:
            cursor.execute(statement, (as_json(batch),))
            row: tuple[Any, ...] = cursor.fetchone()
            return row
    except psycopg2.Error as error:
        cause: Any = error
        is_lost = connection.dialect.is_disconnect(cause, driver, None)
        if is_lost:
            # Asked on what is gone, SQLAlchemy gives up the pool's other connections too, and tells who listens.
            with suppress(sa.exc.DBAPIError):
                connection.exec_driver_sql("SELECT 1")
            connection.invalidate(error)
        raise sa.exc.DBAPIError.instance(
            statement, None, error, psycopg2.Error, connection_invalidated=is_lost
        ) from error
