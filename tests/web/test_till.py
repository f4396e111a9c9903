"""A till's day: cash from the vault, over the counter, counted, and back; nothing is paid out that is not there."""

from __future__ import annotations

import csv
import io

import pytest
import sqlalchemy as sa

from bank.cases.store import cases
from bank.identity.staff import Role
from bank.ledger.tables import ledger_accounts
from bank.payments.store import till_counts
from tests.builders import FLOAT, Branch
from tests.ledger import assert_books_balance
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served
from tests.web.test_operations import at_once, twin

COUNT = "/staff/till/count"


def of_alice(branch: Branch, act: str) -> str:
    return f"/staff/accounts/{branch.number('alice_current')}/{act}"


def in_pieces(minor_units: int) -> dict[str, str]:
    """So many dollars as the count form asks for them: hundreds, ones and cents."""
    hundreds, rest = divmod(minor_units, 100_00)
    return {"piece_10000": str(hundreds), "piece_100": str(rest // 100), "piece_1": str(rest % 100)}


def with_an_empty_till(office: Served) -> Browser:
    """The spare teller, whose till was never supplied."""
    return office.browse_as("spare")


def test_a_tellers_day_from_the_vault_and_back_to_it(office):
    branch, teller, executive = office.branch, with_an_empty_till(office), office.browse_as("executive")
    executive.done("/staff/vault/receive", amount="500", note="Van 12")

    taken = teller.done("/staff/till/supply", amount="300", note="Bag 7")
    teller.done(of_alice(branch, "deposit"), amount="40.25")
    paid = teller.done(of_alice(branch, "withdraw"), amount="15")
    day = teller.get("/staff/till")
    report = teller.done(COUNT, **in_pieces(325_25))
    back = teller.get(next(link for link in report.links if "all=1" in link))
    returned = teller.submit(back, "/staff/till/return")

    assert "Bag 7" in taken.text
    assert "325.25 USD" in day.text
    assert [row in day.text for row in ("300.00", "40.25", "15.00", "Alice Moreau")] == [True] * 4
    assert "just what was expected" in report.text
    assert "325.25 USD" in paid.text
    assert back.form.values["amount"] == "325.25"
    assert returned.status == 303
    assert branch.till("spare").balance == 0
    assert "525.25 USD" in executive.get("/staff/vault").text
    assert_books_balance(branch.bank)


def test_the_running_total_is_on_every_page_of_those_with_a_till_and_of_nobody_else(office):
    for path in ("/staff/", "/staff/customers", "/staff/queue", of_alice(office.branch, "deposit")):
        assert "In your till 100,1" in office.browse_as("teller").get(path).text, path
    assert "In your till" not in office.browse_as("executive").get("/staff/").text


@pytest.mark.parametrize("act", ["withdraw", "close"])
def test_a_till_cannot_pay_out_more_than_it_holds(act, office):
    branch, teller = office.branch, with_an_empty_till(office)
    path = of_alice(branch, act)
    typed = {"withdraw": {"amount": "60"}, "close": {"number": branch.number("alice_current"), "reason": "Moves"}}[act]

    refused = teller.send(path, **typed)

    assert refused.status == 422
    assert refused.problems == ["The till holds only 0.00 USD. Take cash from the vault first."]
    assert branch.balance("alice_current") == 100_00
    office.browse_as("executive").done("/staff/vault/receive", amount="100")
    teller.done("/staff/till/supply", amount="100")
    assert teller.submit(refused, path, **typed).status == 303
    assert_books_balance(branch.bank)


def test_the_customers_own_balance_is_what_is_said_first(office):
    refused = with_an_empty_till(office).send(of_alice(office.branch, "withdraw"), amount="100.01")

    assert refused.problems == ["Enter 100.00 USD or less: that is the available balance, and 100.01 USD is more."]


def test_a_till_has_no_limits_of_its_own(office):
    """Customers' limits are theirs: a busy day at the counter is more than one customer may pay."""
    branch, teller = office.branch, office.browse_as("teller")
    for name in ("alice_current", "alice_savings", "bob_current"):
        branch.deposit(branch.accounts[name], 10_000_00)
        teller.done(f"/staff/accounts/{branch.number(name)}/withdraw", amount="10,000")

    assert branch.till("teller").balance == FLOAT + 170_00
    assert_books_balance(branch.bank)


@pytest.mark.parametrize(
    ("visitor", "path", "sentence"),
    [
        ("spare", "/staff/till/supply", "The vault holds only 0.00 USD."),
        ("spare", "/staff/till/return", "The till holds only 0.00 USD. Take cash from the vault first."),
        ("executive", "/staff/vault/hand-back", "The vault holds only 0.00 USD."),
    ],
)
def test_cash_that_is_not_there_does_not_move(visitor, path, sentence, office):
    refused = office.browse_as(visitor).send(path, amount="0.01")

    assert (refused.status, refused.problems) == (422, [sentence])
    assert_books_balance(office.branch.bank)


def test_sending_a_supply_again_moves_nothing_more(office):
    browser = office.browse_as("executive")
    page = browser.get("/staff/vault/receive")

    first, again = (browser.submit(page, "/staff/vault/receive", amount="70") for _ in range(2))

    assert (first.status, again.status, again.location) == (303, 303, first.location)
    assert "70.00 USD" in browser.get("/staff/vault").text


def test_a_difference_needs_a_reason_and_is_booked_and_put_before_an_executive(office):
    branch, teller = office.branch, office.browse_as("teller")
    holds = branch.till("teller").balance
    page = teller.get(COUNT)

    unexplained = teller.submit(page, COUNT, **in_pieces(holds - 3_05))
    report = teller.follow(teller.submit(unexplained, COUNT, reason="A customer left too early"))

    assert unexplained.status == 422
    assert "which is 3.05 USD less than the" in unexplained.problems[0]
    assert {name: unexplained.form.values[name] for name in in_pieces(0)} == in_pieces(holds - 3_05)
    assert branch.till("teller").balance == holds - 3_05
    assert "3.05 USD missing" in report.text
    assert "A customer left too early" in report.text
    assert [row.balance for row in branch.rows(_single("cash_differences"))] == [3_05]
    assert "A customer left too early" in office.browse_as("executive").get("/staff/queue").text
    assert "A customer left too early" not in teller.get("/staff/queue").text
    assert_books_balance(branch.bank)


def test_too_much_in_the_till_is_booked_the_other_way(office):
    branch, teller = office.branch, office.browse_as("teller")
    holds = branch.till("teller").balance

    report = teller.done(COUNT, **in_pieces(holds + 1), reason="Found under the drawer")

    assert "0.01 USD too much" in report.text
    assert branch.till("teller").balance == holds + 1
    assert [row.balance for row in branch.rows(_single("cash_differences"))] == [-1]
    assert_books_balance(branch.bank)


def _single(code: str) -> sa.Select:
    return sa.select(ledger_accounts.c.balance).where(ledger_accounts.c.chart_code == code)


def test_what_is_booked_while_somebody_counts_is_noticed_and_said(office):
    branch, teller = office.branch, office.browse_as("teller")
    holds = branch.till("teller").balance
    page = teller.get(COUNT)
    branch.deposit(branch.accounts["alice_current"], 5_00)

    late = teller.submit(page, COUNT, **in_pieces(holds))

    assert late.status == 409
    assert f"{(holds + 5_00) / 100:,.2f} USD is expected in the till now" in late.problems[0]
    assert f"Expected in the till {(holds + 5_00) / 100:,.2f} USD" in late.text
    assert branch.rows(sa.select(till_counts.c.id)) == []
    assert teller.submit(late, COUNT, **in_pieces(holds + 5_00)).status == 303


def test_a_count_sent_again_is_the_same_count_and_other_figures_under_it_are_a_conflict(office):
    branch, teller = office.branch, office.browse_as("teller")
    page = teller.get(COUNT)
    typed = {**in_pieces(branch.till("teller").balance - 1), "reason": "A cent fell down"}

    first, again = (teller.submit(page, COUNT, **typed) for _ in range(2))
    other = teller.submit(page, COUNT, **{**typed, "piece_1": "7"})

    assert (first.status, again.location) == (303, first.location)
    assert other.status == 422
    assert len(branch.rows(sa.select(till_counts.c.id))) == len(branch.rows(sa.select(cases.c.id))) == 1


def test_a_double_click_counts_once(office_anywhere):
    branch, teller = office_anywhere.branch, office_anywhere.browse_as("teller")
    page = teller.get(COUNT)
    typed = {**in_pieces(branch.till("teller").balance - 9_00), "reason": "Nine missing"}

    answers = at_once(4, lambda: twin(teller).submit(page, COUNT, **typed))

    assert {(answer.status, answer.location) for answer in answers} == {(303, answers[0].location)}
    assert len(branch.rows(sa.select(till_counts.c.id))) == len(branch.rows(sa.select(cases.c.id))) == 1
    assert branch.balance("alice_current") == 100_00
    assert [row.balance for row in branch.rows(_single("cash_differences"))] == [9_00]
    assert teller.follow(answers[0]).status == 200
    assert_books_balance(branch.bank)


@pytest.mark.parametrize("typed", ["-1", "1.5", "one", "10000001", "٣"])
def test_a_number_of_pieces_is_a_whole_number(typed, office):
    answer = office.browse_as("teller").send(COUNT, piece_5000=typed)

    assert (answer.status, answer.problem_links) == (422, ["#piece_5000"])
    assert answer.form.values["piece_5000"] == typed


def test_an_empty_till_is_counted_as_nothing(office):
    browser = with_an_empty_till(office)

    assert browser.send(COUNT).problems == ["Enter what you counted; 0 if the till is empty."]
    assert "just what was expected" in browser.done(COUNT, piece_1="0").text


@pytest.mark.parametrize(("currency", "field"), [("EUR", "piece_200"), ("JPY", "piece_10000"), ("CHF", "piece_0")])
def test_each_currency_is_counted_in_its_own_pieces_or_as_a_sum(currency, field, office):
    branch = office.branch
    with branch.bank.connect() as tx:
        tx.execute(ledger_accounts.update().where(ledger_accounts.c.number == "till-SPARE-1").values(currency=currency))

    browser = with_an_empty_till(office)
    page = browser.get(COUNT)

    assert field in page.form.values
    assert "piece_2500" not in page.form.values
    assert browser.submit(page, COUNT, **{field: "0"}).status == 303


def test_the_days_report_adds_up_and_stays_as_it_was_whatever_comes_later(office):
    branch, teller = office.branch, office.browse_as("teller")
    teller.done(of_alice(branch, "withdraw"), amount="12")
    count = branch.count_till("teller", branch.till("teller").balance)
    first = teller.get(f"/staff/counts/{count}")
    teller.done(of_alice(branch, "deposit"), amount="77")

    assert figures(first, "At the beginning") == "0.00"
    assert figures(first, "Expected") == figures(first, "Counted") == "100,158.00"
    assert "Cash from the vault 1 100,000.00" in first.text
    assert "Cash deposit 3 170.00" in first.text
    assert "Cash withdrawal 1 12.00" in first.text
    again = teller.get(f"/staff/counts/{count}")
    assert figures(again, "Expected") == "100,158.00"
    assert "Cash deposit 3 170.00" in again.text
    office.clock.step(24 * 3600)
    teller = office.browse_as("teller")
    tomorrow = teller.get(f"/staff/counts/{branch.count_till('teller', branch.till('teller').balance)}")
    assert figures(tomorrow, "At the beginning") == figures(tomorrow, "Expected") == "100,235.00"


def figures(page: Page, line: str) -> str:
    """The figure that stands after the words of a line."""
    return page.text.split(f" {line} ")[1].split()[0]


def test_a_days_movements_go_on_to_a_second_page_and_into_a_file(office):
    branch, teller = office.branch, office.browse_as("teller")
    for cents in range(1, 56):
        branch.deposit(branch.accounts["bob_current"], cents)

    first = teller.get("/staff/till")
    second = teller.get(next(link for link in first.links if "before=" in link))
    lines = list(csv.reader(io.StringIO(teller.get("/staff/till?as=csv").response.get_data().decode("utf-8-sig"))))

    assert "0.55" in first.text
    assert "0.03" not in first.text
    assert "0.03" in second.text
    assert [line[5] for line in lines[-55:]] == [f"0.{cents:02}" for cents in range(1, 56)]
    assert lines[-1][4] == "Bob Nakamura"
    assert lines[-1][7] == f"{branch.till('teller').balance / 100:.2f}"
    assert "Nothing went through the till on this day" in teller.get("/staff/till?day=2020-02-29").text
    assert teller.get("/staff/till?day=2020-02-30").status == 422
    assert teller.get("/staff/till?as=exe").status == 404


def test_counts_go_on_to_a_second_page(office):
    branch, executive = office.branch, office.browse_as("executive")
    counts = [branch.count_till("teller", branch.till("teller").balance) for _ in range(53)]

    first = executive.get(f"/staff/tills/{branch.till('teller').number}/counts")
    second = executive.get(next(link for link in first.links if "before=" in link))

    seen = [int(link.rsplit("/", 1)[1]) for page in (first, second) for link in page.links if "/counts/" in link]
    assert seen == counts[::-1]


def test_a_till_of_before_is_guarded_by_an_executive_once_it_is_not_below_nothing(office):
    branch, executive = office.branch, office.browse_as("executive")
    old = {"floor": None, "limit_per_payment": None, "limit_per_day": None}
    with branch.bank.connect() as tx:
        tx.execute(ledger_accounts.update().where(ledger_accounts.c.number == "till-SPARE-1").values(old))
    spare = with_an_empty_till(office)
    spare.done(of_alice(branch, "withdraw"), amount="10")
    guard = "/staff/tills/till-SPARE-1/guard"

    too_low = executive.send(guard, reason="As all others")
    spare.done(of_alice(branch, "deposit"), amount="10")
    guarded = executive.done(guard, reason="As all others")

    assert too_low.status == 422
    assert "may go below zero" not in guarded.text
    assert spare.send(of_alice(branch, "withdraw"), amount="1").status == 422
    assert_books_balance(branch.bank)


def test_a_deposit_is_not_reversed_out_of_a_till_that_no_longer_has_the_cash(office):
    branch, spare, executive = office.branch, with_an_empty_till(office), office.browse_as("executive")
    receipt = spare.send(of_alice(branch, "deposit"), amount="30").location
    spare.done("/staff/till/return", amount="30")

    refused = executive.send(f"{receipt}/reverse", reason="Mistake")

    assert refused.problems == ["The till holds only 0.00 USD. Take cash from the vault first."]
    assert branch.balance("alice_current") == 130_00


def test_a_receipt_says_who_booked_it_and_offers_what_comes_next(office):
    branch, teller = office.branch, office.browse_as("teller")

    receipt = teller.done(of_alice(branch, "deposit"), amount="5")

    assert "Booked by Teller Person" in receipt.text
    assert "Alice Moreau" in receipt.text
    assert "Till TELLER-1" in receipt.text
    assert {of_alice(branch, act) for act in ("deposit", "withdraw", "transfer")} | {"#lookup"} <= set(receipt.links)
    assert "What comes next" not in office.browse_as("executive").get(teller_location(receipt)).text


def teller_location(page: Page) -> str:
    return page.response.request.path


def test_a_receipt_of_a_customers_own_payment_names_the_customer(office):
    branch = office.branch
    entry = branch.transfer("alice_current", "bob_current", 1_00)

    assert "Booked by Teller Person" in office.browse_as("executive").get(f"/staff/entries/{entry}").text


def test_the_branch_without_a_vault_says_how_to_begin(serve):
    office = serve(currency="CHF")

    page = office.browse_as("executive").get("/staff/vault")

    assert "begin with what was delivered to the bank" in page.text
    assert "/staff/vault/receive" in page.links


def test_a_delivery_is_not_reversed_out_of_a_vault_that_no_longer_has_the_cash(office):
    office.branch.add_staff("second", "EXECUTIVE-2", Role.EXECUTIVE)
    receipt = office.browse_as("executive").send("/staff/vault/receive", amount="100").location
    with_an_empty_till(office).done("/staff/till/supply", amount="100")

    refused = office.browse_as("second").send(f"{receipt}/reverse", reason="Mistake")

    assert refused.problems == ["The vault holds only 0.00 USD."]
