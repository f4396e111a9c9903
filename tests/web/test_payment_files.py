"""Paying by file, as customers and the branch see it: send, look, confirm, watch, take the results away."""

from __future__ import annotations

import csv
import io
from io import BytesIO

import pytest

from bank.app import MOST_BODY_BYTES
from bank.identity import staff as staff_members
from bank.identity.staff import Role
from bank.payment_files import paying
from bank.payment_files.model import ON_THE_WEB
from bank.web import payment_files as pages
from tests.builders import Branch
from tests.payment_files import Row, as_csv, as_pain
from tests.web.browsing import Browser, Page
from tests.web.conftest import BrowseAs, Served

UPLOAD = "/payment-files/new"


def rows(branch: Branch, *amounts: str, name: str = "Bob Nakamura", reference: str = "Wages") -> list[Row]:
    alice, bob = branch.number("alice_current"), branch.number("bob_current")
    return [(alice, bob, name, amount, reference) for amount in amounts]


def send(browser: Browser, content: bytes, path: str = UPLOAD, name: str = "wages.csv") -> Page:
    """What a browser sends that a file was chosen in."""
    token = browser.get(path).form.values["csrf_token"]
    fields = {"csrf_token": token, "file": (BytesIO(content), name)}
    return browser.ask("POST", path, data=fields, content_type="multipart/form-data")


def sent(browser: Browser, content: bytes, path: str = UPLOAD) -> Page:
    """The page that it leads to."""
    return browser.follow(send(browser, content, path))


@pytest.mark.parametrize("write", [as_csv, as_pain])
def test_a_customer_sends_a_file_looks_at_it_and_pays_it(write, office_anywhere: Served):
    branch, browser = office_anywhere.branch, office_anywhere.browse_as("alice")

    page = sent(browser, write(rows(branch, "10.00", "5.50")))
    assert "not confirmed" in page.text
    assert "15.50 USD" in page.text
    # What is left on the account.
    assert "84.50" in page.text
    assert branch.balance("bob_current") == 50_00
    answer = browser.submit(page, "")

    done = browser.follow(answer)
    assert (branch.balance("alice_current"), branch.balance("bob_current")) == (84_50, 65_50)
    assert "All payments are made." in done.text
    listed = browser.get("/payment-files")
    assert "wages.csv" in listed.text
    assert "finished" in listed.text


def test_how_a_csv_was_taken_to_be_written_is_said(branch, browse_as: BrowseAs):
    content = as_csv(rows(branch, "1.00", reference="Café"), separator=";").decode().encode("windows-1252")

    page = sent(browse_as("alice"), content)

    assert "CSV in WINDOWS-1252, separated by semicolons" in page.text
    assert "Café" in page.text


def test_every_problem_is_named_with_its_line_up_to_fifty_and_nothing_is_kept(branch, browse_as: BrowseAs):
    browser = browse_as("alice")
    before = branch.dump()

    page = send(browser, as_csv(rows(branch, "1.00", *["x"] * 60)))

    assert page.status == 422
    assert page.title.startswith("Error: ")
    assert page.problems == ["The file has 60 problems. Nothing of it was paid: mend them and send it again."]
    assert page.text.count("Enter the amount in digits") == 50
    assert "And 10 more." in page.text
    assert {table: found for table, found in branch.dump().items() if table != "sessions"} == {
        table: found for table, found in before.items() if table != "sessions"
    }


@pytest.mark.parametrize("data", [{}, {"file": "text"}, {"file": (BytesIO(b""), "")}])
def test_a_form_without_a_file_asks_for_one(data, browse_as: BrowseAs):
    browser = browse_as("alice")
    token = browser.get(UPLOAD).form.values["csrf_token"]

    page = browser.ask("POST", UPLOAD, data={**data, "csrf_token": token}, content_type="multipart/form-data")

    assert (page.status, page.problem_links) == (422, ["#file"])


def test_a_file_may_be_large_where_one_is_asked_for_and_nowhere_else(office: Served):
    browser = office.browse_as("alice")
    large = b"x" * (MOST_BODY_BYTES + 1)

    assert send(browser, large).status == 422
    assert send(browser, b"x" * (ON_THE_WEB.bytes + 1)).problems == [
        "The file has 1 problem. Nothing of it was paid: mend it and send it again."
    ]
    assert send(browser, b"x" * (ON_THE_WEB.bytes + 100_000)).status == 413
    for path in ("/pay", "/login", "/payees/new"):
        token = browser.token()
        answer = browser.ask("POST", path, data={"csrf_token": token, "name": large})
        assert answer.status == 413, path


def test_a_name_that_is_not_the_holders_is_said_before_anything_is_paid_and_the_holders_is_not(
    branch, browse_as: BrowseAs
):
    page = sent(browse_as("alice"), as_csv(rows(branch, "1.00", name="Robert Nakamoto")))

    assert f"Line 2: account {branch.number('bob_current')} is not held by “Robert Nakamoto”." in page.text
    assert "Bob Nakamura" not in page.text


def test_what_was_not_finished_goes_on_by_a_button_or_by_itself(
    branch, browse_as: BrowseAs, monkeypatch: pytest.MonkeyPatch
):
    for limit in ("_SECONDS_FOR_A_SCRIPT", "_SECONDS_FOR_A_PERSON"):
        monkeypatch.setattr(pages, limit, 0)
    branch.deposit(branch.accounts["alice_current"], 1_000_00)
    browser = browse_as("alice")
    page = sent(browser, as_csv(rows(branch, *["1.00"] * 250)))

    page = browser.follow(browser.submit(page, ""))
    assert f"{paying.SLICE} of 250 payments are decided." in page.text
    assert 'hx-trigger="load, submit"' in page.html
    shown = browser.get(page.form.action.removesuffix("/pay"))
    assert "Go on paying" in shown.text
    answers = []
    while "Go on paying" in page.text:
        answer = browser.ask("POST", page.form.action, data=page.form.values, headers={"HX-Request": "true"})
        answers.append(answer.status)
        page = browser.follow(answer)

    assert answers == [303, 303]
    assert "All payments are made." in page.text
    assert branch.balance("bob_current") == 300_00


def test_sending_a_confirmation_twice_pays_once(branch, browse_as: BrowseAs):
    browser = browse_as("alice")
    page = sent(browser, as_csv(rows(branch, "10.00")))

    first, second = browser.submit(page, ""), browser.submit(page, "")

    assert first.location == second.location
    assert branch.balance("bob_current") == 60_00


def test_the_results_are_a_file_in_which_nothing_is_a_formula(branch, browse_as: BrowseAs):
    browser = browse_as("alice")
    content = as_csv([*rows(branch, "1.00", reference="=1+1", name="@Bob"), *rows(branch, "500.00")])
    page = sent(browser, content)

    done = browser.follow(browser.submit(page, ""))
    assert "1 payment was refused." in done.text
    assert "There was not enough on the account: 99.00 USD was available." in done.text
    answer = browser.get(f"{browser.submit(page, '').location}/result").response

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="payments-1.csv"'
    paid, refused = csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig")))
    assert (paid["result"], paid["reference"], paid["payee name"]) == ("paid", "'=1+1", "'@Bob")
    assert (refused["result"], refused["line"]) == ("refused", "3")


def test_at_the_branch_one_sends_a_file_and_another_has_it_paid(branch, browse_as: BrowseAs):
    teller, executive = browse_as("teller"), browse_as("executive")

    page = sent(teller, as_csv(rows(branch, "10.00", "500.00")), "/staff/payment-files/new")
    assert "An executive has it paid." in page.text
    # Whether there is enough, but not what is there: a balance is read in an opened record.
    assert "not enough" in page.text
    enough = sent(teller, as_csv(rows(branch, "10.00")), "/staff/payment-files/new")
    assert "enough" in enough.text
    assert "90.00" not in enough.text
    path = next(link for link in teller.get("/staff/payment-files").links if link.endswith("/1"))
    assert teller.get(f"{path}/pay").status == 403

    answer = executive.submit(executive.get(f"{path}/pay"), f"{path}/pay")

    assert "1 payment was refused." in executive.follow(answer).text
    assert branch.balance("bob_current") == 60_00


def test_nobody_has_their_own_file_paid_though_they_have_become_an_executive(branch, browse_as: BrowseAs):
    sent(browse_as("spare"), as_csv(rows(branch, "10.00")), "/staff/payment-files/new")
    branch.run(staff_members.set_role, branch.staff("spare").id, Role.EXECUTIVE, till_account_id=None)
    spare, executive = browse_as("spare"), browse_as("executive")

    refused = spare.submit(spare.get("/staff/payment-files/1/pay"), "/staff/payment-files/1/pay")
    assert (refused.status, branch.balance("bob_current")) == (403, 50_00)

    executive.submit(executive.get("/staff/payment-files/1/pay"), "/staff/payment-files/1/pay")
    assert branch.balance("bob_current") == 60_00


def test_nothing_on_the_pages_is_left_in_english_for_a_spanish_reader(branch, browse_as: BrowseAs):
    browser = browse_as("alice")
    browser.post("/preferences", {"language": "es", "theme": "system", "next": "/payment-files"})

    page = send(browser, as_csv(rows(branch, "1", "x")))
    assert "El archivo tiene 1 problema." in page.text
    page = sent(browser, as_csv(rows(branch, "1,00"), separator=";"))
    assert "separado por puntos y comas" in page.text
    assert "Todos los pagos están hechos." in browser.follow(browser.submit(page, "")).text
