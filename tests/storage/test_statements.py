"""Statements from the ledger: on every database they add up, whatever was booked when, or while they are made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bank.accounts.store import Account
from bank.ledger import service as ledger
from bank.ledger.model import JournalEntry
from bank.statements import service as statements
from bank.statements.errors import InvalidPeriod, PeriodTooLong
from bank.statements.model import Statement
from bank.storage.transaction import Bank
from tests.ledger import TODAY, a_till, an_account, move, opened, the_account
from tests.servers import DatabaseUrls

MADE_AT = datetime(2026, 4, 1, 8, 5, tzinfo=UTC)
ALWAYS = (date(1000, 1, 1), date(9999, 12, 31))


class Desk:
    """One customer's account, what is paid into and out of it, and its statements."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.till = a_till(bank)
        self.account_id = an_account(bank, floor=-(10**15))

    def book(self, *moves: tuple[str, int], narrative: str = "Rent", kind: str = "transfer") -> None:
        """Book (day, minor units) in this order; below zero goes out."""
        outcomes = ledger.post(self.bank, [self._entry(day, units, narrative, kind) for day, units in moves])
        for outcome in outcomes:
            outcome.or_raise()

    def _entry(self, day: str, units: int, narrative: str, kind: str) -> JournalEntry:
        pair = (self.till, self.account_id) if units > 0 else (self.account_id, self.till)
        on = date.fromisoformat(day)
        return move(*pair, abs(units), booking_date=on, value_date=on + timedelta(1), narrative=narrative, kind=kind)

    def account(self) -> Account:
        return Account(
            ledger=the_account(self.bank, self.account_id),
            product="current",
            opened_on=TODAY,
            closed_on=None,
            frozen_for=None,
        )

    def last(self, count: int) -> Statement:
        with self.bank.reader() as reader:
            return statements.last(
                reader, self.account(), count, holders=["Ana Lima"], bank_name="Harbour Bank", made_at=MADE_AT
            )

    def between(self, first: date | str, last: date | str, most_lines: int = statements.MOST_LINES) -> Statement:
        days = [date.fromisoformat(day) if isinstance(day, str) else day for day in (first, last)]
        with self.bank.reader() as reader:
            return statements.between(
                reader,
                self.account(),
                *days,
                holders=["Ana Lima", "Zoe\u0308"],
                bank_name="Harbour Bank",
                made_at=MADE_AT,
                most_lines=most_lines,
            )


@pytest.fixture
def desk(bank: Bank) -> Desk:
    return Desk(bank)


def figures(made: Statement) -> tuple[int, list[tuple[int, int]], int]:
    """Opening, lines as (amount, balance), closing; minor units."""
    lines = [(line.amount.minor_units, line.balance.minor_units) for line in made.lines]
    return made.opening.minor_units, lines, made.closing.minor_units


def test_a_month_has_its_first_and_its_last_day_and_no_other(desk):
    desk.book(("2026-02-28", 1), ("2026-03-01", 10), ("2026-03-15", -4), ("2026-03-31", 100), ("2026-04-01", 1000))

    assert figures(desk.between("2026-03-01", "2026-03-31")) == (1, [(10, 11), (-4, 7), (100, 107)], 107)
    assert figures(desk.between("2026-02-01", "2026-02-28")) == (0, [(1, 1)], 1)
    assert figures(desk.between("2026-04-01", "2026-04-01")) == (107, [(1000, 1107)], 1107)


def test_a_line_says_what_the_ledger_knows(desk):
    desk.book(("2026-03-15", -4), narrative="Rent  März\t王小明")
    made = desk.between("2026-03-01", "2026-03-31")
    [line] = made.lines

    assert (line.booking_date, line.value_date) == (date(2026, 3, 15), date(2026, 3, 16))
    assert (line.description, line.kind) == ("Rent März 王小明", "Transfer out")
    assert line.reference.isdecimal()
    assert (made.account_number, made.product, made.currency) == (desk.account().number, "Current account", "USD")
    assert (made.holders, made.bank_name, made.made_at) == (("Ana Lima", "Zoë"), "Harbour Bank", MADE_AT)


@pytest.mark.parametrize("narrative", ["", "  \t ", "\u200b"])
def test_a_line_without_a_narrative_is_described_by_its_kind(desk, narrative):
    desk.book(("2026-03-15", 4), narrative=narrative, kind="deposit")

    assert [line.description for line in desk.last(1).lines] == ["Cash deposit"]


def test_periods_before_between_and_after_the_postings_are_empty_but_have_a_balance(desk):
    assert figures(desk.between(*ALWAYS)) == (0, [], 0)
    assert figures(desk.last(10)) == (0, [], 0)

    desk.book(("2026-03-10", 5), ("2026-03-20", 6))

    assert figures(desk.between("2026-03-01", "2026-03-09")) == (0, [], 0)
    assert figures(desk.between("2026-03-11", "2026-03-19")) == (5, [], 5)
    assert figures(desk.between("2026-03-21", "2026-03-21")) == (11, [], 11)
    assert figures(desk.between(*ALWAYS)) == (0, [(5, 5), (6, 11)], 11)


def test_what_was_booked_later_for_an_earlier_day_stands_on_its_day(desk):
    desk.book(("2026-03-20", 100), ("2026-03-05", -30), ("2026-03-20", 1), ("2026-02-10", 7), ("2026-03-05", -2))

    assert figures(desk.between("2026-03-01", "2026-03-31")) == (7, [(-30, -23), (-2, -25), (100, 75), (1, 76)], 76)
    assert figures(desk.between("2026-02-01", "2026-02-28")) == (0, [(7, 7)], 7)


def test_the_newest_lines_come_in_the_order_of_booking(desk):
    desk.book(("2026-03-20", 100), ("2026-03-05", -30), ("2026-03-20", 1), ("2026-02-10", 7))

    assert figures(desk.last(2)) == (70, [(1, 71), (7, 78)], 78)
    assert figures(desk.last(4)) == figures(desk.last(1000)) == (0, [(100, 100), (-30, 70), (1, 71), (7, 78)], 78)


def test_another_accounts_lines_are_nobody_elses(bank):
    one, other = Desk(bank), Desk(bank)
    one.book(("2026-03-20", 100))
    other.book(("2026-03-20", 5), ("2026-03-21", 5))

    assert figures(one.between(*ALWAYS)) == figures(one.last(10)) == (0, [(100, 100)], 100)


def test_amounts_near_the_end_of_64_bits_add_up(desk):
    desk.book(*[("2026-03-01", 10**15)] * 9, ("2026-03-02", -(10**15)))

    made = desk.between("2026-03-02", "2026-03-02")
    assert figures(made) == (9 * 10**15, [(-(10**15), 8 * 10**15)], 8 * 10**15)


@pytest.mark.parametrize("count", [0, -1, 1001, 10**30])
def test_the_number_of_lines_is_bounded(desk, count):
    with pytest.raises(InvalidPeriod):
        desk.last(count)


def test_a_period_the_wrong_way_round_is_refused(desk):
    with pytest.raises(InvalidPeriod):
        desk.between("2026-03-02", "2026-03-01")


def test_a_period_with_too_many_lines_is_refused_and_never_cut(desk):
    desk.book(*[("2026-03-01", 1)] * 3)

    assert len(desk.between(*ALWAYS, most_lines=3).lines) == 3
    with pytest.raises(PeriodTooLong, match="shorter period"):
        desk.between(*ALWAYS, most_lines=2)


days = st.integers(0, 40).map(lambda number: (date(2026, 2, 20) + timedelta(number)).isoformat())
amounts = st.integers(-(10**12), 10**12).filter(bool)


@given(moves=st.lists(st.tuples(days, amounts), max_size=12), cuts=st.sets(days, max_size=4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_statement_opens_as_the_one_before_it_closed(bank, moves, cuts):
    desk = Desk(bank)
    desk.book(*moves)
    firsts = [ALWAYS[0], *(date.fromisoformat(cut) for cut in sorted(cuts))]
    lasts = [*(first - timedelta(1) for first in firsts[1:]), ALWAYS[1]]
    made = [desk.between(first, last) for first, last in zip(firsts, lasts, strict=True)]

    for one, following in pairwise(made):
        assert one.closing == following.opening
    for one in made:
        assert one.opening.minor_units + sum(line.amount.minor_units for line in one.lines) == one.closing.minor_units
    assert (made[0].opening.minor_units, made[-1].closing) == (0, desk.account().ledger.balance_money)
    assert sum(len(one.lines) for one in made) == len(moves)


def test_a_payment_booked_meanwhile_never_makes_a_statement_not_add_up(bank, database_urls: DatabaseUrls):
    desk = Desk(bank)
    desk.book(("2026-03-01", 1000))

    openings = set()
    with opened(database_urls.app) as meanwhile, ThreadPoolExecutor() as threads:
        payer = copy(desk)
        payer.bank = meanwhile
        paid = threads.submit(lambda: [payer.book(("2026-03-10", number)) for number in range(1, 61)])
        while not openings or not paid.done():
            statement = desk.between("2026-03-10", "2026-03-31")
            count = len(statement.lines)
            openings.add(statement.opening.minor_units)
            assert statement.closing.minor_units == 1000 + count * (count + 1) // 2
            assert desk.last(5).closing.minor_units >= statement.closing.minor_units
        paid.result()

    assert openings == {1000}
    assert len(desk.between("2026-03-10", "2026-03-31").lines) == 60


def test_a_statement_costs_one_query(desk):
    desk.book(("2026-03-10", 5))
    account = desk.account()
    queries: list[str] = []
    sa.event.listen(desk.bank.engine, "before_cursor_execute", lambda *event: queries.append(event[2]))

    with desk.bank.reader() as reader:
        statements.between(reader, account, *ALWAYS, holders=[], bank_name="Harbour Bank", made_at=MADE_AT)
        statements.last(reader, account, 10, holders=[], bank_name="Harbour Bank", made_at=MADE_AT)

    assert len(queries) == 2
