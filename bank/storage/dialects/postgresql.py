"""PostgreSQL's answers; the door is a function."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from psycopg2.extensions import encrypt_password

from bank.storage.dialects.base import CLOSED, Answer, Dialect, Message, in_transaction, table_grants

# serialization_failure, deadlock_detected, lock_not_available. https://www.postgresql.org/docs/15/errcodes-appendix.html
_LOST_RACE = {"40001", "40P01", "55P03"}
# query_canceled, read_only_sql_transaction (a standby, or a primary about to be one), and insufficient resources.
_GAVE_UP = {"57014", "25006", "53100", "53200", "53300"}
_POST = sa.text("SELECT ledger_post(CAST(:batch AS jsonb))")
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

    def connect_args(self, statement_seconds: int | None) -> dict[str, Any]:
        limits = (
            f" -c statement_timeout={statement_seconds}s -c lock_timeout={max(1, statement_seconds // 3)}s"
            if statement_seconds
            else ""
        )
        return {"connect_timeout": 5, "options": f"-c timezone=UTC -c idle_in_transaction_session_timeout=60s{limits}"}

    def lost_a_race(self, error: sa.exc.DBAPIError) -> bool:
        return getattr(error.orig, "pgcode", None) in _LOST_RACE

    def gave_up(self, error: sa.exc.DBAPIError) -> bool:
        return getattr(error.orig, "pgcode", None) in _GAVE_UP

    def post(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        # In autocommit a statement is its own transaction.
        return self.post_in(connection, batch)

    def post_in(self, tx: sa.Connection, batch: list[Message]) -> list[Answer]:
        answers: list[Answer] = tx.execute(_POST, {"batch": json.dumps(batch)}).scalar_one()
        return answers

    def in_byte_order(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return column.collate("C") if isinstance(column.type, sa.String) else column

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
            f"GRANT EXECUTE ON FUNCTION ledger_post(jsonb) TO {role}",
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
