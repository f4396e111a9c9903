"""Downloads of statements take a processor for a while: they are bounded, and leave the bank answering."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace

import pytest

from bank.statements import render
from bank.statements.model import Statement
from bank.statements.render import FORMATS, pdf
from bank.turns import Turns
from tests.web.browsing import Page
from tests.web.conftest import Served


def test_too_long_a_period_for_a_pdf_is_a_page_that_says_what_to_take_instead(office: Served, monkeypatch):
    monkeypatch.setattr(pdf, "MOST_LINES", 1)
    office.branch.deposit(office.branch.accounts["alice_current"], 1)
    browser = office.browse_as("alice")
    path = f"/accounts/{office.branch.number('alice_current')}/statement?from=2000-01-01&to=2999-12-31"

    page = browser.get(f"{path}&as=pdf")

    assert page.status == 422
    assert page.problems[-1].startswith("Choose a shorter period, or take the CSV or XLSX")
    assert page.forms[1].values["from"] == "2000-01-01"
    assert (
        browser.get(path).status == browser.get(f"{path}&as=csv").status == browser.get(f"{path}&as=xlsx").status == 200
    )


def test_of_many_downloads_at_once_one_is_made_two_wait_and_the_bank_still_answers(office: Served, monkeypatch):
    monkeypatch.setattr(render, "_WAITING", Turns(3, patience_seconds=0, busy=render.StatementsBusy))
    monkeypatch.setattr(render, "_MAKING", Turns(1, patience_seconds=30, busy=render.StatementsBusy))
    release, inside = threading.Event(), []

    def slow(_: Statement) -> bytes:
        inside.append(1)
        most.append(len(inside))
        release.wait(20)
        inside.pop()
        return b"%PDF"

    most: list[int] = []
    monkeypatch.setitem(FORMATS, "pdf", replace(FORMATS["pdf"], make=slow))
    path = f"/accounts/{office.branch.number('alice_current')}/statement?as=pdf"
    browsers = [office.browse_as("alice") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(browser.get, path) for browser in browsers]
        try:
            # All but three are answered though nothing has been made yet.
            turned_away = [one.result() for _, one in zip(range(5), as_completed(running, timeout=20), strict=False)]
            assert office.browse_as(None).get("/healthz").status == 200
        finally:
            release.set()
        answers: list[Page] = [one.result(30) for one in running]

    assert [page.status for page in turned_away] == [503] * 5
    assert turned_away[0].response.headers["Retry-After"]
    assert "Try again" in turned_away[0].text
    assert sorted(page.status for page in answers) == [200] * 3 + [503] * 5
    assert max(most) == 1


def test_a_download_that_waits_for_too_long_is_told_to_come_again(office: Served, monkeypatch):
    monkeypatch.setattr(render, "_MAKING", making := Turns(1, patience_seconds=0.05, busy=render.StatementsBusy))
    browser = office.browse_as("alice")
    path = f"/accounts/{office.branch.number('alice_current')}/statement?as=csv"

    with making.taken():
        assert browser.get(path).status == 503
    assert browser.get(path).status == 200


def test_periods_that_people_ask_for_most_are_one_press_away_and_name_their_files(office: Served):
    browser = office.browse_as("alice")
    path = f"/accounts/{office.branch.number('alice_current')}/statement"

    page = browser.get(path)
    presets = [link for link in page.links if "?from=" in link]

    assert len(presets) == 5
    this_month = browser.get(presets[0].replace("&amp;", "&"))
    assert "Opening balance 0.00 USD Paid in 100.00 USD Paid out 0.00 USD Closing balance 100.00 USD" in this_month.text
    assert 'aria-current="true"' in this_month.html
    download = next(link for link in this_month.links if "as=csv" in link)
    month = office.branch.bank.clock.business_date().strftime("%Y-%m")
    assert browser.get(download).response.headers["Content-Disposition"].endswith(f'-{month}.csv"')


@pytest.mark.parametrize("direction", ["\u202e", "\u2067"])
def test_a_reference_turns_nothing_around_on_any_page(office: Served, direction: str):
    branch = office.branch
    alice, executive = office.browse_as("alice"), office.browse_as("executive")
    account, other = branch.number("alice_current"), branch.number("bob_current")
    typed = f"{direction}Pay\u200cback 00.5"
    receipt = alice.done("/pay", from_account=account, to_account=other, amount="5", reference=typed)
    executive.done(f"/staff/accounts/{account}/hold", amount="1", expires_on="", reason=typed)
    entry = next(link.rsplit("/", 1)[1] for link in alice.get(f"/accounts/{account}").links if "/movements/" in link)

    pages = [
        alice.get(f"/accounts/{account}"),
        alice.get(f"/movements/{entry}"),
        executive.get(f"/staff/accounts/{account}"),
        executive.get(f"/staff/entries/{entry}"),
        executive.get(f"/staff/entries/{entry}/reverse"),
    ]

    # An account's page shows both the payment and the hold.
    assert [page.html.count("<bdi>Pay\u200cback 00.5</bdi>") for page in pages] == [2, 1, 2, 1, 1]
    assert not any(direction in page.html for page in [receipt, *pages])
