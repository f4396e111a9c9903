"""Group commit: who commits with whom, in which order, and what happens when a batch fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from bank.storage.committer import Committer
from bank.storage.dialects.base import Answer, Message
from bank.storage.errors import DatabaseAway, OutcomeUnknown
from bank.storage.lanes import QueueFull

PATIENCE = 20


class Database:
    """Commits when it is told to; remembers what came together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.may_go = threading.Semaphore(0)
        self.fail: Callable[[list[int]], None] = lambda _: None

    def send(self, batch: list[Message]) -> list[Answer]:
        numbers = [message["number"] for message in batch]
        self.batches.append(numbers)
        self.begun.release()
        assert self.may_go.acquire(timeout=PATIENCE)
        self.fail(numbers)
        return [["posted", number, None, None] for number in numbers]

    def let_go(self, commits: int = 1) -> None:
        for _ in range(commits):
            self.may_go.release()


class Callers:
    """Threads that submit, one after the other, each waiting in the queue before the next one comes."""

    def __init__(self, committer: Committer, pool: ThreadPoolExecutor) -> None:
        self.committer, self.pool = committer, pool

    def submit(self, number: int, *, waiting: int) -> Future[Any]:
        """Let one caller come, and be `waiting` callers in the queue after it."""
        running = self.pool.submit(self.committer.submit, {"number": number})
        came = threading.Event()
        for _ in range(PATIENCE * 1000):
            if len(self.committer._waiting) >= waiting or running.done():
                return running
            came.wait(0.001)
        raise TimeoutError


def callers(database: Database, most: int, pool: ThreadPoolExecutor) -> Callers:
    return Callers(Committer(database.send, most=most), pool)


def test_what_comes_during_a_commit_leaves_together_in_the_next():
    database = Database()
    with ThreadPoolExecutor(8) as pool:
        here = callers(database, 4, pool)
        first = pool.submit(here.committer.submit, {"number": 0})
        assert database.begun.acquire(timeout=PATIENCE)
        others = [here.submit(number, waiting=number) for number in range(1, 7)]
        database.let_go(3)
        answers = [one.result(PATIENCE)[1] for one in (first, *others)]

    assert database.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert answers == [0, 1, 2, 3, 4, 5, 6]


def test_one_broken_message_harms_no_other():
    database = Database()

    def fail(numbers: list[int]) -> None:
        if 2 in numbers:
            raise ValueError("cannot be read")

    database.fail = fail
    with ThreadPoolExecutor(8) as pool:
        here = callers(database, 4, pool)
        first = pool.submit(here.committer.submit, {"number": 0})
        assert database.begun.acquire(timeout=PATIENCE)
        others = [here.submit(number, waiting=number) for number in range(1, 4)]
        database.let_go(5)
        assert [one.result(PATIENCE)[1] for one in (first, others[0], others[2])] == [0, 1, 3]
        with pytest.raises(ValueError, match="cannot be read"):
            others[1].result(PATIENCE)

    assert database.batches == [[0], [1, 2, 3], [1], [2], [3]]


def test_all_of_a_batch_learn_that_the_database_is_away_and_the_next_ones_go_on():
    database = Database()

    def fail(numbers: list[int]) -> None:
        if 1 in numbers:
            raise DatabaseAway

    database.fail = fail
    with ThreadPoolExecutor(8) as pool:
        here = callers(database, 2, pool)
        first = pool.submit(here.committer.submit, {"number": 0})
        assert database.begun.acquire(timeout=PATIENCE)
        others = [here.submit(number, waiting=number) for number in range(1, 4)]
        database.let_go(3)
        assert first.result(PATIENCE)[1] == 0
        for away in others[:2]:
            with pytest.raises(DatabaseAway):
                away.result(PATIENCE)
        assert others[2].result(PATIENCE)[1] == 3

    assert database.batches == [[0], [1, 2], [3]]


def test_a_queue_that_is_full_turns_the_next_one_away():
    database = Database()
    with ThreadPoolExecutor(20) as pool:
        here = callers(database, 1, pool)
        first = pool.submit(here.committer.submit, {"number": 0})
        assert database.begun.acquire(timeout=PATIENCE)
        others = [here.submit(number, waiting=number) for number in range(1, 17)]

        with pytest.raises(QueueFull):
            here.committer.submit({"number": 99})

        database.let_go(17)
        assert [one.result(PATIENCE)[1] for one in (first, *others)] == list(range(17))


def test_after_a_quiet_time_a_caller_commits_by_itself():
    database = Database()
    database.let_go(3)
    committer = Committer(database.send, most=64)

    assert [committer.submit({"number": number})[1] for number in range(3)] == [0, 1, 2]

    assert database.batches == [[0], [1], [2]]


def test_nobody_waits_for_a_process_that_ends():
    database = Database()

    def fail(numbers: list[int]) -> None:
        if len(numbers) > 1:
            raise ValueError("one of them is broken")
        raise SystemExit(1)

    database.fail = fail
    with ThreadPoolExecutor(4) as pool:
        here = callers(database, 4, pool)
        first = pool.submit(here.committer.submit, {"number": 0})
        assert database.begun.acquire(timeout=PATIENCE)
        others = [here.submit(number, waiting=number) for number in range(1, 3)]
        database.let_go(3)
        ends = [type(one.exception(PATIENCE)) for one in (first, *others)]

    # In the second batch the first one's own turn ends the process, before the other's has come.
    assert ends == [SystemExit, SystemExit, OutcomeUnknown]
