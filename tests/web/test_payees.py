"""Payees: saved after a check of the name, renamed, removed, and nobody else's."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.audit.store import audit_records
from bank.payments import payees
from bank.payments.store import name_checks
from tests.builders import Branch
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served
from tests.web.test_operations import at_once, twin


@pytest.fixture
def alice(office: Served) -> Browser:
    return office.browse_as("alice")


def add(browser: Browser, branch: Branch, name: str, account: str = "bob_current") -> Page:
    """What the check of the name says."""
    return browser.done("/payees/new", name=name, to_account=branch.number(account))


def path_of(page: Page) -> str:
    return page.response.request.path


def saved(browser: Browser) -> str:
    return browser.get("/payees").text


def test_without_payees_the_next_act_is_offered(alice):
    page = alice.get("/payees")

    assert "No payees yet" in page.text
    assert "/payees/new" in page.links


def test_a_name_that_matches_is_saved_at_once(alice, office):
    page = add(alice, office.branch, "bob nakamura")

    assert "The name matches" in page.text
    assert "bob nakamura" in saved(alice)
    number = office.branch.number("bob_current")
    assert f"•••• {number[-4:]}" in saved(alice)
    assert number not in saved(alice)
    assert f"/pay?to={number}" in page.links


def test_a_close_name_is_saved_as_the_holders_or_as_it_was_written(alice, office):
    page = add(alice, office.branch, "Bob Nakamrua")

    assert "“Bob Nakamura”" in page.text
    assert "No payees yet" in saved(alice)
    done = alice.follow(alice.submit(alice.get(path_of(page)), path_of(page), use="holder"))
    assert "The name matches" in done.text
    assert "Bob Nakamura" in saved(alice)


def test_a_close_name_may_be_kept(alice, office):
    page = add(alice, office.branch, "Bob Nakamrua")

    alice.done(path_of(page))

    assert "Bob Nakamrua" in saved(alice)
    assert "Name is close" in saved(alice)
    # Saved, the page no longer tells what was only told to choose by.
    assert "Nakamura" not in alice.get(path_of(page)).text


def test_a_name_that_does_not_match_tells_nothing_and_may_be_saved_all_the_same(alice, office):
    page = add(alice, office.branch, "Charlie Brown")

    assert "does not match" in page.text
    assert "Nakamura" not in page.text
    assert "No payees yet" in saved(alice)
    done = alice.done(path_of(page), use="holder")
    assert "Nakamura" not in done.text
    assert "Charlie Brown" in saved(alice)


def test_any_owner_of_a_joint_account_may_be_meant_but_nobody_else_who_uses_it(alice, office):
    branch = office.branch
    for name, full, number, role in (
        ("carol", "Carol Weiss", "078-90-1234", "owner"),
        ("dan", "Dan Roth", "101-23-4567", "authorised"),
    ):
        customer = branch.add_customer(name, full, number)
        branch.run(accounts.add_holder, branch.accounts["bob_current"], customer, role)

    assert "does not match" in add(alice, branch, "Dan Roth").text
    assert "The name matches" in add(alice, branch, "Carol Weiss").text


def test_renaming_asks_for_no_check_and_learns_nothing(alice, office):
    branch = office.branch
    page = add(alice, branch, "Charlie Brown")
    alice.done(path_of(page))
    at = path_of(page).removesuffix("/check")

    alice.done(f"{at}/rename", name="Bob Nakamrua")

    assert "Bob Nakamrua" in saved(alice)
    alice.done(f"{at}/remove")
    for path in (f"{at}/check", "/payees", f"/pay?to={branch.number('bob_current')}"):
        assert "Nakamura" not in alice.get(path).text, path
    assert len(branch.rows(sa.select(name_checks))) == 1


def test_a_removed_payee_is_asked_for_first_and_names_what_was_paid(alice, office):
    branch = office.branch
    page = add(alice, branch, "Bob Nakamura")
    at = path_of(page).removesuffix("/check")
    receipt = alice.done(
        "/pay", from_account=branch.number("alice_current"), to_account=branch.number("bob_current"), amount="1"
    )
    confirm = alice.get(f"{at}/remove")
    assert "Bob Nakamura" in confirm.text
    assert "Bob Nakamura" in saved(alice)

    alice.submit(confirm, f"{at}/remove")
    twice = alice.submit(confirm, f"{at}/remove")

    assert twice.status == 303
    assert "No payees yet" in saved(alice)
    assert "You paid Bob Nakamura" in alice.get(path_of(receipt)).text
    assert alice.get(f"{at}/rename").status == 404
    # Adding again undoes it, and is no new try.
    add(alice, branch, "Bob Nakamura")
    assert "Bob Nakamura" in saved(alice)
    assert len(branch.rows(sa.select(name_checks))) == 1


@pytest.mark.parametrize(
    ("typed", "links"),
    [
        ({"name": "", "to_account": ""}, ["#name", "#to_account"]),
        ({"name": "x" * 201, "to_account": "1"}, ["#name", "#to_account"]),
        ({"name": "Bob", "to_account": "bob"}, ["#to_account"]),
    ],
)
def test_name_and_number_are_needed(typed, links, alice, office):
    answer = alice.send("/payees/new", **typed)

    assert (answer.status, answer.problem_links) == (422, links)
    assert not office.branch.rows(sa.select(name_checks))


def test_an_account_that_is_none_or_ones_own_is_no_payee(alice, office):
    unknown = alice.send("/payees/new", name="Bob Nakamura", to_account="360299999")
    own = alice.send("/payees/new", name="Alice Moreau", to_account=office.branch.number("alice_savings"))

    assert "There is no account of this number" in unknown.problems[0]
    assert "This is your own account" in own.problems[0]
    assert (unknown.status, own.status) == (422, 422)
    assert own.form.values["name"] == "Alice Moreau"


def test_a_new_name_for_a_payee_is_never_said_to_match_and_tells_no_other_owners_name(alice, office):
    branch = office.branch
    carol = branch.add_customer("carol", "Carol Weiss", "078-90-1234")
    branch.run(accounts.add_holder, branch.accounts["bob_current"], carol, "owner")
    page = add(alice, branch, "Bob Nakamrua")
    alice.done(path_of(page))
    at, number = path_of(page).removesuffix("/check"), branch.number("bob_current")

    alice.done(f"{at}/rename", name="Carl Weiss")

    chosen = alice.done("/pay", from_account=branch.number("alice_current"), to=number)
    checked = alice.submit(chosen, path_of(chosen), amount="1")
    for path in (f"{at}/check", "/payees", checked.location, path_of(chosen)):
        shown = alice.get(path).text
        assert "own" in shown
        assert "Name matches" not in shown, path
        assert "Name is close" not in shown, path
    alice.done(f"{at}/remove")
    assert "Carol" not in alice.get(f"{at}/check").text
    # Asking for a check of it is a try like any other.
    assert "close" in add(alice, branch, "Carl Weiss").text
    assert len(branch.rows(sa.select(name_checks))) == 2


def test_of_two_saved_at_the_same_moment_the_last_place_is_given_once(office_anywhere: Served, monkeypatch):
    monkeypatch.setattr(payees, "MOST_PAYEES", 1)
    office, branch = office_anywhere, office_anywhere.branch
    branch.open_account("bob", "savings")
    found = [branch.payee("alice", f"bob_{which}", "Bob Nakamura", saved=False) for which in ("current", "savings")]
    alice = office.browse_as("alice")
    forms = [(f"/payees/{one}/check", alice.get(f"/payees/{one}/check")) for one in found]

    def save() -> Page:
        path, page = forms.pop()
        return twin(alice).submit(page, path)

    assert sorted(answer.status for answer in at_once(2, save)) == [303, 422]


def test_payees_of_others_do_not_exist(office):
    branch = office.branch
    alice, bob = office.browse_as("alice"), office.browse_as("bob")
    at = path_of(add(alice, branch, "Bob Nakamura")).removesuffix("/check")

    for page in ("check", "rename", "remove"):
        assert bob.get(f"{at}/{page}").status == 404
        assert (
            bob.post(f"{at}/{page}", {"operation": "00000000-0000-4000-8000-000000000001", "name": "Mine"}).status
            == 404
        )
    assert "Bob Nakamura" in saved(alice)


def test_the_same_form_sent_again_saves_one_payee(alice, office):
    branch = office.branch
    page = alice.get("/payees/new")
    typed = {"name": "Bob Nakamura", "to_account": branch.number("bob_current")}

    first, second = (alice.submit(page, "/payees/new", **typed) for _ in range(2))

    assert (first.status, first.location) == (303, second.location)
    assert len(branch.rows(sa.select(name_checks))) == 1
    acts = branch.rows(sa.select(audit_records.c.action).where(audit_records.c.subject.like("payee:%")))
    assert acts == [("payee.saved",)]


def test_a_saved_payee_is_not_renamed_by_being_added_or_paid_under_another_name(alice, office):
    branch = office.branch
    add(alice, branch, "Bob Nakamura")
    number = branch.number("bob_current")

    added = alice.send("/payees/new", name="Charlie Brown", to_account=number)
    paid = alice.send(
        "/pay", from_account=branch.number("alice_current"), to="new", name="Bob Nakamrua", to_account=number
    )

    for answer in (added, paid):
        assert answer.status == 409
        assert answer.problems == [
            "You have saved this account as “Bob Nakamura”: choose it among your payees, or rename it."
        ]
    assert "Bob Nakamura" in saved(alice)
    assert len(branch.rows(sa.select(name_checks))) == 1


def test_what_is_done_with_payees_is_written_down(alice, office):
    branch = office.branch
    at = path_of(add(alice, branch, "Bob Nakamura")).removesuffix("/check")
    alice.done(f"{at}/rename", name="Landlord")
    alice.done(f"{at}/rename", name="Landlord")
    alice.done(f"{at}/remove")

    records = branch.rows(
        sa.select(audit_records.c.who, audit_records.c.action, audit_records.c.details)
        .where(audit_records.c.subject.like("payee:%"))
        .order_by(audit_records.c.id)
    )

    assert {who for who, _, _ in records} == {str(branch.customer("alice"))}
    assert [action for _, action, _ in records] == ["payee.saved", "payee.renamed", "payee.removed"]
    assert records[1].details == {"name": ["Bob Nakamura", "Landlord"]}


def test_there_is_an_end_to_payees(alice, office, monkeypatch):
    branch = office.branch
    monkeypatch.setattr(payees, "MOST_PAYEES", 1)
    add(alice, branch, "Bob Nakamura")
    branch.add_customer("carol", "Carol Weiss", "078-90-1234")
    branch.open_account("carol", "current")

    refused = alice.send("/payees/new", name="Carol Weiss", to_account=branch.number("carol_current"))

    assert (refused.status, refused.problems) == (422, ["You have 1 payees already. Remove one of them first."])
    assert "Carol" not in saved(alice)


def test_payees_are_listed_by_name_in_any_script(alice, office):
    branch = office.branch
    for number, name in enumerate(["Zoë", "anna", "Bob", "李小龙"]):
        branch.add_customer(f"c{number}", name, f"10{number}-23-4567")
        branch.open_account(f"c{number}", "current")
        add(alice, branch, name, f"c{number}_current")

    text = saved(alice)

    assert "4 payees" in text
    places = [text.index(name) for name in ("anna", "Bob", "Zoë", "李小龙")]
    assert places == sorted(places)
