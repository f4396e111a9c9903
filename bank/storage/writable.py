"""Whether the primary takes writes, found out at most about once a second, however many ask."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Final

import sqlalchemy as sa

from bank.storage.facts import bank_facts
from bank.storage.transaction import Bank

_FRESH_SECONDS: Final = 1.0
#: Who comes while somebody finds out is told what was so before, unless that is longer ago than this.
_OLD_SECONDS: Final = 4.0
#: Room on its disk costs the server more than a row: while the answer is yes, it is asked for that so often.
_ROOM_SECONDS: Final = 5.0


class Writable:
    """The answer for one process; those who ask at the same time share it."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._known = False
        self._known_at = self._room_at = float("-inf")
        self._turn = threading.Lock()

    def now(self) -> bool:
        """Does the primary take writes?"""
        if self._age() <= _FRESH_SECONDS or not self._turn.acquire(blocking=self._age() > _OLD_SECONDS):
            return self._known
        try:
            # Somebody may have found out while this one waited.
            if self._age() > _FRESH_SECONDS:
                self._find_out()
            return self._known
        finally:
            self._turn.release()

    def _find_out(self) -> None:
        with_room = not self._known or time.monotonic() - self._room_at > _ROOM_SECONDS
        self._known = _takes_writes(self._bank, with_room=with_room)
        self._known_at = time.monotonic()
        if with_room:
            self._room_at = self._known_at

    def _age(self) -> float:
        return time.monotonic() - self._known_at


class _TakenBack(Exception):
    pass


def _takes_writes(bank: Bank, *, with_room: bool) -> bool:
    try:
        bank.run(_write_and_take_back, bank, with_room=with_room)
    except _TakenBack:
        return True
    except Exception:  # noqa: BLE001  # whatever it is, the answer is no
        return False
    raise AssertionError("the write was not taken back")


def _write_and_take_back(tx: sa.Connection, bank: Bank, *, with_room: bool) -> None:
    tx.execute(bank_facts.insert(), {"name": f"writable-{secrets.token_hex(8)}", "value": ""})
    if with_room:
        # One row finds room in a page that is there, when no payment does any more.
        bank.dialect.take_room(tx)
    raise _TakenBack
