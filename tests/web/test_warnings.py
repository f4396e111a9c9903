"""Warnings about customers, reasons asked before a record is opened, and the identity number in full."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from bank.audit.store import audit_records
from bank.customers import warnings
from bank.customers.store import customer_warnings
from bank.web import access
from tests.builders import Branch, a_key
from tests.web.conftest import Served
from tests.web.test_operations import at_once

TOLD = "Hard of hearing: speak slowly"


def of(branch: Branch, name: str = "alice") -> str:
    """The address of this customer's record."""
    return f"/staff/customers/{branch.customer(name).number}"


def warn(office: Served, name: str = "alice", kind: str = "shows") -> None:
    """Let the executive raise a warning about this customer."""
    office.browse_as("executive").done(f"{of(office.branch, name)}/warnings/new", told=TOLD, kind=kind)


def guard(office: Served, name: str = "alice") -> None:
    """Raise a warning that makes everybody say why they open the record."""
    branch = office.branch
    branch.run(warnings.warn, branch.customer(name).id, TOLD, needs_reason=True, operation=a_key())


def records(office: Served, action: str, name: str = "alice") -> list[Any]:
    """The audit trail's records of this action on the customer, oldest first."""
    subject = str(office.branch.customer(name))
    c = audit_records.c
    return office.branch.rows(
        sa.select(c.who, c.reason, c.details).where(c.subject == subject, c.action == action).order_by(c.id)
    )


def test_all_staff_see_a_warning_wherever_the_customer_is_served_and_customers_never_do(office_anywhere: Served):
    office, branch = office_anywhere, office_anywhere.branch
    warn(office)

    teller, account = office.browse_as("teller"), f"/staff/accounts/{branch.number('alice_current')}"
    for page in (
        of(branch),
        f"{of(branch)}/code",
        account,
        f"{account}/deposit",
        f"{account}/close",
        f"{account}/statement",
    ):
        assert TOLD in teller.get(page).text, page
    assert TOLD not in teller.get(of(branch, "bob")).text
    assert TOLD not in office.browse_as("alice").get("/home").text
    assert [(row.who, row.reason) for row in records(office, "customer.warned")] == [
        (str(branch.staff("executive")), TOLD)
    ]


def test_a_joint_account_warns_about_each_of_its_holders(office: Served):
    branch, executive = office.branch, office.browse_as("executive")
    account = f"/staff/accounts/{branch.number('alice_current')}"
    executive.done(f"{account}/holders/add", customer=branch.customer("bob").number, role="authorised")
    warn(office, "bob")

    page = office.browse_as("teller").get(account)

    assert TOLD in page.text
    assert "Alice Moreau" in page.text
    assert "Bob Nakamura" in page.text


def test_sending_the_form_twice_or_at_the_same_moment_raises_one_warning(office_anywhere: Served):
    office = office_anywhere
    executive, path = office.browse_as("executive"), f"{of(office.branch)}/warnings/new"
    drawn, token = executive.get(path), executive.token()
    fields = {**drawn.form.values, "told": TOLD, "kind": "shows", "csrf_token": token}

    # One browser for each: a client of its own keeps its cookies.
    answers = at_once(4, lambda: _copy_of(office, executive).post(path, fields))
    again = executive.post(path, fields)

    assert [answer.status for answer in (*answers, again)] == [303] * 5
    assert len(office.branch.rows(sa.select(customer_warnings))) == 1
    assert len(records(office, "customer.warned")) == 1


def _copy_of(office: Served, browser: Any) -> Any:
    twin = office.browse_as(None)
    for name in ("session", "form", "seen"):
        if value := browser.cookie(name):
            twin.set_cookie(name, value)
    return twin


def test_a_lifted_warning_is_gone_its_reason_is_kept_and_lifting_again_changes_nothing(office_anywhere: Served):
    office, branch, executive = office_anywhere, office_anywhere.branch, office_anywhere.browse_as("executive")
    warn(office)
    [lift] = [link for link in executive.get(of(branch)).links if link.endswith("/lift")]
    drawn = executive.get(lift)

    shown = executive.follow(executive.submit(drawn, lift, reason="Has a hearing aid now"))
    again = executive.submit(drawn, lift, reason="Has a hearing aid now")

    assert TOLD not in office.browse_as("teller").get(of(branch)).text
    assert "Has a hearing aid now" in shown.text
    assert again.status == 303
    assert executive.get(lift).status == 404
    assert len(records(office, "customer.warning_lifted")) == 1


def test_a_warning_is_not_lifted_by_another_customers_address(office: Served):
    warn(office)
    executive = office.browse_as("executive")
    [lift] = [link for link in executive.get(of(office.branch)).links if link.endswith("/lift")]
    elsewhere = lift.replace(office.branch.customer("alice").number, office.branch.customer("bob").number)

    assert executive.get(elsewhere).status == 404
    assert executive.post(elsewhere, {"operation": a_key(), "reason": "Try"}).status == 404
    assert TOLD in office.browse_as("teller").get(of(office.branch)).text


def test_every_page_about_a_guarded_customer_or_account_asks_why_first(office: Served):
    branch = office.branch
    hold = branch.hold("alice_current", 1_00)
    guard(office)
    browsers = {role: office.browse_as(role) for role in ("executive", "teller")}
    asked = []
    for rule in access.rules(office.app):
        if "<number>" not in rule.path or not rule.path.startswith(("/staff/customers/", "/staff/accounts/")):
            continue
        if rule.endpoint == "staff.open_record":
            continue
        number = branch.customer("alice").number if "/customers/" in rule.path else branch.number("alice_current")
        path = rule.path.replace("<number>", number).replace("<customer_number>", branch.customer("bob").number)
        path = path.replace("<id:hold_id>", str(hold)).replace("<id:warning_id>", "1")
        role = "executive" if "executive" in rule.open_to else "teller"
        page = browsers[role].get(path)
        assert page.status == 303, path
        assert urlsplit(page.location).path == f"{of(branch)}/open", path
        assert parse_qs(urlsplit(page.location).query)["next"] == [path]
        asked.append(path)

    assert len(asked) > 15
    assert "Alice Moreau" in browsers["teller"].look_up("Moreau").text


def test_entries_and_reports_of_a_guarded_customer_ask_why_first_of_whoever_is_on_the_other_side_too(office: Served):
    branch = office.branch
    branch.open_account("bob", "savings")
    paid = branch.transfer("bob_current", "alice_current", 1_00)
    booked = branch.transfer("bob_current", "bob_savings", 1_00, by="alice")
    others = branch.deposit(branch.accounts["bob_current"], 1_00)
    case = branch.report("alice", branch.transfer("alice_current", "bob_current", 1_00, by="alice"))
    guard(office)
    teller, executive = office.browse_as("teller"), office.browse_as("executive")

    for path in (f"/staff/entries/{paid}", f"/staff/entries/{booked}", f"/staff/cases/{case}"):
        asked = teller.get(path)
        assert (asked.status, urlsplit(asked.location).path) == (303, f"{of(branch)}/open"), path
    for act, fields in ((f"entries/{paid}/reverse", {"reason": "Wrong"}), (f"cases/{case}", {"answer": "No."})):
        answer = executive.post(f"/staff/{act}", {**fields, "operation": a_key()})
        assert urlsplit(answer.location).path == f"{of(branch)}/open", act
    assert teller.get(f"/staff/entries/{others}").status == 200
    queue = teller.get("/staff/queue")
    assert "opens with a reason" in queue.text
    assert "I did not do this" not in queue.text + teller.get("/staff/queue?as=csv").response.get_data(as_text=True)
    about = executive.get(f"/staff/records?subject=customer:{branch.customer('alice').id}")
    assert urlsplit(about.location).path == f"{of(branch)}/open"
    teller.done(f"{of(branch)}/open", reason="She asked what this was")
    assert "Alice Moreau" in teller.get(f"/staff/entries/{paid}").text


def test_the_reason_opens_what_was_asked_for_and_stays_in_the_records(office_anywhere: Served):
    office, teller = office_anywhere, office_anywhere.browse_as("teller")
    guard(office)
    account = f"/staff/accounts/{office.branch.number('alice_current')}"
    page = teller.follow(teller.get(f"{account}/statement?last=5"))

    empty = teller.submit(page, page.response.request.full_path, reason=" ")
    answer = teller.submit(page, page.response.request.full_path, reason="She is at the counter")
    again = teller.submit(page, page.response.request.full_path, reason="She is at the counter")

    assert (empty.status, empty.problem_links) == (422, ["#reason"])
    assert answer.location == again.location == f"{account}/statement?last=5"
    assert teller.get(answer.location).status == 200
    assert teller.get(of(office.branch)).status == 200
    assert [(row.who, row.reason) for row in records(office, "customer.opened")] == [
        (str(office.branch.staff("teller")), "She is at the counter")
    ]


def test_a_reason_counts_for_one_member_of_staff_one_customer_and_a_quarter_of_an_hour(office: Served):
    branch, teller = office.branch, office.browse_as("teller")
    guard(office)
    guard(office, "bob")
    teller.done(f"{of(branch)}/open", reason="At the counter")

    assert teller.get(of(branch)).status == 200
    assert teller.get(of(branch, "bob")).status == 303
    assert office.browse_as("cashier").get(of(branch)).status == 303
    office.clock.step(14 * 60)
    assert teller.get(of(branch)).status == 200
    office.clock.step(2 * 60)
    assert teller.get(of(branch)).status == 303


def test_a_form_opened_in_time_may_still_be_sent_when_the_quarter_is_over(office: Served):
    branch, teller = office.branch, office.browse_as("teller")
    path = f"/staff/accounts/{branch.number('alice_current')}/deposit"
    guard(office)
    teller.done(f"{of(branch)}/open", reason="At the counter")
    office.clock.step(14 * 60)
    drawn = teller.get(path)
    office.clock.step(14 * 60)

    assert teller.get(of(branch)).status == 303
    assert teller.submit(drawn, path, amount="5").status == 303
    assert branch.balance("alice_current") == 105_00
    office.clock.step(10 * 60)
    assert urlsplit(teller.submit(drawn, path, amount="5", operation=a_key()).location).path == f"{of(branch)}/open"
    assert branch.balance("alice_current") == 105_00


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_after_the_reason_nobody_is_led_to_another_site(elsewhere, office: Served):
    teller = office.browse_as("teller")
    page = teller.get(f"{of(office.branch)}/open?next={elsewhere}")

    answer = teller.submit(page, page.response.request.full_path, reason="At the counter")

    assert answer.location == of(office.branch)


def test_the_identity_number_is_shown_once_for_a_reason_that_is_kept_without_it(office_anywhere: Served):
    office, executive = office_anywhere, office_anywhere.browse_as("executive")
    path = f"{of(office.branch)}/identity"
    drawn = executive.get(path)

    unexplained = executive.submit(drawn, path, reason="")
    shown = executive.submit(drawn, path, reason="Asked by the court")
    again = executive.submit(drawn, path, reason="Asked by the court")

    assert (unexplained.status, shown.status, again.status) == (422, 200, 409)
    assert "012345678" in shown.text
    assert not any("012345678" in page.text for page in (drawn, unexplained, again, executive.get(of(office.branch))))
    [kept] = records(office, "customer.identity_shown")
    assert kept.reason == "Asked by the court"
    assert "012345678" not in str(kept.details)
    assert "012345678" in executive.submit(again, path, reason="Asked again").text
