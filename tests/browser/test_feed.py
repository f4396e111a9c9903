"""A long list grows as it is read, and without scripts it has pages: the same movements in the same order."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenWindow, Served

DESK = {"width": 1280, "height": 900}
MOVEMENTS = 45


def test_the_feed_goes_on_by_itself_where_scripts_run_and_by_a_link_where_they_do_not(
    open_window: OpenWindow, served: Served
):
    branch = served.branch
    account = branch.open_account("bob", "savings", 1_000_00)
    for minor_units in range(1, MOVEMENTS):
        branch.deposit(account, minor_units)
    path = f"/accounts/{account.number}"

    reader = open_window("bob", viewport=DESK)
    page = reader.open(path)
    lines = page.locator(".feed .what a")
    assert lines.count() < MOVEMENTS
    for _ in range(10):
        if lines.count() >= MOVEMENTS:
            break
        lines.last.scroll_into_view_if_needed()
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(200)
    expect(lines).to_have_count(MOVEMENTS)
    read = [line.get_attribute("href") for line in lines.all()]
    # A day that began on the page before goes on; it does not begin again.
    assert page.get_by_role("heading", name="Today", exact=True).count() == 1

    leafing = open_window("bob", viewport=DESK, java_script_enabled=False)
    page = leafing.open(path)
    leafed = [line.get_attribute("href") for line in page.locator(".feed .what a").all()]
    while (older := page.locator("main a[rel=next]")).count():
        older.click()
        leafed += [line.get_attribute("href") for line in page.locator(".feed .what a").all()]

    assert len(set(read)) == MOVEMENTS
    assert read == leafed
