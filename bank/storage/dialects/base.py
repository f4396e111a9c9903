"""What every database must answer in its own way."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from bank.storage import near, secured
from bank.storage.facts import fact
from bank.storage.secured import ALONE, YES

Message = dict[str, Any]
Answer = list[Any]

#: Stands in the names and the message of the triggers that close a bank to writing.
CLOSED = "closed_to_writing"

NO_ROLES: Final = "SQLite has no roles: the file's permissions are the rights"
NO_REPLICA: Final = "SQLite has no replica"

#: A document or a report may take so long; the rest of the bank is done with sooner.
PATIENT_SECONDS: Final = 15.0
#: What part of a statement's time it may wait for others' locks.
LOCK_SHARE: Final = 0.3

#: Separates statements in the .sql files, for databases that take one at a time.
NEXT_STATEMENT = "\n--;;\n"


class Dialect(ABC):
    """Where our databases differ."""

    name: str
    begin = "BEGIN"
    #: What opens a transaction whose every read sees the same instant, while others go on writing.
    begin_snapshot: tuple[str, ...] = ("BEGIN",)
    #: Lets a change of a table give up after 5 seconds of waiting: behind it, everybody else waits too.
    short_patience: str
    #: Lists this schema's triggers: their names and their tables'.
    triggers: str
    #: This very moment by the server's clock, in UTC with fractions of a second.
    the_time: str
    #: Asks a replica when its state was the primary's.
    newest: str
    #: Asks whether no write would be taken, as on a replica.
    is_read_only: str
    #: Asks for what a primary and its copies have different ones of, once they are promoted.
    timeline: str

    @abstractmethod
    def connect_args(self, statement_seconds: float | None) -> dict[str, Any]:
        """What the driver is told when it connects; no answer is waited for longer than `statement_seconds`.

        A lock is waited for LOCK_SHARE of that, so that a page can try again, or say in time that it could not. The
        server ends a statement after PATIENT_SECONDS, whoever waits for it.
        """

    def wait_for_answers(self, dbapi_connection: Any, seconds: float) -> None:
        """Wait so long for each answer from now on."""

    def ran_out_of_time(self, error: BaseException) -> bool:
        """Has the driver given up waiting for an answer?"""
        return False

    def commit_each(self, dbapi_connection: Any) -> None:
        """Let each statement on a connection that was just made be a transaction of its own."""

    def on_connect(self, dbapi_connection: Any) -> None:
        """Prepare a new connection."""

    def descriptor(self, dbapi_connection: Any) -> int | None:
        """The number of the connection's socket, if it has one."""
        return None

    def lock(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """Hold the selected rows until the transaction ends."""
        return query.with_for_update()

    @abstractmethod
    def lost_a_race(self, error: sa.exc.DBAPIError) -> bool:
        """Did the database give up this transaction for another's sake, so that trying again is right?"""

    def gave_up(self, error: sa.exc.DBAPIError) -> bool:
        """Did the database take the statement back unfinished: out of time or space, or taking no writes for now?"""
        return False

    def broke_off(self, error: sa.exc.DBAPIError) -> bool:
        """Did the connection, or the statement on it, end so that nobody knows how far it came?"""
        return error.connection_invalidated

    @abstractmethod
    def post(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        """Put the batch through the door, in a database transaction of its own."""

    @abstractmethod
    def post_in(self, tx: sa.Connection, batch: list[Message]) -> list[Answer]:
        """Put the batch through the door, within the caller's transaction."""

    @abstractmethod
    def send(self, connection: sa.Connection, batch: list[Message]) -> list[Answer]:
        """Let the database look at who asks for each payment, and put what they may through the door; a transaction
        of its own. Beside the door's answers there is ["denied", what it is about, why, None]."""

    def take_room(self, tx: sa.Connection) -> None:
        """Let the server write to its disk what is gone when the transaction ends: with a full disk it cannot."""

    def commit(self, tx: sa.Connection) -> None:
        """Commit, and say where that lies, if anybody wants to know."""
        tx.exec_driver_sql("COMMIT")
        if near.wanted() or secured.wanted():
            self.tell_position(tx)

    def tell_position(self, connection: sa.Connection) -> None:
        """Say where what was just committed lies; if that cannot be asked any more, that it is not known."""
        position: str | None = None
        with suppress(sa.exc.DBAPIError):
            position = self.position(connection)
        near.wrote(position)
        secured.committed(position)

    def position(self, connection: sa.Connection) -> str:
        """How far this database is: whatever reads have seen here is on every copy that has reached it."""
        raise ValueError(NO_REPLICA)

    def has_reached(self, connection: sa.Connection, position: str) -> bool:
        """Does this replica have all that was committed up to the position?"""
        raise ValueError(NO_REPLICA)

    def end_of_log(self, connection: sa.Connection) -> str:
        """How far this primary's log is, for `has_received`; or that nobody else is to have it, `secured.ALONE`."""
        return ALONE if fact(connection, ALONE) == YES else self.position(connection)

    def has_received(self, connection: sa.Connection, places: Sequence[str]) -> list[bool]:
        """Of each place in the primary's log: does the other region keep all up to it, as this database knows?"""
        return [self.has_reached(connection, place) for place in places]

    def cannot_see_received(self, connection: sa.Connection) -> str:
        """What this role lacks to be told that; empty if nothing."""
        return ""

    def identity(self, dbapi_connection: Any) -> tuple[str, str]:
        """Which database this is, copies alike, as far as the server tells; and since when this server is up.

        While it is up, a server never goes back to an older state.
        """
        raise ValueError(NO_REPLICA)

    @contextmanager
    def snapshot(self, connection: sa.Connection) -> Iterator[None]:
        """Let every read of the body see the same instant; others may write meanwhile."""
        for statement in self.begin_snapshot:
            connection.exec_driver_sql(statement)
        try:
            yield
        finally:
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")

    def in_byte_order(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The column so that it sorts alike on every database, whatever the server's language."""
        return column

    def refusals_of_writing(self, table: str) -> dict[str, str]:
        """Triggers by name, and the statement that makes each: together they refuse every change of a row."""
        return {
            f"{CLOSED}_{event.lower()}_{table}": self.refusal_of_writing(event, table)
            for event in ("INSERT", "UPDATE", "DELETE")
        }

    @abstractmethod
    def refusal_of_writing(self, event: str, table: str) -> str:
        """The statement that makes the trigger for one kind of event."""

    def allow_writing(self, trigger: str, table: str) -> str:
        """The statement that takes back one of `refusals_of_writing`."""
        return f"DROP TRIGGER {trigger}"

    def is_closed(self, error: sa.exc.DBAPIError) -> bool:
        """Was the statement refused because the bank is closed to writing?"""
        return CLOSED in str(error.orig)

    def continue_ids(self, connection: sa.Connection, table: str, column: str) -> None:
        """Let generated ids go on after the greatest one; most databases see to it themselves."""

    def ids_are_behind(self, connection: sa.Connection, table: str, column: str) -> bool:
        """Would the next generated id be one that is there already?"""
        return False

    @abstractmethod
    def one_migrator(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Keep every other migrator waiting; where the database can, in one transaction that fails as a whole."""

    @abstractmethod
    def grants(self, connection: sa.Connection, role: str) -> list[str]:
        """The statements that give the application's role what it needs and nothing more."""

    def make_role(self, connection: sa.Connection, role: str) -> None:
        """Make the role if it is missing, so that nobody can log in as it yet."""
        raise ValueError(NO_ROLES)

    def set_password(self, connection: sa.Connection, role: str, password: str) -> None:
        """Let the role log in with this password from now on; connections that are open stay so."""
        raise ValueError(NO_ROLES)

    def statements(self, connection: sa.Connection, prefix: str) -> list[str]:
        """What no portable operation can say: this database's .sql files of a migration, statement by statement."""
        scripts = sorted(Path(__file__).parent.glob(f"{self.name}_{prefix}*.sql"))
        return [statement for script in scripts for statement in script.read_text().split(NEXT_STATEMENT)]


def as_json(batch: list[Message]) -> str:
    """The batch as short as it can be written, without what is empty: a server goes through it several times."""
    told = [{name: value for name, value in message.items() if value is not None} for message in batch]
    return json.dumps(told, separators=(",", ":"))


@contextmanager
def in_transaction(connection: sa.Connection, begin: str) -> Iterator[None]:
    """Bracket the body in a database transaction of an autocommit connection."""
    connection.exec_driver_sql(begin)
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        if not connection.invalidated:
            # A refused COMMIT may have ended the transaction already; what was refused is what counts.
            with suppress(sa.exc.DBAPIError):
                connection.exec_driver_sql("ROLLBACK")
        raise


#: What the application may do, by table; the ledger's rows are written by the door alone.
ALL: Final = None
#: Each right with the columns it is limited to, or ALL.
RIGHTS: Final[dict[str, dict[str, tuple[str, ...] | None]]] = {
    "ledger_accounts": {
        "SELECT": ALL,
        "INSERT": ("number", "name", "chart_code", "normal_side", "currency", "floor", "opened_at"),
        "UPDATE": ("name", "status", "floor", "limit_per_payment", "limit_per_day"),
    },
    "journal_entries": {"SELECT": ALL},
    "postings": {"SELECT": ALL},
    "holds": {"SELECT": ALL},
    "audit_records": {"SELECT": ALL, "INSERT": ALL},
    "number_series": {"SELECT": ALL, "UPDATE": ("next_serial",)},
    "customers": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL},
    "accounts": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL},
    "account_holders": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL, "DELETE": ALL},
    "staff": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL},
    "customer_logins": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL},
    "one_time_codes": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL},
    "sessions": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL, "DELETE": ALL},
    "api_tokens": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ("last_used_on", "revoked_at")},
    "throttles": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL, "DELETE": ALL},
    "bank_facts": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL},
    "jobs": {
        "SELECT": ALL,
        "INSERT": ALL,
        "UPDATE": ("slot", "run_by", "runs", "begun_at", "lease_until", "finished_at"),
    },
    "payees": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ("name", "name_check", "removed_at")},
    # The limit on look-ups is counted in them: nobody forgets one.
    "name_checks": {"SELECT": ALL, "INSERT": ALL},
    "payment_drafts": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ALL, "DELETE": ALL},
    "scheduled_payments": {
        "SELECT": ALL,
        "INSERT": ALL,
        "UPDATE": ("status", "entry_id", "refusal", "decided_at"),
    },
    "payment_files": {
        "SELECT": ALL,
        "INSERT": ALL,
        "UPDATE": ("decided", "confirmed_by", "confirmed_at", "finished_at"),
        "DELETE": ALL,
    },
    "payment_file_lines": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ("result", "entry_id", "refusal"), "DELETE": ALL},
    "till_counts": {"SELECT": ALL, "INSERT": ALL},
    "category_corrections": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ("category", "customer_id", "at")},
    "category_rules": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ("category", "at")},
    "cases": {
        "SELECT": ALL,
        "INSERT": ALL,
        "UPDATE": ("taken_by", "taken_at", "answer", "closed_by", "closed_at"),
    },
    "customer_warnings": {"SELECT": ALL, "INSERT": ALL, "UPDATE": ("lifted_by", "lifted_at")},
    "alembic_version": {"SELECT": ALL},
}


def table_grants(role: str) -> list[str]:
    """GRANT statements for RIGHTS, in the words that PostgreSQL and MySQL share."""
    return [f"GRANT {', '.join(_words(rights))} ON {table} TO {role}" for table, rights in RIGHTS.items()]


def _words(rights: dict[str, tuple[str, ...] | None]) -> list[str]:
    return [right if columns is ALL else f"{right} ({', '.join(columns)})" for right, columns in rights.items()]
