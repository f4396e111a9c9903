"""A payment in steps: whom, how much, check, receipt; and what happens between the steps."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.ledger import service as ledger
from bank.ledger.tables import journal_entries
from bank.payments import payees
from bank.payments.store import name_checks, payment_drafts, scheduled_payments
from bank.storage.transaction import Bank
from tests.builders import Branch, a_key
from tests.ledger import assert_books_balance
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served
from tests.web.test_operations import at_once, twin


@pytest.fixture
def alice(office: Served) -> Browser:
    return office.browse_as("alice")


def save_bob(branch: Branch) -> None:
    """Alice has saved Bob."""

    def use_case(tx: sa.Connection) -> None:
        me, by = branch.customer("alice").id, branch.author("alice")
        named = payees.name(tx, me, branch.accounts["bob_current"].id, "Bob Nakamura", "match", by=by)
        payees.save(tx, me, named.id, by=by)

    branch.bank.run(use_case)


def begin(browser: Browser, branch: Branch, to: str = "alice_savings", **typed: str) -> Page:
    """The step of the amount, after one's own account or a saved payee was chosen."""
    paying, to = branch.number("alice_current"), branch.number(to)
    return browser.done("/pay", **{"from_account": paying, "to": to, **typed})


def begin_new(browser: Browser, branch: Branch, name: str, number: str | None = None) -> Page:
    """What follows somebody new."""
    answer = browser.send(
        "/pay", from_account=branch.number("alice_current"), to="new", name=name,
        to_account=number or branch.number("bob_current"),
    )  # fmt: skip
    return browser.follow(answer) if answer.status == 303 else answer


def path_of(page: Page) -> str:
    return page.response.request.path


def go_on(browser: Browser, page: Page, **typed: str) -> Page:
    """Send the page's form and see where it leads."""
    answer = browser.submit(page, path_of(page), **typed)
    return browser.follow(answer) if answer.status == 303 else answer


def test_a_payment_is_chosen_typed_checked_and_sent(alice, office):
    branch = office.branch
    save_bob(branch)

    amount = begin(alice, branch, "bob_current")
    check = go_on(alice, amount, amount="12.5", reference="Für Käse")
    receipt = go_on(alice, check)

    assert "Bob Nakamura" in amount.text
    assert path_of(check) == f"{path_of(amount)}/check"
    for fact in ("12.50 USD", "Bob Nakamura", "Name matches", "Für Käse", "87.50 USD", "Now"):
        assert fact in check.text, fact
    assert "Send 12.50 USD to Bob Nakamura" in check.text
    assert path_of(receipt).startswith("/movements/")
    assert "You paid Bob Nakamura" in receipt.text
    assert (branch.balance("alice_current"), branch.balance("bob_current")) == (87_50, 62_50)
    assert_books_balance(branch.bank)


def test_between_ones_own_accounts_no_name_is_checked_and_both_balances_are_told(alice, office):
    branch = office.branch

    receipt = go_on(alice, go_on(alice, begin(alice, branch), amount="30"))

    assert "Transfer between your accounts" in receipt.text
    assert "70.00 USD" in receipt.text
    assert "50.00 USD" in receipt.text
    assert not branch.rows(sa.select(name_checks))


def test_nothing_is_written_before_it_is_sent_and_nothing_at_all_by_looking(alice, office):
    branch = office.branch
    check = go_on(alice, begin(alice, branch), amount="30")
    before = branch.dump()

    for path in ("/pay", path_of(check), path_of(check).removesuffix("/check"), f"{path_of(check)[:-6]}/name"):
        assert alice.get(path).status in (200, 302)

    assert branch.dump() == before
    assert branch.balance("alice_savings") == 20_00


def test_change_keeps_what_was_said(alice, office):
    branch = office.branch
    check = go_on(alice, begin(alice, branch), amount="30", reference="Rent")
    whom = next(link for link in check.links if link.startswith("/pay?operation="))
    how_much = path_of(check).removesuffix("/check")

    chosen = alice.get(whom)
    assert (chosen.form.values["from_account"], chosen.form.values["to"]) == (
        branch.number("alice_current"), branch.number("alice_savings"),
    )  # fmt: skip
    amount = go_on(alice, chosen, from_account=branch.number("alice_savings"), to=branch.number("alice_current"))
    assert how_much in check.links
    assert (amount.form.values["amount"], amount.form.values["reference"]) == ("30.00", "Rent")
    assert path_of(amount) == how_much
    again = go_on(alice, amount, amount="20")
    assert "Send 20.00 USD to Current account" in again.text
    go_on(alice, again)

    assert (branch.balance("alice_current"), branch.balance("alice_savings")) == (120_00, 0)


def test_the_draft_waits_for_another_log_in(office):
    branch = office.branch
    alice = office.browse_as("alice")
    check = go_on(alice, begin(alice, branch), amount="30", reference="Rent")
    alice.post("/logout")

    later = office.browse_as("alice").get(path_of(check))

    assert (later.status, "30.00 USD" in later.text, "Rent" in later.text) == (200, True, True)


def test_a_draft_is_nobody_elses(office):
    branch = office.branch
    alice, bob = office.browse_as("alice"), office.browse_as("bob")
    amount = begin(alice, branch)

    for path in (path_of(amount), f"{path_of(amount)}/check", f"{path_of(amount)}/name"):
        assert bob.get(path).status == 404, path
    mine = bob.get("/pay")
    taken = bob.submit(
        mine, "/pay", from_account=branch.number("bob_current"), to="new", name="Alice Moreau",
        to_account=branch.number("alice_current"), operation=path_of(amount).rsplit("/", 1)[1],
    )  # fmt: skip
    assert taken.status == 404
    assert alice.get(path_of(amount)).status == 200


def test_a_draft_of_an_account_that_one_no_longer_holds_is_gone(office):
    branch = office.branch
    branch.run(accounts.add_holder, branch.accounts["bob_current"], branch.customer("alice"), "authorised")
    alice = office.browse_as("alice")
    amount = alice.done("/pay", from_account=branch.number("bob_current"), to=branch.number("alice_savings"))

    branch.run(accounts.remove_holder, branch.accounts["bob_current"], branch.customer("alice").id, reason="Asked")

    assert alice.get(path_of(amount)).status == 404


def test_old_drafts_are_forgotten_when_a_new_one_is_made(alice, office):
    branch = office.branch
    old = begin(alice, branch)
    office.clock.step(timedelta(days=8).total_seconds())
    alice = office.browse_as("alice")

    assert alice.get(path_of(old)).status == 200
    begin(alice, branch)

    assert alice.get(path_of(old)).status == 404
    assert len(branch.rows(sa.select(payment_drafts))) == 1


def test_without_an_amount_the_check_leads_back_to_it(alice, office):
    amount = begin(alice, office.branch)

    assert alice.get(f"{path_of(amount)}/check").location == path_of(amount)


def test_a_payment_sent_twice_is_made_once_and_its_steps_lead_to_the_receipt(alice, office):
    branch = office.branch
    check = go_on(alice, begin(alice, branch), amount="30")

    first, second = (alice.submit(check, "/pay") for _ in range(2))

    assert (first.status, second.status) == (303, 303)
    assert first.location == second.location
    assert branch.balance("alice_savings") == 50_00
    # Back, again and again.
    for path in (path_of(check), path_of(check).removesuffix("/check")):
        assert alice.get(path).location == first.location
    assert alice.get(f"/operations/{check.form.values['operation']}").location == first.location


def test_a_double_click_on_send_is_one_payment(office_anywhere):
    branch = office_anywhere.branch
    alice = office_anywhere.browse_as("alice")
    save_bob(branch)
    check = go_on(alice, begin(alice, branch, "bob_current"), amount="60")

    answers = at_once(4, lambda: twin(alice).submit(check, "/pay"))

    assert {(answer.status, answer.location) for answer in answers} == {(303, answers[0].location)}
    assert branch.balance("bob_current") == 110_00


def test_what_was_paid_is_not_paid_again_by_starting_over_from_the_first_step(alice, office):
    branch = office.branch
    chosen = alice.get("/pay")
    first = go_on(alice, chosen, from_account=branch.number("alice_current"), to=branch.number("alice_savings"))
    go_on(alice, go_on(alice, first, amount="30"))

    second = go_on(alice, chosen, from_account=branch.number("alice_current"), to=branch.number("alice_savings"))

    assert path_of(second) != path_of(first)
    go_on(alice, go_on(alice, second, amount="5"))
    assert branch.balance("alice_savings") == 55_00


def test_an_amount_changed_after_the_check_is_sent_only_as_it_was_checked(alice, office):
    """Two windows: the one that is sent first counts, the other is told."""
    branch = office.branch
    amount = begin(alice, branch)
    one = go_on(alice, amount, amount="30")
    other = go_on(alice, amount, amount="31")

    assert alice.submit(one, "/pay").status == 303
    told = alice.submit(other, "/pay")

    assert (told.status, branch.balance("alice_savings")) == (422, 50_00)
    assert "already used" in told.problems[0]


def test_too_much_is_said_at_the_amount_with_what_is_available(alice, office):
    page = go_on(alice, begin(alice, office.branch), amount="100.01", reference="All of it")

    assert (page.status, page.problem_links) == (422, ["#amount"])
    assert "100.00 USD or less" in page.problems[0]
    assert page.title.startswith("Error: ")
    assert (page.form.values["amount"], page.form.values["reference"]) == ("100.01", "All of it")


def test_what_is_refused_at_the_end_goes_back_to_the_amount_and_is_checked_again(alice, office):
    """The money went between check and sending; the refusal stays under its operation."""
    branch = office.branch
    save_bob(branch)
    check = go_on(alice, begin(alice, branch, "bob_current"), amount="60", reference="Rent")
    branch.transfer("alice_current", "alice_savings", 50_00)

    refused = alice.submit(check, "/pay")

    assert refused.status == 422
    assert "50.00 USD or less" in refused.problems[0]
    assert "Bob Nakamura" in refused.text
    assert (refused.form.values["amount"], refused.form.values["reference"]) == ("60.00", "Rent")
    checked = go_on(alice, refused, amount="40")
    assert "Send 40.00 USD to Bob Nakamura" in checked.text
    assert path_of(go_on(alice, checked)).startswith("/movements/")
    assert branch.balance("bob_current") == 90_00
    # The page that was refused is sent once more, from the browser's history.
    assert alice.submit(check, "/pay").status == 422
    assert branch.balance("bob_current") == 90_00
    # And so is its amount: it goes on under a new operation.
    again = go_on(alice, alice.get(path_of(check).removesuffix("/check")), amount="1")
    assert alice.submit(again, "/pay").status == 303


def test_ones_own_account_cannot_pay_itself(alice, office):
    number = office.branch.number("alice_current")

    answer = alice.send("/pay", from_account=number, to=number)

    assert (answer.status, answer.problems) == (422, ["Choose two different accounts: this one would pay itself."])


@pytest.mark.parametrize(
    ("typed", "links"),
    [
        ({"from_account": "360299999", "to": "360299999"}, ["#from_account", "#to"]),
        ({"to": ""}, ["#to"]),
        ({"to": "new", "name": "", "to_account": ""}, ["#name", "#to_account"]),
        ({"to": "new", "name": "x" * 201, "to_account": "12"}, ["#name", "#to_account"]),
    ],
)
def test_whom_to_pay_must_be_said(typed, links, alice, office):
    answer = alice.send("/pay", **{"from_account": office.branch.number("alice_savings"), **typed})

    assert (answer.status, answer.problem_links) == (422, links)
    assert not office.branch.rows(sa.select(payment_drafts))


def test_what_was_typed_for_somebody_new_does_not_matter_once_a_payee_is_chosen(alice, office):
    branch = office.branch

    page = begin(alice, branch, name="x" * 500, to_account="nonsense")

    assert page.status == 200


# Somebody new


def test_a_name_that_matches_goes_on_and_is_saved_with_the_amount(alice, office):
    branch = office.branch

    amount = begin_new(alice, branch, "nakamura bob")
    assert "Name matches" in amount.text
    assert "save" in amount.form.values
    assert not payees_of(branch)
    go_on(alice, go_on(alice, amount, amount="1"))

    assert payees_of(branch) == [("nakamura bob", "match")]


def test_whoever_need_not_be_saved_is_not_but_names_the_payment(alice, office):
    branch = office.branch
    amount = begin_new(alice, branch, "Bob Nakamura")
    values = {name: value for name, value in amount.form.values.items() if name != "save"}

    check = alice.follow(alice.ask("POST", path_of(amount), data={**values, "amount": "1"}))
    receipt = go_on(alice, check)

    assert not payees_of(branch)
    assert "You paid Bob Nakamura" in receipt.text


def test_a_close_name_shows_the_holders_and_may_take_it(alice, office):
    branch = office.branch

    page = begin_new(alice, branch, "Bob Nakamrua")
    assert path_of(page).endswith("/name")
    assert "“Bob Nakamura”" in page.text
    amount = go_on(alice, page, use="holder")

    assert "Bob Nakamura" in amount.text
    assert "Name matches" in amount.text
    # What was answered is not asked again.
    assert alice.get(path_of(page)).location == path_of(amount)
    assert office.branch.rows(sa.select(name_checks.c.result)) == [("close",)]


def test_a_close_name_may_stay_as_it_is(alice, office):
    amount = go_on(alice, begin_new(alice, office.branch, "Bob Nakamrua"))

    assert "Bob Nakamrua" in amount.text
    assert "Name is close" in amount.text


def test_a_name_that_does_not_match_tells_nothing_and_warns_twice(alice, office):
    branch = office.branch

    warned = begin_new(alice, branch, "Charlie Brown")
    amount = go_on(alice, warned, use="holder")
    check = go_on(alice, amount, amount="1")
    receipt = go_on(alice, check)

    assert path_of(warned).endswith("/name")
    for page in (warned, check):
        assert "does not match" in page.text
        assert "may be lost" in page.text
    for page in (warned, amount, check, receipt):
        assert "Nakamura" not in page.text
        assert "Charlie Brown" in page.text
    assert path_of(receipt).startswith("/movements/")


def test_paying_the_same_person_again_asks_nothing_twice(alice, office):
    branch = office.branch
    go_on(alice, go_on(alice, begin_new(alice, branch, "Bob Nakamura"), amount="1"))
    begin_new(alice, branch, "BOB NAKAMURA")
    begin(alice, branch, "bob_current")

    assert len(branch.rows(sa.select(name_checks))) == 1


def test_ones_own_number_typed_as_somebody_new_is_ones_own_account(alice, office):
    branch = office.branch

    amount = begin_new(alice, branch, "Me", branch.number("alice_savings"))

    assert "Savings account" in amount.text
    assert not branch.rows(sa.select(name_checks))
    assert not branch.rows(sa.select(payees.payees))


# How often names and numbers may be tried


def test_numbers_cannot_be_tried_without_end(serve):
    office = serve(name_checks_per_day=3)
    branch, alice = office.branch, office.browse_as("alice")
    began = office.clock.now()

    for number in ("360299999", "360299998", "360299997"):
        assert begin_new(alice, branch, "Bob Nakamura", number).problems == [
            "There is no account of this number at this bank. Check the number with whoever you pay."
        ]
    stopped = begin_new(alice, branch, "Bob Nakamura")
    assert stopped.status == 422
    assert "You have tried 3 account numbers within a day" in stopped.problems[0]
    again_at = (began + timedelta(days=1)).astimezone(branch.bank.settings.business_timezone)
    assert (
        f"{again_at:%H:%M}" in stopped.problems[0] or f"{again_at + timedelta(minutes=1):%H:%M}" in stopped.problems[0]
    )
    # Neither can they be by paying them: the way without a name counts as well.
    direct = alice.send(
        "/pay", from_account=branch.number("alice_current"), to_account=branch.number("bob_current"), amount="1"
    )
    assert (direct.status, direct.problems) == (422, stopped.problems)
    assert branch.balance("bob_current") == 50_00
    # One's own accounts and other customers are not held up, and tomorrow is another day.
    assert begin(alice, branch).status == 200
    assert begin_new_as_bob(office).status == 200
    office.clock.step(timedelta(days=1, minutes=1).total_seconds())
    assert begin_new(office.browse_as("alice"), branch, "Bob Nakamura").status == 200


def begin_new_as_bob(office: Served) -> Page:
    branch, bob = office.branch, office.browse_as("bob")
    return bob.done(
        "/pay", from_account=branch.number("bob_current"), to="new", name="Alice Moreau",
        to_account=branch.number("alice_current"),
    )  # fmt: skip


def test_a_payment_to_a_number_counts_once_and_to_a_saved_payee_never(alice, office):
    branch = office.branch
    pay = {"from_account": branch.number("alice_current"), "amount": "1"}

    for _ in range(2):
        assert alice.send("/pay", **pay, to_account=branch.number("bob_current")).status == 303
        assert alice.send("/pay", **pay, to_account=branch.number("alice_savings")).status == 303
    assert branch.rows(sa.select(name_checks.c.number, name_checks.c.result)) == [
        (branch.number("bob_current"), "none")
    ]

    carol = branch.add_customer("carol", "Carol Weiss", "078-90-1234")
    account = branch.open_account("carol", "current")
    me, by = branch.customer("alice").id, branch.author("alice")
    branch.bank.run(payees.name, me, account.id, carol.name, "match", by=by)
    assert alice.send("/pay", **pay, to_account=account.number).status == 303
    assert len(branch.rows(sa.select(name_checks))) == 1


def test_a_number_that_nobody_has_counts_each_time_it_is_paid(alice, office):
    branch = office.branch
    for _ in range(2):
        alice.send("/pay", from_account=branch.number("alice_current"), to_account="360299999", amount="1")

    assert branch.rows(sa.select(name_checks.c.result)) == [("unknown",)] * 2


# Other states of accounts


@pytest.mark.parametrize("status", ["frozen", "closed"])
def test_a_payee_that_cannot_receive_is_said_so_without_its_state(status, alice, office):
    branch = office.branch
    save_bob(branch)
    check = go_on(alice, begin(alice, branch, "bob_current"), amount="1")
    if status == "closed":
        branch.transfer("bob_current", "alice_savings", 50_00)
    branch.run(ledger.set_status, branch.accounts["bob_current"].id, status, reason="Test")

    answer = alice.submit(check, "/pay")

    assert answer.status == 422
    assert "cannot receive payments" in answer.problems[0]
    assert status not in answer.text


def test_from_a_frozen_account_nothing_is_paid_and_a_closed_one_is_not_offered(alice, office):
    branch = office.branch
    check = go_on(alice, begin(alice, branch), amount="1")
    branch.run(ledger.set_status, branch.accounts["alice_current"].id, "frozen", reason="Test")
    assert alice.submit(check, "/pay").problems == ["The account is frozen. The branch can say why."]

    carol = branch.add_customer("carol", "Carol Weiss", "078-90-1234")
    account = branch.open_account("carol", "current")
    branch.run(ledger.set_status, account.id, "closed", reason="Test")
    page = office.browse_as("carol").get("/pay")
    assert carol.active
    assert "You have no open account to pay from" in page.text


# Later days


def test_a_payment_of_a_later_day_is_checked_and_scheduled_once(alice, office):
    branch = office.branch
    save_bob(branch)
    due_on = branch.bank.clock.business_date() + timedelta(days=9)

    amount = begin(alice, branch, "bob_current")
    check = go_on(alice, amount, amount="500", when="monthly", due_on=due_on.isoformat(), reference="Rent")
    assert "Schedule 500.00 USD to Bob Nakamura" in check.text
    assert "Every month, first on" in check.text
    first, second = (alice.submit(check, "/pay") for _ in range(2))

    assert (first.status, first.location) == (303, second.location)
    assert first.location.startswith("/scheduled/")
    assert alice.get(path_of(check)).location == first.location
    [row] = branch.rows(sa.select(scheduled_payments))
    assert (row.minor_units, row.due_on, row.repeats, row.payee_name, row.reference) == (
        500_00, due_on, "monthly", "Bob Nakamura", "Rent",
    )  # fmt: skip
    assert branch.balance("alice_current") == 100_00


@pytest.mark.parametrize("days", [0, -1, 400])
def test_a_day_that_cannot_be_is_said(days, alice, office):
    branch = office.branch
    due_on = branch.bank.clock.business_date() + timedelta(days=days)
    page = go_on(alice, begin(alice, branch), amount="1", when="once", due_on=due_on.isoformat())
    answer = page if page.status == 422 else alice.submit(page, "/pay")

    assert answer.status == 422
    assert not branch.rows(sa.select(scheduled_payments))


def test_a_later_day_needs_the_day(alice, office):
    page = go_on(alice, begin(alice, office.branch), amount="1", when="once", due_on="")

    assert (page.status, page.problem_links) == (422, ["#due_on"])


# The receipt


def test_a_receipt_leads_to_the_same_payment_once_more(alice, office):
    branch = office.branch
    save_bob(branch)
    receipt = go_on(alice, go_on(alice, begin(alice, branch, "bob_current"), amount="12.50", reference="Rent"))
    again = next(link for link in receipt.links if link.startswith("/pay?"))

    amount = go_on(alice, alice.get(again))

    assert (amount.form.values["amount"], amount.form.values["reference"]) == ("12.50", "Rent")
    assert "Bob Nakamura" in amount.text
    go_on(alice, go_on(alice, amount))
    assert branch.balance("bob_current") == 75_00


def test_another_customers_payment_is_not_copied(office):
    branch = office.branch
    entry = branch.transfer("alice_current", "alice_savings", 1_11)
    bob = office.browse_as("bob")

    page = bob.get(f"/pay?from={branch.number('bob_current')}&to={branch.number('alice_current')}&again={entry}")
    amount = go_on(bob, page, name="Alice Moreau")

    assert amount.form.values["amount"] == ""


@pytest.mark.parametrize("again", ["", "x", "9" * 30, "-1", "999999", "²"])
def test_a_payment_to_copy_that_is_none_is_none(again, alice, office):
    page = alice.get(f"/pay?to={office.branch.number('alice_savings')}&again={again}")

    assert go_on(alice, page).form.values["amount"] == ""


def test_a_receipt_says_all_of_it_to_both_sides_and_to_each_only_theirs(office):
    branch = office.branch
    alice, bob = office.browse_as("alice"), office.browse_as("bob")
    paid = alice.done("/pay", from_account=branch.number("alice_current"), to_account=branch.number("bob_current"),
                      amount="12.34", reference="Lunch")  # fmt: skip
    received = bob.get(path_of(paid))

    for fact in (
        "-12.34 USD",
        "Lunch",
        "87.66 USD",
        branch.number("bob_current"),
        "EST" if "EST" in paid.text else "EDT",
    ):
        assert fact in paid.text, fact
    # Nobody told Alice whose the number is.
    assert "Nakamura" not in paid.text
    assert "Alice Moreau paid you" in received.text
    assert "+12.34 USD" in received.text
    assert "Pay again" not in received.text


def test_a_reversed_payment_and_its_reversal_lead_to_each_other_and_name_nobody_new(office):
    branch = office.branch
    alice = office.browse_as("alice")
    paid = alice.done("/pay", from_account=branch.number("alice_current"), to_account=branch.number("bob_current"),
                      amount="12.34")  # fmt: skip
    office.browse_as("executive").done(f"/staff/entries/{path_of(paid).rsplit('/', 1)[1]}/reverse", reason="Wrong")

    was = alice.get(path_of(paid))
    back = alice.get(next(link for link in was.links if link.startswith("/movements/") and "report" not in link))

    assert "This was reversed" in was.text
    assert "This is a reversal" in back.text
    assert path_of(paid) in back.links
    assert "Nakamura" not in back.text


def test_cash_names_no_other_side(alice, office):
    entry = office.branch.deposit(office.branch.accounts["alice_current"], 3_00)

    page = alice.get(f"/movements/{entry}")

    assert "Cash deposit" in page.text
    assert "+3.00 USD" in page.text
    assert not [link for link in page.links if "again=" in link]


def test_the_amount_that_was_checked_is_sent_whatever_the_language_meanwhile(serve):
    """In English 1.250 KWD is one dinar and a quarter; in Spanish it would be a thousand."""
    office = serve(currency="KWD")
    branch, alice = office.branch, office.browse_as("alice")
    with branch.bank.engine.begin() as tx:
        tx.execute(
            sa.text(
                "UPDATE ledger_accounts SET currency = 'KWD', balance = 100000000 WHERE chart_code IN ('current', 'savings')"
            )
        )
    check = go_on(alice, begin(alice, branch), amount="1.250")
    alice.client.set_cookie("bank-language", "es")

    assert alice.submit(check, "/pay").status == 303

    [row] = branch.rows(sa.select(journal_entries.c.id).where(journal_entries.c.kind == "transfer"))
    assert branch.balance("alice_savings") == 100_000_000 + 1_250
    assert row


def test_a_payment_is_made_by_no_get(alice, office):
    branch = office.branch
    before = branch.dump()

    page = alice.get(
        f"/pay?operation={a_key()}&from_account={branch.number('alice_current')}"
        f"&to_account={branch.number('alice_savings')}&amount=1"
    )

    assert page.status == 200
    assert branch.dump() == before


def payees_of(branch: Branch) -> list[tuple[str, str]]:
    bank: Bank = branch.bank
    with bank.reader() as reader:
        return [(payee.name, payee.name_check) for payee in payees.of_customer(reader, branch.customer("alice").id)]


def test_what_an_operation_scheduled_is_not_made_now_as_well(office, alice):
    branch = office.branch
    due_on = branch.bank.clock.business_date() + timedelta(days=3)
    paying, to, operation = branch.number("alice_current"), branch.number("alice_savings"), a_key()
    payment = {"from_account": paying, "to_account": to, "amount": "5", "reference": "", "operation": operation}
    before = branch.balance("alice_current")

    later = alice.post("/pay", {**payment, "when": "once", "due_on": due_on.isoformat()})
    now = alice.post("/pay", payment)

    assert later.location.startswith("/scheduled/")
    assert now.location == later.location
    assert branch.balance("alice_current") == before
