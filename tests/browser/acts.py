"""What people do at the bank's pages, step by step as they see them; each act ends on the page that it leads to."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import STAFF_PASSWORD
from tests.browser.windows import Window

PASSWORD = "walnut signal river 28"
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


# At the branch


def log_in_staff(window: Window, user_id: str) -> None:
    window.open("/staff/login")
    window.fill(user=user_id, password=STAFF_PASSWORD)
    window.press("Log in")
    expect(window.page.locator("h1")).to_have_text("Branch")


def look_up(window: Window, text: str) -> None:
    """By the field that stands on every page of the branch."""
    window.fill(lookup=text)
    with window.page.expect_navigation():
        window.page.locator("#lookup").press("Enter")


def register(executive: Window, name: str, identity_number: str) -> str:
    """Take on a customer at the branch; answers the customer's number."""
    executive.open("/staff/")
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
    look_up(teller, account)
    teller.follow("Deposit")
    teller.fill(amount=amount, note=note)
    teller.press("Take the cash in")
    expect(teller.page.locator("h1")).to_contain_text("Cash deposit")


def one_time_code(teller: Window, customer: str) -> str:
    teller.open(f"/staff/customers/{customer}/code")
    with teller.page.expect_response(lambda response: response.request.method == "POST"):
        teller.page.get_by_role("button", name="Make a code").click()
    return teller.page.locator(".secret code").inner_text()


# At home


def enrol_and_log_in(window: Window, customer: str, code: str) -> None:
    window.open("/")
    window.follow("First time here? Enrol with the code from your branch")
    window.fill(user=customer, code=code, new=PASSWORD, again=PASSWORD)
    window.press("Set password")
    log_in(window, customer)


def log_in(window: Window, customer: str) -> None:
    window.open("/login")
    window.fill(user=customer, password=PASSWORD)
    window.press("Log in")
    expect(window.page.locator("h1")).to_have_text("Your accounts")


def choose_payee(window: Window, name: str, number: str) -> None:
    """The first step of a payment, to somebody new."""
    window.open("/pay")
    window.page.locator("#to").select_option("new")
    window.fill(name=name, to_account=number)
    window.press("Continue")


def say_amount(window: Window, amount: str, reference: str) -> None:
    """The second step."""
    window.fill(amount=amount, reference=reference)
    window.press("Continue")


def send(window: Window, words: str) -> None:
    """The last step: the button says what it does."""
    expect(window.page.locator("h1")).to_have_text("Check your payment")
    window.press(words)


def pay(window: Window, name: str, number: str, amount: str, reference: str) -> None:
    """All the steps of a payment to somebody new whose name matches."""
    choose_payee(window, name, number)
    say_amount(window, amount, reference)
    with window.page.expect_navigation():
        window.page.get_by_role("button", name=re.compile("^Send .* to ")).click()


def facts(page: Page) -> list[str]:
    """What a receipt says."""
    return page.locator("main dl dd").all_inner_texts()


# By keyboard

#: Has what is focused a ring, and is it in the window with nothing over it? (WCAG 2.2, 2.4.7 and 2.4.12)
_SHOWS_ITS_FOCUS = """
() => {
  const focused = document.activeElement, [box] = focused.getClientRects();
  const { outlineStyle, outlineWidth } = getComputedStyle(focused.closest("li:has(.what :focus)") ?? focused);
  const corners = [[2, 2], [box.width - 2, 2], [2, box.height - 2], [box.width - 2, box.height - 2]];
  const isSeen = ([x, y]) => {
    const seen = document.elementFromPoint(box.left + x, box.top + y);
    return seen && (seen.contains(focused) || focused.contains(seen));
  };
  return outlineStyle === "solid" && parseFloat(outlineWidth) >= 2 && corners.every(isSeen);
}
"""


def go(page: Page, what: str) -> None:
    """Tab to a link or a button, and press Enter on it."""
    tab_to(page, what)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def fill_by_keyboard(page: Page, **typed: str) -> None:
    """Type into these fields, in the order in which Tab reaches them, and send with Enter."""
    for name, text in typed.items():
        if page.evaluate("document.activeElement.id") != name:
            tab_to(page, name)
        page.keyboard.type(text)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def tab_to(page: Page, what: str) -> None:
    """Press Tab until this control is reached, by its id or its words; every stop on the way is seen."""
    for _ in range(100):
        page.keyboard.press("Tab")
        assert page.evaluate(_SHOWS_ITS_FOCUS), page.evaluate("document.activeElement.outerHTML")
        if what in page.evaluate("[document.activeElement.id, document.activeElement.textContent.trim()]"):
            return
    raise AssertionError(f"Tab does not lead to {what}")
