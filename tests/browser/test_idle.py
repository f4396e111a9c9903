"""A minute before a session ends for want of use, the page asks; staying keeps what was typed, leaving ends at the log-in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from bank.identity import logins
from bank.identity.passwords import Passwords
from bank.identity.store import sessions
from tests.browser.conftest import STAFF_PASSWORD, OpenWindow, Served
from tests.browser.windows import Window

IDLE_SECONDS = 300
FORM = "/profile/contact"


@pytest.fixture
def window(open_window: OpenWindow, served: Served) -> Window:
    """Alice before a form, at a clock that the test can put forward."""
    window = open_window("alice")
    window.page.clock.install()
    window.open(FORM)
    return window


def question(page: Page):
    return page.get_by_role("alertdialog", name="You will be logged out in a minute")


def idle(served: Served, window: Window, seconds: float) -> None:
    """Let the time pass at the bank as well: the last use was so long ago."""
    window.context.clear_cookies(name="bank-seen")
    last_used_at = served.branch.bank.clock.now() - timedelta(seconds=seconds)
    served.branch.bank.run(lambda tx: tx.execute(sessions.update().values(last_used_at=last_used_at)))


def test_nothing_is_asked_before_the_last_minute(window):
    window.page.clock.fast_forward((IDLE_SECONDS - 70) * 1000)

    expect(question(window.page)).not_to_be_visible()


@pytest.mark.parametrize("answer", ["button", "escape"])
def test_whoever_stays_keeps_the_session_and_what_was_typed(answer, window, served):
    page = window.page
    page.locator("#city").fill("Bath")
    idle(served, window, IDLE_SECONDS - 50)
    page.clock.fast_forward((IDLE_SECONDS - 50) * 1000)
    expect(question(page)).to_be_visible()
    button = page.get_by_role("button", name="Stay logged in")
    expect(button).to_be_focused()

    with page.expect_response("**/stay") as stayed:
        button.click() if answer == "button" else page.keyboard.press("Escape")

    assert stayed.value.status == 204
    expect(question(page)).not_to_be_visible()
    # The bank counts from now on, and so does the page.
    assert "bank-seen" in [cookie["name"] for cookie in window.context.cookies(served.address)]
    page.clock.fast_forward((IDLE_SECONDS - 70) * 1000)
    expect(question(page)).not_to_be_visible()
    expect(page.locator("#city")).to_have_value("Bath")
    window.open("/profile")
    assert window.path() == "/profile"


def test_whoever_left_finds_the_log_in_and_after_it_the_same_page(window, served):
    branch, page = served.branch, window.page
    hashed = Passwords(memory_kib=8192, at_once=1).hash(STAFF_PASSWORD)
    code = branch.code_for("alice")
    branch.bank.run(logins.redeem_code, branch.customer("alice").id, code, hashed, by=branch.author("alice"))

    with page.expect_navigation():
        page.clock.fast_forward((IDLE_SECONDS + 5) * 1000)

    expect(page.locator("h1")).to_have_text("Log in")
    assert branch.customer("alice").name not in page.content()
    window.fill(user=branch.customer("alice").number, password=STAFF_PASSWORD)
    window.press("Log in")
    assert window.path() == FORM


def test_the_page_of_somebody_who_left_is_not_kept_on_the_screen_though_the_question_is_open(window, served):
    page = window.page
    page.clock.fast_forward((IDLE_SECONDS - 50) * 1000)
    expect(question(page)).to_be_visible()
    idle(served, window, IDLE_SECONDS + 10)

    with page.expect_navigation():
        page.clock.fast_forward(60_000)

    expect(page.locator("h1")).to_have_text("Log in")


def test_staying_too_late_leads_to_the_log_in(window, served):
    page = window.page
    page.clock.fast_forward((IDLE_SECONDS - 50) * 1000)
    expect(question(page)).to_be_visible()
    idle(served, window, IDLE_SECONDS + 10)
    window.expected.add(403)

    with page.expect_navigation():
        page.get_by_role("button", name="Stay logged in").click()

    expect(page.locator("h1")).to_have_text("Log in")


def test_what_another_tab_does_keeps_this_ones_session(window):
    page = window.page
    page.clock.fast_forward((IDLE_SECONDS - 50) * 1000)
    expect(question(page)).to_be_visible()

    other = window.context.new_page()
    other.goto(window.address + "/profile")

    page.clock.run_for(6_000)
    expect(question(page)).not_to_be_visible()


def test_nobody_is_asked_who_is_not_signed_in(open_window):
    window = open_window(None)
    window.page.clock.install()
    window.open("/login")
    window.page.clock.fast_forward(2 * IDLE_SECONDS * 1000)

    expect(window.page.get_by_role("alertdialog")).to_have_count(0)
    assert window.path() == "/login"
