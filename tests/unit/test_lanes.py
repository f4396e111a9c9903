"""A bounded number of places: waited for while they change hands, refused while they do not."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bank.storage.lanes import Lane, QueueFull

PATIENCE = 20


class Blocked:
    """So many threads hold a place each until they are let go."""

    def __init__(self, lane: Lane, pool: ThreadPoolExecutor, count: int) -> None:
        self.go_on = threading.Event()
        inside = threading.Barrier(count + 1, timeout=PATIENCE)

        def hold() -> None:
            with lane.place():
                inside.wait()
                assert self.go_on.wait(PATIENCE)

        self.running = [pool.submit(hold) for _ in range(count)]
        inside.wait()


def test_as_many_as_there_are_places_are_in_it_and_the_next_is_turned_away_before_long():
    lane = Lane(3)
    with ThreadPoolExecutor(3) as pool:
        blocked = Blocked(lane, pool, 3)
        try:
            began = time.monotonic()
            with pytest.raises(QueueFull), lane.place():
                pass
            first = time.monotonic() - began
            began = time.monotonic()
            with pytest.raises(QueueFull), lane.place():
                pass
            second = time.monotonic() - began
        finally:
            blocked.go_on.set()
    assert first < 5
    # Nobody has come on since: nobody waits to find out.
    assert second < 0.2

    with lane.place():
        pass


def test_while_it_moves_everybody_waits_and_has_a_place():
    lane = Lane(2)

    def write() -> int:
        with lane.place():
            time.sleep(0.01)
            return 1

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(lambda _: write(), range(100))) == 100


def test_a_place_is_free_again_whatever_happened_in_it():
    lane = Lane(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), lane.place():
            1 / 0  # noqa: B018
