"""Pages read on a replica in their own region: never older than what the session was shown before."""

from __future__ import annotations

import random
import re
import threading
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bank.customers.store import customers
from bank.identity import sessions
from bank.identity.store import sessions as session_rows
from bank.ledger.tables import ledger_accounts
from bank.payments import payees
from bank.storage import near
from bank.storage.near import Seen
from bank.storage.transaction import Bank
from tests.builders import Branch, a_key, settings_for
from tests.near.conftest import Pair, another_replica, carry, seen, settled
from tests.web.browsing import Browser

pytestmark = pytest.mark.dialects("postgresql", "mysql")

SECRET = "x" * 40


class Asked:
    """Counts what each database of an application is asked."""

    def __init__(self, app: Flask) -> None:
        self.counts = {"primary": 0, "replica": 0}
        bank: Bank = app.extensions["bank"].bank
        assert bank.near is not None
        for name, engine in (("primary", bank.engine), ("replica", bank.near.replica.engine)):
            sa.event.listen(engine, "before_cursor_execute", self._counting(name))

    def _counting(self, name: str) -> Callable[..., None]:
        def count(*_: Any) -> None:
            self.counts[name] += 1

        return count

    def during(self, act: Callable[[], object]) -> set[str]:
        """Who was asked anything while this was done."""
        before = dict(self.counts)
        act()
        return {name for name, count in self.counts.items() if count > before[name]}


def booked(browser: Browser, branch: Branch, account: str = "alice_current") -> float:
    page = browser.get(f"/accounts/{branch.number(account)}")
    assert page.status == 200, page.text
    return float(re.search(r"Booked ([\d,.]+) USD", page.text)[1].replace(",", ""))  # type: ignore[index]


def pay(browser: Browser, branch: Branch, amount: str = "1.00") -> None:
    """From Alice's savings to her current account, by the whole form at once."""
    answer = browser.post(
        "/pay",
        {
            "from_account": branch.number("alice_savings"),
            "to_account": branch.number("alice_current"),
            "amount": amount,
            "reference": "Near",
            "operation": str(uuid.uuid4()),
        },
    )
    assert answer.status == 303, (answer.status, answer.text)


def deposit(branch: Branch) -> None:
    branch.deposit(branch.accounts["alice_current"], 1_00)


def test_once_it_has_what_was_shown_pages_ask_only_the_replica(west: Flask, branch: Branch, pair: Pair) -> None:
    asked, alice = Asked(west), Browser(west, branch.session_of("alice"))
    settled(alice, pair)

    pages = ("/home", "/pay", "/payees", "/profile", f"/accounts/{branch.number('alice_current')}", "/spending")

    assert {page: asked.during(partial(alice.get, page)) for page in pages} == {page: {"replica"} for page in pages}


def test_what_one_has_just_done_is_shown_though_the_replica_is_behind(west: Flask, branch: Branch, pair: Pair) -> None:
    deposit(branch)
    branch.deposit(branch.accounts["alice_savings"], 5_00)
    asked, alice = Asked(west), Browser(west, branch.session_of("alice"))
    settled(alice, pair)
    before = booked(alice, branch)

    pair.replica.hold_back()
    pay(alice, branch)
    assert booked(alice, branch) == before + 1
    assert asked.during(lambda: booked(alice, branch)) == {"primary", "replica"}

    pair.replica.catch_up()
    booked(alice, branch)
    assert asked.during(lambda: booked(alice, branch)) == {"replica"}
    assert booked(alice, branch) == before + 1


def test_a_replica_that_is_about_to_have_it_is_waited_for(west: Flask, branch: Branch, pair: Pair) -> None:
    branch.deposit(branch.accounts["alice_savings"], 5_00)
    asked, alice = Asked(west), Browser(west, branch.session_of("alice"))
    settled(alice, pair)
    before = booked(alice, branch)

    pair.replica.hold_back()
    pay(alice, branch)
    soon = threading.Timer(0.03, pair.replica.go_on)
    soon.start()
    shown: list[float] = []
    who = asked.during(lambda: shown.append(booked(alice, branch)))
    soon.join()

    assert (shown, who) == ([before + 1], {"replica"})


def test_a_session_that_brings_nothing_costs_one_question_to_the_primary(
    west: Flask, branch: Branch, pair: Pair
) -> None:
    settled(Browser(west, branch.session_of("alice")), pair)
    asked, alice = Asked(west), Browser(west, branch.session_of("alice"))
    pair.replica.catch_up()

    before = asked.counts["primary"]
    assert booked(alice, branch) >= 0
    assert asked.counts["primary"] == before + 1
    assert asked.during(lambda: booked(alice, branch)) == {"replica"}


@pytest.mark.parametrize("what", ["balance", "hold", "freeze", "payee", "closing of a session", "name"])
def test_what_was_seen_in_one_region_is_seen_in_the_other(
    what: str, west: Flask, east: Flask, branch: Branch, pair: Pair
) -> None:
    """Changes by others, while the replica is held back: the same browser, once here and once there."""
    here = Browser(east, branch.session_of("alice"))
    there = Browser(west)
    carry(here, there)
    settled(there, pair)
    carry(there, here)
    path, changed = CHANGES[what]
    path = path.replace("ACCOUNT", branch.number("alice_current"))

    pair.replica.hold_back()
    changed(branch)
    as_it_was = there.get(path)
    carry(there, here)
    shown = here.get(path)
    carry(here, there)
    then = there.get(path)
    if what == "freeze":
        changed(branch)

    assert as_it_was.status == shown.status == then.status == 200
    assert words(shown) != words(as_it_was)
    assert words(then) == words(shown)


def words(page: Any) -> str:
    return re.sub(r"Reference \w+", "", page.text)


def _freeze(branch: Branch) -> None:
    """Or open it again."""
    account = branch.state("alice_savings")
    to = "open" if account.ledger.status == "debits_frozen" else "debits_frozen"
    change = ledger_accounts.update().where(ledger_accounts.c.id == account.id).values(status=to)
    branch.bank.run(lambda tx: tx.execute(change))


def _payee(branch: Branch) -> None:
    def use_case(tx: sa.Connection) -> None:
        me, by = branch.customer("alice").id, branch.author("alice")
        named = payees.name(tx, me, branch.accounts["bob_current"].id, f"Bob {a_key()[-4:]}", "match", by=by)
        payees.save(tx, me, named.id, by=by)

    branch.bank.run(use_case)


def _rename(branch: Branch) -> None:
    name = f"Alice {a_key()[-4:]}"
    change = customers.update().where(customers.c.id == branch.customer("alice").id).values(name=name)
    branch.bank.run(lambda tx: tx.execute(change))


CHANGES: dict[str, tuple[str, Callable[[Branch], object]]] = {
    "balance": ("/accounts/ACCOUNT", deposit),
    "hold": ("/accounts/ACCOUNT", lambda branch: branch.hold("alice_current", 1)),
    "freeze": ("/home", _freeze),
    "payee": ("/payees", _payee),
    "closing of a session": ("/profile", lambda branch: branch.session_of("alice")),
    "name": ("/home", _rename),
}


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_no_session_is_shown_an_older_state(
    seed: int, west: Flask, east: Flask, branch: Branch, pair: Pair
) -> None:
    chance = random.Random(seed)
    branch.deposit(branch.accounts["alice_savings"], 50_00)
    browsers = [(Browser(east, token), Browser(west, token)) for token in (branch.session_of("alice") for _ in "ab")]
    last, held, asked, only_replica = [0.0, 0.0], False, Asked(west), 0

    for _ in range(120):
        which = chance.randrange(2)
        here, there = browsers[which]
        match chance.choice(["look west"] * 6 + ["look east", "pay west", "pay east", "others", "others", "pause"]):
            case "look west":
                carry_newer(browsers[which], "west")
                only_replica += asked.during(partial(check, there, last, which, branch)) == {"replica"}
            case "look east":
                carry_newer(browsers[which], "east")
                check(here, last, which, branch)
            case "pay west":
                carry_newer(browsers[which], "west")
                pay(there, branch, "0.01")
            case "pay east":
                carry_newer(browsers[which], "east")
                pay(here, branch, "0.01")
            case "others":
                deposit(branch)
            case "pause":
                held = not held
                pair.replica.hold_back() if held else pair.replica.catch_up()

    assert only_replica > 5


_AT: dict[int, str] = {}


def carry_newer(pair: tuple[Browser, Browser], to: str) -> None:
    """One browser that is sent to one region and then the other."""
    east, west = pair
    if _AT.get(id(pair[0]), to) != to:
        carry(*((east, west) if to == "west" else (west, east)))
    _AT[id(pair[0])] = to


def check(browser: Browser, last: list[float], which: int, branch: Branch) -> None:
    shown = booked(browser, branch)
    assert shown >= last[which]
    last[which] = shown


def test_a_write_in_a_region_without_a_replica_is_not_forgotten(
    west: Flask, east: Flask, branch: Branch, pair: Pair
) -> None:
    there = Browser(west, branch.session_of("alice"))
    settled(there, pair)
    assert seen(there)

    here = Browser(east)
    carry(there, here)
    here.get("/home")

    assert here.cookie("position") is None


def test_a_session_that_is_not_on_the_replica_yet_is_found_on_the_primary(
    west: Flask, branch: Branch, pair: Pair
) -> None:
    old = Browser(west, branch.session_of("alice"))
    settled(old, pair)
    pair.replica.hold_back()
    new = Browser(west, branch.session_of("alice"))
    new.set_cookie("position", old.cookie("position") or "")

    assert new.get("/home").status == 200


def test_a_session_that_was_ended_writes_no_more_at_once_and_reads_no_more_when_the_replica_knows(
    west: Flask, branch: Branch, pair: Pair
) -> None:
    branch.deposit(branch.accounts["alice_savings"], 5_00)
    token = branch.session_of("alice")
    alice = Browser(west, token)
    settled(alice, pair)
    pair.replica.hold_back()
    ended = session_rows.update().where(session_rows.c.token_digest == sessions.digest(token))
    branch.bank.run(lambda tx: tx.execute(ended.values(revoked_at=branch.bank.clock.now())))
    before = branch.balance("alice_current")

    form = {"from_account": branch.number("alice_savings"), "to_account": branch.number("alice_current")}
    still = alice.get("/home")
    paid = alice.post("/pay", {**form, "amount": "1.00", "reference": "x", "operation": str(uuid.uuid4())})
    contact = alice.post("/profile/contact", {"email": "x@example.org"})
    pair.replica.catch_up()
    over = alice.get("/home")

    assert (paid.status, contact.status) == (302, 302)
    assert paid.location.startswith("/login")
    assert branch.balance("alice_current") == before
    assert (still.status, over.status) == (200, 302)


def test_a_cookie_that_was_forged_or_is_of_another_database_is_not_believed(
    west: Flask, branch: Branch, pair: Pair
) -> None:
    asked, alice = Asked(west), Browser(west, branch.session_of("alice"))
    settled(alice, pair)
    good = seen(alice)
    assert good is not None

    for value in (
        "rubbish",
        near.seal("another key", good),
        near.seal(SECRET, Seen("another", good.incarnation, "")),
        near.seal(SECRET, Seen(good.database, "another start", "")),
        near.seal(SECRET, Seen(good.database, "", "rubbish")),
    ):
        alice.set_cookie("position", value)
        assert "primary" in asked.during(lambda: alice.get("/home")), value
        assert asked.during(lambda: alice.get("/home")) == {"replica"}


def test_another_replica_is_believed_only_when_it_has_what_the_first_one_showed(
    west: Flask, serve: Callable[..., Flask], branch: Branch, pair: Pair
) -> None:
    with another_replica(pair.primary) as another:
        another.hold_back()
        deposit(branch)
        alice = Browser(west, branch.session_of("alice"))
        settled(alice, pair)
        shown = booked(alice, branch)
        elsewhere = serve(
            pair=Pair(
                pair.primary,
                another,
                pair.urls,
                pair.replica_url.replace(str(pair.replica.directory), str(another.directory)),
            )
        )
        there = Browser(elsewhere)
        carry(alice, there)

        assert booked(there, branch) == shown
        there.get("/home")
        assert booked(there, branch) == shown


def test_jobs_and_commands_read_the_primary(pair: Pair) -> None:
    settings = settings_for(pair.urls.app, database_replica_url=pair.replica_url)

    assert Bank.open(settings).near is None


def test_a_payment_tells_where_it_lies_in_its_own_message(
    dialect: str, west: Flask, branch: Branch, pair: Pair
) -> None:
    branch.deposit(branch.accounts["alice_savings"], 5_00)
    alice = Browser(west, branch.session_of("alice"))
    settled(alice, pair)
    pay(alice, branch)
    told = seen(alice)
    assert told is not None
    assert told.position[0] == ("x" if dialect == "postgresql" else "0")

    pair.replica.catch_up()
    alice.get("/home")
    after = seen(alice)
    assert after is not None
    assert after.incarnation
