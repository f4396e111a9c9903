"""What somebody without scruples tries on pages that others read."""

from __future__ import annotations

import pytest

from bank.cases import service as cases
from bank.customers import warnings
from bank.storage.transaction import Bank
from tests.builders import a_key
from tests.web.conftest import Served

MARK = "zzqq"
#: Markup that htmx or a browser would act on, and what a format string would trip over.
TEXT = f"""'"><b hx-get=/logout hx-trigger=load onload=x>{MARK}</b><script src=/static/x.js></script> %(name)s %s {{{{ 7 }}}}"""


def pages_with_it(office: Served) -> dict[str, list[str]]:
    """Write the text wherever people may write; answers who reads it where."""
    branch, alice, bob = office.branch, office.browse_as("alice"), office.browse_as("bob")
    executive, teller = office.browse_as("executive"), office.browse_as("teller")
    number, other = branch.number("alice_current"), branch.number("bob_current")
    executive.done(f"/staff/customers/{branch.customer('bob').number}/edit", name=TEXT, city=TEXT[:100], address=TEXT)
    paid = bob.done("/pay", from_account=other, to_account=number, amount="1", reference=TEXT[:100])
    entry = int(paid.response.request.path.rsplit("/", 1)[1])
    chosen = alice.done("/pay", from_account=number, to="new", name=f"{TEXT} Smith", to_account=other)
    draft = chosen.response.request.path.removesuffix("/name")
    alice.submit(alice.get(draft), draft, amount="1", save="y", reference=TEXT[:100])
    later = branch.schedule("alice_current", "bob_current", 1_00)
    case = branch.report("alice", entry, TEXT)
    branch.run(cases.take, case, person=branch.staff("executive"))
    branch.run(cases.answer, case, TEXT, person=branch.staff("executive"))
    branch.run(warnings.warn, branch.customer("bob").id, TEXT, needs_reason=False, operation=a_key())
    account = f"/staff/accounts/{other}"
    deposit = teller.done(f"{account}/deposit", amount="1", note=TEXT[:100]).response.request.path
    branch.count_till("teller", branch.till("teller").balance - 1, TEXT)
    return {
        "alice": [
            "/home", f"/accounts/{number}", f"/accounts/{number}?q={MARK}", f"/movements/{entry}", "/payees", "/pay",
            f"{draft}/check", f"{draft}/name", f"/movements/{entry}/report", "/cases", f"/cases/{case}", "/spending",
            f"/scheduled/{later}", f"/accounts/{number}/statement",
        ],
        "bob": ["/profile", "/profile/contact", f"/movements/{entry}"],
        "teller": [f"/staff/customers?q={MARK}", account, f"{account}/deposit", deposit, "/staff/till", "/staff/counts/1"],
        "executive": [
            "/staff/queue", "/staff/queue?show=closed", f"/staff/cases/{case}", "/staff/records", "/staff/customers/status",
            f"/staff/customers/{branch.customer('bob').number}", f"/staff/entries/{entry}/reverse",
        ],
    }  # fmt: skip


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_people_write_is_read_as_they_wrote_it_and_never_obeyed(language, office: Served):
    seen = 0
    for visitor, paths in pages_with_it(office).items():
        browser = office.browse_as(visitor)
        browser.client.set_cookie("bank-language", language)
        for path in paths:
            page = browser.get(path)
            assert page.status == 200, (path, page.status, page.location)
            assert "<b hx-get" not in page.html, path
            assert "x.js></script>" not in page.html, path
            seen += MARK in page.html
    assert seen > 20


def test_a_session_that_was_made_up_does_not_reach_the_database_with_a_payment(office, monkeypatch):
    """Else anybody could keep payers waiting behind payments that nobody may make."""
    stranger = office.browse_as(None)
    page = stranger.get("/login")
    stranger.set_cookie("session", "x" * 43)
    monkeypatch.setattr(Bank, "send", None)

    answer = stranger.post(
        "/pay",
        {
            "from_account": office.branch.number("alice_current"),
            "to_account": office.branch.number("bob_current"),
            "amount": "1.00",
            "operation": a_key(),
            "csrf_token": page.form.values["csrf_token"],
        },
    )

    assert (answer.status, answer.location.partition("?")[0]) == (302, "/login")
