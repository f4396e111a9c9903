"""The branch's day: a teller at the keyboard, a cashier whose till does not balance, an executive who looks into it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from bank.ledger import store as ledger_store
from bank.money import Money
from bank.payments.counting import PIECES
from tests.browser.acts import (
    DESK,
    deposit,
    fill_by_keyboard,
    go,
    log_in_staff,
    look_up,
    open_account,
    register,
    tab_to,
)
from tests.browser.conftest import STAFF_PASSWORD, OpenWindow, Served
from tests.builders import CURRENCY, Branch


@pytest.fixture(scope="module")
def branch(served: Served) -> Branch:
    """The served branch, with a customer whom nobody else's test serves."""
    branch = served.branch
    branch.add_customer("dora", "Dora Quispe", "078-90-1234")
    branch.open_account("dora", "current", 300_00)
    return branch


def pieces_of(minor_units: int) -> dict[int, int]:
    """The fewest notes and coins that make an amount."""
    found = {}
    for piece in PIECES[CURRENCY]:
        found[piece], minor_units = divmod(minor_units, piece)
    return {piece: many for piece, many in found.items() if many}


def in_till(branch: Branch, name: str) -> Money:
    """What the member of staff's till holds."""
    with branch.bank.reader() as reader:
        till = ledger_store.account(reader, branch.staff(name).till_account_id or 0)
    assert till is not None
    return till.balance_money


def test_a_tellers_whole_day_by_keyboard_alone(open_window: OpenWindow, branch: Branch):
    window = open_window(viewport=DESK)
    page, keys = window.page, window.page.keyboard
    dora = branch.number("dora_current")

    window.open("/staff/login")
    fill_by_keyboard(page, user=branch.staff("teller").user_id, password=STAFF_PASSWORD)
    expect(page.locator("h1")).to_have_text("Branch")

    def find(what: str) -> None:
        if page.evaluate("document.activeElement.id") != "lookup":
            keys.press("/")
        expect(page.locator("#lookup")).to_be_focused()
        fill_by_keyboard(page, lookup=what)

    # Cash in, cash out and a transfer, each from the receipt of the one before or from the look-up.
    find(dora)
    go(page, "Deposit")
    fill_by_keyboard(page, amount="1,000.25", note="Wages")
    expect(page.locator("h1")).to_contain_text("Cash deposit")
    go(page, "Withdraw")
    fill_by_keyboard(page, amount="50.25", note="For the market")
    expect(page.locator("h1")).to_contain_text("Cash withdrawal")
    tab_to(page, "Next customer")
    keys.press("Enter")
    find("Dora")
    expect(page.locator("main")).to_contain_text("Dora Quispe")
    find(dora)
    go(page, "Transfer")
    fill_by_keyboard(page, to_account=branch.number("bob_current"), amount="7.00", reference="Bread")
    expect(page.locator("h1")).to_contain_text("Transfer")
    assert branch.balance("dora_current") == 300_00 + 1_000_25 - 50_25 - 7_00

    # At the close: the till is counted, holds what it should, and goes to the vault.
    go(page, "Till")
    expected = in_till(branch, "teller")
    expect(page.locator(".balance").first).to_have_text(str(expected))
    go(page, "Count the till")
    fill_by_keyboard(page, **{f"piece_{piece}": str(many) for piece, many in pieces_of(expected.minor_units).items()})
    expect(page.locator(".banner.good")).to_contain_text("just what was expected")
    go(page, "Give all to the vault")
    go(page, "Give it to the vault")
    expect(page.locator("h1")).to_contain_text("vault")
    assert in_till(branch, "teller").minor_units == 0
    branch.supply("teller", expected.minor_units)

    go(page, "Log out")
    expect(page.locator("h1")).to_have_text("Staff log-in")


def test_a_cashier_misses_cash_and_an_executive_looks_into_it(open_window: OpenWindow, branch: Branch):
    cashier, executive = open_window("cashier", viewport=DESK), open_window("executive", viewport=DESK)

    # Cash comes to the bank, and from the vault into the till.
    executive.open("/staff/vault")
    executive.follow("Take in cash")
    executive.fill(amount="800.00", note="Bag 17")
    executive.press("Put it into the vault")
    cashier.open("/staff/till")
    cashier.follow("Take from the vault")
    cashier.fill(amount="500.00", note="Bag 17")
    cashier.press("Take it into the till")
    deposit(cashier, branch.number("dora_current"), "20.00", "Change")

    # Five less than there should be: without a reason it is not taken, with one it is booked.
    expected = in_till(branch, "cashier")
    cashier.open("/staff/till/count")
    pieces = {f"piece_{piece}": str(many) for piece, many in pieces_of(expected.minor_units - 5_00).items()}
    cashier.fill(**pieces)
    cashier.expected.add(422)
    cashier.press("Record the count")
    expect(cashier.page.locator(".problems")).to_be_focused()
    for name, many in pieces.items():
        expect(cashier.page.locator(f"#{name}")).to_have_value(many)
    cashier.expected.clear()
    cashier.fill(reason="A note stuck to another")
    cashier.press("Record the count")
    expect(cashier.page.locator(".banner.warn")).to_contain_text("5.00 USD missing")
    assert in_till(branch, "cashier").minor_units == expected.minor_units - 5_00

    executive.open("/staff/")
    executive.follow("Open the queue")
    with executive.page.expect_navigation():
        executive.page.locator("tbody tr", has_text="A note stuck").get_by_role("link").first.click()
    executive.press("Take this case")
    executive.fill(answer="Found in the next drawer.")
    executive.press("Answer and close")
    report = cashier.path()
    expect(cashier.open(report).locator("main")).to_contain_text("Found in the next drawer.")


def test_a_customers_report_goes_to_the_queue_and_the_answer_comes_back(open_window: OpenWindow, branch: Branch):
    entry = branch.transfer("dora_current", "bob_current", 3_33, by="dora")
    person, teller = open_window("dora", viewport=DESK), open_window("teller", viewport=DESK)

    person.open(f"/movements/{entry}")
    person.follow("Report a problem")
    person.fill(told="I did not make this payment.")
    person.press("Send the report")
    teller.open("/staff/queue")
    with teller.page.expect_navigation():
        teller.page.locator("tbody tr", has_text="Dora Quispe").get_by_role("link").first.click()
    teller.press("Take this case")
    teller.fill(answer="Bob sends it back tomorrow.")
    teller.press("Answer and close")

    person.open("/cases")
    with person.page.expect_navigation():
        person.page.locator("main").get_by_role("link", name="I did not make this payment.").first.click()
    expect(person.page.locator("main")).to_contain_text("Bob sends it back tomorrow.")


def test_an_executives_day(open_window: OpenWindow, branch: Branch):
    executive, teller = open_window(viewport=DESK), open_window("teller", viewport=DESK)
    page = executive.page
    log_in_staff(executive, branch.staff("executive").user_id)
    customer = register(executive, "Émile Łukasiewicz", "219-09-9999")
    account = open_account(executive)

    # A warning that guards the record: the teller says why before seeing anything.
    executive.open(f"/staff/customers/{customer}")
    executive.follow("Raise a warning")
    executive.fill(told="Was threatened at home.")
    page.locator("#kind, input[name=kind]").last.check()
    executive.press("Raise the warning")
    executive.fill(reason="I raised the warning")
    executive.press("Open the record")
    expect(page.locator(".person .banner")).to_contain_text("Was threatened at home.")
    teller.open("/staff/")
    look_up(teller, account)
    expect(teller.page.locator("h1")).to_contain_text("Why do you open this record?")
    expect(teller.page.locator("main")).not_to_contain_text("Was threatened")
    teller.fill(reason="At the counter, wants to pay in")
    teller.press("Open the record")
    deposit(teller, account, "90.00", "Savings")

    # A mistake is reversed, the account is frozen, and the records tell all of it.
    executive.open(teller.path())
    executive.follow("Reverse this entry")
    executive.fill(reason="Wrong account")
    executive.press("Reverse")
    expect(page.locator("main")).to_contain_text("This reverses another entry.")
    executive.open(f"/staff/accounts/{account}/freeze")
    executive.page.locator("input[name=status]").last.check()
    executive.fill(reason="Court order")
    executive.press("Save")
    expect(page.locator(".person")).to_contain_text("frozen")
    executive.open("/staff/records")
    for reason in ("Court order", "At the counter, wants to pay in"):
        expect(page.locator("main")).to_contain_text(reason)

    # A new colleague, and the figures of the day.
    executive.open("/staff/people/new")
    executive.fill(user_id="C00000077", name="Noor Haddad")
    page.get_by_label("Teller").check()
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Temporary password")
    executive.open("/staff/trial-balance")
    expect(page.locator("main")).to_contain_text("USD")
    executive.open("/staff/system")
    expect(page.locator("h1")).to_have_text("System")
