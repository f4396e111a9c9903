"""Lists: sorted by any column, paged without losing anybody, filtered, and taken away as files."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date
from html import unescape
from urllib.parse import quote

import pytest
from openpyxl import load_workbook

from bank.money import Money
from bank.web import lists
from bank.web.lists import Column, download
from tests.builders import Branch
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served

LISTS = {
    "/staff/customers/status": ("number", "name", "city", "status", "since"),
    "/staff/accounts/status": ("number", "product", "status", "opened", "balance", "currency"),
    "/staff/people": ("user_id", "name", "role", "state"),
    "/staff/records": ("at",),
}


def crowd(branch: Branch, count: int = 55) -> None:
    """More customers and accounts than a page holds, most of which look alike."""
    for index in range(count):
        branch.add_customer(f"c{index}", f"Twin {index % 3}", f"9990{index:05}")
        branch.open_account(f"c{index}", "current")


def pages(browser: Browser, path: str) -> list[Page]:
    """This page of a list and all that follow it."""
    found = []
    while path:
        found.append(browser.get(path))
        assert found[-1].status == 200, (path, found[-1].text)
        onward = re.search(r'rel="next" href="([^"]+)"', found[-1].html)
        path = unescape(onward[1]) if onward else ""
        assert len(found) < 20
    return found


def rows(listed: list[Page]) -> list[str]:
    """The rows of the pages' tables, in order, by what stands in them."""
    return [row for page in listed for row in re.findall(r"<tr><td.*?</tr>", page.html, re.DOTALL)]


@pytest.mark.parametrize("path", LISTS)
def test_every_order_shows_every_row_once_and_the_other_way_round_is_the_reverse(path, office_anywhere: Served):
    crowd(office_anywhere.branch)
    executive = office_anywhere.browse_as("executive")
    usual = rows(pages(executive, path))

    for column in LISTS[path]:
        forwards = rows(pages(executive, f"{path}?sort={column}"))
        assert sorted(forwards) == sorted(usual), column
        assert len(set(forwards)) == len(forwards)
        assert rows(pages(executive, f"{path}?sort=-{column}")) == forwards[::-1], column
    assert len(usual) > (50 if path != "/staff/people" else 3)


def test_names_and_balances_are_in_order_across_pages(office_anywhere: Served):
    branch = office_anywhere.branch
    crowd(branch)
    branch.deposit(branch.accounts["c7_current"], 9_00)
    executive = office_anywhere.browse_as("executive")

    names = re.findall(
        r'data-label="Name"><bdi>([^<]+)', "".join(rows(pages(executive, "/staff/customers/status?sort=name")))
    )
    balances = re.findall(
        r'data-label="Balance" class="number">([^<]+)', "".join(rows(pages(executive, "/staff/accounts/status?sort=-balance")))
    )  # fmt: skip

    assert names == sorted(names)
    assert names[0] == "Alice Moreau"
    assert balances[:5] == ["100.00", "50.00", "20.00", "9.00", "0.00"]


def test_whoever_moves_between_two_pages_takes_nobody_with_them(office: Served):
    """The place is where the page ended, not where its last row has gone."""
    branch, executive = office.branch, office.browse_as("executive")
    crowd(branch)
    first = executive.get("/staff/accounts/status?sort=balance")
    last = re.findall(r"/staff/accounts/(\d+)\"", first.html)[-1]
    branch.deposit(next(account for account in branch.accounts.values() if account.number == last), 500_00)

    onward = re.search(r'rel="next" href="([^"]+)"', first.html)
    assert onward
    following = executive.get(unescape(onward[1]))

    numbers = re.findall(r"/staff/accounts/(\d+)\"", first.html + following.html)
    assert {account.number for account in branch.accounts.values()} <= set(numbers)


def test_headings_say_how_the_list_is_sorted_and_keep_the_filter(office: Served):
    page = office.browse_as("executive").get("/staff/customers/status?status=active&sort=name")

    assert re.search(r'<th scope="col" aria-sort="ascending">\s*<a href="[^"]*status=active[^"]*sort=-name', page.html)
    assert page.html.count("aria-sort=") == 1
    assert "/staff/customers/status?status=active&sort=city" in page.links


def test_a_filter_shows_its_part_and_an_empty_one_says_so_with_the_next_act(office: Served):
    branch, executive = office.branch, office.browse_as("executive")
    executive.done(f"/staff/accounts/{branch.number('bob_current')}/freeze", status="frozen", reason="Lost card")
    executive.done("/staff/people/SPARE-1/disable", reason="Left")

    frozen = executive.get("/staff/accounts/status?status=frozen")
    closed = executive.get("/staff/accounts/status?status=closed")
    nobody = executive.get("/staff/customers/status?status=inactive")
    left = executive.get("/staff/people?state=disabled")
    about = executive.get(f"/staff/records?subject={branch.customer('alice')}")

    assert re.findall(r"/staff/accounts/(\d+)\"", frozen.html) == [branch.number("bob_current")]
    assert "No accounts of this kind" in closed.text
    assert "/staff/customers" in closed.links
    assert "No customers here yet" in nobody.text
    assert "/staff/customers/new" in nobody.links
    assert "SPARE-1" in left.text
    assert "TELLER-1" not in left.text
    assert "customer.registered" in about.text
    assert "account.opened" not in about.text


@pytest.mark.parametrize("path", LISTS)
def test_files_hold_the_whole_list_in_its_order(path, office: Served):
    crowd(office.branch)
    executive = office.browse_as("executive")
    column = LISTS[path][-1]
    listed = len(rows(pages(executive, f"{path}?sort=-{column}")))

    text = executive.get(f"{path}?sort=-{column}&as=csv").response
    book = executive.get(f"{path}?sort=-{column}&as=xlsx").response

    lines = list(csv.reader(io.StringIO(text.get_data(as_text=True).lstrip("\ufeff"))))
    sheet = [
        ["" if cell.value is None else cell.value for cell in row]
        for row in load_workbook(io.BytesIO(book.data)).active.iter_rows()
    ]
    assert len(lines) == len(sheet) == listed + 1
    assert [[str(cell) for cell in row[:2]] for row in sheet] == [row[:2] for row in lines]
    assert re.fullmatch(r'attachment; filename="[a-z]+-\d{4}-\d\d-\d\d\.csv"', text.headers["Content-Disposition"])


def test_a_name_that_a_spreadsheet_would_run_is_harmless_in_a_file(office: Served):
    office.branch.add_customer("eve", "=HYPERLINK(1)", "999888777")

    text = office.browse_as("executive").get("/staff/customers/status?as=csv").response.get_data(as_text=True)

    assert '"\'=HYPERLINK(1)"' in text


def test_figures_and_days_stay_what_they_are_in_a_file(app):
    columns = [
        Column[Money]("amount", "Amount", lambda amount: amount),
        Column[Money]("day", "Day", lambda _: date(2026, 3, 5)),
        Column[Money]("nothing", "Nothing", lambda _: None),
    ]
    with app.test_request_context():
        text = download("x", columns, [Money(-1_234_56, "USD")], "csv").get_data(as_text=True)
        book = download("x", columns, [Money(-1_234_56, "USD")], "xlsx").data

    assert text == '\ufeff"Amount","Day","Nothing"\r\n-1234.56,2026-03-05,\r\n'
    figure, day, *_ = [cell.value for cell in load_workbook(io.BytesIO(book)).active[2]]
    assert (figure, day.date()) == (-1234.56, date(2026, 3, 5))


def test_a_list_too_long_for_a_file_says_so(office: Served, monkeypatch):
    monkeypatch.setattr(lists, "MOST_ROWS", 2)

    page = office.browse_as("executive").get("/staff/accounts/status?as=csv")

    assert page.status == 422
    assert "at most 2 rows" in page.text


NO_PLACES = (
    "x", "5", "[]", "null", '["1"]', "[1, 2]", '["a", "b", "c"]', '[null, "1"]', '[true, "1"]', '["\\u0000", "1"]',
    '["\\ud800", "1"]', "[" * 5000, '{"a": 1}', f'[{2**63}, "1"]', '["0001-01-01", "1"]', '["9999-99-99", "1"]',
)  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_a_place_that_is_none_or_an_unknown_format_or_order_breaks_nothing(path, office_anywhere: Served):
    executive = office_anywhere.browse_as("executive")
    for column in LISTS[path]:
        for place in NO_PLACES:
            page = executive.get(f"{path}?sort={column}&after={quote(place)}")
            assert page.status in (200, 422), (column, place)
            assert page.status == 422 or "[" in place, (column, place)
    assert executive.get(f"{path}?as=pdf").status == 404
    assert executive.get(f"{path}?sort=password_hash").status == 200
    assert rows([executive.get(f"{path}?sort=password_hash")]) == rows([executive.get(path)])


def test_programs_page_through_the_json_to_its_end(office: Served):
    crowd(office.branch)
    executive, path, numbers = office.browse_as("executive"), "/staff/accounts/status?as=json", []
    while path:
        answer = executive.get(path).response.get_json()
        numbers += [account["number"] for account in answer["accounts"]]
        path = answer["more"]

    assert len(numbers) == len(set(numbers)) == 58
    older = executive.get("/staff/records?as=json").response.get_json()["older"]
    assert executive.get(older).response.get_json()["records"]
    assert json.loads(executive.get(older).response.get_data())
