"""Replicas of the tests' own servers: followed for real, held back, let go on and promoted as a test needs."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.servers import MariaDBServer, PostgresServer, Server, children, wait_for


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Stop all of a server's processes where they are: it closes nothing, and answers nothing."""
    assert server.process is not None
    stopped: list[int] = []

    def send(pid: int, what: signal.Signals) -> None:
        # One that has just ended is not there to be stopped.
        with suppress(ProcessLookupError):
            os.kill(pid, what)

    try:
        # It starts the others: once it stands still, there are no new ones.
        stopped.append(server.process.pid)
        send(server.process.pid, signal.SIGSTOP)
        for pid in children(server.process.pid):
            stopped.append(pid)
            send(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(stopped):
            send(pid, signal.SIGCONT)


class PostgresReplica(PostgresServer):
    """A streaming standby of a PostgreSQL of the tests'."""

    def __init__(self, primary: PostgresServer, *, tcp: bool = False) -> None:
        super().__init__(tcp=tcp)
        self.primary = primary
        self.passwords = primary.passwords

    def initialise(self) -> None:
        self._run(
            [
                self.binaries / "pg_basebackup",
                f"--pgdata={self.data}",
                f"--host={self.primary.directory}",
                f"--port={self.primary.port or 5432}",
                "--username=bank_admin",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            ]
        )
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write("wal_retrieve_retry_interval = '200ms'\n")

    def create_roles(self) -> None:
        """They are the primary's."""

    def hold_back(self) -> None:
        """Go on receiving, and apply nothing."""
        self._tell("SELECT pg_wal_replay_pause()")
        wait_for(lambda: self._tell("SELECT pg_get_wal_replay_pause_state()") == "paused", "the standby to pause")

    def go_on(self) -> None:
        """Apply what was received."""
        self._tell("SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Go on, and wait until all that the primary has committed is here."""
        self.go_on()
        with self.primary.admin() as cursor:
            # What no commit has flushed, the primary does not send.
            cursor.execute("SELECT pg_current_wal_flush_lsn()")
            [(position,)] = cursor.fetchall()
        wait_for(lambda: self._tell("SELECT pg_last_wal_replay_lsn() >= %s", position), "the standby to catch up")

    def promote(self) -> None:
        """Take writes from now on."""
        assert self._tell("SELECT pg_promote()")

    def _tell(self, statement: str, *values: Any) -> Any:
        with self.admin() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()[0][0]


class MariaDBReplica(MariaDBServer):
    """A replica by GTID of a MariaDB of the tests', which listens on a port."""

    _numbers = itertools.count(2)

    def __init__(self, primary: MariaDBServer, *, tcp: bool = False) -> None:
        super().__init__(tcp=tcp)
        # The primary drops one of two that call themselves alike.
        self.number = next(self._numbers)
        self.primary = primary
        self.passwords = primary.passwords

    def command(self) -> list[str]:
        own = [
            f"--server-id={self.number}",
            "--read-only=1",
            f"--relay-log={self.data / 'relay'}",
            "--skip-slave-start=0",
        ]
        return [*super().command(), *own]

    def create_roles(self) -> None:
        """Follow the primary from its first statement on, which made them."""
        with self.admin() as cursor:
            cursor.execute(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%s, MASTER_USER='bank_admin',"
                " MASTER_PASSWORD=%s, MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1",
                [self.primary.port, self.passwords["bank_admin"]],
            )
            cursor.execute("START SLAVE")
        self.catch_up()

    def hold_back(self) -> None:
        """Go on receiving, and apply nothing."""
        with self.admin() as cursor:
            cursor.execute("STOP SLAVE SQL_THREAD")

    def go_on(self) -> None:
        """Apply what was received."""
        with self.admin() as cursor:
            cursor.execute("START SLAVE SQL_THREAD")

    def catch_up(self) -> None:
        """Go on, and wait until all that the primary has committed is here."""
        self.go_on()
        with self.primary.admin() as cursor:
            cursor.execute("SELECT @@GLOBAL.gtid_current_pos")
            [(position,)] = cursor.fetchall()
        with self.admin() as cursor:
            cursor.execute("SELECT MASTER_GTID_WAIT(%s, 20)", [position])
            [(waited,)] = cursor.fetchall()
            if waited != 0:
                cursor.execute("SHOW SLAVE STATUS")
                raise TimeoutError(f"the replica does not follow: {cursor.fetchall()}")

    def promote(self) -> None:
        """Take writes from now on."""
        with self.admin() as cursor:
            cursor.execute("STOP SLAVE")
            cursor.execute("RESET SLAVE ALL")
            cursor.execute("SET GLOBAL read_only = 0")
