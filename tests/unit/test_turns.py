"""So many at once, and the next one is told to come again."""

from __future__ import annotations

import time

import pytest

from bank.statements.errors import StatementsBusy
from bank.turns import Turns


def test_whoever_gets_no_place_in_time_is_told_to_come_again():
    turns = Turns(2, patience_seconds=0.05, busy=StatementsBusy)

    with turns.taken(), turns.taken():
        began = time.monotonic()
        with pytest.raises(StatementsBusy), turns.taken():
            pytest.fail("a third had a place")
        assert 0.04 < time.monotonic() - began < 5


def test_a_place_is_free_again_when_the_work_fails():
    turns = Turns(1, patience_seconds=0, busy=StatementsBusy)

    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turns.taken():
            raise ZeroDivisionError
