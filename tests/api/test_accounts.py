"""Reads: accounts, the balance as of an instant, and postings page by page, against a model."""

from __future__ import annotations

import random
from datetime import date, timedelta
from urllib.parse import quote

import pytest

from bank.ledger import history
from tests.api.conftest import code, program
from tests.builders import Branch


def test_an_account_reads_as_on_the_page(office_anywhere):
    branch = office_anywhere.branch
    branch.hold("alice_current", 5_00)
    branch.transfer("alice_current", "bob_current", 12_50)

    found = program(office_anywhere, "alice").get(f"/accounts/{branch.number('alice_current')}").json

    today = branch.bank.clock.business_date().isoformat()
    assert found == {
        "number": branch.number("alice_current"), "product": "current", "status": "open", "currency": "USD",
        "opened_on": today, "closed_on": None,
        "booked": {"minor_units": 87_50, "currency": "USD"}, "held": {"minor_units": 5_00, "currency": "USD"},
        "available": {"minor_units": 82_50, "currency": "USD"},
    }  # fmt: skip


def at(moment) -> str:
    return quote(moment.isoformat())


def test_the_balance_as_of_an_instant_is_what_was_booked_until_then(office_anywhere):
    office, branch = office_anywhere, office_anywhere.branch
    asking = program(office, "alice")
    path = f"/accounts/{branch.number('alice_current')}/balance"
    known = []
    for minor_units in (1, 20, 300):
        office.clock.step(3600)
        branch.transfer("alice_current", "bob_current", minor_units)
        known.append((branch.bank.clock.now(), branch.balance("alice_current")))
    office.clock.step(3600)

    for moment, balance in known:
        for ahead in (0, 1800):
            told = asking.get(f"{path}?at={at(moment + timedelta(seconds=ahead))}").json
            assert told["booked"] == {"minor_units": balance, "currency": "USD"}
            assert (told["held"], told["available"]) == (None, None)
    assert (
        asking.get(f"{path}?at={at(known[0][0] - timedelta(hours=1, minutes=-1))}").json["booked"]["minor_units"]
        == 100_00
    )
    assert asking.get(f"{path}?at=1970-01-01T00:00:00Z").json["booked"]["minor_units"] == 0
    # What was booked at that very instant is in it.
    for posting in asking.get(path.replace("/balance", "/postings")).json["postings"]:
        assert asking.get(f"{path}?at={posting['booked_at']}").json["booked"] == posting["balance"]
    now = asking.get(path).json
    assert (now["booked"], now["available"]) == (
        {"minor_units": 96_79, "currency": "USD"}, {"minor_units": 96_79, "currency": "USD"}
    )  # fmt: skip


def test_of_two_payments_at_one_moment_the_one_booked_last_may_have_been_asked_for_first(office):
    """An instant is no order: the balance counts by instants, whatever the postings' numbers."""
    branch = office.branch
    office.clock.step(3600)
    branch.transfer("alice_current", "bob_current", 1)
    before = branch.bank.clock.now()
    office.clock.step(-1800)
    branch.transfer("alice_current", "bob_current", 20)
    between = branch.bank.clock.now()
    office.clock.step(3600)

    path = f"/accounts/{branch.number('alice_current')}/balance?at="
    asking = program(office, "alice")

    assert asking.get(path + at(between)).json["booked"]["minor_units"] == 100_00 - 20
    assert asking.get(path + at(before)).json["booked"]["minor_units"] == 100_00 - 21


def paged(asking, number: str, query: str, limit: int) -> list[dict]:
    """All pages, followed by `next`, and the same by the Link header."""
    found, address = [], f"/accounts/{number}/postings?limit={limit}{query}"
    for _ in range(100):
        answer = asking.get(address)
        assert answer.status_code == 200, answer.text
        found += answer.json["postings"]
        assert len(answer.json["postings"]) <= limit
        if answer.json["next"] is None:
            assert "Link" not in answer.headers
            return found
        assert answer.headers["Link"].endswith('>; rel="next"')
        address = answer.headers["Link"].partition("<")[2].partition(">")[0].removeprefix("/api/v1")
        assert f"after={answer.json['next']}" in address
    raise AssertionError("pages without end")


def many(branch: Branch, chance: random.Random) -> None:
    for _ in range(25):
        payer, payee = chance.choice([("alice_current", "bob_current"), ("bob_current", "alice_current")])
        branch.transfer(payer, payee, chance.randrange(1, 40))


@pytest.mark.parametrize("looked_at", [history.MOST_LOOKED_AT, 4])
def test_pages_and_filters_find_what_a_model_finds(looked_at, office_anywhere, monkeypatch):
    monkeypatch.setattr(history, "MOST_LOOKED_AT", looked_at)
    branch, chance = office_anywhere.branch, random.Random(5)
    for _ in range(3):
        many(branch, chance)
        office_anywhere.clock.step(86_400)
    asking, number = program(office_anywhere, "alice"), branch.number("alice_current")
    whole = paged(asking, number, "", 200)
    assert [each["number"] for each in whole] == list(range(len(whole), 0, -1))
    days = sorted({date.fromisoformat(each["booking_date"]) for each in whole})
    assert len(days) >= 3

    for _ in range(12):
        first, last = (chance.choice([None, *days, days[0] - timedelta(days=1)]) for _ in range(2))
        side, least, most = (
            chance.choice([None, "credit", "debit"]),
            chance.choice([None, 5, 20]),
            chance.choice([None, 20, 35]),
        )
        asked = {"from": first, "to": last, "side": side, "min": least, "max": most}
        query = "".join(f"&{name}={value}" for name, value in asked.items() if value is not None)
        wanted = [
            each for each in whole
            if (first is None or each["booking_date"] >= first.isoformat()) and (last is None or each["booking_date"] <= last.isoformat())
            and side in (None, each["side"]) and (least or 0) <= each["amount"]["minor_units"] <= (most or 10**15)
        ]  # fmt: skip
        assert paged(asking, number, query, chance.choice([2, 7, 200])) == wanted, query


def test_pages_stay_as_they_are_while_others_pay(office):
    branch = office.branch
    many(branch, random.Random(7))
    asking, number = program(office, "alice"), branch.number("alice_current")
    before = paged(asking, number, "", 200)
    first = asking.get(f"/accounts/{number}/postings?limit=5").json
    assert first["postings"] == before[:5]

    branch.transfer("bob_current", "alice_current", 7)

    second = asking.get(f"/accounts/{number}/postings?limit=5&after={first['next']}").json
    assert second["postings"] == before[5:10]
    assert asking.get(f"/accounts/{number}/postings?limit=1").json["postings"][0]["number"] == len(before) + 1


def test_each_posting_continues_the_balance_before_it(office):
    branch = office.branch
    many(branch, random.Random(9))
    found = paged(program(office, "alice"), branch.number("alice_current"), "", 6)

    balance = 0
    for each in reversed(found):
        balance += each["amount"]["minor_units"] * (1 if each["side"] == "credit" else -1)
        assert each["balance"]["minor_units"] == balance
    assert balance == branch.balance("alice_current")


@pytest.mark.parametrize(
    "cursor", ["", "x", "cA", "cDA", "cC0x", "cDE=", "%00", "é", "MQ", "cDEwMDAwMDAwMDAwMDAwMDAwMDAw", "cNmh"]
)
def test_what_no_page_answered_is_no_cursor(cursor, whole):
    answer = program(whole, "alice").get(f"/accounts/{whole.branch.number('alice_current')}/postings?after={cursor}")

    assert (answer.status_code, code(answer)) == (422, "invalid_cursor")


def test_a_cursor_past_either_end_finds_what_is_there(whole):
    asking, number = program(whole, "alice"), whole.branch.number("alice_current")

    # p1: before the first posting; p9…: as far as numbers go.
    assert asking.get(f"/accounts/{number}/postings?after=cDE").json == {"postings": [], "next": None}
    assert len(asking.get(f"/accounts/{number}/postings?after=cDk5OTk5OTk5OTk5OTk5OTk5OQ").json["postings"]) == 1


STATEMENTS = ["2026", "{month}", "{day}", "{day}-to-{day}", "last-1", "last-1000"]


@pytest.mark.parametrize("period", STATEMENTS)
@pytest.mark.parametrize("extension", ["pdf", "xlsx", "csv"])
def test_a_statement_is_the_same_file_as_on_the_page(extension, period, whole):
    branch = whole.branch
    number, today = branch.number("alice_current"), branch.bank.clock.business_date()
    period = period.format(day=today.isoformat(), month=f"{today:%Y-%m}")

    answer = program(whole, "alice").get(f"/accounts/{number}/statements/{period}.{extension}")

    asked = f"last={period[5:]}" if period.startswith("last") else f"from={today:%Y}-01-01&to={today:%Y}-12-31"
    page = whole.browse_as("alice").get(f"/accounts/{number}/statement?{asked}&as={extension}").response
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, page.headers["Content-Type"])
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert abs(len(answer.data) - len(page.data)) < 200
    if extension == "csv" and period in ("2026", "last-1"):
        assert answer.text.splitlines()[7:] == page.text.splitlines()[7:]


@pytest.mark.parametrize(
    "period",
    ["x", "last-0", "last-1001", "last-", "2026-13", "2026-02-30", "2026-03-02-to-2026-03-01", "0000", "2026-1", "٢٠٢٦", "2026-01-01-to-",
     "2026-01-01-to-x", "-", "9" * 60],
)  # fmt: skip
def test_a_period_that_is_none_is_told_so(period, whole):
    answer = program(whole, "alice").get(f"/accounts/{whole.branch.number('alice_current')}/statements/{period}.csv")

    assert (answer.status_code, code(answer)) == (422, "invalid_period")


def test_the_last_month_there_is_can_be_asked_for(whole):
    number = whole.branch.number("alice_current")

    assert program(whole, "alice").get(f"/accounts/{number}/statements/9999-12.csv").status_code == 200
    assert program(whole, "alice").get(f"/accounts/{number}/statements/2026.doc").status_code == 404


def test_a_statement_speaks_the_readers_language(whole):
    number = whole.branch.number("alice_current")
    answer = program(whole, "alice").get(f"/accounts/{number}/statements/2026.csv", headers={"Accept-Language": "es"})

    assert "Cuenta" in answer.text
