"""Real connections at the same instant: exactly one wins, no deadlock escapes, nothing is lost."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from bank.errors import BankError
from bank.ledger import service, store
from bank.ledger.model import Capture, Declined, JournalEntry, Limits, Outcome, Posted, Release, Replayed, Reserve, Side
from bank.money import Money
from bank.storage.transaction import Bank
from tests.ledger import (
    NOON,
    OWNER,
    a_till,
    an_account,
    assert_books_balance,
    balance,
    entry,
    move,
    named,
    the_account,
)
from tests.racing import Racers, race_processes, racers
from tests.servers import DatabaseUrls

ROUNDS = 15
RACERS = 8


@pytest.fixture
def eight(bank: Bank, database_urls: DatabaseUrls) -> Iterator[Racers]:
    """Eight racers; when they are done, the books balance."""
    with racers(database_urls.app, RACERS) as ready:
        yield ready
    assert_books_balance(bank)


def post_one(asked: JournalEntry, bank: Bank) -> Outcome:
    [outcome] = service.post(bank, [asked])
    return outcome


def posting(asked: JournalEntry) -> partial[Outcome]:
    """An act for a racer."""
    return partial(post_one, asked)


def tally(answers: list[Outcome | BankError]) -> Counter[str]:
    return Counter(named(answer) for answer in answers)


def test_the_last_coin_is_spent_once(bank: Bank, eight: Racers):
    till = a_till(bank)
    for _ in range(ROUNDS):
        account = an_account(bank, balance=100)

        answers = eight.race(*(posting(move(account, till, 100)) for _ in range(RACERS)))

        assert tally(answers) == {"Posted": 1, "insufficient_funds": RACERS - 1}
        assert balance(bank, account) == 0


def test_the_last_of_the_days_limit_is_used_once(bank: Bank, eight: Racers):
    till = a_till(bank)
    limits = Limits(per_payment=100, per_day=150)
    for _ in range(ROUNDS):
        account = an_account(bank, balance=10_000)

        answers = eight.race(*(posting(move(account, till, 100, limits=limits)) for _ in range(RACERS)))

        assert tally(answers) == {"Posted": 1, "over_daily_limit": RACERS - 1}


def test_opposite_transfers_all_arrive(bank: Bank, eight: Racers):
    accounts = [an_account(bank, balance=10_000) for _ in range(3)]

    def transfers(payer: int, payee: int, bank: Bank) -> list[Outcome]:
        return [post_one(move(payer, payee, amount), bank) for amount in range(1, 21)]

    pairs = itertools.islice(itertools.cycle(itertools.permutations(accounts, 2)), RACERS)
    answers = eight.race(*(partial(transfers, *pair) for pair in pairs))

    assert all(isinstance(outcome, Posted) for outcomes in answers for outcome in outcomes)
    # The first two pairs run twice, so their accounts end where their net says; together nothing changed.
    assert sum(balance(bank, account) for account in accounts) == 30_000


def test_opposite_batches_of_transfers_all_arrive(bank: Bank, eight: Racers):
    accounts = [an_account(bank, balance=100_000) for _ in range(6)]
    for _ in range(ROUNDS):
        orders = [accounts, accounts[::-1]] * (RACERS // 2)
        batches = [[move(payer, payee, 1) for payer, payee in itertools.pairwise(order)] for order in orders]

        answers = eight.race(*(partial(lambda batch, bank: service.post(bank, batch), batch) for batch in batches))

        assert all(isinstance(outcome, Posted) for outcomes in answers for outcome in outcomes)
    assert [balance(bank, account) for account in accounts] == [100_000] * 6


def test_the_same_key_at_once_posts_once(bank: Bank, eight: Racers):
    till, account = a_till(bank), an_account(bank)
    for _ in range(ROUNDS):
        asked = move(till, account, 1)

        answers = eight.race(*(posting(asked) for _ in range(RACERS)))

        assert tally(answers) == {"Posted": 1, "Replayed": RACERS - 1}
        assert len({entry_id(answer) for answer in answers}) == 1
    assert balance(bank, account) == ROUNDS


def test_the_same_refused_key_at_once_is_refused_once(bank: Bank, eight: Racers):
    till, account = a_till(bank), an_account(bank)
    for _ in range(ROUNDS):
        asked = move(account, till, 1)

        answers = eight.race(*(posting(asked) for _ in range(RACERS)))

        assert tally(answers) == {"insufficient_funds": 1, "Replayed": RACERS - 1}
        assert len({entry_id(answer) for answer in answers}) == 1


def test_the_same_key_for_different_accounts_at_once_posts_one(bank: Bank, eight: Racers):
    # No account is common to them: only the key itself can make them wait for each other.
    pairs = [(a_till(bank), an_account(bank)) for _ in range(RACERS)]
    for number in range(ROUNDS):
        asked = [move(till, account, 1, idempotency_key=f"common-{number}") for till, account in pairs]

        answers = eight.race(*map(posting, asked))

        assert tally(answers) == {"Posted": 1, "key_reused": RACERS - 1}
    assert sum(balance(bank, account) for _, account in pairs) == ROUNDS


def test_batches_with_their_keys_in_opposite_order_post_each_once(bank: Bank, eight: Racers):
    pairs = [(a_till(bank), an_account(bank)) for _ in range(2)]
    for number in range(2):
        keys = [f"crossed-{number}-{key}" for key in range(6)]
        orders = [keys, keys[::-1]]
        batches = [
            [move(till, account, 1, idempotency_key=key) for key in order]
            for (till, account), order in zip(pairs, orders, strict=True)
        ]

        answers = eight.race(*(partial(lambda batch, bank: service.post(bank, batch), batch) for batch in batches))

        outcomes = tally([outcome for outcomes in answers for outcome in outcomes])
        assert outcomes == {"Posted": len(keys), "key_reused": len(keys)}
    assert sum(balance(bank, account) for _, account in pairs) == 2 * 6


def test_a_freeze_stops_every_payment_after_it(bank: Bank, eight: Racers):
    till = a_till(bank)
    for _ in range(ROUNDS):
        account = an_account(bank, balance=1_000)

        def freeze(bank: Bank, account: int = account) -> int:
            bank.run(service.set_status, account, "frozen", by=OWNER, reason="race")
            return the_account(bank, account).version

        def pay(bank: Bank, account: int = account) -> list[Outcome]:
            return [post_one(move(account, till, 1), bank) for _ in range(5)]

        version, *paid = eight.race(freeze, *[pay] * (RACERS - 1))

        assert the_account(bank, account).version == version
        words = [[named(outcome) for outcome in outcomes] for outcomes in paid]
        assert {word for each in words for word in each} <= {"Posted", "account_frozen"}
        assert all(each == sorted(each, key=["Posted", "account_frozen"].index) for each in words)


def test_an_account_is_never_closed_with_money_on_it(bank: Bank, eight: Racers):
    till = a_till(bank)
    seen: Counter[str] = Counter()
    for _ in range(ROUNDS):
        account = an_account(bank)
        closing = partial(close, account)
        paying = posting(move(till, account, 1))

        closed, *paid = eight.race(closing, paying, *[posting(move(till, account, 1)) for _ in range(3)])

        seen[str(closed)] += 1
        if closed == "closed":
            # Whoever came before it would have kept it open.
            assert tally(paid) == {"account_closed": 4}
        else:
            assert closed == "account_not_empty"
            assert tally(paid) == {"Posted": 4}


def close(account: int, bank: Bank) -> str:
    try:
        bank.run(service.set_status, account, "closed", by=OWNER, reason="race")
    except service.NotEmpty as error:
        return error.code
    return "closed"


def test_a_floor_is_never_set_above_what_payments_leave(bank: Bank, eight: Racers):
    till = a_till(bank)
    for _ in range(ROUNDS):
        account = an_account(bank, balance=100)

        def raise_floor(bank: Bank, account: int = account) -> None:
            bank.run(service.set_floor, account, 60, by=OWNER, reason="race")

        raised, *paid = eight.race(raise_floor, *(posting(move(account, till, 25)) for _ in range(RACERS - 1)))

        assert tally(paid)["Posted"] == (1 if raised is None else 4)


def test_an_entry_is_reversed_once(bank: Bank, eight: Racers):
    till = a_till(bank)
    for _ in range(ROUNDS):
        account = an_account(bank)
        paid = post_one(move(till, account, 100), bank).or_raise()
        post_one(move(till, account, 900), bank)
        undo = [entry((till, Side.CREDIT, 100), (account, Side.DEBIT, 100), reverses=paid) for _ in range(RACERS)]

        answers = eight.race(*map(posting, undo))

        assert tally(answers) == {"Posted": 1, "already_reversed": RACERS - 1}
        assert balance(bank, account) == 900


def test_a_hold_is_captured_once(bank: Bank, eight: Racers):
    till = a_till(bank)
    for _ in range(ROUNDS):
        account = an_account(bank, balance=100)
        hold = post_one(entry(hold=Reserve(account, usd(100))), bank).or_raise()
        whole = [move(account, till, 100, hold=Capture(hold, account, usd(100))) for _ in range(RACERS)]

        answers = eight.race(*map(posting, whole))

        assert tally(answers) == {"Posted": 1, "hold_ended": RACERS - 1}
        assert balance(bank, account) == 0


def test_parts_of_a_hold_never_take_more_than_it_reserved(bank: Bank, eight: Racers):
    till = a_till(bank)
    for _ in range(ROUNDS):
        account = an_account(bank, balance=1_000)
        hold = post_one(entry(hold=Reserve(account, usd(100))), bank).or_raise()
        parts = [move(account, till, 30, hold=Capture(hold, account, usd(30))) for _ in range(RACERS - 1)]

        answers = eight.race(posting(entry(hold=Release(hold, account))), *map(posting, parts))

        assert isinstance(answers[0], Posted)
        taken = tally(answers[1:])["Posted"]
        assert 0 <= taken <= 3
        assert tally(answers[1:])["hold_ended"] + tally(answers[1:])["hold_too_small"] == RACERS - 1 - taken
        stands = the_account(bank, account)
        assert (stands.balance, stands.held) == (1_000 - 30 * taken, 0)


def test_two_holds_cannot_both_have_the_last_coin(bank: Bank, eight: Racers):
    for _ in range(ROUNDS):
        account = an_account(bank, balance=100)

        answers = eight.race(*(posting(entry(hold=Reserve(account, usd(100)))) for _ in range(RACERS)))

        assert tally(answers) == {"Posted": 1, "insufficient_funds": RACERS - 1}
        assert the_account(bank, account).held == 100


def test_a_hold_and_a_payment_cannot_both_have_the_last_coin(bank: Bank, eight: Racers):
    till = a_till(bank)
    for _ in range(ROUNDS):
        account = an_account(bank, balance=100)

        answers = eight.race(posting(entry(hold=Reserve(account, usd(100)))), posting(move(account, till, 100)))

        assert tally(answers) == {"Posted": 1, "insufficient_funds": 1}


def test_expiry_swept_from_several_places_gives_each_hold_back_once(bank: Bank, eight: Racers):
    account = an_account(bank, balance=1_000)
    due = NOON + timedelta(hours=1)
    service.post(bank, [entry(hold=Reserve(account, usd(10), due)) for _ in range(40)])
    assert the_account(bank, account).held == 400

    def sweep(number: int, bank: Bank) -> int:
        # Two sweeps under one name, two under others; small batches, so that they overlap.
        return service.expire_holds(bank, at=due, who=f"endofday-{max(number, 1)}", batch_size=7)

    swept = eight.race(*(partial(sweep, number) for number in range(4)))

    assert sum(swept) == 40
    assert the_account(bank, account).held == 0
    with bank.reader() as reader:
        assert store.expired_holds(reader, due, limit=1) == []


def test_160_deposits_of_1_leave_160(bank: Bank, eight: Racers):
    till, account = a_till(bank), an_account(bank)

    def deposits(bank: Bank) -> list[Outcome]:
        return [post_one(move(till, account, 1), bank) for _ in range(20)]

    answers = eight.race(*[deposits] * 8)

    assert all(isinstance(outcome, Posted) for outcomes in answers for outcome in outcomes)
    assert (balance(bank, account), balance(bank, till)) == (160, 160)
    assert the_account(bank, account).version == 160


def test_use_cases_that_lock_in_opposite_order_both_come_through(bank: Bank, eight: Racers):
    first, second = (an_account(bank, balance=1_000) for _ in range(2))

    def pay_both_ways(locked: int, paid: int, bank: Bank) -> Outcome:
        asked = [move(locked, paid, 1), move(paid, locked, 1)]

        def use_case(tx: sa.Connection) -> Outcome:
            # Locks its own account first: with the door's order that makes a deadlock, which the database ends.
            store.lock(tx, locked)
            return service.post_in(tx, asked)[0]

        return bank.run(use_case)

    for _ in range(2):
        answers = eight.race(partial(pay_both_ways, first, second), partial(pay_both_ways, second, first))
        assert tally(answers) == {"Posted": 2}
    assert (balance(bank, first), balance(bank, second)) == (1_000, 1_000)


def test_processes_spend_the_last_coin_once_and_lose_no_deposit(bank: Bank, database_urls: DatabaseUrls):
    till, account, rich = a_till(bank), an_account(bank), an_account(bank, balance=100)

    answers = race_processes(
        database_urls.app, [(spend_and_deposit, (number, till, account, rich)) for number in range(4)]
    )

    assert Counter(spent for spent, _ in answers) == {"Posted": 1, "insufficient_funds": 3}
    assert [deposited for _, deposited in answers] == [["Posted"] * 40] * 4
    assert (balance(bank, account), balance(bank, rich)) == (160, 0)
    assert_books_balance(bank)


def spend_and_deposit(bank: Bank, number: int, till: int, account: int, rich: int) -> tuple[str, list[str]]:
    """What each of the processes does; their keys must differ."""
    spent = post_one(move(rich, till, 100, caller=f"process-{number}"), bank)
    deposits = [move(till, account, 1, caller=f"process-{number}") for _ in range(40)]
    return named(spent), [named(post_one(deposit, bank)) for deposit in deposits]


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def entry_id(answer: Outcome | BankError) -> int | None:
    first = answer.first if isinstance(answer, Replayed) else answer
    assert isinstance(first, Posted | Declined)
    return first.entry_id
