"""Several processes write one SQLite file: each has its turn, and whoever knows of no turns still waits as before."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bank.ledger import service
from bank.storage.dialects.sqlite_turn import Turn
from bank.storage.engine import make_engine
from bank.storage.errors import DatabaseAway
from bank.storage.transaction import Bank
from tests.conftest import MakeDatabase
from tests.ledger import a_till, an_account, assert_books_balance, balance, move, named, opened
from tests.racing import race_processes
from tests.servers import DatabaseUrls, wait_for

LONG_SECONDS = 30


@pytest.fixture
def urls(make_database: MakeDatabase) -> DatabaseUrls:
    return make_database("sqlite")


@pytest.fixture
def bank(urls: DatabaseUrls) -> Iterator[Bank]:
    with opened(urls.app) as opened_bank:
        yield opened_bank


@pytest.fixture
def path(urls: DatabaseUrls) -> str:
    return urls.app.removeprefix("sqlite:///")


@pytest.fixture
def impatient(urls: DatabaseUrls) -> Iterator[Bank]:
    """A bank that waits a second for a lock, and tries no second time."""
    with opened(urls.app) as patient:
        engine = make_engine(urls.app, statement_seconds=3)
        yield Bank(patient.settings, patient.clock, engine, patience_seconds=0)
        engine.dispose()


def waiters(path: str) -> int:
    """How many wait for the turn, as the system lists them."""
    inode = f":{Path(f'{path}-turn').stat().st_ino} "
    return sum("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_writers_have_their_turns_in_the_order_in_which_they_came(path: str):
    came: list[int] = []
    first, *others = [Turn(path, LONG_SECONDS) for _ in range(5)]

    def write(number: int, turn: Turn) -> None:
        turn.take()
        came.append(number)
        turn.give()

    first.take()
    threads = [threading.Thread(target=write, args=each) for each in enumerate(others)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        wait_for(lambda number=number: waiters(path) == number, "the next one to wait")
    first.give()
    for thread in threads:
        thread.join(LONG_SECONDS)

    assert came == [0, 1, 2, 3]


def test_a_writer_takes_its_turn_for_as_long_as_its_transaction_lasts(bank: Bank, path: str):
    account, till = an_account(bank), a_till(bank)
    other = Turn(path, LONG_SECONDS)
    waiter = threading.Thread(target=other.take)

    def use_case(tx: sa.Connection) -> bool:
        waiter.start()
        wait_for(lambda: waiters(path) == 1, "the other one to wait")
        service.post_in(tx, [move(till, account, 1)])
        return waiter.is_alive()

    assert bank.run(use_case)

    waiter.join(LONG_SECONDS)
    other.give()
    assert balance(bank, account) == 1


@pytest.mark.parametrize("how", ["posted", "broken", "refused"])
def test_whatever_becomes_of_a_transaction_the_turn_is_given_on(bank: Bank, path: str, how: str):
    account, till = an_account(bank), a_till(bank)

    def broken(_: sa.Connection) -> None:
        raise KeyError(how)

    match how:
        case "posted":
            service.post(bank, [move(till, account, 1)])
        case "broken":
            with pytest.raises(KeyError):
                bank.run(broken)
        case "refused":
            with pytest.raises(sa.exc.DBAPIError):
                bank.run(lambda tx: tx.exec_driver_sql("INSERT INTO nowhere VALUES (1)"))

    turn = Turn(path, 0.01)
    turn.take()
    turn.give()


def test_a_killed_writer_gives_its_turn_on(bank: Bank, urls: DatabaseUrls, path: str):
    account, till = an_account(bank), a_till(bank)
    script = (
        "import sys\n"
        "from bank.storage.engine import make_engine\n"
        "tx = make_engine(sys.argv[1]).connect()\n"
        "tx.exec_driver_sql('BEGIN IMMEDIATE')\n"
        "print('writing', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, urls.app], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "writing\n"
    outcomes: list[str] = []
    poster = threading.Thread(target=lambda: outcomes.extend(map(named, service.post(bank, [move(till, account, 1)]))))

    poster.start()
    wait_for(lambda: waiters(path) == 1, "the payment to wait")
    holder.kill()
    holder.communicate()
    poster.join(LONG_SECONDS)

    assert outcomes == ["Posted"]


def test_a_writer_waits_no_longer_than_its_patience_and_leaves_no_one_behind_it_waiting(
    bank: Bank, impatient: Bank, path: str
):
    account, till = an_account(bank), a_till(bank)
    hanging = Turn(path, LONG_SECONDS)
    hanging.take()
    began = time.monotonic()

    with pytest.raises(DatabaseAway):
        service.post(impatient, [move(till, account, 1)])

    assert 1 <= time.monotonic() - began < 5
    hanging.give()
    # Whoever gave up had been waiting first: it must let go of what it no longer wants.
    assert [named(outcome) for outcome in service.post(bank, [move(till, account, 1)])] == ["Posted"]
    assert [named(outcome) for outcome in service.post(impatient, [move(till, account, 1)])] == ["Posted"]


def test_readers_wait_for_nobody(bank: Bank, impatient: Bank, path: str):
    account = an_account(bank, balance=7)
    turn = Turn(path, LONG_SECONDS)
    turn.take()

    assert balance(impatient, account) == 7
    with impatient.snapshot() as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM postings").scalar() == 2
    turn.give()


def test_a_foreign_writer_is_waited_for_as_before(bank: Bank, impatient: Bank, path: str):
    account, till = an_account(bank), a_till(bank)
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseAway):
        service.post(impatient, [move(till, account, 1)])
    foreign.execute("COMMIT")
    foreign.close()

    assert [named(outcome) for outcome in service.post(bank, [move(till, account, 1)])] == ["Posted"]


def test_of_four_busy_processes_none_waits_for_long(bank: Bank, urls: DatabaseUrls):
    till, account = a_till(bank), an_account(bank)

    took = race_processes(urls.app, [(slowest_of, (number, till, account)) for number in range(4)])

    # Unfair, it is seconds; the file's own waiting alone would sleep for a tenth of one at a time.
    assert all(isinstance(seconds, float) for seconds in took), took
    assert max(took) < 1
    assert balance(bank, account) == 4 * 150
    assert_books_balance(bank)


def slowest_of(bank: Bank, number: int, till: int, account: int) -> float:
    """Post payment after payment; how long the slowest took, in seconds."""
    slowest = 0.0
    for _ in range(150):
        began = time.monotonic()
        [outcome] = service.post(bank, [move(till, account, 1, caller=f"process-{number}")])
        slowest = max(slowest, time.monotonic() - began)
        assert named(outcome) == "Posted"
    return slowest
