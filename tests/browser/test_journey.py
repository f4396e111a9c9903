"""From the branch's counter to the customer's statement, as people see it: on a desk, on a phone, by keyboard, without scripts."""

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
from tests.browser.conftest import STAFF_PASSWORD, OpenWindow, Served, Window

PASSWORD = "walnut signal river 28"
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}

#: Figures of a statement: each line's amount and balance.
Figures = list[tuple[Decimal, Decimal]]


def log_in_staff(window: Window, user_id: str) -> None:
    window.open("/staff/login")
    window.fill(user=user_id, password=STAFF_PASSWORD)
    window.press("Log in")
    expect(window.page.locator("h1")).to_have_text("Branch")


def register(executive: Window, name: str, identity_number: str) -> str:
    """Take on a customer at the branch; answers the customer's number."""
    executive.follow("Register a customer")
    executive.fill(
        name=name, birth_date="1990-05-17", identity_number=identity_number, address="5 Elm Street", city="Bangor"
    )
    executive.press("Register")
    return executive.path().rpartition("/")[2]


def open_account(executive: Window) -> str:
    """Open a current account for the customer on the page; answers its number."""
    executive.follow("Open an account")
    executive.page.get_by_label("Current account").check()
    executive.press("Open account")
    return executive.path().rpartition("/")[2]


def deposit(teller: Window, account: str, amount: str, note: str) -> None:
    teller.fill(account=account)
    teller.press("Open")
    teller.follow("Deposit")
    teller.fill(amount=amount, note=note)
    teller.press("Deposit")
    expect(teller.page.locator("h1")).to_contain_text("Cash deposit")


def one_time_code(teller: Window, customer: str) -> str:
    teller.open(f"/staff/customers/{customer}/code")
    with teller.page.expect_response(lambda response: response.request.method == "POST"):
        teller.page.get_by_role("button", name="Make a code").click()
    return teller.page.locator(".secret code").inner_text()


def enrol_and_log_in(window: Window, customer: str, code: str) -> None:
    window.open("/")
    window.follow("First time here? Enrol with the code from your branch")
    window.fill(user=customer, code=code, new=PASSWORD, again=PASSWORD)
    window.press("Set password")
    window.follow("Log in")
    window.fill(user=customer, password=PASSWORD)
    window.press("Log in")
    expect(window.page.locator("h1")).to_have_text("Your accounts")


def pay(window: Window, payee: str, amount: str, reference: str) -> None:
    window.fill(to_account=payee, amount=amount, reference=reference)
    window.press("Send payment")


def facts(page: Page) -> list[str]:
    """What a receipt says."""
    return page.locator("dl > *").all_inner_texts()


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

    # A payment, with a slip of the finger first.
    page = person.page
    expect(page.locator(".balance")).to_contain_text("1,250.50")
    page.get_by_role("navigation").get_by_role("link", name="Pay").click()
    person.expected.add(422)
    pay(person, branch.number("bob_current"), "1,2,3", "Lunch")
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.locator("#amount")).to_have_value("1,2,3")
    expect(page.locator("#amount-error")).to_contain_text("Enter the amount in digits like")
    person.expected.clear()
    person.fill(amount="100.25")
    person.press("Send payment")
    receipt, said = page.url, facts(page)
    assert any("100.25" in fact for fact in said)
    assert any("1,150.25" in fact for fact in said)

    # Refresh, back and sending again give the same receipt.
    page.reload()
    assert (page.url, facts(page)) == (receipt, said)
    person.open("/pay")
    operation = page.locator("#operation").input_value()
    for _ in range(2):
        pay(person, branch.number("bob_current"), "20.00", "Concert")
        second = page.url
        assert second != receipt
        page.go_back()
        expect(page.locator("h1")).to_have_text("Pay")
        assert page.locator("#operation").input_value() == operation
    page.go_forward()
    assert page.url == second
    entries = branch.rows(sa.select(journal_entries.c.id).where(journal_entries.c.narrative == "Concert"))
    assert [f"/movements/{row.id}" for row in entries] == [second.removeprefix(served.address)]

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


# On a phone

CUSTOMER_PAGES = (
    "/home",
    "/accounts/{alice}",
    "/accounts/{alice}/statement",
    "/pay",
    "/password",
    "/movements/{entry}",
)
STAFF_PAGES = (
    "/staff/", "/staff/customers?q=a", "/staff/customers/{customer}", "/staff/customers/{customer}/edit",
    "/staff/accounts/{alice}", "/staff/accounts/{alice}/statement", "/staff/accounts/{alice}/freeze",
    "/staff/accounts/{alice}/hold", "/staff/accounts/status", "/staff/customers/status", "/staff/entries/{entry}",
    "/staff/people", "/staff/people/new", "/staff/records", "/staff/trial-balance", "/staff/customers/new",
)  # fmt: skip
PUBLIC_PAGES = ("/", "/login", "/enrol", "/forgotten", "/staff/login")


@pytest.fixture(scope="module")
def addresses(served: Served) -> dict[str, str]:
    """What stands for the names in the paths above: an account with long texts and a large amount."""
    branch = served.branch
    branch.deposit(branch.accounts["alice_current"], 123_456_789_01)
    entry = branch.transfer("alice_current", "bob_current", 9_876_54)
    branch.hold("alice_current", 5_00)
    return {
        "alice": branch.number("alice_current"),
        "customer": branch.customer("alice").number,
        "entry": str(entry),
    }


@pytest.mark.parametrize(
    ("name", "paths"),
    [(None, PUBLIC_PAGES), ("alice", CUSTOMER_PAGES), ("executive", STAFF_PAGES)],
    ids=["nobody", "customer", "executive"],
)
def test_no_page_is_wider_than_a_phone_and_every_amount_is_seen(
    name: str | None, paths: tuple[str, ...], open_window: OpenWindow, addresses: dict[str, str]
):
    window = open_window(name, viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)
    for path in paths:
        page = window.open(path.format(**addresses))
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], (path, width)
        for amount in page.locator(".number:visible, .balance:visible, dd:visible").all():
            box = amount.bounding_box()
            assert box is not None
            assert box["x"] >= 0, (path, amount.inner_text())
            assert box["x"] + box["width"] <= PHONE["width"], (path, amount.inner_text())
        small = page.evaluate(
            "[...document.querySelectorAll('button, .button, input:not([type=hidden]):not([type=radio]), select')]"
            ".filter(e => e.getBoundingClientRect().height < 24).map(e => e.outerHTML)"
        )
        assert small == [], path


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


def test_a_problem_leads_to_its_field(open_window: OpenWindow, served: Served):
    window = open_window("alice", viewport=DESK)
    window.expected.add(422)
    window.open("/pay")
    pay(window, served.branch.number("bob_current"), "0", "")

    window.page.locator(".problems a").first.click()

    expect(window.page.locator("#amount")).to_be_focused()


# Without scripts


def test_everything_works_without_scripts(open_window: OpenWindow, served: Served):
    branch = served.branch
    account = branch.open_account("bob", "savings", 75_00).number
    window = open_window("bob", viewport=DESK, java_script_enabled=False)
    page = window.page

    window.open("/home")
    window.follow("Savings account")
    window.follow("Pay from here")
    expect(page.locator("#from_account")).to_have_value(account)
    pay(window, branch.number("alice_savings"), "5.00", "Without scripts")
    assert any("70.00" in fact for fact in facts(page))
    window.open(f"/accounts/{account}/statement")
    window.fill(**{"from": "2020-01-01"})
    page.get_by_role("button", name="Show").first.click()
    expect(page.locator("caption")).to_contain_text("2020")
    assert [amount for amount, _ in figures_on(page)] == [Decimal("75.00"), Decimal("-5.00")]
    page.locator("details").first.wait_for(state="detached")
    window.press("Log out")
    expect(page.locator("h1")).to_contain_text("Welcome")


# In both colour schemes

# Of every element with text of its own: its contrast with what is behind it (WCAG 2.2, 1.4.3), when that is under 4.5.
FAINT = """
() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => {
    const [r, g, b] = numbers(colour).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.matches("input");
  return [...document.body.querySelectorAll("*")].filter(own).map(e => {
    const [a, b] = [luminance(getComputedStyle(e).color), luminance(behind(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 120)];
  }).filter(([contrast]) => contrast < 4.5);
}
"""

PICTURED = {
    "executive": ("/staff/", "/staff/customers/{customer}", "/staff/accounts/{alice}", "/staff/records"),
    "alice": ("/home", "/accounts/{alice}", "/pay", "/accounts/{alice}/statement", "/movements/{entry}"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_colour_schemes(
    scheme: str, open_window: OpenWindow, addresses: dict[str, str], tmp_path: Path
):
    # The pictures are for eyes: pytest keeps those of its last three runs.
    for name, paths in PICTURED.items():
        window = open_window(name, viewport=DESK, color_scheme=scheme)
        window.expected.add(422)
        for path in paths:
            page = window.open(path.format(**addresses))
            if path == "/pay":
                pay(window, "123", "-5", "")
            assert page.evaluate(FAINT) == [], path
            for size, what in ((DESK, "desk"), (PHONE, "phone")):
                page.set_viewport_size(size)  # type: ignore[arg-type]
                picture = f"{name}-{path.strip('/').replace('/', '-')}-{what}-{scheme}.png".replace("?", "-")
                page.screenshot(path=tmp_path / picture, full_page=True)
