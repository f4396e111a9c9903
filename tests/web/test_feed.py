"""An account's movements: by day, found again by an address, and taken along as files."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from urllib.parse import quote

import openpyxl
import pytest

from bank.money import Money
from bank.payments import service as payments
from bank.payments.model import TransferOrder
from bank.spending import movements
from bank.web.customer import accounts, search
from tests.builders import CURRENCY, Branch, a_key
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served


def address(branch: Branch, query: str = "") -> str:
    return f"/accounts/{branch.number('alice_current')}{query}"


def pay(branch: Branch, cents: int, reference: str, *, days_ago: int = 0) -> int:
    """Alice pays Bob; answers the entry's id."""
    by = branch.author("teller")
    at = by.at - timedelta(days=days_ago)
    order = TransferOrder(
        branch.accounts["alice_current"].id,
        branch.accounts["bob_current"].id,
        Money(cents, CURRENCY),
        reference,
        a_key(),
    )
    by = type(by)(by.who, at, branch.bank.clock.business_date(at))
    return payments.transfer(branch.bank, order, by=by).entry_id


def days(page: Page) -> list[str]:
    return re.findall(r'<div class="day-head"><h3>([^<]*)</h3>', page.html)


def found(page: Page) -> list[str]:
    """Amounts on the page, as drawn."""
    feed = page.html.partition('<div id="feed">')[2]
    return re.findall(r'<bdi class="money[^"]*">([^<]*)</bdi>', feed)


def older(page: Page) -> str | None:
    links = re.search(r'<a[^>]* rel="next" href="([^"]+)"', page.html)
    return links[1].replace("&amp;", "&") if links else None


def test_movements_stand_by_day_with_the_days_total_and_the_balance_after_each(office: Served):
    branch = office.branch
    pay(branch, 3_00, "Earlier", days_ago=1)
    pay(branch, 2_00, "Later")

    page = office.browse_as("alice").get(address(branch))

    assert days(page) == ["Today", "Yesterday"]
    assert found(page) == ["-2.00 USD", "+100.00 USD", "-3.00 USD"]
    assert re.findall(r"Total ([-\d.,]+)", page.text) == ["98.00", "-3.00"]
    assert re.findall(r"Balance ([-\d.,]+)", page.text) == ["95.00", "100.00", "97.00"]
    assert "Paid -2.00 USD" in page.text
    assert "Received +100.00 USD" in page.text


def test_no_movement_is_nameless(office: Served):
    branch = office.branch
    bare = pay(branch, 1, "")

    page = office.browse_as("alice").get(address(branch))

    links = re.findall(r'<a href="/movements/(\d+)"><bdi>([^<]*)</bdi>', page.html)
    assert dict(links)[str(bare)] == f"Account \u200e•••• {branch.number('bob_current')[-4:]}"
    assert all(words.strip() for _, words in links)


def test_a_day_on_two_pages_is_continued_and_no_movement_is_lost(office: Served):
    branch = office.branch
    for cents in range(1, 46):
        pay(branch, cents, "Rent")
    browser = office.browse_as("alice")
    path, seen, headings = address(branch), [], []
    while path:
        page = browser.get(path)
        headings.append(days(page))
        seen += found(page)
        path = older(page)

    assert headings == [["Today"], ["Today (continued)"], ["Today (continued)"]]
    assert seen == [*(f"-0.{cents:02} USD" for cents in range(45, 0, -1)), "+100.00 USD"]


def test_more_movements_come_by_script_into_the_same_list_and_by_the_same_link_without(office: Served):
    branch = office.branch
    for _ in range(20):
        pay(branch, 1, "Rent")

    page = office.browse_as("alice").get(address(branch))

    link = re.search(r'<a class="button quiet" rel="next" href="([^"]+)" hx-get="([^"]+)" .*?</a>', page.html)
    assert link[1] == link[2]
    assert 'hx-trigger="revealed" hx-select="#feed > *" hx-target="closest .more"' in link[0]


@pytest.mark.parametrize("place", ["999", "0", "x", "-1"])
def test_a_place_that_is_none_is_said_so(office: Served, place: str):
    assert office.browse_as("alice").get(address(office.branch, f"?before={place}")).status == 422


def test_what_is_looked_for_stays_in_the_form_the_address_and_the_files(office: Served):
    branch = office.branch
    pay(branch, 12_00, "Café Colón")
    pay(branch, 5_00, "Books")
    query = f"?q={quote('café')}&direction=out&category=eating_out&least=12&most=1,000.5&from=2020-01-01&to=2999-12-31"

    page = office.browse_as("alice").get(address(branch, query))

    assert found(page) == ["-12.00 USD"]
    assert "1 movement found." in page.text
    assert page.form.typed == {
        "q": "café", "direction": "out", "category": "eating_out", "least": "12", "most": "1,000.5", "from": "2020-01-01",
        "to": "2999-12-31",
    }  # fmt: skip
    files = [link for link in page.links if "as=" in link]
    assert len(files) == 2
    assert all("q=caf%C3%A9" in link and "direction=out" in link and "least=12" in link for link in files)
    assert address(branch) in page.links


def test_nothing_found_is_told_and_keeps_what_was_asked(office: Served):
    page = office.browse_as("alice").get(address(office.branch, "?q=dragons&least=3"))

    assert page.status == 200
    assert "0 movements found." in page.text
    assert "No movement fits" in page.text
    assert page.form.values["q"] == "dragons"
    assert 'role="status"' in page.html


def test_pages_of_a_search_keep_looking_for_the_same(office: Served):
    branch = office.branch
    for number in range(50):
        pay(branch, 1 + number, "Odd" if number % 2 else "Even")
    browser = office.browse_as("alice")

    first = browser.get(address(branch, "?q=odd"))
    second = browser.get(older(first))

    assert "The first 20 movements that fit are shown." in first.text
    assert "5 more movements found." in second.text
    assert len(found(first) + found(second)) == len(set(found(first) + found(second))) == 25
    assert older(second) is None


def test_a_search_ends_after_so_many_movements_and_goes_on_when_asked(office: Served, monkeypatch):
    branch = office.branch
    monkeypatch.setattr(movements, "MOST_SCANNED", 10)
    monkeypatch.setattr(movements.find, "__kwdefaults__", {**movements.find.__kwdefaults__, "most_scanned": 10})
    pay(branch, 7_00, "Needle")
    for _ in range(12):
        pay(branch, 1, "Hay")
    browser = office.browse_as("alice")

    first = browser.get(address(branch, "?q=needle"))
    assert "Searched back to" in first.text
    assert found(first) == []
    assert "hx-get" not in first.html
    assert found(browser.get(older(first))) == ["-7.00 USD"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("least=x", "Enter the amount in digits"), ("least=-1", "Enter an amount above zero"), ("least=5&most=4", "not below the first"),
        ("from=2026-02-30", "Enter a day as"), ("from=2026-03-02&to=2026-03-01", "not before the first day"),
        ("direction=up", "Choose one of the list."), ("category=dragons", "Choose one of the list."), (f"q={'x' * 101}", "at most 100"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_for_is_a_problem_that_keeps_everything(office: Served, query: str, problem: str):
    page = office.browse_as("alice").get(address(office.branch, f"?{query}"))

    assert page.status == 422
    assert page.title.startswith("Error: ")
    assert [said for said in page.problems if problem in said]
    assert all(link[1:] in page.ids for link in page.problem_links)
    for name, value in (pair.split("=") for pair in query.split("&")):
        assert page.form.values[name] == value or name in ("direction", "category")


def test_words_of_the_search_are_never_markup_nor_patterns(office: Served):
    branch = office.branch
    pay(branch, 1_00, "100% <b>wool</b>")
    browser = office.browse_as("alice")

    for typed in ("<b>", "100%", "%"):
        page = browser.get(address(branch, f"?q={quote(typed)}"))
        assert found(page) == ["-1.00 USD"], typed
        assert "<b>wool" not in page.html
    assert found(browser.get(address(branch, "?q=_"))) == []


def table(page: Page) -> list[list[str]]:
    return list(csv.reader(io.StringIO(page.response.get_data().decode("utf-8-sig"))))


def test_the_file_holds_just_what_was_found_and_no_formulas(office: Served):
    branch = office.branch
    pay(branch, 12_00, "=1+1 café")
    pay(branch, 5_00, "Books")
    browser: Browser = office.browse_as("alice")

    as_csv = browser.get(address(branch, "?q=1%2B1&as=csv"))
    as_xlsx = browser.get(address(branch, "?q=1%2B1&as=xlsx"))
    titles, *lines = table(as_csv)
    sheet = openpyxl.load_workbook(io.BytesIO(as_xlsx.response.get_data())).active

    assert titles[0] == "Booking date"
    assert len(lines) == 1
    assert lines[0][3:] == ["'=1+1 café", "Eating out", lines[0][5], "-12.00", "88.00"]
    written = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert len(written) == 2
    assert written[1][3] == "=1+1 café"
    assert sheet.cell(2, 4).data_type == "s"
    assert written[1][6:] == [-12, 88]
    disposition = as_csv.response.headers["Content-Disposition"]
    assert re.search(rf"movements-{branch.number('alice_current')[-4:]}-\d{{4}}-\d\d-\d\d\.csv", disposition)
    assert len(table(browser.get(address(branch, "?as=csv")))) == 4


def test_too_many_movements_for_a_file_and_unknown_files_are_said_so(office: Served, monkeypatch):
    branch = office.branch
    pay(branch, 1, "Rent")
    monkeypatch.setattr(accounts, "MOST_IN_A_FILE", 1)
    browser = office.browse_as("alice")

    page = browser.get(address(branch, "?as=csv"))

    assert page.status == 422
    assert "Choose fewer days" in page.problems[-1]
    assert browser.get(address(branch, "?q=rent&as=csv")).status == 200
    assert browser.get(address(branch, "?as=pdf")).status == 404


def test_files_are_made_a_few_at_a_time(office: Served, monkeypatch):
    from bank.turns import Turns

    monkeypatch.setattr(search, "_MAKING", making := Turns(1, patience_seconds=0.05, busy=search.StatementsBusy))
    browser = office.browse_as("alice")

    with making.taken():
        assert browser.get(address(office.branch, "?as=csv")).status == 503
    assert browser.get(address(office.branch, "?as=csv")).status == 200


def test_a_few_search_at_a_time_and_whoever_only_looks_is_not_kept_waiting(office: Served, monkeypatch):
    from bank.turns import Turns

    monkeypatch.setattr(search, "_SEARCHING", place := Turns(1, patience_seconds=0.05, busy=search.SearchesBusy))
    browser = office.browse_as("alice")

    with place.taken():
        for query in ("?q=rent", "?direction=in", "?as=csv"):
            assert browser.get(address(office.branch, query)).status == 503
        for query in ("", "?from=2026-01-01"):
            assert browser.get(address(office.branch, query)).status == 200
    assert browser.get(address(office.branch, "?q=rent")).status == 200


def test_other_peoples_movements_are_not_there_to_be_found(office: Served):
    branch = office.branch
    pay(branch, 1_00, "Secret")
    bob = office.browse_as("bob")

    for query in ("", "?q=secret", "?as=csv", "?before=1"):
        assert bob.get(address(branch, query)).status == 404
    executive = office.browse_as("executive").get(address(branch, "?q=secret"))
    assert executive.location.startswith("/login")


def test_held_money_stands_apart_on_top_of_the_newest_page_only(office: Served):
    branch = office.branch
    branch.hold("alice_current", 70_00)
    browser = office.browse_as("alice")

    page = browser.get(address(branch))
    assert page.text.index("Pending") < page.text.index("Court order") < page.text.index("Movements")
    assert found(page) == ["+100.00 USD"]
    assert "Court order" not in browser.get(address(branch, "?q=deposit")).text
