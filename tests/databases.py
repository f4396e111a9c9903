"""Migrated databases by the dozen: a test gets its own, clean, for a few hundredths of a second."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.servers import DatabaseUrls, MariaDBServer, PostgresServer

Prepare = Callable[[DatabaseUrls], None]


class Databases(Protocol):
    """The databases of one dialect; each is gone or clean again when its `with` ends."""

    def migrated(self) -> AbstractContextManager[DatabaseUrls]:
        """A context with a new database at the newest schema, the application's rights granted."""

    def empty(self) -> AbstractContextManager[DatabaseUrls]:
        """A context with a new database that holds nothing."""


class SQLiteDatabases:
    """Files: the first is migrated, the others are copies of it."""

    def __init__(self, directory: Path, prepare: Prepare) -> None:
        self.directory = directory
        self.prepare = prepare
        self.template = directory / "template.sqlite"
        self.numbers = itertools.count(1)

    @contextmanager
    def migrated(self) -> Iterator[DatabaseUrls]:
        if not self.template.exists():
            self.prepare(self._urls(self.template))
        with self.empty() as urls:
            path = self.directory / urls.app.rpartition("/")[2]
            source, copy = sqlite3.connect(self.template), sqlite3.connect(path)
            copy.execute("PRAGMA synchronous = OFF")
            source.backup(copy)
            source.close()
            copy.close()
            yield urls

    @contextmanager
    def empty(self) -> Iterator[DatabaseUrls]:
        path = self.directory / f"bank_{next(self.numbers)}.sqlite"
        yield self._urls(path)
        for leftover in self.directory.glob(f"{path.name}*"):
            leftover.unlink()

    def _urls(self, path: Path) -> DatabaseUrls:
        url = f"sqlite:///{path}"
        return DatabaseUrls(migrator=url, app=url, admin=url)


class PostgresDatabases:
    """Copies of a migrated template, made by PostgreSQL; rights on the database as such are not copied."""

    TEMPLATE = "bank_template"

    def __init__(self, server: PostgresServer, prepare: Prepare) -> None:
        self.server = server
        self.prepare = prepare
        self.has_template = False
        self.numbers = itertools.count(1)

    @contextmanager
    def migrated(self) -> Iterator[DatabaseUrls]:
        if not self.has_template:
            self.prepare(self.server.create_database(self.TEMPLATE))
            self.has_template = True
        with self._database(template=self.TEMPLATE) as urls:
            yield urls

    @contextmanager
    def empty(self) -> Iterator[DatabaseUrls]:
        with self._database(template="template1") as urls:
            yield urls

    @contextmanager
    def _database(self, *, template: str) -> Iterator[DatabaseUrls]:
        name = f"bank_{next(self.numbers)}"
        yield self.server.create_database(name, template=template)
        self.server.drop_database(name)


class MariaDBDatabases:
    """A few migrated databases, used again and again: MariaDB has no copying, and making tables is slow.

    Before its next use a database gets back the rows that its migrations put there. TRUNCATE does it, by a superuser:
    no trigger of ours fires on that. One whose schema a test has changed is thrown away.
    """

    def __init__(self, server: MariaDBServer, prepare: Prepare) -> None:
        self.server = server
        self.prepare = prepare
        self.idle: list[MigratedDatabase] = []
        self.numbers = itertools.count(1)

    @contextmanager
    def migrated(self) -> Iterator[DatabaseUrls]:
        database = self._clean_one()
        yield database.urls
        self.idle.append(database)

    @contextmanager
    def empty(self) -> Iterator[DatabaseUrls]:
        name = f"bank_{next(self.numbers)}"
        yield self.server.create_database(name)
        self.server.drop_database(name)

    def _clean_one(self) -> MigratedDatabase:
        while self.idle:
            database = self.idle.pop()
            if database.clean():
                return database
            self.server.drop_database(database.name)
        name = f"bank_{next(self.numbers)}"
        urls = self.server.create_database(name)
        self.prepare(urls)
        return MigratedDatabase(self.server, name, urls)


class MigratedDatabase:
    """One MariaDB database and what it looked like just after its migrations."""

    def __init__(self, server: MariaDBServer, name: str, urls: DatabaseUrls) -> None:
        self.server = server
        self.name = name
        self.urls = urls
        with server.admin(name) as cursor:
            self.schema = self._schema(cursor)
            self.checksums = self._checksums(cursor)
            self.filled = self._keep_rows(cursor)

    def clean(self) -> bool:
        """Bring back the rows of before; False if the schema is another, so that rows will not do."""
        self.server.disconnect_all(self.name)
        with self.server.admin(self.name) as cursor:
            if self._schema(cursor) != self.schema:
                return False
            cursor.execute("SET SESSION lock_wait_timeout = 10, foreign_key_checks = 0")
            cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")
            now = self._checksums(cursor)
            for table in (table for table, checksum in self.checksums.items() if now[table] != checksum):
                cursor.execute(f"TRUNCATE TABLE `{table}`")
                if columns := self.filled.get(table):
                    cursor.execute(
                        f"INSERT INTO `{table}` ({columns}) SELECT {columns} FROM `{self.name}_rows`.`{table}`"
                    )
        return True

    def _schema(self, cursor: Any) -> list[tuple[Any, ...]]:
        """Every column, key, trigger and routine."""
        found: list[tuple[Any, ...]] = []
        for table, columns, schema in (
            ("columns", "table_name, column_name, column_type, is_nullable, column_default, extra", "table_schema"),
            ("table_constraints", "table_name, constraint_name, constraint_type", "table_schema"),
            ("statistics", "table_name, index_name, column_name, non_unique", "table_schema"),
            ("triggers", "trigger_name, action_timing, event_manipulation, action_statement", "trigger_schema"),
            ("routines", "routine_name, routine_definition", "routine_schema"),
        ):
            cursor.execute(
                f"SELECT '{table}', {columns} FROM information_schema.{table} WHERE {schema} = %s ORDER BY {columns}",
                [self.name],
            )
            found += cursor.fetchall()
        return found

    def _checksums(self, cursor: Any) -> dict[str, int]:
        cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
        tables = [name for name, _ in cursor.fetchall()]
        cursor.execute("CHECKSUM TABLE " + ", ".join(f"`{table}`" for table in tables))
        return {qualified.partition(".")[2]: checksum for qualified, checksum in cursor.fetchall()}

    def _keep_rows(self, cursor: Any) -> dict[str, str]:
        """Copy the rows aside; for each table that has some, its columns as a list for INSERT."""
        cursor.execute(f"CREATE DATABASE `{self.name}_rows`")
        filled = {}
        for table in self.checksums:
            cursor.execute(f"SELECT EXISTS (SELECT 1 FROM `{table}`)")
            if cursor.fetchone() == (0,):
                continue
            cursor.execute(
                "SELECT GROUP_CONCAT(CONCAT('`', column_name, '`')) FROM information_schema.columns"
                " WHERE table_schema = %s AND table_name = %s AND extra NOT LIKE '%%GENERATED%%'",
                [self.name, table],
            )
            (filled[table],) = cursor.fetchone()
            cursor.execute(f"CREATE TABLE `{self.name}_rows`.`{table}` AS SELECT {filled[table]} FROM `{table}`")
        return filled
