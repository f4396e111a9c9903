"""Spending: what came in and went out, drawn and as figures; and putting movements into other categories."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
import sqlalchemy as sa

from bank.audit.store import audit_records
from bank.spending.store import category_corrections, category_rules
from tests.builders import Branch
from tests.web.browsing import Page
from tests.web.conftest import Served
from tests.web.test_feed import pay


def figures(page: Page, what: str) -> list[str]:
    """The figures in the table's row that begins with these words."""
    row = next(row for row in re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", page.html, re.DOTALL) if what in row)
    return re.findall(r'class="number">([^<]*)<', row)


def category_on(office: Served, entry: int, who: str = "alice") -> str:
    page = office.browse_as(who).get(f"/movements/{entry}")
    found = re.search(r"<dt>Category</dt><dd>([^<]*)</dd>", page.html)
    assert found, page.html
    return unescape(found[1])


def put(office: Served, entry: int, category: str, **more: str) -> Page:
    return office.browse_as("alice").send(f"/movements/{entry}/category", category=category, **more)


@pytest.fixture
def spent(office: Served) -> Served:
    """Alice bought a coffee and a book this month, and saved something."""
    pay(office.branch, 4_00, "Café Colón")
    pay(office.branch, 9_50, "Tidewater Books")
    office.branch.transfer("alice_current", "alice_savings", 10_00)
    return office


def test_categories_and_months_are_told_in_figures_with_own_transfers_apart(spent: Served):
    page = spent.browse_as("alice").get("/spending")

    assert figures(page, "Eating out") == ["4.00", "0.00"]
    assert figures(page, "Leisure") == ["9.50", "0.00"]
    assert figures(page, "Own transfers") == ["10.00", "10.00"]
    month = spent.branch.bank.clock.business_date().strftime("%B %Y")
    assert figures(page, month) == ["120.00", "13.50", "106.50"]


def test_one_account_tells_what_went_to_the_others(spent: Served):
    number = spent.branch.number("alice_savings")

    page = spent.browse_as("alice").get(f"/spending?account={number}")

    month = spent.branch.bank.clock.business_date().strftime("%B %Y")
    assert figures(page, month) == ["20.00", "0.00", "+10.00", "30.00"]


def test_each_picture_says_what_it_is_and_needs_neither_script_nor_style(spent: Served):
    page = spent.browse_as("alice").get("/spending")

    pictures = re.findall(r"<svg viewBox.*?</svg>", page.html, re.DOTALL)
    assert len(pictures) == 3
    for picture in pictures:
        told = re.search(r'role="img" aria-labelledby="([^"]+)"', picture)[1].split()
        assert all(f'id="{identity}"' in picture for identity in told)
        assert "style" not in picture
    bars = re.findall(r"<title>([^<]*)</title>", pictures[0])
    # Own transfers and what came in are no spending.
    assert bars == ["Leisure: 9.50 USD", "Eating out: 4.00 USD"]


def test_a_category_leads_to_its_movements(spent: Served):
    browser = spent.browse_as("alice")

    page = browser.get("/spending")
    link = next(link for link in page.links if "category=eating_out" in link)
    feed = browser.get(unescape(link))

    assert feed.status == 200
    assert "1 movement found." in feed.text
    assert "Café Colón" in feed.text


def test_days_choose_what_is_added_up(spent: Served):
    pay(spent.branch, 5_00, "Old Port Pizza", days_ago=400)
    browser = spent.browse_as("alice")
    clock = spent.branch.bank.clock
    # Not 400 calendar days ago: in between the clocks are put forward or back.
    day = clock.business_date(clock.now() - timedelta(days=400)).isoformat()

    page = browser.get(f"/spending?from={day}&to={day}")
    empty = browser.get("/spending?from=2001-01-01&to=2001-01-31")

    assert figures(page, "Eating out") == ["5.00", "0.00"]
    assert "Leisure" not in page.text
    assert "No movements on these days" in empty.text
    assert [form.values["from"] for form in empty.forms if "from" in form.values] == ["2001-01-01"]


@pytest.mark.parametrize(
    "query", ["from=x", "from=2026-03-02&to=2026-03-01", "from=2001-01-01&to=2026-01-01", "to=2026-02-30"]
)
def test_days_that_cannot_be_added_up_are_a_problem_that_keeps_them(spent: Served, query: str):
    page = spent.browse_as("alice").get(f"/spending?{query}")

    assert page.status == 422
    assert page.title.startswith("Error: ")
    assert page.problems
    values = next(form.values for form in page.forms if "from" in form.values)
    for name, value in (pair.split("=") for pair in query.split("&")):
        assert values[name] == value


def test_other_peoples_accounts_and_movements_are_not_there(spent: Served):
    branch: Branch = spent.branch
    deposit = branch.deposit(branch.accounts["alice_current"], 1)
    bob = spent.browse_as("bob")

    assert bob.get(f"/spending?account={branch.number('alice_current')}").status == 404
    assert bob.get("/spending?account=x").status == 404
    assert bob.get(f"/movements/{deposit}/category").status == 404
    assert bob.post(f"/movements/{deposit}/category", {"category": "leisure"}).status == 404
    assert branch.rows(sa.select(category_corrections)) == []


def test_a_movement_is_put_into_another_category_and_only_that_one(office: Served):
    first, second = pay(office.branch, 1_00, "Café Colón"), pay(office.branch, 2_00, "Café Colón")

    answer = put(office, first, "health")

    assert (answer.status, answer.location) == (303, f"/movements/{first}")
    assert [category_on(office, entry) for entry in (first, second)] == ["Health", "Eating out"]
    # What Bob received is Bob's to sort.
    assert category_on(office, first, "bob") == "People"
    [record] = office.branch.rows(sa.select(audit_records).where(audit_records.c.action == "movement.category"))
    assert record.details == {"category": ["eating_out", "health"], "all_alike": False}


def test_a_rule_sorts_all_that_are_called_alike_but_not_what_was_put_somewhere_by_hand(office: Served):
    branch = office.branch
    by_hand, one, other = (pay(branch, cents, "CAFÉ  Colón") for cents in (1, 2, 3))
    elsewhere = pay(branch, 4, "Café Portola")
    put(office, by_hand, "people")

    put(office, one, "leisure", all_alike="y")
    later = pay(branch, 5, "cafe colon")

    entries = (by_hand, one, other, elsewhere, later)
    assert [category_on(office, entry) for entry in entries] == [
        "People",
        "Leisure",
        "Leisure",
        "Eating out",
        "Leisure",
    ]
    assert figures(office.browse_as("alice").get("/spending"), "Leisure")[0] == "0.10"
    put(office, other, "bills", all_alike="y")
    assert category_on(office, later) == "Bills"
    assert [(rule.words, rule.category) for rule in branch.rows(sa.select(category_rules))] == [("cafe colon", "bills")]


def test_the_same_form_again_changes_nothing_more(office: Served):
    entry = pay(office.branch, 1_00, "Café Colón")
    browser = office.browse_as("alice")
    page = browser.get(f"/movements/{entry}/category")

    answers = [browser.submit(page, f"/movements/{entry}/category", category="health") for _ in range(2)]

    assert [answer.status for answer in answers] == [303, 303]
    assert len(office.branch.rows(sa.select(category_corrections))) == 1
    assert len(office.branch.rows(sa.select(audit_records).where(audit_records.c.action == "movement.category"))) == 1


@pytest.mark.parametrize("category", ["", "dragons", "INCOME", "x" * 5_000])
def test_a_category_that_there_is_not_is_a_problem(office: Served, category: str):
    entry = pay(office.branch, 1_00, "Café Colón")

    page = put(office, entry, category)

    assert page.status == 422
    assert page.problems == ["Choose one of the list."]
    assert office.branch.rows(sa.select(category_corrections)) == []


def test_both_sides_of_an_own_transfer_are_sorted_together(office: Served):
    own = office.branch.transfer("alice_current", "alice_savings", 5_00)

    put(office, own, "leisure")

    rows = office.branch.rows(sa.select(category_corrections.c.account_id, category_corrections.c.category))
    assert sorted(rows) == sorted(
        (office.branch.accounts[f"alice_{which}"].id, "leisure") for which in ("current", "savings")
    )
