"""People at the same moment, over HTTP, at a server of several processes: nothing is lost, nothing is paid twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import sqlalchemy as sa

from bank.identity import staff as staff_members
from bank.ledger.tables import journal_entries
from tests.http.browsing import RemoteBrowser
from tests.http.conftest import PASSWORD, Office
from tests.ledger import assert_books_balance
from tests.web.browsing import Page

T = TypeVar("T")

CLIENTS = 8
DEPOSITS = 20


def at_once(*acts: Callable[[], T]) -> list[T]:
    """Do all at the same signal; what each answered, in order."""
    signal = threading.Barrier(len(acts), timeout=30)

    def run(act: Callable[[], T]) -> T:
        signal.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [one.result(60) for one in [pool.submit(run, act) for act in acts]]


def test_160_parallel_deposits_of_1_leave_160(office: Office, password_hash: str):
    branch = office.branch
    path = f"/staff/accounts/{branch.open_account('bob', 'savings').number}/deposit"
    teller = branch.staff("teller")
    branch.run(staff_members.set_password, teller.id, password_hash, must_change=False)

    def logged_in() -> RemoteBrowser:
        browser = RemoteBrowser(office.server.address)
        assert browser.done("/staff/login", user=teller.user_id, password=PASSWORD).title.startswith("Branch")
        return browser

    def deposits(browser: RemoteBrowser) -> list[int]:
        return [browser.send(path, amount="1").status for _ in range(DEPOSITS)]

    # One after the other: the throttle counts an attempt before it looks at it.
    browsers = [logged_in() for _ in range(CLIENTS)]

    answers = at_once(*(partial(deposits, browser) for browser in browsers))

    assert Counter(status for each in answers for status in each) == {303: CLIENTS * DEPOSITS}
    assert branch.balance("bob_savings") == CLIENTS * DEPOSITS * 100
    assert_books_balance(branch.bank)


def test_eight_withdrawals_of_the_whole_balance_pay_once(office: Office):
    branch = office.branch
    path = f"/staff/accounts/{branch.open_account('alice', 'current', 100_00).number}/withdraw"
    browsers = [office.browse_as("teller") for _ in range(CLIENTS)]
    filled = [browser.fill(path, amount="100.00") for browser in browsers]

    answers = at_once(*(sending(*who, path) for who in zip(browsers, filled, strict=True)))

    assert Counter(page.status for page in answers) == {303: 1, 422: CLIENTS - 1}
    refusals = {" ".join(page.problems) for page in answers if page.status == 422}
    assert refusals == {"There is nothing available on the account to take 100.00 USD from."}
    assert branch.balance("alice_current") == 0
    assert_books_balance(branch.bank)


def test_the_same_form_sent_by_eight_at_once_books_one_entry_and_gives_eight_equal_receipts(office: Office):
    branch = office.branch
    path = f"/staff/accounts/{branch.open_account('alice', 'current', 100_00).number}/withdraw"
    token = branch.session_of("teller")
    first = RemoteBrowser(office.server.address, token)
    fields = first.fill(path, amount="10.00")
    browsers = [same_cookies(first) for _ in range(CLIENTS)]

    answers = at_once(*(sending(browser, fields, path) for browser in browsers))

    assert {page.status for page in answers} == {303}
    assert len({page.location for page in answers}) == 1
    receipts = [browser.follow(page).text for browser, page in zip(browsers, answers, strict=True)]
    assert len(set(receipts)) == 1
    [(entries,)] = branch.rows(
        sa.select(sa.func.count()).where(journal_entries.c.idempotency_key == fields["operation"])
    )
    assert entries == 1
    assert branch.balance("alice_current") == 90_00
    assert_books_balance(branch.bank)


def test_a_payment_comes_before_a_freeze_or_is_refused(office: Office):
    branch = office.branch
    number = branch.open_account("alice", "current", 100_00).number
    branch.open_account("bob", "current", 50_00)
    pay, freeze = "/pay", f"/staff/accounts/{number}/freeze"
    payers = [office.browse_as("alice") for _ in range(CLIENTS - 1)]
    executive = office.browse_as("executive")
    payee = branch.number("bob_current")
    filled = [browser.fill(pay, from_account=number, to_account=payee, amount="1.00") for browser in payers]
    freezing = executive.fill(freeze, status="debits_frozen", reason="Lost card")

    *paid, frozen = at_once(
        *(sending(*who, pay) for who in zip(payers, filled, strict=True)), sending(executive, freezing, freeze)
    )

    assert frozen.status == 303
    statuses = Counter(page.status for page in paid)
    assert set(statuses) <= {303, 422}
    assert branch.balance("alice_current") == 100_00 - 100 * statuses[303]
    assert branch.balance("bob_current") == 50_00 + 100 * statuses[303]
    late = payers[0].send(pay, from_account=number, to_account=payee, amount="1.00")
    assert (late.status, "frozen" in late.text) == (422, True)
    assert_books_balance(branch.bank)


def sending(browser: RemoteBrowser, fields: dict[str, str], path: str) -> Callable[[], Page]:
    """An act: send these fields."""
    return lambda: browser.ask(path, fields)


def same_cookies(browser: RemoteBrowser) -> RemoteBrowser:
    """Another window of the same browser."""
    other = RemoteBrowser(browser.address)
    for cookie in browser.jar:
        other.jar.set_cookie(cookie)
    return other
