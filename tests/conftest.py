"""What all tests share: the three dialects, and a database of its own for each test."""

from __future__ import annotations

import ast
import gc
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bank.storage import migrate
from tests.databases import Databases, MariaDBDatabases, PostgresDatabases, SQLiteDatabases
from tests.servers import APP_ROLE, NOT_RUN, DatabaseUrls, MariaDBServer, NotInstalled, PostgresServer, not_run

_parse = ast.parse


def _parse_undisturbed(*args: Any, **kwargs: Any) -> Any:
    """Parse while nothing is collected: what a collection runs may let another thread parse in the middle, which CPython 3.11
    takes for a mistake of its own, "AST constructor recursion depth mismatch". https://github.com/python/cpython/issues/106905
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return _parse(*args, **kwargs)
    finally:
        if was_on:
            gc.enable()


ast.parse = _parse_undisturbed

DIALECTS = ("sqlite", "postgresql", "mysql")

MakeDatabase = Callable[..., DatabaseUrls]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--dialect",
        action="append",
        choices=DIALECTS,
        help="run the tests of this database only (may be given more than once)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dialect" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--dialect") or DIALECTS
        if only := metafunc.definition.get_closest_marker("dialects"):
            chosen = [name for name in chosen if name in only.args]
        # Session scope makes pytest run one dialect's tests together.
        metafunc.parametrize("dialect", chosen, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Generator[None, None, None]:
    """End with what did not run: a skipped database must not look like a tested one."""
    yield
    reports = [
        report for outcome in ("skipped", "error", "failed") for report in terminalreporter.stats.get(outcome, [])
    ]
    reasons = Counter(reason for report in reports if (reason := _why_not_run(report)))
    for reason, tests in sorted(reasons.items()):
        terminalreporter.write_line(f"{reason} ({tests} {'test' if tests == 1 else 'tests'})", red=True, bold=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config), "failures at once")


class FailuresAtOnce:
    """Tells of a failure when it happens: a run that is cut off has no summary."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            reporter = self.config.pluginmanager.get_plugin("terminalreporter")
            reporter.write_line(f"\nFAILED {report.nodeid} ({report.when})\n{report.longreprtext}")


def _why_not_run(report: Any) -> str | None:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    _, found, reason = text.partition(NOT_RUN)
    return found + reason.splitlines()[0] if found else None


@pytest.fixture(scope="session")
def dialect(request: pytest.FixtureRequest) -> str:
    """The database that the test runs on: each of the three in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """This worker's PostgreSQL. To kill or restart one, start your own."""
    try:
        server = PostgresServer()
    except NotInstalled as missing:
        not_run("postgresql", str(missing))
    with server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDBServer]:
    """This worker's MariaDB. To kill or restart one, start your own."""
    try:
        server = MariaDBServer()
    except NotInstalled as missing:
        not_run("mysql", str(missing))
    with server:
        yield server


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return SQLiteDatabases(tmp_path_factory.mktemp("sqlite"), _prepare)


@pytest.fixture(scope="session")
def postgresql_databases(postgres_server: PostgresServer) -> Databases:
    return PostgresDatabases(postgres_server, _prepare)


@pytest.fixture(scope="session")
def mysql_databases(mariadb_server: MariaDBServer) -> Databases:
    return MariaDBDatabases(mariadb_server, _prepare)


@pytest.fixture
def make_database(request: pytest.FixtureRequest) -> Iterator[MakeDatabase]:
    """Make any number of databases: `make_database("mysql")`, or with `migrated=False` an empty one."""
    with ExitStack() as databases:

        def make(dialect: str, *, migrated: bool = True) -> DatabaseUrls:
            source: Databases = request.getfixturevalue(f"{dialect}_databases")
            return databases.enter_context(source.migrated() if migrated else source.empty())

        yield make


@pytest.fixture
def database_urls(dialect: str, make_database: MakeDatabase) -> DatabaseUrls:
    """A new database of the test's dialect: newest schema, no data but the migrations', rights granted."""
    return make_database(dialect)


def _prepare(urls: DatabaseUrls) -> None:
    migrate.upgrade(urls.migrator)
    if not urls.migrator.startswith("sqlite"):
        migrate.grant(urls.migrator, APP_ROLE)
