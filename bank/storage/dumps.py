"""A whole database into a file and back, by each database's own tools."""

from __future__ import annotations

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from psycopg2.extensions import make_dsn

from bank.storage.dialects import dialect_of
from bank.storage.tools import (
    BackupRefused,
    Progress,
    ToolFailed,
    chunks,
    feed,
    installed,
    private_file,
    secret_file,
    version_of,
    writing,
)


class Dumps(ABC):
    """How one kind of database is written into a file and read back."""

    #: What a dump is called in its backup's directory.
    file_name: ClassVar[str]

    @abstractmethod
    def tools(self) -> str:
        """The tool and its version.

        Raises:
            BackupRefused: it is not installed.
        """

    @abstractmethod
    def dumping(self, engine: sa.Engine, path: Path, progress: Progress) -> AbstractContextManager[sa.Connection]:
        """A context whose connection sees the very instant that is dumped; when it has ended, the file is complete.

        `progress` is told how many more bytes were written.

        Raises:
            ToolFailed: the tool says why.
        """

    @abstractmethod
    def load(self, engine: sa.Engine, path: Path, progress: Progress) -> None:
        """Fill an empty database; `progress` is told how many more bytes were read.

        Raises:
            ToolFailed: the tool says why.
        """


class PostgreSQLDumps(Dumps):
    """`pg_dump` and `pg_restore`, in PostgreSQL's own format."""

    file_name = "bank.dump"

    def tools(self) -> str:
        installed("pg_restore", package="postgresql-client")
        return version_of(installed("pg_dump", package="postgresql-client"))

    @contextmanager
    def dumping(self, engine: sa.Engine, path: Path, progress: Progress) -> Iterator[sa.Connection]:
        with ExitStack() as until_dumped:
            with engine.connect() as reader, dialect_of(reader).snapshot(reader):
                snapshot = reader.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
                place = until_dumped.enter_context(self._place(reader))
                file = until_dumped.enter_context(private_file(path))
                tool = installed("pg_dump", package="postgresql-client")
                how = [tool, "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", place]
                dump = until_dumped.enter_context(writing(how, file, progress))
                # It writes nothing before it has taken the snapshot as its own.
                dump.write_until(b"")
                yield reader
            # Ours has ended, which the server would not have idle for long; the tool's goes on.
            dump.write_all()

    def load(self, engine: sa.Engine, path: Path, progress: Progress) -> None:
        with engine.connect() as target:
            with self._place(target) as place, path.open("rb") as file:
                tool = installed("pg_restore", package="postgresql-client")
                how = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", place]
                feed([tool, *how], chunks(file), progress)
            target.exec_driver_sql("ANALYZE")

    @contextmanager
    def _place(self, known: sa.Connection) -> Iterator[str]:
        """The argument by which a tool finds the database of this connection; the password is in a file that it names."""
        info: Any = known.connection.dbapi_connection.info  # type: ignore[union-attr]
        # Only what somebody said: the driver knows more words than an older tool.
        told = {"host", "hostaddr", "port", "user", "dbname"} | set(known.engine.url.query)
        words = {name: value for name, value in info.dsn_parameters.items() if name in told}
        password = re.sub(r"([\\:])", r"\\\1", info.password or "")
        with secret_file(f"*:*:*:*:{password}\n") as path:
            yield f"--dbname={make_dsn(**words, passfile=str(path))}"


class MySQLDumps(Dumps):
    """`mariadb-dump` and `mariadb`, or MySQL's tools of the older names, in SQL."""

    file_name = "bank.sql"
    #: Who made a trigger or procedure; here it is whoever restores it, who may not make one in another's name.
    _DEFINER: Final = re.compile(rb"^((?:/\*!50003 )?CREATE(?:\*/ /\*!50017)? )DEFINER=`[^`]*`@`[^`]*` ?")

    def tools(self) -> str:
        self._installed("mariadb", "mysql")
        return version_of(self._installed("mariadb-dump", "mysqldump"))

    @contextmanager
    def dumping(self, engine: sa.Engine, path: Path, progress: Progress) -> Iterator[sa.Connection]:
        with ExitStack() as until_dumped:
            with engine.connect() as keeper, engine.connect() as reader:
                with _kept_still(keeper), ExitStack() as seen:
                    seen.enter_context(dialect_of(reader).snapshot(reader))
                    file = until_dumped.enter_context(private_file(path))
                    options = until_dumped.enter_context(self._options(reader))
                    tool = self._installed("mariadb-dump", "mysqldump")
                    how = ["--single-transaction", "--routines", "--hex-blob", "--no-tablespaces"]
                    if "MariaDB" not in version_of(tool):
                        # Else only an administrator could read it in.
                        how.append("--set-gtid-purged=OFF")
                    dump = until_dumped.enter_context(
                        writing([tool, options, *how, str(reader.engine.url.database)], file, progress)
                    )
                    # Its transaction is open when it tells of the first table.
                    dump.write_until(b"CREATE TABLE")
                    as_seen = seen.pop_all()
                with as_seen:
                    yield reader
            dump.write_all()

    def load(self, engine: sa.Engine, path: Path, progress: Progress) -> None:
        with engine.connect() as target, self._options(target) as options, path.open("rb") as file:
            tool = self._installed("mariadb", "mysql")
            lines = (self._DEFINER.sub(rb"\1", line) for line in file)
            feed([tool, options, "--binary-mode", str(engine.url.database)], lines, progress)

    @staticmethod
    def _installed(name: str, older_name: str) -> str:
        with suppress(BackupRefused):
            return installed(name, package="mariadb-client")
        return installed(older_name, package="mariadb-client")

    @contextmanager
    def _options(self, known: sa.Connection) -> Iterator[str]:
        """The argument that names a file with how to reach the database of this connection."""
        driver: Any = known.connection.dbapi_connection
        password = driver.password.decode("latin1") if isinstance(driver.password, bytes) else driver.password
        query = known.engine.url.query
        words = {
            "user": driver.user.decode() if isinstance(driver.user, bytes) else driver.user,
            "password": password,
            "default-character-set": "utf8mb4",
            **({"socket": driver.unix_socket} if driver.unix_socket else {"host": driver.host, "port": driver.port}),
            **{word.replace("_", "-"): query[word] for word in ("ssl_ca", "ssl_cert", "ssl_key") if word in query},
        }
        tls = "ssl-verify-server-cert\n" if "ssl-ca" in words else ""
        told = "".join(f"{name}={_quoted(value)}\n" for name, value in words.items())
        with secret_file(f"[client]\n{told}{tls}") as path:
            yield f"--defaults-file={path}"


class SQLiteDumps(Dumps):
    """SQLite's online backup: a database file like the one it is made of."""

    file_name = "bank.sqlite"

    def tools(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    @contextmanager
    def dumping(self, engine: sa.Engine, path: Path, progress: Progress) -> Iterator[sa.Connection]:
        with engine.connect() as source:
            private_file(path).close()
            _copy_pages(source.connection.dbapi_connection, str(path), progress)
        copy = sa.create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
        try:
            # Read there is exactly what was written.
            with copy.connect() as reader:
                yield reader
        finally:
            copy.dispose()

    def load(self, engine: sa.Engine, path: Path, progress: Progress) -> None:
        source = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        target = sqlite3.connect(str(engine.url.database))
        try:
            source.backup(target)
            progress(path.stat().st_size)
        except sqlite3.DatabaseError as error:
            raise ToolFailed(f"The file cannot be read in: {error}.") from error
        finally:
            source.close()
            target.close()


DUMPS: Final[dict[str, Dumps]] = {
    "sqlite": SQLiteDumps(),
    "postgresql": PostgreSQLDumps(),
    "mysql": MySQLDumps(),
}


@contextmanager
def _kept_still(keeper: sa.Connection) -> Iterator[None]:
    """Let nobody write within the body, so that two transactions begun in it see the same."""
    keeper.exec_driver_sql(dialect_of(keeper).short_patience)
    tables = ", ".join(f"`{name}` READ" for name in sa.inspect(keeper).get_table_names())
    keeper.exec_driver_sql(f"LOCK TABLES {tables}")
    try:
        yield
    finally:
        keeper.exec_driver_sql("UNLOCK TABLES")


def _copy_pages(source: Any, path: str, progress: Progress) -> None:
    target = sqlite3.connect(path)
    try:
        page_bytes = source.execute("PRAGMA page_size").fetchone()[0]
        done = 0

        def tell(_status: int, remaining: int, total: int) -> None:
            nonlocal done
            progress((total - remaining - done) * page_bytes)
            done = total - remaining

        # Begun anew by SQLite when somebody writes meanwhile, so all at once: it keeps nobody from writing.
        source.backup(target, pages=-1, progress=tell)
        # The source's way of writing is not a file's that is kept.
        target.execute("PRAGMA journal_mode = DELETE")
    finally:
        target.close()


def _quoted(value: object) -> str:
    """A value in an option file, whatever letters it has: https://mariadb.com/kb/en/configuring-mariadb-with-option-files/."""
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
