"""What is sent twice is done once: refresh, back, double click, and answers that were lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from bank.errors import BankError
from bank.ledger.tables import journal_entries
from bank.storage.errors import DatabaseAway, OutcomeUnknown
from bank.storage.transaction import Bank
from tests.builders import Branch
from tests.ledger import assert_books_balance
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served

Place = tuple[str, Callable[[Branch], str], Callable[[Branch], dict[str, str]]]


def _of_alice(page: str) -> Callable[[Branch], str]:
    return lambda branch: f"/staff/accounts/{branch.number('alice_current')}/{page}"


def _reverse(branch: Branch) -> str:
    return f"/staff/entries/{branch.deposit(branch.accounts['bob_current'], 9_00)}/reverse"


def _release(branch: Branch) -> str:
    return f"/staff/accounts/{branch.number('alice_current')}/holds/{branch.hold('alice_current', 3_00)}/release"


#: Every form that moves or reserves money: who, where, and what is typed.
ACTS: dict[str, Place] = {
    "deposit": ("teller", _of_alice("deposit"), lambda _: {"amount": "5", "note": "Coins"}),
    "withdraw": ("cashier", _of_alice("withdraw"), lambda _: {"amount": "60"}),
    "transfer": ("teller", _of_alice("transfer"), lambda branch: {"to_account": branch.number("bob_current"), "amount": "60"}),
    "pay": (
        "alice", lambda _: "/pay",
        lambda branch: {
            "from_account": branch.number("alice_current"), "to_account": branch.number("bob_current"), "amount": "60",
        },
    ),
    "reverse": ("executive", _reverse, lambda _: {"reason": "Mistake"}),
    "close": ("teller", _of_alice("close"), lambda branch: {"number": branch.number("alice_current"), "reason": "Moves"}),
    "hold": ("executive", _of_alice("hold"), lambda _: {"amount": "60", "reason": "Court order"}),
    "release": ("executive", _release, lambda _: {"reason": "Settled"}),
}  # fmt: skip


def drawn(office: Served, act: str) -> tuple[Browser, str, Page, dict[str, str]]:
    """The form, open in a browser, and what will be typed."""
    visitor, path, typed = ACTS[act]
    browser, address = office.browse_as(visitor), path(office.branch)
    return browser, address, browser.get(address), typed(office.branch)


def ledger(branch: Branch) -> dict[str, Any]:
    """The ledger's rows."""
    rows = branch.dump()
    return {table: rows[table] for table in ("journal_entries", "postings", "holds", "ledger_accounts", "accounts")}


@pytest.mark.parametrize("act", ACTS)
def test_sending_a_form_again_gives_the_same_receipt_and_does_nothing(act, office):
    browser, path, page, typed = drawn(office, act)

    first = browser.submit(page, path, **typed)
    done = ledger(office.branch)
    again = browser.submit(page, path, **typed)
    hours_later = (office.clock.step(200), browser.submit(page, path, **typed))[1]

    assert first.status == 303, first.problems
    assert [(answer.status, answer.location) for answer in (again, hours_later)] == [(303, first.location)] * 2
    assert ledger(office.branch) == done
    assert browser.follow(again).status == 200
    assert_books_balance(office.branch.bank)


@pytest.mark.parametrize("act", ACTS)
def test_a_double_click_is_one_click(act, office_anywhere):
    office = office_anywhere
    browser, path, page, typed = drawn(office, act)
    before = office.branch.rows(sa.select(sa.func.count()).select_from(journal_entries))[0][0]

    answers = at_once(4, lambda: twin(browser).submit(page, path, **typed))

    assert {(answer.status, answer.location) for answer in answers} == {(303, answers[0].location)}
    assert office.branch.rows(sa.select(sa.func.count()).select_from(journal_entries))[0][0] == before + 1
    assert_books_balance(office.branch.bank)


def twin(browser: Browser) -> Browser:
    """Another request of the same browser, at the same time: cookies are shared, connections are not."""
    other = Browser(browser.app)
    for cookie in list(browser.client._cookies.values()):
        other.client.set_cookie(cookie.key, cookie.value)
    return other


def at_once(count: int, act: Callable[[], Page]) -> list[Page]:
    signal = threading.Barrier(count, timeout=30)

    def one() -> Page:
        signal.wait()
        return act()

    with ThreadPoolExecutor(count) as pool:
        return [running.result(60) for running in [pool.submit(one) for _ in range(count)]]


@pytest.mark.parametrize("act", ["withdraw", "transfer", "pay", "hold"])
def test_a_refused_form_is_drawn_again_with_a_new_operation_that_can_succeed(act, office):
    browser, path, page, typed = drawn(office, act)

    refused = browser.submit(page, path, **{**typed, "amount": "100.01"})
    corrected = browser.submit(refused, path, amount="99")

    assert refused.status == 422
    assert refused.title.startswith("Error: ")
    assert "100.00 USD or less" in refused.problems[0]
    assert refused.operation != page.operation
    assert {**refused.form.typed, **typed} == {**refused.form.typed, **typed, "amount": typed["amount"]}
    assert refused.form.typed["amount"] == "100.01"
    assert corrected.status == 303, corrected.problems
    assert browser.follow(corrected).status == 200


def test_what_was_refused_stays_refused_under_its_own_operation(office):
    branch = office.branch
    browser, path, page, typed = drawn(office, "withdraw")
    browser.submit(page, path, **{**typed, "amount": "150"})
    branch.deposit(branch.accounts["alice_current"], 100_00)

    late_retry = browser.submit(page, path, **{**typed, "amount": "150"})

    assert late_retry.status == 422
    assert branch.balance("alice_current") == 200_00


def test_a_form_that_was_only_misread_keeps_its_operation(office):
    browser, path, page, typed = drawn(office, "deposit")

    misread = browser.submit(page, path, **{**typed, "amount": "five"})

    assert (misread.status, misread.operation) == (422, page.operation)
    assert browser.submit(misread, path, amount="5").status == 303


@pytest.mark.parametrize(
    ("act", "changed"),
    [
        ("deposit", {"amount": "6"}), ("deposit", {"note": "Notes"}), ("withdraw", {"amount": "61"}),
        ("transfer", {"amount": "61"}), ("pay", {"reference": "Other"}), ("hold", {"amount": "61"}), ("hold", {"reason": "Other"}),
    ],
)  # fmt: skip
def test_a_used_operation_with_other_content_is_a_conflict_and_does_nothing(act, changed, office):
    browser, path, page, typed = drawn(office, act)
    browser.submit(page, path, **typed)
    done = ledger(office.branch)

    answer = browser.submit(page, path, **{**typed, **changed})

    assert answer.status == 422
    assert answer.title.startswith("Error: ")
    assert answer.problems == ["This operation was already used for something else. Start again with a new form."]
    assert ledger(office.branch) == done
    # The page that says so can be sent, once it has been read.
    assert answer.operation != page.operation


@pytest.mark.parametrize("other", ["bob_current", "alice_savings"])
def test_a_used_operation_on_another_account_is_a_conflict(other, office):
    branch = office.branch
    for act in ("deposit", "close"):
        browser, path, page, typed = drawn(office, act)
        assert browser.submit(page, path, **typed).status == 303
        elsewhere = path.replace(branch.number("alice_current"), branch.number(other))
        done = ledger(branch)

        answer = browser.submit(
            page, elsewhere, **{**typed, **({"number": branch.number(other)} if act == "close" else {})}
        )

        assert answer.status == 422, act
        assert ledger(branch) == done


def test_operations_belong_to_whoever_asked(office):
    """The same id from somebody else is another operation, not a way to read or stop the first."""
    branch = office.branch
    browser, path, page, typed = drawn(office, "deposit")
    browser.submit(page, path, **typed)
    colleague = office.browse_as("cashier")

    page_of_colleague = colleague.get(path)
    answer = colleague.submit(page_of_colleague, path, **{**typed, "operation": page.operation})

    assert answer.status == 303
    assert branch.balance("alice_current") == 110_00
    assert "has not arrived" in office.browse_as("executive").get(f"/staff/operations/{page.operation}").text


@pytest.mark.parametrize("operation", ["", "1", "x" * 36, "0" * 300, "'; --", "00000000-0000-4000-8000-00000000000g"])
def test_an_operation_that_is_none_is_refused(operation, office):
    browser, path, page, typed = drawn(office, "deposit")

    answer = browser.submit(page, path, **{**typed, "operation": operation})

    assert answer.status == 422
    assert office.branch.balance("alice_current") == 100_00


class Lost:
    """A database that goes away whenever something is booked, before or after it has done it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: BankError, *, done: bool) -> None:
        for name in ("post", "send"):
            monkeypatch.setattr(Bank, name, self.losing(getattr(Bank, name), error, done))

    def losing(self, real: Callable[[Bank, Any], Any], error: BankError, done: bool) -> Callable[[Bank, Any], Any]:
        def act(bank: Bank, asked: Any) -> Any:
            if done:
                answer = real(bank, asked)
                if answer[0] == "denied":
                    return answer
            raise error

        return act


@pytest.mark.parametrize(("act", "look"), [("deposit", "/staff/operations/"), ("pay", "/operations/")])
def test_a_lost_answer_can_be_looked_up_and_sent_again(act, look, office, monkeypatch):
    browser, path, page, typed = drawn(office, act)

    with monkeypatch.context() as patched:
        Lost(patched, OutcomeUnknown(), done=True)
        lost = browser.submit(page, path, **typed)
    done = ledger(office.branch)
    found = browser.get(f"{look}{page.operation}")
    again = browser.submit(page, path, **typed)

    assert lost.status == 503
    assert lost.response.headers["Retry-After"]
    assert f"Payment {page.operation} is being checked" in lost.text
    assert f"{look}{page.operation}" in lost.links
    assert found.location == again.location
    assert browser.follow(found).status == 200
    assert ledger(office.branch) == done


@pytest.mark.parametrize(("act", "look"), [("withdraw", "/staff/operations/"), ("pay", "/operations/")])
def test_of_an_operation_that_never_arrived_it_is_said_that_no_money_moved(act, look, office, monkeypatch):
    browser, path, page, typed = drawn(office, act)

    with monkeypatch.context() as patched:
        Lost(patched, DatabaseAway(), done=False)
        away = browser.submit(page, path, **typed)
    found = browser.get(f"{look}{page.operation}")

    assert away.status == 503
    assert "no money moved" in away.text
    assert found.status == 200
    assert "no money has moved" in found.text
    assert office.branch.balance("alice_current") == 100_00
    assert browser.submit(page, path, **typed).status == 303


def test_of_a_refused_operation_it_is_said_that_none_will_move(office):
    browser, path, page, typed = drawn(office, "pay")
    browser.submit(page, path, **{**typed, "amount": "1000"})

    found = browser.get(f"/operations/{page.operation}")

    assert found.status == 200
    assert "refused" in found.text


@pytest.mark.parametrize("operation", ["%00", "x" * 3000, "%F0%9F%98%80", "'%20OR%201=1"])
def test_looking_up_nonsense_finds_nothing(operation, office):
    for visitor, path in (("alice", "/operations/"), ("teller", "/staff/operations/")):
        page = office.browse_as(visitor).get(path + operation)
        assert page.status == (404 if operation == "%00" else 200)


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        ("/staff/customers/{bob}/accounts/new", {"product": "savings"}),
        ("/staff/accounts/{account}/holders/add", {"customer": "{bob}", "role": "authorised"}),
        ("/staff/accounts/{account}/freeze", {"status": "frozen", "reason": "Lost card"}),
        ("/staff/customers/{bob}/deactivate", {"reason": "Asked"}),
    ],
)
def test_a_double_click_on_what_moves_no_money_does_it_once_and_breaks_nothing(path, typed, office_anywhere):
    branch = office_anywhere.branch
    known = {"bob": branch.customer("bob").number, "account": branch.number("alice_current")}
    address = path.format(**known)
    browser = office_anywhere.browse_as("executive")
    page = browser.get(address)
    before = branch.dump()

    answers = at_once(
        4, lambda: twin(browser).submit(page, address, **{key: value.format(**known) for key, value in typed.items()})
    )

    after = branch.dump()
    assert {answer.status for answer in answers} <= {303, 409, 422}
    assert 303 in {answer.status for answer in answers}
    assert len(after["accounts"]) - len(before["accounts"]) == ("accounts/new" in path)
    assert len(after["account_holders"]) - len(before["account_holders"]) == (
        "freeze" not in path and "deactivate" not in path
    )
