"""Each page and operation sends the database the messages that the document lists, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest

from tests.builders import Branch
from tests.databases import Databases
from tests.pages.places import NOBODY, Furnished, places
from tests.payment_files import as_csv
from tests.round_trips import Counted, counted, promised, told
from tests.web.browsing import Browser, Page
from tests.web.conftest import PASSWORD, Served
from tests.web.test_forms import FORMS
from tests.web.test_forms import places as known_to

NEW_PASSWORD = "lantern otter granite 42"
WITH_PASSWORD = {
    "alice": ("customer's password", "contact", "token"),
    "bob": ("log in",),
    "spare": ("staff log-in",),
    "teller": ("staff's password",),
}
#: What has no page of its own to be filled in on: who, where, and what is sent.
BUTTONS: dict[str, tuple[str | None, str, dict[str, str]]] = {
    "preferences": (None, "/preferences", {"language": "es", "theme": "dark", "next": "/"}),
    "find": ("teller", "/staff/customers", {"q": "{bob}"}),
    "give back": ("executive", "/staff/cases/{case}/give-back", {}),
    "take": ("executive", "/staff/cases/{case}/take", {}),
    "log out": ("alice", "/logout", {}),
    "staff's log-out": ("teller", "/staff/logout", {}),
}
#: Forms that would be refused as they stand in `FORMS`.
ACCEPTED: dict[str, tuple[str | None, str, dict[str, str]]] = {
    "log in": (None, "/login", {"user": "{bob}", "password": PASSWORD}),
    "staff log-in": (None, "/staff/login", {"user": "{spare}", "password": PASSWORD}),
    "enrol": (None, "/enrol", {"user": "{bob}", "code": "{code}", "new": NEW_PASSWORD, "again": NEW_PASSWORD}),
    "customer's password": ("alice", "/password", {"old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}),
    "staff's password": ("teller", "/staff/password", {"old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}),
    "contact": ("alice", "/profile/contact", {**FORMS["contact"][2], "password": PASSWORD}),
    "payee": ("alice", "/payees/new", {"name": "Bob Nakamura", "to_account": "{third}"}),
    "token": ("alice", FORMS["token"][1], {**FORMS["token"][2], "password": PASSWORD}),
    "staff's token": ("teller", FORMS["staff's token"][1], {**FORMS["staff's token"][2], "password": NEW_PASSWORD}),
    "release": ("executive", "/staff/accounts/{account}/holds/{hold}/release", {"reason": "Asked"}),
    "reverse": ("executive", "/staff/entries/{entry}/reverse", {"reason": "Asked"}),
    "report": ("alice", "/movements/{deposit}/report", {"told": "I did not do this."}),
    "close": ("teller", "/staff/accounts/{savings}/close", {"number": "{savings}", "reason": "Moves away"}),
    "reopen": ("executive", "/staff/accounts/{savings}/reopen", {"reason": "Asked"}),
}
UPLOADS = ("file of payments", "branch's file of payments")
#: Forms that must come after others, for what they need or take away.
LAST = ("supply", "hand cash back", "answer", "close", "reopen", "freeze", "log out", "staff's log-out")

pytestmark = pytest.mark.dialects("postgresql", "mysql")


@pytest.fixture(scope="module")
def bank_of_pages(dialect: str, request: pytest.FixtureRequest) -> Iterator[tuple[Furnished, Counted]]:
    databases: Databases = request.getfixturevalue(f"{dialect}_databases")
    with databases.migrated() as urls, counted(urls.app) as bank:
        yield Furnished(bank.bank), bank


def test_every_page_sends_as_many_messages_as_the_document_says(bank_of_pages: tuple[Furnished, Counted]):
    furnished, bank = bank_of_pages
    promises = promised("Pages")
    browsers: dict[str, Browser] = {}
    wrong = []
    for place in places():
        if place.role not in browsers:
            browsers[place.role] = Browser(bank.app, furnished.session_of(place.role))
        address = furnished.address(place)
        browsers[place.role].get(address)
        page, bursts = bank.messages(lambda: browsers[place.role].get(address))  # noqa: B023
        assert page.status in (place.status, 302, 303), (place, page.status)
        if len(bursts) != promises.get((place.path, place.role)):
            wrong.append(f"{place}: {len(bursts)}\n{told(bursts)}")

    assert not wrong, "\n".join(wrong)


def test_the_document_lists_no_page_that_there_is_not():
    assert set(promised("Pages")) == {(place.path, place.role) for place in places()}


def test_whoever_has_no_session_costs_the_database_nothing():
    pages = promised("Pages")

    assert {messages for (_, who), messages in pages.items() if who == NOBODY} == {0}


@pytest.fixture(scope="module")
def bank_of_forms(dialect: str, request: pytest.FixtureRequest) -> Iterator[tuple[Served, Counted]]:
    databases: Databases = request.getfixturevalue(f"{dialect}_databases")
    with databases.migrated() as urls, counted(urls.app) as bank:
        yield Served(Branch.open(bank.bank), bank.app), bank


def test_every_operation_sends_as_many_messages_as_the_document_says(bank_of_forms: tuple[Served, Counted]):
    office, bank = bank_of_forms
    promises = promised("Operations")
    known = known_to(office.branch)
    wrong = []
    for name, (visitor, path, typed) in in_order().items():
        page, bursts = bank.messages(prepared(office, name, visitor, path, typed, known))
        assert page.status in (200, 303), (name, page.status, page.problems or page.text)
        if promises.get((name, visitor or NOBODY)) != len(bursts):
            wrong.append(f"{name}, {visitor}, {path}: {len(bursts)}\n{told(bursts)}")

    assert not wrong, "\n".join(wrong)


def test_the_document_lists_every_operation_and_no_other():
    assert set(promised("Operations")) == {(name, visitor or NOBODY) for name, (visitor, _, _) in in_order().items()}


def prepared(
    office: Served, name: str, visitor: str | None, path: str, typed: dict[str, str], known: dict[str, str]
) -> Callable[[], Page]:
    """Sending the form, which is drawn and filled in already."""
    branch = office.branch
    for person, forms in WITH_PASSWORD.items():
        if name in forms:
            office.give_password(person)
    known = {
        **known,
        "savings": branch.number("alice_savings"),
        "spare": branch.staff("spare").user_id,
        "hold": str(branch.hold("alice_current", 1)) if name == "release" else "",
        "deposit": str(branch.deposit(branch.accounts["alice_current"], 1)) if name == "report" else "",
        "third": branch.open_account("bob", "savings").number if name == "payee" else "",
        "code": branch.code_for("bob") if name == "enrol" else "",
    }
    browser, address = office.browse_as(visitor), path.format(**known)
    filled_in: dict[str, Any] = {key: value.format(**known) for key, value in typed.items()}
    if name in UPLOADS:
        row = (branch.number("alice_current"), branch.number("bob_current"), "Bob Nakamura", "0.02", name)
        filled_in["file"] = BytesIO(as_csv([row])), "wages.csv"
    if name in BUTTONS:
        browser.get("/staff/login" if visitor and visitor != "alice" else "/login")
        sent = {**filled_in, "csrf_token": browser.token()}
        return lambda: browser.ask("POST", address, data=sent)
    page = browser.get(address)
    assert page.status == 200, (name, page.status, page.text)
    return lambda: browser.submit(page, address, **filled_in)


def in_order() -> dict[str, tuple[str | None, str, dict[str, str]]]:
    """All forms and buttons, each as the ones before it leave the branch."""
    everything = {**FORMS, **BUTTONS, **ACCEPTED}
    return {name: everything[name] for name in [*(name for name in everything if name not in LAST), *LAST]}
