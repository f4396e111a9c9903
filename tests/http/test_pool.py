"""Connections are there before anybody needs them, and the first to use them after an outage is served all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa

from bank.storage import pool
from bank.storage.engine import make_engine
from bank.storage.errors import DatabaseAway
from bank.storage.transaction import Bank
from tests.builders import Branch, settings_for
from tests.conftest import MakeDatabase
from tests.gunicorn_server import wait_until
from tests.http.browsing import RemoteBrowser
from tests.http.conftest import OwnServer, Serve
from tests.proxy import Proxy, proxied

SIZE = 3

pytestmark = pytest.mark.dialects("postgresql", "mysql")


@pytest.fixture
def bank_behind_proxy(dialect: str, make_database: MakeDatabase) -> Iterator[tuple[Bank, Proxy]]:
    with proxied(make_database(dialect).app) as (url, proxy):
        bank = Bank.open(settings_for(url, pool_size=SIZE))
        yield bank, proxy
        bank.engine.dispose()


def read(bank: Bank) -> Any:
    with bank.reader() as reader:
        return reader.execute(sa.select(sa.literal(1))).scalar_one()


def read_on_all(bank: Bank) -> list[int]:
    """Read on every connection of the pool at once."""
    with ExitStack() as stack:
        readers = [stack.enter_context(bank.reader()) for _ in range(SIZE)]
        return [reader.execute(sa.select(sa.literal(1))).scalar_one() for reader in readers]


def test_a_connection_in_use_costs_no_message_beside_the_query(bank_behind_proxy: tuple[Bank, Proxy]):
    bank, proxy = bank_behind_proxy
    read_on_all(bank)
    proxy.bursts.clear()

    assert [read(bank) for _ in range(7)] == [1] * 7

    assert len(proxy.bursts) == 7, proxy.bursts


def test_connections_that_the_server_ended_are_opened_anew_and_not_used(bank_behind_proxy: tuple[Bank, Proxy]):
    bank, proxy = bank_behind_proxy
    read_on_all(bank)

    proxy.drop_all()
    # One after the other, each has its turn.
    assert [read(bank) for _ in range(2 * SIZE)] == [1] * 2 * SIZE

    proxy.drop_all()
    assert read_on_all(bank) == [1] * SIZE


def test_with_the_server_away_a_dead_connection_is_an_outage_and_ends_with_it(bank_behind_proxy: tuple[Bank, Proxy]):
    bank, proxy = bank_behind_proxy
    read_on_all(bank)

    proxy.away = True
    proxy.drop_all()
    for _ in range(2 * SIZE):
        with pytest.raises(DatabaseAway):
            read(bank)
    proxy.away = False

    assert read_on_all(bank) == [1] * SIZE


def test_a_pool_is_opened_ahead_as_far_as_it_may_go_and_no_further(bank_behind_proxy: tuple[Bank, Proxy]):
    bank, proxy = bank_behind_proxy
    read(bank)

    pool.open_ahead(bank.engine).join()
    opened = len(proxy.open_ones)
    proxy.bursts.clear()

    # Two ends of each.
    assert opened == 2 * SIZE
    assert (read_on_all(bank), len(proxy.bursts), len(proxy.open_ones)) == ([1] * SIZE, SIZE, opened)
    pool.open_ahead(bank.engine).join()
    assert len(proxy.open_ones) == opened


def connections(url: str, dialect: str) -> Callable[[], int]:
    """How many the application has open."""
    engine = make_engine(url, pool_size=1)
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
        if dialect == "postgresql"
        else "SELECT count(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID()"
    )

    def count() -> int:
        with engine.connect() as connection:
            return int(connection.exec_driver_sql(query).scalar_one())

    return count


def test_each_worker_opens_its_connections_when_it_starts_and_serves_after_a_restart_at_once(
    dialect: str, own_server: OwnServer, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = own_server.new_database()
    branch = open_branch(urls.app)
    alice = branch.session_of("alice")
    branch.bank.engine.dispose()
    count = connections(urls.app, dialect)
    server = serve(urls.app, workers=2, POOL_SIZE=str(SIZE))

    wait_until(lambda: count() == 2 * SIZE, 10, "the workers to open their connections")

    own_server.server.stop()
    own_server.server.start()
    # Every connection of every worker died; whoever comes first is served.
    answers = [RemoteBrowser(server.address, alice).get("/home").status for _ in range(6 * SIZE)]

    assert answers == [200] * 6 * SIZE


def test_a_worker_that_starts_while_the_database_is_away_is_alive_and_serves_when_it_is_back(
    own_server: OwnServer, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = own_server.new_database()
    branch = open_branch(urls.app)
    alice = branch.session_of("alice")
    branch.bank.engine.dispose()
    own_server.server.stop()

    server = serve(urls.app, workers=1, POOL_SIZE=str(SIZE))
    browser = RemoteBrowser(server.address, alice)
    away = browser.get("/home").status
    own_server.server.start()

    assert (away, browser.get("/healthz").status) == (503, 200)
    # While it was away nobody was let through to it; the process finds out by itself that it is back.
    wait_until(lambda: browser.get("/home").status == 200, 5, "the database to be used again")
    assert not [line for line in server.lines() if line["level"] == "error"]
