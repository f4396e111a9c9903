"""Private database servers for tests: started, killed and removed without touching the system's own.

Each lives in a temporary directory and listens on a unix socket there (and on a free port of 127.0.0.1, if asked).
Root is dropped. A watchdog ends the server and removes the directory when the process that started it is gone,
however it went.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, Self

import psycopg2
import pymysql
import pytest

PARAMETERS = Path(__file__).parents[1] / "infra/modules/database/parameters"
START_SECONDS = 60
MEMORY_BYTES = 4 * 2**30
LONGEST_BASE = 60
APP_ROLE = "bank_app"
MIGRATOR_ROLE = "bank_migrator"
NOT_RUN = "NOT RUN: "


class NotInstalled(Exception):
    """The server's programs are not on this machine; the text says what to install."""


def not_run(what: str, why: str) -> NoReturn:
    """Skip the test visibly, or fail it in CI, where everything has to be there."""
    reason = f"{NOT_RUN}{what}: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """One database as seen by the roles that meet it; on SQLite they are all the same."""

    migrator: str
    app: str
    admin: str


class Server:
    """What PostgreSQL and MariaDB have in common: a directory, a process and two roles."""

    dialect: str
    user_names: tuple[str, ...]
    stop_signal: signal.Signals
    abandon_signal: signal.Signals

    def __init__(self, *, tcp: bool = False, tls: tuple[Path, Path] | None = None) -> None:
        """Prepare a server; `tls` is a certificate and its key as PEM files."""
        self.binaries = self.find_binaries()
        self.account = _unprivileged_account(self.user_names)
        self.directory = _directory_for(self.account, f"bank-{self.dialect}-")
        self.data = self.directory / "data"
        self.log = self.directory / "server.log"
        self.port = free_port() if tcp else None
        self.passwords = {role: secrets.token_hex(8) for role in ("bank_admin", MIGRATOR_ROLE, APP_ROLE)}
        self.tls = self._own_copies(tls) if tls else None
        self.process: subprocess.Popen[bytes] | None = None
        self._leash: subprocess.Popen[bytes] | None = None

    # What a test does with it

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> None:
        """Start and wait until it answers; the first time, make the data directory and the roles."""
        if self.process:
            raise AssertionError("already started")
        is_new = not self.data.exists()
        if is_new:
            self.initialise()
        with self.log.open("ab") as log:
            self.process = self._popen(self.command(), stdout=log, stderr=log)
        self._leash = leash(self.process.pid, self.abandon_signal, self.directory)
        self._wait_until_it_answers()
        if is_new:
            self.create_roles()

    def stop(self) -> None:
        """Shut down in order and keep the data: `start` serves it again."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End every process of the server at once, as a power cut would; `start` recovers."""
        if not self.process:
            return
        # Stopped first, or a parent would notice its children dying and tidy up.
        self.process.send_signal(signal.SIGSTOP)
        helpers = children(self.process.pid)
        with adopting_orphans():
            for pid in (*helpers, self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self._end(signal.SIGKILL)
            for pid in helpers:
                os.waitpid(pid, 0)

    def restart(self) -> None:
        """Stop in order, start again: same data, same addresses."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """End it and delete its data."""
        self._end(self.abandon_signal)
        shutil.rmtree(self.directory, ignore_errors=True)

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
        """Make the administrator, the migrator and the application's role."""
        raise NotImplementedError

    def try_to_connect(self) -> None:
        """Connect and disconnect. Raises: the driver's OperationalError."""
        raise NotImplementedError

    # How

    def _end(self, how: signal.Signals) -> None:
        if not self.process:
            return
        self.process.send_signal(how)
        self.process.wait(START_SECONDS)
        self.process = None
        if self._leash:
            self._leash.communicate(b"let go\n")
            self._leash = None

    def _wait_until_it_answers(self) -> None:
        def answers() -> bool:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"{self.dialect} did not start:\n{self.log.read_text()[-4000:]}")
            try:
                self.try_to_connect()
            except (psycopg2.OperationalError, pymysql.err.OperationalError):
                return False
            return True

        wait_for(answers, f"{self.dialect} to answer")

    def _run(self, command: Sequence[str | Path], stdin: IO[bytes] | None = None) -> None:
        with self.log.open("ab") as log:
            done = self._popen(command, stdin=stdin, stdout=log, stderr=log).wait(START_SECONDS)
        if done != 0:
            raise RuntimeError(f"{command[0]} failed:\n{self.log.read_text()[-4000:]}")

    def _popen(
        self, command: Sequence[str | Path], *, stdin: IO[bytes] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        drop_root: dict[str, Any] = {}
        if os.geteuid() == 0:
            drop_root = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        # Its own session: Ctrl-C is for pytest, which then stops the server in order.
        return subprocess.Popen(
            command,
            stdin=stdin or subprocess.DEVNULL,
            cwd=self.directory,
            env={"HOME": str(self.directory), "PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
            **drop_root,
            **options,
        )

    def _own_copies(self, tls: tuple[Path, Path]) -> tuple[Path, Path]:
        copies = (self.directory / "server.crt", self.directory / "server.key")
        for source, copy in zip(tls, copies, strict=True):
            shutil.copyfile(source, copy)
            copy.chmod(0o600)
            _give(copy, self.account)
        return copies

    def _parameters(self) -> dict[str, str]:
        read: dict[str, Any] = json.loads((PARAMETERS / f"{self.dialect}.json").read_text())
        del read["rds_only"]
        return read

    def _url(self, role: str, database: str, socket_query: str) -> str:
        login = f"{self.dialect}://{role}:{self.passwords[role]}@"
        if self.port:
            return f"{login}127.0.0.1:{self.port}/{database}"
        return f"{login}{'localhost' if self.dialect == 'mysql' else ''}/{database}?{socket_query}"

    def _urls(self, database: str, socket_query: str) -> DatabaseUrls:
        return DatabaseUrls(
            migrator=self._url(MIGRATOR_ROLE, database, socket_query),
            app=self._url(APP_ROLE, database, socket_query),
            admin=self._url("bank_admin", database, socket_query),
        )


class PostgresServer(Server):
    """A PostgreSQL of the newest version installed, with the parameters that `infra/` sets."""

    dialect = "postgresql"
    user_names = ("postgres", "nobody")
    stop_signal = signal.SIGINT
    # Quits at once, yet takes its children and its shared memory along.
    abandon_signal = signal.SIGQUIT
    initdb_options: Sequence[str] = ()

    @classmethod
    def find_binaries(cls) -> Path:
        installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
        if newest := max(installed, key=lambda path: float(path.parts[-3]), default=None):
            return newest.parent
        if on_path := shutil.which("postgres"):
            return Path(on_path).resolve().parent
        raise NotInstalled("no PostgreSQL server found; install postgresql")

    def initialise(self) -> None:
        self._run(
            [
                self.binaries / "initdb",
                f"--pgdata={self.data}",
                "--username=bank_admin",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--no-sync",
                "--no-instructions",
                *self.initdb_options,
            ]
        )

    def command(self) -> list[str]:
        options = {
            **self._parameters(),
            "listen_addresses": "127.0.0.1" if self.port else "",
            "unix_socket_directories": str(self.directory),
            "max_connections": "200",
            # In the data directory, so that a killed server leaves nothing elsewhere.
            "dynamic_shared_memory_type": "mmap",
        }
        if self.port:
            options["port"] = str(self.port)
        if self.tls:
            options |= {"ssl": "on", "ssl_cert_file": str(self.tls[0]), "ssl_key_file": str(self.tls[1])}
        settings = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *settings]

    def create_roles(self) -> None:
        with self.admin() as cursor:
            cursor.execute("ALTER ROLE bank_admin PASSWORD %s", [self.passwords["bank_admin"]])
            for role in (MIGRATOR_ROLE, APP_ROLE):
                cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD %s", [self.passwords[role]])
        # Before version 15 everyone could create tables in `public`; new databases copy template1.
        with self.admin("template1") as cursor:
            cursor.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")

    def try_to_connect(self) -> None:
        self._connect("postgres").close()

    @contextmanager
    def admin(self, database: str = "postgres") -> Iterator[Any]:
        """A superuser's cursor in autocommit."""
        connection = self._connect(database)
        connection.autocommit = True
        try:
            yield connection.cursor()
        finally:
            connection.close()

    def create_database(self, name: str, *, template: str = "template1") -> DatabaseUrls:
        """Make a database that the migrator owns; as a copy of `template`, if given."""
        with self.admin() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" OWNER {MIGRATOR_ROLE} TEMPLATE "{template}"')
        return self._urls(name, f"host={self.directory}")

    def drop_database(self, name: str) -> None:
        """Delete a database, whoever is still connected."""
        with self.admin() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def remove(self) -> None:
        self._free_shared_memory()
        super().remove()

    def _free_shared_memory(self) -> None:
        """A killed server leaves a few bytes of shared memory that only its next start would free."""
        lock = self.data / "postmaster.pid"
        if self.process or not lock.exists():
            return
        segment = lock.read_text().splitlines()[6].split()
        subprocess.run(["ipcrm", "--shmem-id", segment[1]], check=False, capture_output=True)

    def _connect(self, database: str) -> Any:
        port = self.port or 5432
        return psycopg2.connect(host=str(self.directory), port=port, user="bank_admin", dbname=database)


class MariaDBServer(Server):
    """A MariaDB with a binary log, an unprivileged migrator and the parameters that `infra/` sets, as on RDS."""

    dialect = "mysql"
    user_names = ("mysql", "nobody")
    stop_signal = signal.SIGTERM
    abandon_signal = signal.SIGKILL

    @classmethod
    def find_binaries(cls) -> Path:
        path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
        if server := shutil.which("mariadbd", path=path):
            return Path(server).parent
        raise NotInstalled("no mariadbd found; install mariadb-server-core")

    def initialise(self) -> None:
        """Bootstrap the system tables: `mariadb-install-db` does no more, but wants the client's package."""
        self.data.mkdir(mode=0o700)
        _give(self.data, self.account)
        script = self.directory / "bootstrap.sql"
        parts = ("system_tables", "performance_tables", "system_tables_data")
        tables = "".join(self._system_tables(part).read_text() for part in parts)
        script.write_text(f"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n{tables}")
        with script.open("rb") as statements:
            self._run(
                [
                    self.binaries / "mariadbd",
                    "--no-defaults",
                    "--bootstrap",
                    "--log-warnings=0",
                    f"--datadir={self.data}",
                    f"--tmpdir={self.directory}",
                    *self._SIZES,
                    "--innodb-flush-log-at-trx-commit=0",
                ],
                stdin=statements,
            )

    def _system_tables(self, part: str) -> Path:
        share = self.binaries.parent / "share"
        for candidate in (share / "mysql" / f"mysql_{part}.sql", share / "mariadb" / f"mariadb_{part}.sql"):
            if candidate.exists():
                return candidate
        raise NotInstalled(f"no {part}.sql beside {self.binaries}; install mariadb-server-core anew")

    # Small, to be made quickly and many at a time; they bear on speed alone.
    _SIZES = ("--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M")

    def command(self) -> list[str]:
        options = {
            **self._parameters(),
            "datadir": str(self.data),
            # Its own: at its start MariaDB deletes the temporary tables of every other server it shares this with.
            "tmpdir": str(self.directory),
            "socket": str(self._socket),
            "pid-file": str(self.directory / "server.pid"),
            "log-bin": str(self.data / "binlog"),
            "server-id": "1",
            "max-connections": "200",
            "skip-name-resolve": "1",
        }
        if self.port:
            options |= {"bind-address": "127.0.0.1", "port": str(self.port)}
        else:
            options["skip-networking"] = "1"
        if self.tls:
            options |= {"ssl-cert": str(self.tls[0]), "ssl-key": str(self.tls[1])}
        settings = [f"--{name}={value}" for name, value in options.items()]
        return [str(self.binaries / "mariadbd"), "--no-defaults", *self._SIZES, *settings]

    def create_roles(self) -> None:
        with self.admin() as cursor:
            for role in (MIGRATOR_ROLE, APP_ROLE):
                cursor.execute(f"CREATE USER {role}@'%%' IDENTIFIED BY %s", [self.passwords[role]])
            cursor.execute("CREATE USER bank_admin@'%%' IDENTIFIED BY %s", [self.passwords["bank_admin"]])
            cursor.execute("GRANT ALL PRIVILEGES ON *.* TO bank_admin@'%' WITH GRANT OPTION")
            # They have no password, which only the socket in a private directory makes good.
            cursor.execute("DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost'")
            cursor.execute("FLUSH PRIVILEGES")

    def try_to_connect(self) -> None:
        self._connect().close()

    @contextmanager
    def admin(self, database: str | None = None) -> Iterator[Any]:
        """A superuser's cursor in autocommit."""
        connection = self._connect(database)
        try:
            yield connection.cursor()
        finally:
            connection.close()

    def create_database(self, name: str) -> DatabaseUrls:
        """Make a database in which the migrator may do all, and pass rights on; elsewhere it may nothing."""
        with self.admin() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
            # In a grant `_` stands for any character.
            pattern = name.replace("_", r"\_")
            cursor.execute(f"GRANT ALL PRIVILEGES ON `{pattern}`.* TO {MIGRATOR_ROLE}@'%' WITH GRANT OPTION")
        return self._urls(name, f"unix_socket={self._socket}")

    def drop_database(self, name: str) -> None:
        """Delete a database, whoever is still connected, and every right in it, which MariaDB would keep."""
        self.disconnect_all(name)
        with self.admin("mysql") as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
            for table in ("db", "tables_priv", "columns_priv", "procs_priv"):
                cursor.execute(f"DELETE FROM {table} WHERE Db IN (%s, %s)", [name, name.replace("_", r"\_")])
            cursor.execute("FLUSH PRIVILEGES")

    def disconnect_all(self, name: str) -> None:
        """End the connections to a database: what they hold locked would make others wait."""
        with self.admin() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [name])
            for (thread,) in cursor.fetchall():
                with suppress(pymysql.err.OperationalError):  # It may just have left.
                    cursor.execute(f"KILL {thread}")

    @property
    def _socket(self) -> Path:
        return self.directory / "server.sock"

    def _connect(self, database: str | None = None) -> Any:
        return pymysql.connect(unix_socket=str(self._socket), user="root", database=database, autocommit=True)


def _unprivileged_account(names: Sequence[str]) -> pwd.struct_passwd:
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    known = {account.pw_name: account for account in pwd.getpwall()}
    return next(known[name] for name in names if name in known)


def _directory_for(account: pwd.struct_passwd, prefix: str) -> Path:
    """A directory of its own, in memory where there is plenty.

    A database for each test is thousands of small files made and deleted, at which ext4 is several times slower.
    """
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=_roomy_memory() or _short_temporary_directory()))
    _give(directory, account)
    return directory


def _roomy_memory() -> str | None:
    memory = Path("/dev/shm")
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_BYTES
    return str(memory) if has_room else None


def _short_temporary_directory() -> str:
    """A socket's path has about a hundred characters at most."""
    base = tempfile.gettempdir()
    return base if len(base) < LONGEST_BASE else "/tmp"


def _give(path: Path, account: pwd.struct_passwd) -> None:
    if os.geteuid() == 0:
        os.chown(path, account.pw_uid, account.pw_gid)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def leash(pid: int, how: signal.Signals, directory: Path) -> subprocess.Popen[bytes]:
    """Watch over a server: when our end of the pipe closes without a word, end it and remove what it left."""
    script = """
        read -r word && exit 0
        kill -s "$2" "$1" 2>/dev/null
        for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" 2>/dev/null || break; sleep 0.2; done
        kill -s KILL "$1" 2>/dev/null
        rm -rf "$3"
    """
    return subprocess.Popen(
        ["sh", "-c", script, "leash", str(pid), how.name.removeprefix("SIG"), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name stands in brackets and may itself hold spaces and brackets.
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Let the children of a process that dies become ours, to be waited for: a container may lack an init."""
    set_child_subreaper = 36
    libc = ctypes.CDLL(None)
    libc.prctl(set_child_subreaper, 1)
    try:
        yield
    finally:
        libc.prctl(set_child_subreaper, 0)


def wait_for(happens: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not happens():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {START_SECONDS} s for {what}")
        time.sleep(0.02)
