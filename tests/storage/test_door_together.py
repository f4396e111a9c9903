"""MySQL's door: what nothing stands against goes through together, and nobody waits in a circle for it."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from bank.ledger import service, store
from bank.ledger.model import Limits, Outcome
from bank.storage.dialects import dialect_of
from bank.storage.engine import make_engine
from bank.storage.transaction import Bank
from tests.ledger import a_till, an_account, assert_books_balance, balance, move, named, opened
from tests.racing import racers
from tests.servers import DatabaseUrls, MariaDBServer

pytestmark = pytest.mark.dialects("mysql")

LIMITS = Limits(per_payment=50, per_day=100)


@pytest.fixture
def owner(database_urls: DatabaseUrls) -> Iterator[sa.Connection]:
    """The migrator, whom the procedures belong to."""
    engine = make_engine(database_urls.migrator)
    with engine.connect() as connection:
        yield connection.execution_options(no_parameters=True)
    engine.dispose()


@pytest.fixture
def together_only(owner: sa.Connection) -> None:
    """Nothing can go through by itself any more."""
    owner.exec_driver_sql("DROP PROCEDURE ledger_post_each")


@pytest.mark.usefixtures("together_only")
@pytest.mark.parametrize("limits", [None, LIMITS])
def test_plain_entries_go_through_together(bank: Bank, limits: Limits | None):
    till = a_till(bank)
    first, second = an_account(bank), an_account(bank)
    # None of it could be paid out before it came in, and the last takes all.
    pairs = [(till, first, 40), (first, second, 40), (till, first, 7), (second, first, 40), (first, till, 47)]
    batch = [move(payer, payee, minor, limits=limits) for payer, payee, minor in pairs]

    assert [named(outcome) for outcome in service.post(bank, batch)] == ["Posted"] * 5
    assert [balance(bank, account) for account in (till, first, second)] == [0, 0, 0]
    assert_books_balance(bank)


@pytest.mark.usefixtures("together_only")
@pytest.mark.parametrize("why", ["funds", "payment", "day", "unknown", "key", "mixed limits"])
def test_what_something_stands_against_does_not(bank: Bank, why: str):
    till, account, other = a_till(bank), an_account(bank), an_account(bank)
    service.post(bank, [move(till, account, 300, idempotency_key="known")])
    good = move(account, other, 50, limits=LIMITS)
    bad = {
        "funds": [move(other, till, 51)],
        "payment": [good, move(account, other, 51, limits=LIMITS)],
        "day": [good, move(account, other, 50, limits=LIMITS), move(account, other, 1, limits=LIMITS)],
        "unknown": [good, move(account, 999_999, 1, limits=LIMITS)],
        "key": [good, move(till, account, 300, idempotency_key="known", limits=LIMITS)],
        "mixed limits": [good, move(till, account, 1)],
    }[why]

    # By itself, which is gone.
    with pytest.raises(sa.exc.OperationalError, match="ledger_post_each"):
        dialect_of(bank.engine).post(bank.engine.connect(), [asked.as_message() for asked in bad])

    assert balance(bank, account) == 300
    assert_books_balance(bank)


def test_one_that_is_refused_spoils_no_other(bank: Bank):
    till, account, other = a_till(bank), an_account(bank), an_account(bank)
    batch = [
        move(till, account, 100, limits=LIMITS),
        move(account, other, 50, limits=LIMITS),
        move(other, till, 51, limits=LIMITS),
        move(account, other, 50, limits=LIMITS),
        move(account, other, 1, limits=LIMITS),
    ]

    expected = ["Posted", "Posted", "over_payment_limit", "Posted", "over_daily_limit"]
    assert [named(outcome) for outcome in service.post(bank, batch)] == expected
    assert {named(outcome) for outcome in service.post(bank, batch)} == {"Replayed"}
    assert_books_balance(bank)


def test_each_entry_of_a_batch_is_told_its_own_id(bank: Bank):
    till, account = a_till(bank), an_account(bank)
    batch = [move(till, account, minor) for minor in range(1, 301)]

    ids = [outcome.or_raise() for outcome in service.post(bank, batch)]

    with bank.reader() as reader:
        found = reader.exec_driver_sql("SELECT entry_id, minor_units FROM postings WHERE side = 'credit'").all()
    assert {entry_id: minor for entry_id, minor in found} == dict(zip(ids, range(1, 301), strict=True))


def test_a_damaged_account_ends_the_whole_batch_and_leaves_no_key_behind(bank: Bank, database_urls: DatabaseUrls):
    till, account = a_till(bank), an_account(bank, balance=5)
    batch = [move(till, account, 1), move(till, account, 2)]
    engine = make_engine(database_urls.admin)
    with engine.connect() as admin:
        # Its next posting is there already.
        admin.exec_driver_sql(
            "INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date)"
            f" SELECT account_id, 2, entry_id, side, 1, 6, booking_date FROM postings WHERE account_id = {account}"
        )
    engine.dispose()

    for _ in range(2):
        with pytest.raises(sa.exc.IntegrityError):
            service.post(bank, batch)

    assert (balance(bank, till), balance(bank, account)) == (0, 5)


@pytest.mark.parametrize("limits", [[None], [None, LIMITS]], ids=["together", "one by one"])
def test_a_payment_waits_for_no_account_but_its_own(
    bank: Bank, database_urls: DatabaseUrls, limits: list[Limits | None]
):
    busy, till, account = an_account(bank), a_till(bank), an_account(bank)
    impatient = make_engine(database_urls.app, statement_seconds=3)
    batch = [move(till, account, 1, limits=each) for each in limits]

    def use_case(tx: sa.Connection) -> None:
        store.lock(tx, busy)
        # It would wait for a second, and be told that it did.
        with impatient.connect() as connection:
            dialect_of(impatient).post(connection, [asked.as_message() for asked in batch])

    bank.run(use_case)

    impatient.dispose()
    assert balance(bank, account) == len(batch)


def test_a_call_that_is_cut_off_in_the_middle_leaves_its_answer_to_nobody(database_urls: DatabaseUrls):
    with opened(database_urls.app, pool_size=1) as bank, opened(database_urls.app) as other:
        till, account, others_till, free = a_till(bank), an_account(bank), a_till(bank), an_account(bank)
        with other.connect() as holder:
            holder.exec_driver_sql("START TRANSACTION")
            holder.exec_driver_sql(f"SELECT id FROM ledger_accounts WHERE id = {account} FOR UPDATE")
            with pytest.raises(KeyboardInterrupt), interrupted_after(0.3):
                service.post(bank, [move(till, account, 1)])
            [outcome] = service.post(bank, [move(others_till, free, 1)])
            holder.exec_driver_sql("ROLLBACK")

        assert named(outcome) == "Posted"
        assert balance(other, free) == 1


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise KeyboardInterrupt in the body, as Ctrl-C would."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_batches_that_touch_the_same_accounts_never_wait_for_each_other_in_a_circle(
    bank: Bank, database_urls: DatabaseUrls, mariadb_server: MariaDBServer
):
    accounts = [an_account(bank, balance=1_000) for _ in range(30)]
    orders = [accounts, accounts[::-1]] * 2
    before = deadlocks(mariadb_server)

    def post(order: list[int], bank: Bank) -> list[Outcome]:
        pairs = list(itertools.pairwise(order))
        return [done for _ in range(20) for done in service.post(bank, [move(*pair, 1) for pair in pairs])]

    with racers(database_urls.app, len(orders)) as several:
        answers: list[Any] = several.race(*(partial(post, order) for order in orders))

    assert {named(outcome) for outcomes in answers for outcome in outcomes} == {"Posted"}
    assert deadlocks(mariadb_server) == before
    assert_books_balance(bank)


def deadlocks(server: MariaDBServer) -> int:
    with server.admin() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
        return int(cursor.fetchone()[1])


def test_a_procedure_that_is_being_replaced_is_asked_again(
    bank: Bank, owner: sa.Connection, database_urls: DatabaseUrls
):
    till, account = a_till(bank), an_account(bank)
    drop, create = dialect_of(owner).statements(owner, "0003_door")[-2:]
    assert drop == "DROP PROCEDURE ledger_post_inner"

    def replace(_: Bank) -> list[Outcome]:
        for _ in range(100):
            owner.exec_driver_sql(drop)
            owner.exec_driver_sql(create)
        return []

    def post(bank: Bank) -> list[Outcome]:
        return [done for _ in range(50) for done in service.post(bank, [move(till, account, 1)])]

    with racers(database_urls.app, 3) as several:
        answers: list[Any] = several.race(replace, post, post)

    assert [named(outcome) for outcomes in answers for outcome in outcomes] == ["Posted"] * 100
    assert balance(bank, account) == 100


def test_an_entry_with_an_account_twice_is_refused_as_unbalanced(bank: Bank):
    till, account = a_till(bank), an_account(bank)
    message = move(till, account, 1).as_message()
    message["postings"] = message["postings"] * 2

    with pytest.raises(sa.exc.OperationalError, match="an entry is not balanced"), bank.connect() as connection:
        dialect_of(bank.engine).post(connection, [entry_of(till, account), message])

    assert balance(bank, account) == 0


def entry_of(till: int, account: int) -> dict[str, Any]:
    return move(till, account, 1).as_message()
