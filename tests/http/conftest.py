"""A branch that real gunicorn serves, and people at browsers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bank.identity.passwords import Passwords
from bank.storage import migrate
from tests.builders import Branch, a_bank
from tests.databases import Databases
from tests.gunicorn_server import GunicornServer
from tests.http.browsing import RemoteBrowser
from tests.servers import APP_ROLE, DatabaseUrls, MariaDBServer, NotInstalled, PostgresServer, not_run

PASSWORD = "harbor violin granite 41"

Serve = Callable[..., GunicornServer]


@dataclass(frozen=True, slots=True)
class Office:
    """A branch in the database, and the server that serves it."""

    branch: Branch
    server: GunicornServer

    def browse_as(self, name: str | None) -> RemoteBrowser:
        """A browser in which this person is signed in already; None: nobody."""
        return RemoteBrowser(self.server.address, self.branch.session_of(name) if name else None)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a gunicorn: `serve(url, workers=3, STATEMENT_SECONDS="3")`."""
    with ExitStack() as running:
        yield lambda url, **how: running.enter_context(GunicornServer(url, tmp_path, **how))


@pytest.fixture
def open_branch() -> Iterator[Callable[[str], Branch]]:
    """Open a branch in the database at a URL, with the test's own connections to it."""
    with ExitStack() as banks:

        def make(url: str) -> Branch:
            bank = a_bank(url)
            banks.callback(bank.engine.dispose)
            return Branch.open(bank)

        yield make


@pytest.fixture(scope="session")
def office(dialect: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A branch on each of the three databases, served by three processes; one for all tests that leave it in order."""
    databases: Databases = request.getfixturevalue(f"{dialect}_databases")
    with databases.migrated() as urls, GunicornServer(urls.app, tmp_path_factory.mktemp("served")) as server:
        bank = a_bank(urls.app)
        yield Office(Branch.open(bank), server)
        bank.engine.dispose()


@pytest.fixture(scope="session")
def password_hash() -> str:
    """The hash of PASSWORD by the parameters that the servers have."""
    return Passwords(memory_kib=8192, at_once=1).hash(PASSWORD)


class OwnServer:
    """A database server that a test may stop and kill, with a branch's database on it."""

    def __init__(self, server: PostgresServer | MariaDBServer) -> None:
        self.server = server
        self.count = 0

    def new_database(self) -> DatabaseUrls:
        """An empty bank on it."""
        self.count += 1
        urls = self.server.create_database(f"bank_{self.count}")
        migrate.upgrade(urls.migrator)
        migrate.grant(urls.migrator, APP_ROLE)
        return urls

    def be_there(self) -> None:
        """Start it again if it was stopped."""
        if not self.server.process:
            self.server.start()


@pytest.fixture(scope="session")
def _own_servers() -> Iterator[Callable[[str], OwnServer]]:
    with ExitStack() as running:
        started: dict[str, OwnServer] = {}

        def start(dialect: str) -> OwnServer:
            if dialect not in started:
                kind = {"postgresql": PostgresServer, "mysql": MariaDBServer}[dialect]
                try:
                    server = kind()
                except NotInstalled as missing:
                    not_run(dialect, str(missing))
                started[dialect] = OwnServer(running.enter_context(server))
            return started[dialect]

        yield start


@pytest.fixture
def own_server(dialect: str, _own_servers: Callable[[str], OwnServer]) -> Iterator[OwnServer]:
    """A server of the test's dialect that may be stopped; it runs again afterwards."""
    server = _own_servers(dialect)
    server.be_there()
    yield server
    server.be_there()
