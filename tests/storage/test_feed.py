"""The feed and the figures: the same on every database, page by page, whatever was booked for which day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from bank.ledger import feed
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store
from bank.ledger.model import JournalEntry, Posting, Side
from bank.money import Money
from bank.payments import payees
from bank.spending import figures, movements, service, store
from bank.spending.movements import Search
from bank.storage.transaction import Bank
from tests.builders import CURRENCY, Branch, a_bank, a_key
from tests.racing import racers

TODAY = date(2026, 3, 5)


@pytest.fixture
def branch(database_urls) -> Iterator[Branch]:
    bank = a_bank(database_urls.app)
    yield Branch.open(bank)
    bank.engine.dispose()


def book(
    branch: Branch, account: str, cents: int, day: date, narrative: str = "Shop", kind: str = "transfer_out"
) -> int:
    """Move money between the account and another bank: out below zero, in above; answers the entry's id."""
    clearing = branch.bank.run(ledger.bank_account, "clearing", CURRENCY, at=branch.bank.clock.now()).id
    mine, amount = branch.accounts[account].id, Money(abs(cents), CURRENCY)
    payer, payee = (clearing, mine) if cents > 0 else (mine, clearing)
    entry = JournalEntry(
        caller="test", idempotency_key=a_key(), kind=kind, narrative=narrative, booking_date=day, value_date=day,
        booked_at=branch.bank.clock.now(), postings=(Posting(payer, Side.DEBIT, amount), Posting(payee, Side.CREDIT, amount)),
    )  # fmt: skip
    return ledger.post(branch.bank, [entry])[0].or_raise()


def pages(bank: Bank, account_id: int, limit: int, **days: date) -> list[list[tuple[date, int]]]:
    """Every page of the feed, as days and sequence numbers."""
    found, before = [], None
    with bank.reader() as reader:
        while rows := ledger_store.posting_rows(reader, feed.by_day(account_id, before=before, limit=limit, **days)):
            found.append([(row.booking_date, row.seq) for row in rows])
            before = found[-1][-1]
    return found


def find(branch: Branch, account: str = "alice_current", *, who: str = "alice", **search: object) -> list[str]:
    """What a search finds on one page, by title."""
    return [each.title for each in found_by(branch, account, who, Search(**search)).movements]


def found_by(branch: Branch, account: str, who: str, search: Search, **how: object) -> movements.Found:
    with branch.bank.reader() as reader:
        return movements.find(
            reader, branch.accounts[account].id, search,
            **{"before": None, "limit": 20, "customer_id": branch.customer(who).id, **how},
        )  # fmt: skip


def test_the_feed_has_every_posting_once_newest_day_first_whatever_was_booked_late(branch):
    account = branch.accounts["alice_current"].id
    days = [TODAY, TODAY, TODAY - timedelta(days=2), TODAY, TODAY - timedelta(days=1), TODAY - timedelta(days=2)]
    for number, day in enumerate(days):
        book(branch, "alice_current", -1 - number, day)

    for limit in (1, 2, 3, 100):
        seen = [place for page in pages(branch.bank, account, limit) for place in page]
        assert seen == sorted(seen, reverse=True)
        assert len(seen) == len(set(seen)) == 7
    two_days = pages(branch.bank, account, 2, first=TODAY - timedelta(days=2), last=TODAY - timedelta(days=1))
    assert [[seq for _, seq in page] for page in two_days] == [[6, 7], [4]]


def test_a_days_total_is_what_all_of_it_did(branch):
    account = branch.accounts["alice_current"].id
    for cents in (-500, 2_000, -30):
        book(branch, "alice_current", cents, TODAY)
    book(branch, "alice_current", -7, TODAY - timedelta(days=1))

    with branch.bank.reader() as reader:
        totals = feed.day_totals(reader, account, TODAY - timedelta(days=1), TODAY)

    assert totals == {TODAY: 1_470, TODAY - timedelta(days=1): -7}


def test_the_latest_of_several_accounts_stand_in_one_row(branch):
    first = branch.transfer("alice_current", "bob_current", 1)
    own = branch.transfer("alice_current", "alice_savings", 2)
    ids = [branch.accounts[name].id for name in ("alice_current", "alice_savings")]

    with branch.bank.reader() as reader:
        latest = feed.latest(reader, ids, limit=3)
        none = feed.latest(reader, [], limit=3)

    assert [(row.account_id, row.entry_id) for row in latest] == [(ids[0], own), (ids[1], own), (ids[0], first)]
    assert none == []


WORDS = {
    "CAFÉ": "Café Colón", "cafe colon": "Café Colón", "COLON café": "Café Colón", "straße": "STRASSE 7", "李": "李小龙 noodles",
    "100%": "100% wool", "_": "under_score", "\\": "back\\slash", "o'brien": "O’Brien’s Pub", "12.34": "Café Colón",
}  # fmt: skip


@pytest.mark.parametrize("typed", WORDS)
def test_words_are_found_without_case_and_accents_alike_on_every_database(branch, typed):
    for narrative in set(WORDS.values()):
        book(branch, "alice_current", -1_234 if narrative == "Café Colón" else -1, TODAY, narrative)

    assert find(branch, text=typed, figure=1_234 if typed == "12.34" else None) == [WORDS[typed]]


def test_a_name_is_found_only_where_the_customer_may_see_it(branch):
    branch.transfer("alice_current", "bob_current", 5_00)

    # Bob is told who paid him; Alice never named whom she paid.
    assert find(branch, "bob_current", who="bob", text="moreau") == ["Alice Moreau"]
    assert find(branch, text="nakamura") == []
    alice, bobs = branch.customer("alice").id, branch.accounts["bob_current"].id
    branch.run(payees.name, alice, bobs, "Bobby", "match")
    assert find(branch, text="bobby lunch") == ["Bobby"]
    assert find(branch, text="moreau") == []


def test_amounts_directions_days_and_categories_narrow_the_search(branch):
    book(branch, "alice_current", -10_00, TODAY, "Harbor Market")
    book(branch, "alice_current", -20_00, TODAY - timedelta(days=1), "Old Port Pizza")
    book(branch, "alice_current", 30_00, TODAY - timedelta(days=2), "Acme salary", "transfer_in")

    days = {"first": TODAY - timedelta(days=9), "last": TODAY}
    assert find(branch, least=20_00, **days) == ["Old Port Pizza", "Acme salary"]
    assert find(branch, least=20_00, most=20_00, **days) == ["Old Port Pizza"]
    assert find(branch, direction="in", **days) == ["Acme salary"]
    assert find(branch, direction="out", most=10_00, **days) == ["Harbor Market"]
    assert find(branch, category="eating_out", **days) == ["Old Port Pizza"]
    assert find(branch, last=TODAY - timedelta(days=2)) == ["Acme salary"]
    assert find(branch, first=TODAY, last=TODAY) == ["Harbor Market"]


def test_a_search_that_looked_far_enough_says_how_far_and_goes_on_from_there(branch):
    for number in range(12):
        book(branch, "alice_current", -1, TODAY - timedelta(days=number), "Needle" if number == 11 else "Hay")
    search = Search(text="needle", last=TODAY)

    first = found_by(branch, "alice_current", "alice", search, most_scanned=8)
    assert (first.movements, first.searched_back_to) == ([], TODAY - timedelta(days=7))
    second = found_by(branch, "alice_current", "alice", search, most_scanned=8, before=first.older)
    assert [each.title for each in second.movements] == ["Needle"]
    assert (second.older, second.searched_back_to) == (None, None)


def test_full_pages_of_what_fits_follow_each_other_without_a_gap(branch):
    for number in range(9):
        book(branch, "alice_current", -1, TODAY, f"Hay {number}" if number % 2 else f"Needle {number}")
    seen, before = [], None
    while True:
        found = found_by(branch, "alice_current", "alice", Search(text="needle"), limit=2, before=before)
        seen.append([each.title for each in found.movements])
        before = found.older
        if before is None:
            break

    assert seen == [["Needle 8", "Needle 6"], ["Needle 4", "Needle 2"], ["Needle 0"]]


def test_months_add_up_to_the_balance_and_own_transfers_stand_apart(branch):
    month = branch.bank.clock.business_date().replace(day=1)
    before = figures.first_months(month, 2)[0]
    book(branch, "alice_current", 500_00, before, "Salary", "transfer_in")
    book(branch, "alice_current", -40_00, before, "Harbor Market")
    book(branch, "alice_current", -60_00, month, "Old Port Pizza")
    branch.transfer("alice_current", "alice_savings", 30_00)
    held = [branch.state("alice_current"), branch.state("alice_savings")]
    mine = [account.id for account in held]
    today = branch.bank.clock.business_date()

    with branch.bank.reader() as reader:
        both = figures.year(reader, held, mine, today)
        one = figures.year(reader, held[:1], mine, today)

    assert [(m.received.minor_units, m.spent.minor_units) for m in both.months[-2:]] == [
        (500_00, 40_00),
        (120_00, 60_00),
    ]
    assert [m.own.minor_units for m in both.months[-2:]] == [0, 0]
    assert [m.own.minor_units for m in one.months[-2:]] == [0, -30_00]
    assert [m.closing.minor_units for m in both.months[-3:]] == [0, 460_00, 520_00]
    assert both.months[-1].closing.minor_units == sum(account.ledger.balance for account in held)
    assert (len(both.months), both.balances[-1][0]) == (12, today)


def test_what_categories_spent_is_what_the_days_say_also_when_there_are_too_many_kinds(branch, monkeypatch):
    for number in range(6):
        book(branch, "alice_current", -(number + 1), TODAY, f"Harbor Market {number}")
    corrected = book(branch, "alice_current", -1_00, TODAY, "Harbor Market 0")
    held = [branch.state("alice_current")]
    alice = branch.customer("alice").id
    with branch.bank.reader() as reader:
        entry = ledger_store.entry(reader, corrected)
    branch.run(service.file_under, entry, [held[0].id], "leisure", all_alike=False, customer_id=alice)

    def spent() -> dict[str, int]:
        with branch.bank.reader() as reader:
            found = figures.shares(reader, held, [held[0].id], TODAY, TODAY, alice)
        return {share.category: share.spent.minor_units for share in found}

    assert spent() == {"leisure": 1_00, "groceries": 21}
    monkeypatch.setattr(figures, "MOST_ALIKE", 3)
    assert spent() == {"leisure": 1_00, "groceries": 11, "other": 10}


def test_two_corrections_at_once_leave_one_of_them_and_one_rule(branch, database_urls):
    entry_id = book(branch, "alice_current", -1_00, TODAY, "Harbor Market")
    account, alice = branch.accounts["alice_current"].id, branch.customer("alice").id
    with branch.bank.reader() as reader:
        entry = ledger_store.entry(reader, entry_id)
    chosen = ["leisure", "health", "bills", "people"]

    def put(category: str) -> Callable[[Bank], None]:
        return lambda bank: bank.run(
            service.file_under, entry, [account], category, all_alike=True, customer_id=alice, by=branch.author()
        )

    with racers(database_urls.app, len(chosen)) as run:
        run.race(*map(put, chosen))

    [category] = branch.rows(sa.select(store.category_corrections.c.category))
    [rule] = branch.rows(sa.select(store.category_rules))
    assert category[0] in chosen
    assert (rule.words, rule.customer_id) == ("harbor market", alice)
