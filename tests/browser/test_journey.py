"""Customers from the branch's counter to their statement, as they see it: on a desk, on a phone, by keyboard, without scripts.

How each single page looks is measured by tests/pages.
"""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from bank.ledger.store import journal_entries
from tests.browser.acts import (
    DESK,
    PHONE,
    choose_payee,
    deposit,
    enrol_and_log_in,
    facts,
    fill_by_keyboard,
    go,
    log_in,
    log_in_staff,
    one_time_code,
    open_account,
    pay,
    register,
    say_amount,
    send,
    tab_to,
)  # fmt: skip
from tests.browser.conftest import OpenWindow, Served
from tests.browser.windows import Window

#: Figures of a statement: each line's amount and balance.
Figures = list[tuple[Decimal, Decimal]]


def test_a_customer_is_taken_on_and_banks_in_a_browser(open_window: OpenWindow, served: Served, tmp_path: Path):
    branch = served.branch
    executive, teller, person = (open_window(viewport=DESK) for _ in range(3))
    log_in_staff(executive, branch.staff("executive").user_id)
    log_in_staff(teller, branch.staff("teller").user_id)
    customer = register(executive, "Zoë Ålund-O’Brien", "123-45-6789")
    expect(executive.page.locator("h1")).to_contain_text("Zoë Ålund-O’Brien")
    account = open_account(executive)
    deposit(teller, account, "1,250.50", "First money")
    enrol_and_log_in(person, customer, one_time_code(teller, customer))

    # A payment in steps, with a slip of the finger and a change of mind.
    page, bob = person.page, branch.number("bob_current")
    expect(page.locator(".balance").first).to_contain_text("1,250.50")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Pay").click()
    choose_payee(person, "Bob Nakamura", bob)
    person.expected.add(422)
    say_amount(person, "1,2,3", "Noodle soup")
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.locator(".problems")).to_be_focused()
    expect(page.locator("#amount")).to_have_value("1,2,3")
    expect(page.locator("#amount-error")).to_contain_text("Enter the amount in digits like")
    page.locator(".problems a").first.click()
    expect(page.locator("#amount")).to_be_focused()
    person.expected.clear()
    say_amount(person, "99.25", "Noodle soup")
    with page.expect_navigation():
        page.get_by_role("link", name="Change Amount").click()
    expect(page.locator("#reference")).to_have_value("Noodle soup")
    say_amount(person, "100.25", "Noodle soup")
    send(person, "Send 100.25 USD to Bob Nakamura")
    receipt, said = page.url, facts(page)
    assert any("1,150.25" in fact for fact in said)
    expect(page.locator("h1")).to_have_text("You paid Bob Nakamura")

    # Refreshing gives the same receipt, and so do going back and forward: there is no second payment on the way.
    page.reload()
    assert (page.url, facts(page)) == (receipt, said)
    for _ in range(3):
        page.go_back()
        expect(page.get_by_role("button", name=re.compile("^Send "))).to_have_count(0)
    page.goto(receipt)
    with page.expect_navigation():
        page.get_by_role("link", name="Pay again").click()
    person.press("Continue")
    expect(page.locator("#amount")).to_have_value("100.25")
    say_amount(person, "20.00", "Concert")
    send(person, "Send 20.00 USD to Bob Nakamura")
    entries = branch.rows(
        sa.select(journal_entries.c.id).where(journal_entries.c.narrative.in_(["Noodle soup", "Concert"]))
    )
    assert {f"{served.address}/movements/{row.id}" for row in entries} == {receipt, page.url}

    # The statement, in four shapes.
    person.open(f"/accounts/{account}/statement")
    on_page = figures_on(page)
    assert [amount for amount, _ in on_page] == [Decimal("1250.50"), Decimal("-100.25"), Decimal("-20.00")]
    files = {kind: downloaded(person, kind, tmp_path) for kind in ("PDF", "XLSX", "CSV")}
    assert figures_in_csv(files["CSV"]) == on_page
    assert figures_in_xlsx(files["XLSX"]) == on_page
    text = " ".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(files["PDF"])).pages)
    for figure in ("1,250.50", "100.25", "1,150.25", "20.00", "1,130.25", "First money", "Zoë Ålund-O’Brien"):
        assert figure in text

    # Where they are logged in, seen and ended.
    phone = open_window(viewport=PHONE)
    log_in(phone, customer)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Profile").click()
    person.follow("Show where you are logged in")
    person.follow("Log out everywhere else")
    person.press("Log out everywhere else")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(phone.open("/home").locator("h1")).to_have_text("Log in")

    person.press("Log out")
    person.open(f"/accounts/{account}")
    expect(page.locator("h1")).to_have_text("Log in")


def figures_on(page: Page) -> Figures:
    """Amount and balance of each line on the statement's page."""
    rows = [row.locator("td.number").all_inner_texts() for row in page.locator("tbody tr").all()]
    return [(figure(amount), figure(balance)) for amount, balance in (row for row in rows if len(row) == 2)]


def figure(text: str) -> Decimal:
    return Decimal(text.strip().lstrip("+").replace(",", "").replace("−", "-"))


def downloaded(window: Window, kind: str, directory: Path) -> bytes:
    with window.page.expect_download() as download:
        window.page.get_by_role("link", name=kind, exact=True).click()
    path = directory / download.value.suggested_filename
    assert path.suffix == f".{kind.lower()}"
    download.value.save_as(path)
    return path.read_bytes()


def figures_in_csv(content: bytes) -> Figures:
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    return in_table(rows)


def figures_in_xlsx(content: bytes) -> Figures:
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert sheet is not None
    return in_table([[cell if cell is not None else "" for cell in row] for row in sheet.iter_rows(values_only=True)])


def in_table(rows: list[list[Any]]) -> Figures:
    """Amount and balance below the titles."""
    title = next(number for number, row in enumerate(rows) if "Balance" in row)
    amount, balance = rows[title].index("Amount"), rows[title].index("Balance")
    cents = Decimal("0.01")
    return [
        (Decimal(str(row[amount])).quantize(cents), Decimal(str(row[balance])).quantize(cents))
        for row in rows[title + 1 :]
    ]


# A transfer, on a phone, by keyboard, without scripts, in Spanish


def test_a_transfer_on_a_phone(open_window: OpenWindow, served: Served):
    branch = served.branch
    phone = open_window("alice", viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)
    page = phone.page

    phone.open("/home")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Pay").tap()
    expect(page.locator("h1")).to_have_text("Pay")
    pay(phone, "Bob Nakamura", branch.number("bob_current"), "1.25", "From a phone")

    expect(page.locator("h1")).to_have_text("You paid Bob Nakamura")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    # The tabs under the thumb cover nothing that cannot be scrolled out from under them.
    last = page.locator("footer button")
    last.scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    tabs, box = page.locator(".tabs").bounding_box(), last.bounding_box()
    assert tabs is not None
    assert box is not None
    assert box["y"] + box["height"] <= tabs["y"]


def test_a_transfer_by_keyboard_alone(open_window: OpenWindow, served: Served):
    window = open_window("alice", viewport=DESK)
    page, keyboard = window.page, window.page.keyboard
    before = served.branch.balance("alice_current")

    window.open("/home")
    go(page, "Pay")
    expect(page.locator("h1")).to_have_text("Pay")
    tab_to(page, "to")
    keyboard.type("Somebody new")
    fill_by_keyboard(page, name="Bob Nakamura", to_account=served.branch.number("bob_current"))
    expect(page.locator("h1")).to_have_text("How much?")
    fill_by_keyboard(page, amount="2.50", reference="By keyboard")
    expect(page.locator("h1")).to_have_text("Check your payment")
    go(page, "Send 2.50 USD to Bob Nakamura")
    expect(page.locator("h1")).to_have_text("You paid Bob Nakamura")

    assert served.branch.balance("alice_current") == before - 2_50


def test_everything_works_without_scripts(open_window: OpenWindow, served: Served):
    branch = served.branch
    account = branch.open_account("bob", "savings", 75_00).number
    window = open_window("bob", viewport=DESK, java_script_enabled=False)
    page = window.page

    window.open(f"/accounts/{account}")
    window.follow("Pay from here")
    expect(page.locator("#from_account")).to_have_value(account)
    page.locator("#to").select_option("new")
    window.fill(name="Alice Moreau", to_account=branch.number("alice_savings"))
    window.press("Continue")
    say_amount(window, "5.00", "Without scripts")
    send(window, "Send 5.00 USD to Alice Moreau")
    assert any("70.00" in fact for fact in facts(page))
    window.open(f"/accounts/{account}/statement")
    window.fill(**{"from": "2020-01-01"})
    with page.expect_navigation():
        page.get_by_role("button", name="Show").first.click()
    expect(page.locator("main")).to_contain_text("2020")
    assert [amount for amount, _ in figures_on(page)] == [Decimal("75.00"), Decimal("-5.00")]
    window.press("Log out")
    expect(page.locator("h1")).to_contain_text("Welcome")


def test_a_transfer_in_spanish(open_window: OpenWindow, served: Served):
    branch = served.branch
    before = branch.balance("alice_current")
    window = open_window("alice", viewport=DESK, locale="es-MX")
    page = window.page

    # The browser's language is the page's, and stays it when the reader has chosen so.
    window.open("/pay")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    page.locator("#to").select_option("new")
    window.fill(name="Bob Nakamura", to_account=branch.number("bob_current"))
    for _ in range(2):
        with page.expect_navigation():
            page.locator("main button[type=submit]").last.click()
        if page.locator("#amount").count():
            window.fill(amount="3,50", reference="Almuerzo")
    sending = page.locator("main button[type=submit]").last
    expect(sending).to_contain_text("3,50")
    expect(sending).not_to_contain_text("Send")
    with page.expect_navigation():
        sending.click()

    expect(page.locator("h1")).not_to_contain_text("You paid")
    assert branch.balance("alice_current") == before - 3_50


# By keyboard


@pytest.mark.parametrize(("name", "path"), [(None, "/login"), ("alice", "/pay"), ("executive", "/staff/")])
def test_the_keyboard_reaches_the_content_first_and_everything_shows_its_focus(
    name: str | None, path: str, open_window: OpenWindow
):
    page = open_window(name, viewport=DESK).open(path)

    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    expect(skip).to_have_text("Skip to the content")
    box = skip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    page.reload()
    controls = page.locator("a:visible, button:visible, input:not([type=hidden]):visible, select:visible").count()
    reached = []
    for _ in range(controls):
        page.keyboard.press("Tab")
        focus = page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [e.outerHTML, s.outlineStyle, parseFloat(s.outlineWidth)]; })()"
        )
        reached.append(focus[0])
        assert (focus[1], focus[2] >= 2) == ("solid", True), focus
    assert len(set(reached)) == controls
