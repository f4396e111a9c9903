"""A branch whose primary has a real replica, an application in each region, and people at browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from bank.app import create_app
from bank.storage import migrate, near
from bank.storage.near import Seen
from bank.storage.transaction import Bank
from tests.builders import Branch, a_bank, settings_for
from tests.replicas import MariaDBReplica, PostgresReplica
from tests.servers import APP_ROLE, DatabaseUrls, MariaDBServer, NotInstalled, PostgresServer, not_run, wait_for
from tests.web.browsing import Browser

Replica = PostgresReplica | MariaDBReplica


@dataclass(frozen=True, slots=True)
class Pair:
    """A primary, its replica, and a bank on both."""

    primary: PostgresServer | MariaDBServer
    replica: Replica
    urls: DatabaseUrls
    replica_url: str

    @property
    def promoted(self) -> DatabaseUrls:
        """The replica's database, when it is the primary."""
        return DatabaseUrls(migrator=self.replica_url, app=self.replica_url, admin=self.replica_url)

    def be_whole(self) -> None:
        """Both are there, and the replica has all."""
        for server in (self.primary, self.replica):
            if not server.process:
                server.start()
        self.replica.catch_up()


MakePair = Callable[[str], tuple[Pair, Branch]]


@pytest.fixture(scope="session")
def make_pair() -> Iterator[MakePair]:
    """A new primary with its replica; for a test that breaks them for good."""
    with ExitStack() as running:

        def make(dialect: str) -> tuple[Pair, Branch]:
            try:
                primary, replica = _servers(running, dialect)
            except NotInstalled as missing:
                not_run(dialect, str(missing))
            urls = primary.create_database("bank")
            migrate.upgrade(urls.migrator)
            migrate.grant(urls.migrator, APP_ROLE)
            running.enter_context(replica)
            tcp = f"127.0.0.1:{primary.port}/bank"
            here = urls.app.replace(tcp, f"localhost/bank?unix_socket={replica.directory}/server.sock")
            pair = Pair(primary, replica, urls, here.replace(str(primary.directory), str(replica.directory)))
            return pair, Branch.open(a_bank(urls.app))

        yield make


def _servers(running: ExitStack, dialect: str) -> tuple[PostgresServer | MariaDBServer, Replica]:
    primary: PostgresServer | MariaDBServer
    primary = PostgresServer() if dialect == "postgresql" else MariaDBServer(tcp=True)
    running.enter_context(primary)
    return primary, another_replica(primary)


def another_replica(primary: PostgresServer | MariaDBServer) -> Replica:
    """One that follows the primary, once it is started."""
    return PostgresReplica(primary) if isinstance(primary, PostgresServer) else MariaDBReplica(primary)


@pytest.fixture(scope="session")
def _pairs() -> dict[str, tuple[Pair, Branch]]:
    return {}


@pytest.fixture
def _branch(dialect: str, make_pair: MakePair, _pairs: dict[str, tuple[Pair, Branch]]) -> tuple[Pair, Branch]:
    if dialect not in _pairs:
        _pairs[dialect] = make_pair(dialect)
    return _pairs[dialect]


@pytest.fixture
def pair(_branch: tuple[Pair, Branch]) -> Iterator[Pair]:
    """The dialect's primary and replica, which the test may hold back, stop and freeze, but not change for good."""
    found, _ = _branch
    found.be_whole()
    yield found
    found.be_whole()


@pytest.fixture
def branch(_branch: tuple[Pair, Branch], pair: Pair) -> Branch:
    """The branch on the primary, by the test's own connections to it."""
    _, found = _branch
    return found


@pytest.fixture
def serve(pair: Pair) -> Iterator[Callable[..., Flask]]:
    """An application: `serve()` in the replica's region, `serve(near=False)` in the primary's."""
    with ExitStack() as served:

        def make(*, near: bool = True, pair: Pair = pair, **changed: Any) -> Flask:
            settings = settings_for(
                pair.urls.app, database_replica_url=pair.replica_url if near else "", pool_size=3, **changed
            )
            bank = Bank.open(settings, statement_seconds=2, reads_near=True)
            served.callback(bank.engine.dispose)
            if bank.near:
                served.callback(bank.near.replica.engine.dispose)
            return create_app(settings, bank)

        yield make


@pytest.fixture
def west(serve: Callable[..., Flask]) -> Flask:
    """The servers beside the replica."""
    return serve()


@pytest.fixture
def east(serve: Callable[..., Flask]) -> Flask:
    """The servers beside the primary."""
    return serve(near=False)


def seen(browser: Browser) -> Seen | None:
    """What the browser's cookie says that it was shown."""
    return near.unseal("x" * 40, browser.cookie("position") or "")


def settled(browser: Browser, pair: Pair) -> None:
    """Let the replica have all, and the session read there."""
    browser.get("/home")
    pair.replica.catch_up()

    def read_there() -> bool:
        browser.get("/home")
        shown = seen(browser)
        return shown is not None and bool(shown.incarnation)

    wait_for(read_there, "a page from the replica")


def carry(one: Browser, other: Browser) -> None:
    """Let the other browser have this one's cookies: the same browser, sent to another region."""
    for name in ("session", "seen", "position"):
        if (value := one.cookie(name)) is not None:
            other.set_cookie(name, value)
        else:
            other.forget(name)
