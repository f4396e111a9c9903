"""Private database servers, as their makers deliver them: started in a folder of their own and taken down again."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar, Final, Self

import psycopg2
import pymysql

from bank.bench import processes
from bank.storage import migrate

_START_SECONDS: Final = 60
_APP: Final = "bank_app"
_MIGRATOR: Final = "bank_migrator"
_ADMIN: Final = "bank_admin"
_HOST: Final = "127.0.0.1"


class NotInstalled(Exception):
    """Programs are not on this machine; the text says which, and how to get them."""


class Server:
    """What PostgreSQL and MariaDB have in common: a folder, a process, a port and a password."""

    kind: ClassVar[str]
    user_names: ClassVar[tuple[str, ...]]
    #: How it is told to stop in order, and how to stop at once and take its children along.
    stop_signal: ClassVar[signal.Signals]
    abandon_signal: ClassVar[signal.Signals]

    def __init__(self, parent: Path) -> None:
        """Prepare a server whose data lies in a new folder in `parent`.

        Raises:
            NotInstalled: its programs are missing.
        """
        self.binaries = self.find_binaries()
        self.directory = parent / self.kind
        self.data = self.directory / "data"
        self.log = self.directory / "server.log"
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self.process: subprocess.Popen[bytes] | None = None
        self._account = _unprivileged_account(self.user_names)

    def __enter__(self) -> Self:
        self.directory.mkdir()
        _give(self.directory, self._account)
        try:
            self.initialise()
            self._start()
            self.create_roles()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            processes.end(self.process, self.stop_signal, self._leash, _START_SECONDS)
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def cpu_seconds(self) -> float:
        """What the server has used so far, connections that are over included."""
        assert self.process is not None
        return processes.cpu_seconds(self.process.pid)

    @contextmanager
    def bank_database(self, name: str) -> Iterator[str]:
        """A database with the newest schema, made and dropped; its URL is the application's role's."""
        self.create_database(name)
        try:
            migrate.upgrade(self.url(name, _MIGRATOR))
            migrate.grant(self.url(name, _MIGRATOR), _APP)
            yield self.url(name, _APP)
        finally:
            self.drop_database(name)

    def url(self, database: str, role: str = _ADMIN) -> str:
        """Where a role finds a database; by default the one who may do everything."""
        return f"{self.kind}://{role}:{self.password}@{_HOST}:{self.port}/{database}"

    # What each server answers for itself

    @classmethod
    def find_binaries(cls) -> Path:
        """The folder of the server's programs. Raises: NotInstalled."""
        raise NotImplementedError

    def initialise(self) -> None:
        """Make the data directory."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The server's command line, in the foreground."""
        raise NotImplementedError

    def create_roles(self) -> None:
        """Make who migrates and who serves."""
        raise NotImplementedError

    def create_database(self, name: str) -> None:
        """Make an empty database."""
        raise NotImplementedError

    def drop_database(self, name: str) -> None:
        """Delete a database, whoever is still connected."""
        raise NotImplementedError

    def try_to_connect(self) -> None:
        """Connect and disconnect. Raises: the driver's OperationalError."""
        raise NotImplementedError

    # How

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self.process = self._popen(self.command(), stdout=log, stderr=log)
        self._leash = processes.leash(self.process.pid, self.abandon_signal, self.directory)
        give_up_at = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.try_to_connect()
            except (psycopg2.OperationalError, pymysql.err.OperationalError) as away:
                if self.process.poll() is not None or time.monotonic() > give_up_at:
                    raise RuntimeError(f"{self.kind} did not start:\n{self.log.read_text()[-4000:]}") from away
                time.sleep(0.05)
            else:
                return

    def _run(self, command: Sequence[str | Path], stdin: IO[bytes] | None = None) -> None:
        with self.log.open("ab") as log:
            code = self._popen(command, stdin=stdin, stdout=log, stderr=log).wait(_START_SECONDS)
        if code:
            raise RuntimeError(f"{command[0]} failed:\n{self.log.read_text()[-4000:]}")

    def _popen(
        self, command: Sequence[str | Path], *, stdin: IO[bytes] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        drop_root: dict[str, Any] = {}
        if os.geteuid() == 0:
            drop_root = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        # Its own session: Ctrl-C is for us, who then stop the server in order.
        return subprocess.Popen(  # noqa: S603  # a command of our own
            command,
            stdin=stdin or subprocess.DEVNULL,
            cwd=self.directory,
            env={"HOME": str(self.directory), "PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
            **drop_root,
            **options,
        )


class PostgreSQLServer(Server):
    """The newest PostgreSQL installed, with its own defaults: fsync and synchronous_commit are on."""

    kind = "postgresql"
    user_names = ("postgres", "nobody")
    stop_signal = signal.SIGINT
    abandon_signal = signal.SIGQUIT

    @classmethod
    def find_binaries(cls) -> Path:
        installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
        newest = max(installed, key=lambda path: float(path.parts[-3]), default=None)
        found = newest or _which("postgres")
        if found is None or not (found.parent / "pgbench").exists():
            raise NotInstalled("postgres and pgbench are missing; on Debian: apt-get install postgresql")
        return found.parent

    def initialise(self) -> None:
        word = self.directory / "password"
        word.write_text(self.password)
        self._run(
            [
                self.binaries / "initdb",
                f"--pgdata={self.data}",
                f"--username={_ADMIN}",
                f"--pwfile={word}",
                # Scram's thousands of rounds, for each connection of pgbench, would make the reference look dear.
                "--auth=md5",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-instructions",
            ]
        )

    def command(self) -> list[str]:
        # Where it listens, and room for the clients; all else is its makers' choice.
        options = {"listen_addresses": _HOST, "port": self.port, "unix_socket_directories": "", "max_connections": 200}
        settings = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *settings]

    def create_roles(self) -> None:
        for role in (_MIGRATOR, _APP):
            self.execute("postgres", f"CREATE ROLE {role} LOGIN PASSWORD '{self.password}'")

    def create_database(self, name: str) -> None:
        self.execute("postgres", f"CREATE DATABASE {name} OWNER {_MIGRATOR}")

    def drop_database(self, name: str) -> None:
        self.execute("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, database: str, *statements: str) -> None:
        """Run statements as who may do everything, each a transaction of its own."""
        connection = self._connect(database)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def settle(self, name: str) -> None:
        """Let the planner know what a database holds now, as autovacuum would in a while; and write it all down."""
        self.execute(name, "VACUUM ANALYZE", "CHECKPOINT")

    def try_to_connect(self) -> None:
        self._connect("postgres").close()

    def _connect(self, database: str) -> Any:
        return psycopg2.connect(host=_HOST, port=self.port, user=_ADMIN, password=self.password, dbname=database)


class MariaDBServer(Server):
    """MariaDB with its own defaults: each commit is on the disk before it is answered, and there is no binary log."""

    kind = "mysql"
    user_names = ("mysql", "nobody")
    stop_signal = signal.SIGTERM
    abandon_signal = signal.SIGKILL

    @classmethod
    def find_binaries(cls) -> Path:
        found = _which("mariadbd")
        if found is None:
            raise NotInstalled("mariadbd is missing; on Debian: apt-get install mariadb-server-core")
        return found.parent

    def initialise(self) -> None:
        """Bootstrap the system tables: `mariadb-install-db` does no more, but wants the client's package."""
        self.data.mkdir(mode=0o700)
        _give(self.data, self._account)
        parts = ("system_tables", "performance_tables", "system_tables_data")
        tables = "".join(self._system_tables(part).read_text() for part in parts)
        script = self.directory / "bootstrap.sql"
        script.write_text(f"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n{tables}")
        with script.open("rb") as statements:
            self._run([self.binaries / "mariadbd", *self._places(), "--bootstrap", "--log-warnings=0"], statements)

    def _system_tables(self, part: str) -> Path:
        share = self.binaries.parent / "share"
        for candidate in (share / "mysql" / f"mysql_{part}.sql", share / "mariadb" / f"mariadb_{part}.sql"):
            if candidate.exists():
                return candidate
        raise NotInstalled(f"no {part}.sql beside {self.binaries}; on Debian: apt-get install mariadb-server-core")

    def _places(self) -> list[str]:
        return ["--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.directory}"]

    def command(self) -> list[str]:
        options = {
            "bind-address": _HOST,
            "port": self.port,
            "socket": self._socket,
            "pid-file": self.directory / "server.pid",
            "max-connections": 200,
            "skip-name-resolve": 1,
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        return [str(self.binaries / "mariadbd"), *self._places(), *settings]

    def create_roles(self) -> None:
        for role in (_MIGRATOR, _APP, _ADMIN):
            self.execute(f"CREATE USER {role}@'%' IDENTIFIED BY '{self.password}'")
        self.execute(
            f"GRANT ALL PRIVILEGES ON *.* TO {_ADMIN}@'%' WITH GRANT OPTION",
            # They have no password, which only the socket in a private folder makes good.
            "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost'",
            "FLUSH PRIVILEGES",
        )

    def create_database(self, name: str) -> None:
        self.execute(
            f"CREATE DATABASE {name}", f"GRANT ALL PRIVILEGES ON {name}.* TO {_MIGRATOR}@'%' WITH GRANT OPTION"
        )

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name}")

    def execute(self, *statements: str) -> None:
        """Run statements as who may do everything."""
        connection = pymysql.connect(unix_socket=str(self._socket), user="root", autocommit=True)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def try_to_connect(self) -> None:
        self.execute()

    @property
    def _socket(self) -> Path:
        return self.directory / "s"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def _which(program: str) -> Path | None:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    return Path(found).resolve() if found else None


def _unprivileged_account(names: Sequence[str]) -> pwd.struct_passwd:
    """Neither server serves as root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    known = {account.pw_name: account for account in pwd.getpwall()}
    return next(known[name] for name in names if name in known)


def _give(path: Path, account: pwd.struct_passwd) -> None:
    if os.geteuid() == 0:
        os.chown(path, account.pw_uid, account.pw_gid)
