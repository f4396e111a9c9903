"""Home: what may be spent, what is coming and what is left after it, and what happened last."""

from __future__ import annotations

import re
from datetime import timedelta

from bank.ledger import service as ledger
from bank.money import Money
from bank.payments import scheduled
from bank.payments.model import TransferOrder
from bank.payments.store import scheduled_payments
from tests.builders import CURRENCY, a_key
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served


def home_of(office: Served, name: str) -> Page:
    return office.browse_as(name).get("/home")


def schedule(
    office: Served, payer: str, payee: str, cents: int, days: int, *, repeats: str = "once", called: str = "Bobby"
) -> int:
    """Alice's payment in so many days; answers its id."""
    branch, by = office.branch, office.branch.author("alice")
    order = TransferOrder(
        branch.accounts[payer].id, branch.accounts[payee].id, Money(cents, CURRENCY), "Rent", a_key(),
        branch.customer("alice").id,
    )  # fmt: skip
    due_on = by.business_date + timedelta(days=days)
    return scheduled.schedule(branch.bank, order, due_on=due_on, repeats=repeats, payee_name=called, by=by)


def lefts(page: Page) -> list[str]:
    """What is left after each payment that is coming, in order."""
    return re.findall(r"Left after: ([-\d,.]+)", page.text)


def test_each_account_shows_what_may_be_spent_and_how_that_was_worked_out(office: Served):
    branch = office.branch
    branch.hold("alice_current", 30_00)
    branch.run(ledger.set_floor, branch.accounts["alice_current"].id, -50_00, reason="Agreed")

    page = home_of(office, "alice")

    number = branch.number("alice_current")
    assert "120.00 USD available" in page.text
    assert "20.00 USD available" in page.text
    sums = "Booked 100.00 USD Less what is held -30.00 USD Plus the agreed overdraft 50.00 USD Available 120.00 USD"
    assert sums in page.text
    # Whole numbers are for the clipboard; the page shows which account it is and no more.
    assert f"•••• {number[-4:]}" in page.text
    assert f'data-copy="{number}"' in page.html
    assert f"/accounts/{number}" in page.links
    assert branch.number("bob_current") not in page.html


def test_held_money_is_pending_by_that_word_and_in_no_balance(office: Served):
    office.branch.hold("alice_current", 30_00)

    page = home_of(office, "alice")

    assert "Court order" in page.text
    assert "Pending" in page.text
    assert "Court order" not in home_of(office, "bob").text


def test_the_last_five_movements_of_all_accounts_are_told_with_their_account(office: Served):
    branch = office.branch
    for cents in range(1, 5):
        branch.transfer("bob_current", "alice_current", cents)
    own = branch.transfer("alice_current", "alice_savings", 5_00)

    page = home_of(office, "alice")

    places = [link for link in page.links if link.startswith("/movements/")]
    assert len(places) == 5
    assert places[:2] == [f"/movements/{own}"] * 2
    assert "Bob Nakamura" in page.text
    assert "Received +0.04 USD" in page.text
    assert "Paid -5.00 USD" in page.text


def test_what_is_coming_is_told_with_what_each_payment_leaves(office: Served):
    schedule(office, "alice_current", "bob_current", 70_00, 3)
    schedule(office, "alice_current", "alice_savings", 20_00, 1, called="Savings account")
    schedule(office, "alice_savings", "bob_current", 35_00, 2)
    schedule(office, "alice_current", "bob_current", 15_00, 4)

    page = home_of(office, "alice")

    # By their days: what one own account pays to the other is there for the next.
    assert lefts(page) == ["80.00", "5.00", "10.00", "-5.00"]
    assert "Bobby" not in home_of(office, "bob").text


def test_a_monthly_payment_is_told_for_each_time_within_thirty_days_and_later_ones_are_not(office: Served):
    schedule(office, "alice_current", "bob_current", 1_00, 31)
    assert "Nothing is due in the next 30 days" in home_of(office, "alice").text

    schedule(office, "alice_current", "bob_current", 2_00, 1, repeats="monthly")
    assert lefts(home_of(office, "alice"))[0] == "98.00"


def test_a_payment_that_was_refused_lately_is_said_on_top_and_not_for_ever(office: Served):
    branch = office.branch
    scheduled_id = schedule(office, "alice_current", "bob_current", 500_00, 1)
    refusal = {"code": "insufficient_funds", "facts": {"available": 100_00, "currency": CURRENCY}}

    def refuse(tx, *, by):
        scheduled.decide(tx, scheduled_id, "refused", by=by, refusal=refusal)

    branch.run(refuse)
    page = home_of(office, "alice")

    assert "A payment was not made" in page.text
    assert "500.00 USD to Bobby" in page.text
    assert "100.00 USD was available" in page.text
    assert f"/scheduled/{scheduled_id}" in page.links
    assert branch.rows(scheduled_payments.select())[0].status == "refused"
    office.clock.step(15 * 86_400)
    assert "A payment was not made" not in home_of(office, "alice").text


def test_a_customer_without_an_account_is_told_what_to_do(office: Served):
    office.branch.add_customer("carol", "Carol Weiss", "078-90-1234")
    browser: Browser = office.browse_as("carol")

    page = browser.get("/home")

    assert page.status == 200
    assert "You have no account yet" in page.text
    assert "You have no account yet" in browser.get("/spending").text


def test_an_account_without_movements_says_what_will_be_there(office: Served):
    office.branch.add_customer("carol", "Carol Weiss", "078-90-1234")
    account = office.branch.open_account("carol", "current")
    browser = office.browse_as("carol")

    assert "No movements yet" in browser.get("/home").text
    assert "No movements yet" in browser.get(f"/accounts/{account.number}").text
    assert "Nothing came in or went out" in browser.get("/spending").text
