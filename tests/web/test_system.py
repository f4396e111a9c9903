"""The operators' page and the trial balance: they say what is so, above all when something is not."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from bank.ledger.model import CHART
from bank.ledger.tables import ledger_accounts
from bank.money import Money
from bank.storage import closing
from bank.storage.engine import make_engine
from bank.storage.facts import fact
from bank.web.staff.system import PROOFS
from tests.builders import CURRENCY
from tests.unit.test_cli import run_on
from tests.web.conftest import Served, served


@pytest.fixture
def books(database_urls, dialect: str) -> Iterator[tuple[Served, object, object]]:
    """A branch on each database; the command line on it, and a connection of whoever owns the tables."""
    with served(database_urls.app) as office:
        owner = make_engine(database_urls.migrator)
        with owner.connect() as connection:
            yield office, run_on(database_urls.app), connection
        owner.dispose()


def whole_books(office: Served) -> str:
    """What stands on the credit side: what customers have, and the cash that was delivered to the vault."""
    a = ledger_accounts.c
    in_credit = sa.select(a.balance).where(a.normal_side == "credit")
    overdrawn = sa.select(-a.balance).where(a.normal_side == "debit", a.balance < 0)
    return Money(sum(row[0] for query in (in_credit, overdrawn) for row in office.branch.rows(query)), CURRENCY).figure


def test_the_page_says_what_runs_here(books):
    office, _, owner = books

    text = office.browse_as("executive").get("/staff/system").text
    total = whole_books(office)

    for said in (
        f"Now: debits of {total} USD equal credits of {total} USD", "No verification was kept yet", "No replica is configured",
        "0004; this release needs 0004", "not due", "America/New_York", "0.1.0", "not loaded",
    ):  # fmt: skip
        assert said in text, said
    kind = {"sqlite": "SQLite 3.", "postgresql": "PostgreSQL 1", "mysql": "MariaDB 1"}[owner.dialect.name]
    assert kind in text


def test_every_invariant_is_named_with_what_it_proves(office: Served):
    text = office.browse_as("executive").get("/staff/system").text

    assert len(PROOFS) > 25
    for kind, proves in PROOFS.items():
        assert proves.endswith(".")
        assert f"{proves} {kind}" in text


def test_a_verification_is_kept_for_the_page_sound_or_broken(books):
    office, run, owner = books
    executive = office.browse_as("executive")
    assert run("ledger", "verify").exit_code == 0
    sound = executive.get("/staff/system").text
    owner.execute(sa.text("UPDATE ledger_accounts SET balance = balance + 7 WHERE chart_code = 'savings'"))

    assert run("ledger", "verify").exit_code == 1
    broken, home = executive.get("/staff/system").text, executive.get("/staff/").text
    trial = executive.get("/staff/trial-balance").text

    assert "Result sound" in sound
    assert "Findings 0" in sound
    assert "The last verification found" in broken
    assert "Result broken" in broken
    assert "are not credits of" in broken
    assert "The last verification of the ledger found" in home
    assert "Debits and credits in USD differ" in trial


def test_a_verification_that_cannot_be_kept_says_so_and_is_still_one(books):
    office, run, owner = books
    closing.close(owner)

    result = run("ledger", "verify")

    assert result.exit_code == 0
    assert "The ledger is sound" in result.output
    assert "could not be stored" in result.output
    with office.branch.bank.reader() as reader:
        assert fact(reader, "verification") is None


def test_a_schema_that_is_behind_is_said_so(books):
    office, _, owner = books
    owner.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))

    text = office.browse_as("executive").get("/staff/system").text

    assert "The schema is behind this release. Run bank db upgrade." in text


def test_the_trial_balance_of_a_day_counts_nothing_that_came_later(office_anywhere: Served):
    office, executive = office_anywhere, office_anywhere.browse_as("executive")
    today = office.clock.business_date()

    now = executive.get(f"/staff/trial-balance?day={today}")
    before = executive.get(f"/staff/trial-balance?day={today - timedelta(days=1)}")

    assert f"Together {whole_books(office)} {whole_books(office)}" in now.text
    assert "Together 0.00 0.00" in before.text
    assert "Debits and credits in USD are equal" in before.text


def test_the_trial_balance_downloads_what_it_shows(office: Served):
    executive, today = office.browse_as("executive"), office.clock.business_date()

    for address in ("/staff/trial-balance?as=csv", f"/staff/trial-balance?day={today}&as=csv"):
        answer = executive.get(address).response
        lines = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
        assert f"trial-balance-{today}.csv" in answer.headers["Content-Disposition"]
        assert {line["Line"] for line in lines} >= {CHART["current"].name, CHART["cash"].name}
        debits, credits = (sum(Decimal(line[side]) for line in lines) for side in ("Debit", "Credit"))
        assert debits == credits == Decimal(whole_books(office).replace(",", ""))
    assert executive.get("/staff/trial-balance?as=pdf").status == 404


@pytest.mark.parametrize("day", ["x", "2026-02-30", "31.03.2026", "2026-3-1"])
def test_a_day_that_is_none_is_asked_for_again(day, office: Served):
    page = office.browse_as("executive").get(f"/staff/trial-balance?day={day}")

    assert page.status == 422
    assert page.title.startswith("Error: ")
    assert page.problem_links == ["#day"]
    assert page.form.values["day"] == day
