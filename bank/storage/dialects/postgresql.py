"""PostgreSQL's answers; the door is a function."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import encrypt_password

from bank.storage import near, secured
from bank.storage.dialects.base import (
    CLOSED,
    LOCK_SHARE,
    PATIENT_SECONDS,
    Answer,
    Dialect,
    Message,
    as_json,
    in_transaction,
    table_grants,
)
from bank.storage.dialects.psycopg_deadline import NoAnswerInTime, bounded
from bank.storage.secured import ALONE, YES

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
# The log as the other region must have it: so far, and on this timeline, since a promotion begins another at the same places.
_END_OF_LOG = (
    f"CASE WHEN EXISTS (SELECT FROM bank_facts WHERE name = '{ALONE}' AND value = '{YES}') THEN '{ALONE}'"
    " ELSE left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) || ' ' || pg_current_wal_flush_lsn() END"
)
# A commit's place in the log is known after it alone; all in one message costs no more than one journey. The setting is
# the connection's own, and nothing but a place where the door's answer outlasts its transaction.
_TOGETHER = (
    "BEGIN; SELECT set_config('bank.answers', {door}(%s)::text, false); COMMIT;"
    f" SELECT current_setting('bank.answers'), {_POSITION}, {_END_OF_LOG}"
)
# What a standby has on disk, or of a primary's standbys the one that has least. Logical subscribers, and those who
# only save the log or copy the database, are none: nobody promotes them.
_RECEIVED = (
    "SELECT CASE WHEN pg_is_in_recovery()"
    " THEN (SELECT lpad(upper(to_hex(received_tli)), 8, '0') || ' ' || flushed_lsn FROM pg_stat_wal_receiver)"
    " ELSE left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) || ' ' || ("
    "SELECT min(coalesce(flush_lsn, '0/0')) FROM pg_stat_replication AS standby"
    " WHERE state = 'streaming' AND application_name NOT IN ('pg_basebackup', 'pg_receivewal') AND NOT EXISTS ("
    "SELECT FROM pg_replication_slots WHERE active_pid = standby.pid AND slot_type = 'logical'))"
    " END"
)
# Without it, nobody but a superuser sees how far a standby is.
_SEES_STANDBYS = "pg_read_all_stats"
_MAY_LET_SEE = (
    f"SELECT rolsuper OR pg_has_role('{_SEES_STANDBYS}', 'MEMBER WITH ADMIN OPTION')"
    " OR (rolcreaterole AND current_setting('server_version_num')::int < 160000)"
    " FROM pg_roles WHERE rolname = current_user"
)
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
    the_time = "clock_timestamp()"
    short_patience = "SET lock_timeout = '5s'"
    triggers = (
        "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
        " WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace"
    )
    newest = (
        "SELECT coalesce(pg_last_xact_replay_timestamp(),"
        " (SELECT booked_at FROM journal_entries ORDER BY id DESC LIMIT 1), now())"
    )

    is_read_only = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
    timeline = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"

    def connect_args(self, statement_seconds: float | None) -> dict[str, Any]:
        limits = (
            # Pages' joins are written in a good order: trying all of them out takes longer than reading what they find.
            # A plan for any account must not sort all of one that has a million postings: the index has them in order.
            f" -c enable_bitmapscan=off -c join_collapse_limit=4 -c statement_timeout={max(PATIENT_SECONDS, statement_seconds):.0f}s"
            f" -c lock_timeout={statement_seconds * LOCK_SHARE * 1000:.0f}ms"
            if statement_seconds
            else ""
        )
        kind = {"connection_factory": bounded(statement_seconds)} if statement_seconds else {}
        return {**kind, "options": f"-c timezone=UTC -c idle_in_transaction_session_timeout=60s{limits}"}

    def wait_for_answers(self, dbapi_connection: Any, seconds: float) -> None:
        dbapi_connection.answer_seconds = seconds

    def ran_out_of_time(self, error: BaseException) -> bool:
        return isinstance(error, NoAnswerInTime)

    def commit_each(self, dbapi_connection: Any) -> None:
        dbapi_connection.autocommit = True

    def descriptor(self, dbapi_connection: Any) -> int | None:
        return None if dbapi_connection.closed else int(dbapi_connection.fileno())

    def lost_a_race(self, error: sa.exc.DBAPIError) -> bool:
        return getattr(error.orig, "pgcode", None) in _LOST_RACE

    def gave_up(self, error: sa.exc.DBAPIError) -> bool:
        return getattr(error.orig, "pgcode", None) in _GAVE_UP

    def post(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        if secured.wanted():
            return self._together(connection, "ledger_post", batch)
        # In autocommit a statement is its own transaction.
        return self._alone(connection, _POST_AND_TELL, batch) if near.wanted() else self.post_in(connection, batch)

    def post_in(self, tx: sa.Connection, batch: list[Message]) -> list[Answer]:
        secured.moving()
        [answers] = _called(tx, _POST, batch)
        return list(answers)

    def commit(self, tx: sa.Connection) -> None:
        # The place in the log is not known before the commit; in the same message it costs no other.
        if secured.wanted():
            position, place = tx.exec_driver_sql(f"COMMIT; SELECT {_POSITION}, {_END_OF_LOG}").one()
            near.wrote(position)
            secured.committed(place)
        elif near.wanted():
            near.wrote(tx.exec_driver_sql(f"COMMIT; SELECT {_POSITION}").scalar_one())
        else:
            tx.exec_driver_sql("COMMIT")

    def take_room(self, tx: sa.Connection) -> None:
        # Rows that it may not keep in memory go to a file.
        tx.exec_driver_sql("SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 20000)")

    def position(self, connection: sa.Connection) -> str:
        position: str = connection.exec_driver_sql(f"SELECT {_POSITION}").scalar_one()
        return position

    def has_reached(self, connection: sa.Connection, position: str) -> bool:
        log, _, transaction = position.replace("x", " ").partition(" ")
        query = _HAS_REACHED if log else _HAS_REACHED_OWN
        return bool(connection.exec_driver_sql(query, {"log": log, "transaction": transaction}).scalar_one())

    def end_of_log(self, connection: sa.Connection) -> str:
        place: str = connection.exec_driver_sql(f"SELECT {_END_OF_LOG}").scalar_one()
        return place

    def has_received(self, connection: sa.Connection, places: Sequence[str]) -> list[bool]:
        received = connection.exec_driver_sql(_RECEIVED).scalar_one()
        return [received is not None and _is_up_to(place, received) for place in places]

    def cannot_see_received(self, connection: sa.Connection) -> str:
        sees = connection.exec_driver_sql(f"SELECT pg_has_role('{_SEES_STANDBYS}', 'USAGE')").scalar_one()
        return "" if sees else f"the role sees no standby; let an administrator GRANT {_SEES_STANDBYS} to it"

    def identity(self, dbapi_connection: Any) -> tuple[str, str]:
        with dbapi_connection.cursor() as cursor:
            cursor.execute("SELECT system_identifier::text, pg_postmaster_start_time()::text FROM pg_control_system()")
            database, started = cursor.fetchone()
        return database, started

    def in_byte_order(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return column.collate("C") if isinstance(column.type, sa.String) else column

    def send(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        if secured.wanted():
            return self._together(connection, "payments_send", batch)
        if near.wanted():
            return self._alone(connection, _SEND_AND_TELL, batch)
        [answers] = _called(connection, _SEND, batch)
        return list(answers)

    @staticmethod
    def _alone(connection: sa.Connection, query: str, batch: list[Message]) -> list[Answer]:
        answers, position = _called(connection, query, batch)
        near.wrote(position)
        return list(answers)

    @staticmethod
    def _together(connection: sa.Connection, door: str, batch: list[Message]) -> list[Answer]:
        try:
            answers, position, place = _called(connection, _TOGETHER.format(door=door), batch)
        except sa.exc.DBAPIError:
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")
            raise
        near.wrote(position)
        secured.committed(place)
        return list(json.loads(answers))

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

    def ids_are_behind(self, connection: sa.Connection, table: str, column: str) -> bool:
        last = f"coalesce(pg_sequence_last_value(pg_get_serial_sequence('{table}', '{column}')::regclass), 0)"
        query = f"SELECT {last} < coalesce(max({column}), 0) FROM {table}"  # names of our own
        return bool(connection.exec_driver_sql(query).scalar_one())

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
            *([f"GRANT {_SEES_STANDBYS} TO {role}"] if connection.exec_driver_sql(_MAY_LET_SEE).scalar_one() else []),
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


def _is_up_to(place: str, received: str) -> bool:
    """Is a place in the log, like `00000001 0/16B3748`, within what was received?

    >>> _is_up_to("00000001 0/9", "00000001 0/A"), _is_up_to("00000001 1/0", "00000001 0/FFFFFFFF")
    (True, False)
    >>> _is_up_to("00000001 0/9", "00000002 0/A")
    False
    """
    timeline, wanted = place.split()
    its_timeline, last = received.split()
    return timeline == its_timeline and _number(wanted) <= _number(last)


def _number(place: str) -> int:
    high, low = place.split("/")
    return int(high, 16) << 32 | int(low, 16)


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
