"""No call waits long for a database that does not answer, and while one is away nobody waits for it at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from bank.ledger import service
from bank.storage.errors import DatabaseAway, OutcomeUnknown
from bank.storage.lanes import QueueFull
from bank.storage.transaction import Bank
from tests.builders import settings_for
from tests.conftest import MakeDatabase
from tests.ledger import a_till, an_account, balance, move, opened
from tests.replicas import frozen
from tests.servers import MariaDBServer, PostgresServer, wait_for

pytestmark = pytest.mark.dialects("postgresql", "mysql")

#: What a call may take with STATEMENT_SECONDS=2, and what the thread is late on a busy machine.
BOUND_SECONDS = 3.5
SLEEP = {"postgresql": "SELECT pg_sleep({})", "mysql": "SELECT SLEEP({})"}


@pytest.fixture
def bank(dialect: str, make_database: MakeDatabase) -> Iterator[Bank]:
    """As a server has it."""
    opened_bank = Bank.open(settings_for(make_database(dialect).app, pool_size=3), statement_seconds=2)
    yield opened_bank
    opened_bank.engine.dispose()


@pytest.fixture
def server(dialect: str, request: pytest.FixtureRequest) -> PostgresServer | MariaDBServer:
    found: PostgresServer | MariaDBServer = request.getfixturevalue(
        {"postgresql": "postgres_server", "mysql": "mariadb_server"}[dialect]
    )
    return found


def ask(bank: Bank, query: str = "SELECT 1") -> object:
    with bank.reader() as reader:
        return reader.exec_driver_sql(query).scalar_one()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_a_server_that_stands_still_is_waited_for_once_and_used_again_when_it_goes_on(
    bank: Bank, server: PostgresServer | MariaDBServer
):
    ask(bank)
    with frozen(server):
        with within(BOUND_SECONDS), pytest.raises(DatabaseAway):
            ask(bank)
        for _ in range(20):
            with within(0.2), pytest.raises(DatabaseAway):
                ask(bank)
        with within(0.2), pytest.raises(DatabaseAway):
            bank.run(lambda tx: tx.exec_driver_sql("SELECT 1"))

    wait_for(lambda: not bank.primary.away, "the server to be used again")
    assert ask(bank) == 1


def test_a_payment_that_gets_no_answer_says_that_its_outcome_is_not_known(
    bank: Bank, server: PostgresServer | MariaDBServer
):
    account, till = an_account(bank), a_till(bank)
    with frozen(server), within(BOUND_SECONDS), pytest.raises(OutcomeUnknown):
        service.post(bank, [move(till, account, 5)])

    # What was on its way may still be booked when the server goes on: once.
    wait_for(lambda: not bank.primary.away, "the server to be used again")
    assert balance(bank, account) in (0, 5)


def test_one_slow_call_among_others_that_are_answered_is_ended_and_stops_nobody(bank: Bank, dialect: str):
    ask(bank)
    over = threading.Event()

    def go_on_asking() -> int:
        answered = 0
        while not over.is_set():
            answered += bool(ask(bank) == 1)
            time.sleep(0.02)
        return answered

    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(go_on_asking)
        with within(BOUND_SECONDS), pytest.raises(DatabaseAway):
            ask(bank, SLEEP[dialect].format(30))
        time.sleep(0.5)
        over.set()
        assert others.result(20) > 10


def test_a_report_may_take_longer(bank: Bank, dialect: str):
    with bank.reader(patiently=True) as reader:
        reader.exec_driver_sql(SLEEP[dialect].format(2.5))
    with pytest.raises(DatabaseAway):
        ask(bank, SLEEP[dialect].format(2.5))


def test_writes_that_wait_for_a_lock_leave_pages_their_connections(
    dialect: str, make_database: MakeDatabase, hold: Callable[[str, int], None]
):
    urls = make_database(dialect)
    bank = Bank.open(settings_for(urls.app, pool_size=6), statement_seconds=15)
    account, till = an_account(bank), a_till(bank)
    hold(urls.migrator, account)
    with ThreadPoolExecutor(12) as pool:
        writes = [pool.submit(service.post, bank, [move(till, account, 1)]) for _ in range(12)]
        wait_for(lambda: sum(one.done() for one in writes) >= 8, "those for whom there is no place to be turned away")
        for _ in range(20):
            with within(1):
                assert ask(bank) == 1
        turned_away = [one.exception(20) for one in writes if one.done()]
        waiting = [one for one in writes if not one.done()]

    assert {type(error) for error in turned_away} == {QueueFull}
    assert len(waiting) == 4
    bank.engine.dispose()


@pytest.fixture
def hold() -> Iterator[Callable[[str, int], None]]:
    """Hold an account's row, as a long transaction of somebody else's would, for eight seconds or until the test ends."""
    ends: list[threading.Event] = []
    threads: list[threading.Thread] = []

    def make(url: str, account_id: int) -> None:
        held, end = threading.Event(), threading.Event()
        ends.append(end)

        def run() -> None:
            with opened(url) as other, other.engine.connect() as connection:
                connection.exec_driver_sql("START TRANSACTION")
                connection.execute(
                    sa.text("SELECT id FROM ledger_accounts WHERE id = :id FOR UPDATE"), {"id": account_id}
                )
                held.set()
                end.wait(8)
                connection.exec_driver_sql("ROLLBACK")

        thread = threading.Thread(target=run)
        threads.append(thread)
        thread.start()
        assert held.wait(20)

    yield make
    for end in ends:
        end.set()
    for thread in threads:
        thread.join(20)
