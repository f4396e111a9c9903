"""The replica or the primary away, stopped in order or frozen where it was: what is shown, said and refused, and how fast."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from flask import Flask

from tests.builders import Branch
from tests.near.conftest import MakePair, Pair, settled
from tests.replicas import frozen
from tests.servers import Server, wait_for
from tests.web.browsing import Browser, Page

pytestmark = pytest.mark.dialects("postgresql", "mysql")

#: No page takes longer, though the server that it asks has just stopped without a word; and the next ones no time at all.
FIRST_SECONDS = 6
NEXT_SECONDS = 2


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Shut down in order, and started again."""
    server.stop()
    yield
    server.start()


Away = Callable[[Server], AbstractContextManager[None]]

how_it_goes = pytest.mark.parametrize("away", [stopped, frozen])


def timed(act: Callable[[], Page]) -> tuple[Page, float]:
    began = time.monotonic()
    return act(), time.monotonic() - began


@how_it_goes
def test_without_the_replica_pages_are_read_on_the_primary(away: Away, west: Flask, branch: Branch, pair: Pair) -> None:
    alice = Browser(west, branch.session_of("alice"))
    settled(alice, pair)

    with away(pair.replica):
        first, took = timed(lambda: alice.get("/home"))
        if first.status == 503:  # It broke off in the middle of the page.
            first = alice.get("/home")
        following, then = timed(lambda: alice.get("/home"))

    assert (first.status, following.status) == (200, 200)
    assert took < FIRST_SECONDS
    assert then < NEXT_SECONDS
    assert "As of" not in following.text
    settled(alice, pair)


@how_it_goes
def test_without_the_primary_pages_are_shown_as_of_a_while_ago_and_no_payment_is_made(
    away: Away, west: Flask, branch: Branch, pair: Pair
) -> None:
    branch.deposit(branch.accounts["alice_current"], 5_00)
    alice, nobody = Browser(west, branch.session_of("alice")), Browser(west)
    settled(alice, pair)
    form = {
        "from_account": branch.number("alice_current"),
        "to_account": branch.number("alice_savings"),
        "amount": "1.23",
        "reference": "Kept",
        "operation": str(uuid.uuid4()),
        "csrf_token": alice.get("/pay").form.values["csrf_token"],
    }
    before = branch.balance("alice_savings")
    branch.bank.engine.dispose()

    with away(pair.primary):
        refused, took = timed(lambda: alice.post("/pay", form))
        wait_for(lambda: alice.get("/writable").status == 503, "the bank to know")
        at_once, then = timed(lambda: alice.post("/pay", form))
        pages = [alice.get(path) for path in ("/home", "/pay", "/payees", "/profile")]
        # A session that no replica was found fit for is read there all the same.
        alice.forget("position")
        other = alice.get("/home")
        log_in, ready = nobody.get("/login"), nobody.get("/readyz")

    assert (refused.status, at_once.status) == (503, 503)
    assert took < FIRST_SECONDS
    assert then < NEXT_SECONDS
    assert "no money moved" in at_once.text
    for page in (*pages, other):
        assert page.status == 200
        assert "As of" in page.text
        assert "payments are closed" in page.text
        assert page.response.headers["Bank-As-Of"]
    assert "nobody can log in" in log_in.text
    assert ready.status == 200

    wait_for(lambda: alice.get("/writable").status == 200, "the bank to know that the primary is back")
    back = alice.get("/home")
    assert (back.status, "As of" in back.text) == (200, False)
    # The page that refused still holds the form; twice is once.
    sent = [alice.submit(at_once, "/pay") for _ in range(2)]
    assert [page.status for page in sent] == [303, 303]
    assert branch.balance("alice_savings") == before + 1_23


def test_a_promoted_replica_goes_on_showing_pages(
    dialect: str, make_pair: MakePair, serve: Callable[..., Flask]
) -> None:
    pair, branch = make_pair(dialect)
    app = serve(pair=pair)
    alice = Browser(app, branch.session_of("alice"))
    settled(alice, pair)
    branch.bank.engine.dispose()

    pair.primary.stop()
    pair.replica.promote()
    wait_for(lambda: alice.get("/writable").status == 503, "the bank to know")
    page = alice.get("/home")
    promoted = serve(pair=Pair(pair.replica, pair.replica, pair.promoted, pair.replica_url), near=False)
    there = Browser(promoted, alice.cookie("session"))

    assert page.status == 200
    assert there.get("/home").status == 200
