"""The floor on MariaDB and SQLite: the rows of a transfer, written by hand-made statements in a transaction each."""

from __future__ import annotations

import itertools
import random
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import pymysql
from sqlalchemy.engine import make_url

from bank.clock import Clock

_ENTRY = (
    "INSERT INTO journal_entries (caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at)"
    " VALUES (?, ?, ?, 'transfer', 'Transfer', ?, ?, ?)"
)
_ACCOUNT = "SELECT balance, version FROM ledger_accounts WHERE id = ?"
_MOVE = "UPDATE ledger_accounts SET balance = ?, version = ? WHERE id = ?"
_POSTING = (
    "INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)

_CLOCK: Final = Clock(ZoneInfo("UTC"))


class _Cursor(Protocol):
    @property
    def lastrowid(self) -> int | None: ...
    def execute(self, statement: str, values: tuple[Any, ...] = ..., /) -> object: ...
    def fetchone(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class MariaDBFloor:
    """By PyMySQL: the accounts are locked in the order of their ids."""

    url: str
    accounts: int
    each: int = 1

    def begin(self) -> Callable[[], object]:
        """Connect, and answer what writes one transfer."""
        url = make_url(self.url)
        connection = pymysql.connect(
            host=url.host, port=url.port or 0, user=url.username, password=str(url.password), database=url.database
        )
        cursor = connection.cursor()
        plans = _plans(self.accounts)

        def write() -> None:
            connection.begin()
            _transfer(cursor, next(plans), placeholder="%s", lock=" FOR UPDATE")
            connection.commit()

        return write


@dataclass(frozen=True, slots=True)
class SQLiteFloor:
    """By sqlite3, as durable as the bank's own: WAL, synchronous = FULL."""

    path: str
    accounts: int
    each: int = 1

    def begin(self) -> Callable[[], object]:
        """Open the file, and answer what writes one transfer."""
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        cursor = connection.cursor()
        plans = _plans(self.accounts)

        def write() -> None:
            cursor.execute("BEGIN IMMEDIATE")
            _transfer(cursor, next(plans), placeholder="?", lock="")
            cursor.execute("COMMIT")

        return write


def _plans(accounts: int) -> Iterator[tuple[str, int, int]]:
    """A key and two accounts, again and again."""
    mine = secrets.token_hex(8)
    chance = random.Random()  # noqa: S311  # which account is no secret
    for count in itertools.count():
        payer, payee = chance.sample(range(1, accounts + 1), 2)
        yield f"{mine}-{count}", payer, payee


def _transfer(cursor: _Cursor, plan: tuple[str, int, int], *, placeholder: str, lock: str) -> None:
    key, payer, payee = plan
    now = _CLOCK.now().replace(tzinfo=None)
    day = now.date().isoformat()

    def say(statement: str, *values: Any) -> None:
        cursor.execute(statement.replace("?", placeholder), values)

    say(_ENTRY, f"customer:{payer}", key, "0" * 64, day, day, str(now))
    entry_id = cursor.lastrowid
    for account_id in sorted((payer, payee)):
        say(_ACCOUNT + lock, account_id)
        balance, version = cursor.fetchone()
        side, change = ("debit", -1) if account_id == payer else ("credit", 1)
        say(_MOVE, balance + change, version + 1, account_id)
        say(_POSTING, account_id, version + 1, entry_id, side, 1, balance + change, day)
