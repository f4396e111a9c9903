"""Looking changes nothing: every page opened, every link followed, as everybody; the database stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from bank.web import access
from tests import payment_files
from tests.builders import Branch
from tests.databases import Databases
from tests.web.browsing import Browser
from tests.web.conftest import Served, served

#: More than this many pages by following links means that something makes links without end.
MOST_PAGES = 1500


@pytest.fixture(scope="module")
def busy(sqlite_databases: Databases) -> Iterator[Served]:
    """A branch with some of everything: payments, a hold, a frozen account, a failed log-in, an open code."""
    with sqlite_databases.migrated() as urls, served(urls.app) as office:
        branch = office.branch
        for _ in range(25):
            branch.transfer("alice_current", "bob_current", 1)
        branch.hold("alice_current", 5_00)
        branch.code_for("bob")
        for by in ("alice", "teller"):
            wages = [(branch.number("alice_current"), branch.number("bob_current"), "Bob Nakamura", "0.01", "Wages")]
            payment_files.send(branch, wages, by)
        branch.open_account("bob", "savings")
        browser = office.browse_as(None)
        browser.send("/login", user=branch.customer("alice").number, password="not her password")
        office.browse_as("executive").done(
            f"/staff/accounts/{branch.number('bob_savings')}/freeze", status="frozen", reason="Lost card"
        )
        # As long after the log-in as a touch of the session would be worth a write.
        office.sessions = {name: office.browse_as(name) for name in ("alice", "bob", "teller", "cashier", "executive")}
        office.clock.step(120)
        yield office


def crawl(browser: Browser) -> dict[str, int]:
    """Follow every link and every redirect from all that has an address without parameters."""
    waiting = [rule.path for rule in access.rules(browser.app) if "GET" in rule.methods and "<" not in rule.path]
    seen: dict[str, int] = {}
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        page = browser.get(path)
        seen[path] = page.status
        assert len(seen) < MOST_PAGES, "links without end"
        found = [link for link in page.links if not link.startswith("#")] + ([page.location] if page.location else [])
        waiting += [_absolute(path, link) for link in found if not urlsplit(link).netloc]
    return seen


def _absolute(path: str, link: str) -> str:
    return urlsplit(path).path + link if link.startswith("?") else link


def others(branch: Branch) -> list[str]:
    """Addresses that no link leads to."""
    alice, account = branch.customer("alice").number, branch.number("alice_current")
    return [
        f"/staff/customers?q={alice}", "/staff/customers?q=Bob", "/staff/customers?q=012-34-5678", "/staff/customers?q=0",
        f"/staff/accounts?q={account}", "/staff/accounts?q=1", f"/staff/customers/{alice}/activate",
        f"/staff/accounts/{account}/reopen", "/staff/people/SPARE-1/enable",
        f"/accounts/{account}/statement?as=pdf", f"/accounts/{account}/statement?as=xlsx",
        f"/accounts/{account}/statement?as=csv", f"/accounts/{account}/statement?from=2026-01-01&to=2026-12-31",
        f"/accounts/{account}/statement?last=x", f"/accounts/{account}/statement?as=doc", "/operations/none",
        "/staff/operations/none", "/logout", "/staff/logout", "/login?next=/pay", "/nothing",
    ]  # fmt: skip


@pytest.mark.parametrize("visitor", [None, "alice", "bob", "teller", "cashier", "executive"])
def test_a_crawl_of_every_page_leaves_every_row_as_it_was(visitor, busy):
    browser = busy.sessions[visitor] if visitor else busy.browse_as(None)
    before = busy.branch.dump()

    seen = crawl(browser)
    for path in others(busy.branch):
        seen[path] = browser.get(path).status

    assert busy.branch.dump() == before
    assert not [path for path, status in seen.items() if status >= 500]
    # It has really been inside, and was never thrown out on the way.
    assert len(seen) > (45 if visitor else 20), seen
    assert seen["/staff/" if visitor in ("teller", "cashier", "executive") else "/home"] == (200 if visitor else 302)


@pytest.mark.parametrize("visitor", ["alice", "executive"])
def test_every_link_on_every_page_leads_somewhere(visitor, busy):
    broken = {path: status for path, status in crawl(busy.sessions[visitor]).items() if status in (404, 405, 422)}

    assert broken == {}


@pytest.mark.parametrize("visitor", [None, "alice", "teller", "executive"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_neither_head_nor_options_changes_anything(visitor, method, busy):
    browser = busy.sessions[visitor] if visitor else busy.browse_as(None)
    before = busy.branch.dump()
    number = {
        "/staff/accounts/": busy.branch.number("alice_current"),
        "/accounts/": busy.branch.number("alice_current"),
    }

    for rule in access.rules(busy.app):
        path = rule.path
        for start, known in number.items():
            path = path.replace("<number>", known) if path.startswith(start) else path
        path = path.replace("<number>", busy.branch.customer("alice").number).replace("<user_id>", "SPARE-1")
        path = (
            path.replace("<id:entry_id>", "1")
            .replace("<id:hold_id>", "1")
            .replace("<id:warning_id>", "1")
            .replace("<operation>", "x")
        )
        path = path.replace("<customer_number>", busy.branch.customer("bob").number)
        answer = browser.ask(method, path)
        assert answer.status < 500, path
        assert method == "OPTIONS" or answer.response.get_data() == b"", path

    assert busy.branch.dump() == before


def test_only_what_stands_on_every_page_has_no_page_of_its_own_and_that_is_no_link(busy):
    rules = [rule for rule in access.rules(busy.app) if not rule.path.startswith("/api/v1/")]
    without_a_page = [rule.path for rule in rules if rule.methods == ("POST",)]

    # A case is taken and given back by a button of its own page.
    by_button = ["/staff/cases/<id:case_id>/give-back", "/staff/cases/<id:case_id>/take"]
    assert without_a_page == ["/drain", "/logout", "/preferences", *by_button, "/staff/logout"]
    assert busy.browse_as("alice").get("/logout").status == 405
    assert busy.browse_as("teller").get("/staff/logout").status == 405


@pytest.mark.parametrize("looked_for", ["012-34-5678", "Alice", "110", "", "no such name"])
def test_looking_somebody_up_changes_nothing_though_it_is_a_post(looked_for, busy):
    """An identity number is looked up by POST so that it stands in no address."""
    browser = busy.sessions["cashier"]
    page = browser.get("/staff/customers")
    before = busy.branch.dump()

    answer = browser.submit(page, "/staff/customers", q=looked_for)

    assert answer.status in (200, 303)
    assert _but_last_use(busy.branch.dump()) == _but_last_use(before)


def _but_last_use(rows):
    return {table: found for table, found in rows.items() if table != "sessions"}
