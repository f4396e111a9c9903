"""The database gone, locked or full in the middle of a payment: the page says whether money moved, and it is true."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
import sqlalchemy as sa

from bank.ledger.tables import ledger_accounts
from bank.storage.engine import make_engine
from tests.builders import Branch
from tests.conftest import MakeDatabase
from tests.gunicorn_server import GunicornServer, wait_until
from tests.http.browsing import RemoteBrowser
from tests.http.conftest import OwnServer, Serve
from tests.ledger import assert_books_balance
from tests.proxy import Proxy, proxied
from tests.servers import DatabaseUrls

#: No page takes longer than this with STATEMENT_SECONDS=3, however busy this machine.
BOUND_SECONDS = 12


@contextmanager
def locked(url: str, account_id: int) -> Iterator[None]:
    """Hold the account's row (on SQLite: the one write lock) as a long transaction of somebody else's would."""
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if url.startswith("sqlite") else "START TRANSACTION")
        if not url.startswith("sqlite"):
            connection.execute(sa.select(ledger_accounts).where(ledger_accounts.c.id == account_id).with_for_update())
        yield
        with suppress(sa.exc.DBAPIError):  # It may have been killed.
            connection.exec_driver_sql("ROLLBACK")
    engine.dispose()


def paying(branch: Branch, server: GunicornServer) -> tuple[RemoteBrowser, dict[str, str]]:
    """Alice, with the form filled in to pay Bob 30.00."""
    alice = RemoteBrowser(server.address, branch.session_of("alice"))
    payer, payee = branch.number("alice_current"), branch.number("bob_current")
    return alice, alice.fill("/pay", from_account=payer, to_account=payee, amount="30.00", reference="Outage")


def balances(branch: Branch) -> tuple[int, int]:
    return branch.balance("alice_current"), branch.balance("bob_current")


def test_a_row_locked_for_long_gives_a_503_in_time_and_moves_nothing(
    dialect: str, make_database: MakeDatabase, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = make_database(dialect)
    branch = open_branch(urls.app)
    server = serve(urls.app, workers=1, STATEMENT_SECONDS="3")
    alice, form = paying(branch, server)

    with locked(urls.migrator, branch.accounts["alice_current"].id):
        began = time.monotonic()
        answer = alice.ask("/pay", form)
        took = time.monotonic() - began
        assert alice.get("/home").status == 200
    again = alice.ask("/pay", form)

    assert (answer.status, "no money moved" in answer.text) == (503, True)
    assert 1 <= took < BOUND_SECONDS
    assert again.status == 303
    assert balances(branch) == (70_00, 80_00)
    assert_books_balance(branch.bank)


@pytest.mark.dialects("postgresql", "mysql")
def test_with_every_connection_busy_a_page_is_a_503_and_not_a_500(
    dialect: str, make_database: MakeDatabase, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = make_database(dialect)
    branch = open_branch(urls.app)
    server = serve(urls.app, workers=1, POOL_SIZE="1", STATEMENT_SECONDS="30")
    alice, form = paying(branch, server)
    bob = RemoteBrowser(server.address, branch.session_of("bob"))

    with ThreadPoolExecutor(1) as pool:
        with locked(urls.migrator, branch.accounts["alice_current"].id):
            waiting = pool.submit(alice.ask, "/pay", form)
            time.sleep(0.5)
            refused = bob.get("/home")
            assert not waiting.done()
            assert bob.get("/healthz").status == 200
        paid = waiting.result(BOUND_SECONDS)

    assert (refused.status, "Nothing has moved" in refused.text) == (503, True)
    assert paid.status == 303
    assert bob.get("/home").status == 200
    assert not [line for line in server.lines() if line["level"] == "error"]


@pytest.mark.dialects("postgresql", "mysql")
def test_the_database_killed_while_a_payment_is_posted_leaves_the_truth_to_be_looked_up(
    own_server: OwnServer, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = own_server.new_database()
    branch = open_branch(urls.app)
    server = serve(urls.app, workers=1, STATEMENT_SECONDS="30")
    alice, form = paying(branch, server)
    account = branch.accounts["alice_current"].id

    with ThreadPoolExecutor(1) as pool, locked(urls.migrator, account):
        # The door has begun and waits for the row; there it dies.
        posting = pool.submit(alice.ask, "/pay", form)
        time.sleep(0.7)
        assert not posting.done()
        own_server.server.kill()
        branch.bank.engine.dispose()
        answer = posting.result(BOUND_SECONDS)

    assert answer.status == 503
    assert f"Payment {form['operation']} is being checked" in answer.text
    [look_up] = [link for link in answer.links if "/operations/" in link]
    assert alice.get(look_up).status == 503

    own_server.server.start()
    wait_until(lambda: alice.get("/readyz").status == 200, 10, "the database to be used again")
    told = alice.get(look_up)
    assert (told.status, "no money has moved" in told.text) == (200, True)
    assert balances(branch) == (100_00, 50_00)

    first, second = alice.ask("/pay", form), alice.ask("/pay", form)
    assert (first.status, second.status, first.location) == (303, 303, second.location)
    assert alice.get(look_up).location == first.location
    assert balances(branch) == (70_00, 80_00)
    assert_books_balance(branch.bank)


@pytest.fixture
def through_proxy(dialect: str, make_database: MakeDatabase) -> Iterator[tuple[DatabaseUrls, str, Proxy]]:
    """A database, its URL through a proxy, and the proxy."""
    urls = make_database(dialect)
    with proxied(urls.app) as (url, proxy):
        yield urls, url, proxy


@pytest.mark.dialects("postgresql", "mysql")
def test_a_payment_whose_answer_is_lost_is_found_by_its_form_and_never_booked_twice(
    through_proxy: tuple[DatabaseUrls, str, Proxy], open_branch: Callable[[str], Branch], serve: Serve
):
    urls, url, proxy = through_proxy
    branch = open_branch(urls.app)
    # Somebody whom she pays for the first time is counted first.
    branch.payee("alice", "bob_current", "Bob Nakamura")
    server = serve(url, workers=1)
    alice, form = paying(branch, server)

    proxy.lose_reply(b"payments_send", then_away=True)
    answer = alice.ask("/pay", form)
    proxy.away = False
    wait_until(lambda: alice.get("/readyz").status == 200, 10, "the database to be used again")
    [look_up] = [link for link in answer.links if "/operations/" in link]
    told = alice.get(look_up)
    again = alice.ask("/pay", form)

    assert (answer.status, "is being checked" in answer.text) == (503, True)
    # The door had done it; only the answer was lost.
    assert (told.status, told.location) == (302, again.location)
    assert balances(branch) == (70_00, 80_00)
    assert_books_balance(branch.bank)
