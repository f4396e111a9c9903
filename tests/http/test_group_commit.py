"""Programs that pay together while things break: each 201 is in the ledger once, and nothing else is.

A program sends a payment again by the same key until it has an answer that is final, as the document tells it to.
"""

from __future__ import annotations

import http.client
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bank.identity import sessions
from bank.identity.store import api_tokens
from bank.ledger.tables import journal_entries, postings
from bank.storage.engine import make_engine
from tests.builders import Branch
from tests.conftest import MakeDatabase
from tests.gunicorn_server import GunicornServer
from tests.http.conftest import OwnServer, Serve
from tests.ledger import assert_books_balance

PROGRAMS = 16
PATIENCE = 60
POISON = "This cannot be kept"


@dataclass
class Programs:
    """Alice's programs, each with a payment in flight; `answers` has the final answer to each key."""

    branch: Branch
    server: GunicornServer
    token: str
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    unanswered: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @contextmanager
    def paying(self) -> Iterator[None]:
        """All programs pay while the block runs, and end with a final answer each."""
        with ThreadPoolExecutor(PROGRAMS) as pool:
            running = [pool.submit(self._pay) for _ in range(PROGRAMS)]
            try:
                yield
            finally:
                self.over.set()
            for one in running:
                one.result(PATIENCE)

    def wait_for(self, more: int) -> None:
        """Wait until so many more payments have been answered."""
        until, deadline = len(self.answers) + more, time.monotonic() + PATIENCE
        while len(self.answers) < until:
            assert time.monotonic() < deadline, f"{len(self.answers)} of {until} answered"
            time.sleep(0.01)

    def _pay(self) -> None:
        connection = None
        while not self.over.is_set():
            key = f"key-{next(self._numbers)}"
            self.sent.add(key)
            deadline = time.monotonic() + PATIENCE
            while key not in self.answers:
                assert time.monotonic() < deadline, f"{key} has no answer"
                try:
                    connection = connection or http.client.HTTPConnection(
                        "127.0.0.1", self.server.port, timeout=PATIENCE
                    )
                    status, body = self.send(connection, key)
                except (OSError, http.client.HTTPException):
                    self.unanswered += 1
                    connection = None
                    time.sleep(0.02)
                    continue
                if status != 503:
                    self.answers[key] = (status, body)
                else:
                    self.unanswered += 1
                    time.sleep(0.02)

    def send(self, connection: http.client.HTTPConnection, key: str, reference: str = "Group") -> tuple[int, str]:
        """One payment of 0.01 by this key: the status, and the entry's id or the refusal's code."""
        body = {
            "from": self.branch.number("alice_current"),
            "to": self.branch.number("bob_current"),
            "amount": {"minor_units": 1, "currency": "USD"},
            "reference": reference,
        }
        headers = {
            "Authorization": f"Bearer {self.token}", "Idempotency-Key": key, "Content-Type": "application/json",
        }  # fmt: skip
        connection.request("POST", "/api/v1/transfers", json.dumps(body), headers)
        response = connection.getresponse()
        told = json.loads(response.read())
        return response.status, told.get("id") or told["code"]

    def check(self) -> None:
        """The ledger has exactly what was answered by a 201, once, under its key."""
        query = sa.select(journal_entries.c.idempotency_key, journal_entries.c.id).where(
            journal_entries.c.caller == str(self.branch.customer("alice")), journal_entries.c.refusal.is_(None)
        )
        booked = {key: str(entry_id) for key, entry_id in self.branch.rows(query)}
        assert booked == {key: entry_id for key, (status, entry_id) in self.answers.items() if status == 201}
        assert {status for status, _ in self.answers.values()} == {201}
        assert set(self.answers) == self.sent
        assert self.branch.balance("bob_current") == 50_00 + len(booked)
        [(count,)] = self.branch.rows(
            sa.select(sa.func.count()).select_from(postings)
            .where(postings.c.account_id == self.branch.accounts["alice_current"].id, postings.c.side == "debit")
        )  # fmt: skip
        assert count == len(booked)
        assert_books_balance(self.branch.bank)


@pytest.fixture
def start(open_branch: Callable[[str], Branch], serve: Serve) -> Callable[[str], Programs]:
    """Alice's programs before a server of two processes on the database at a URL."""

    def make(url: str) -> Programs:
        branch = open_branch(url)
        branch.payee("alice", "bob_current", "Bob Nakamura")
        token, now = f"bank_c{secrets.token_urlsafe(32)}", branch.bank.clock.now()
        row = {
            "token_digest": sessions.digest(token), "kind": "customer", "person_id": branch.customer("alice").id,
            "name": "Programs", "scopes": "payments:write", "created_at": now, "expires_at": now + timedelta(days=1),
        }  # fmt: skip
        branch.bank.run(lambda tx: tx.execute(api_tokens.insert(), row))
        server = serve(url, workers=2, API_CALLS_PER_MINUTE="1000000", POOL_SIZE="4", STATEMENT_SECONDS="10")
        return Programs(branch, server, token)

    return make


def test_processes_killed_in_the_middle_lose_and_double_nothing(
    dialect: str, make_database: MakeDatabase, start: Callable[[str], Programs]
):
    programs = start(make_database(dialect).app)

    with programs.paying():
        for _ in range(3):
            programs.wait_for(40)
            programs.server.kill_workers()
        programs.wait_for(40)

    assert programs.unanswered
    programs.check()


@pytest.mark.dialects("postgresql", "mysql")
def test_a_database_that_is_killed_and_comes_back_loses_and_doubles_nothing(
    own_server: OwnServer, start: Callable[[str], Programs]
):
    programs = start(own_server.new_database().app)

    with programs.paying():
        programs.wait_for(60)
        own_server.server.kill()
        own_server.server.start()
        programs.wait_for(60)

    programs.branch.bank.engine.dispose()
    programs.check()


_POISON = {
    "sqlite": [
        (
            f"CREATE TRIGGER poison BEFORE INSERT ON journal_entries WHEN NEW.narrative = '{POISON}'"
            " BEGIN SELECT RAISE(ABORT, 'poison'); END"
        )
    ],
    "postgresql": [
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'poison'; END$$",
        (
            f"CREATE TRIGGER poison BEFORE INSERT ON journal_entries FOR EACH ROW WHEN (NEW.narrative = '{POISON}')"
            " EXECUTE FUNCTION poison()"
        ),
    ],
    "mysql": [
        (
            "CREATE TRIGGER poison BEFORE INSERT ON journal_entries FOR EACH ROW"
            f" IF NEW.narrative = '{POISON}' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'poison'; END IF"
        )
    ],
}


def test_what_the_database_cannot_keep_harms_none_of_its_batch(
    dialect: str, make_database: MakeDatabase, start: Callable[[str], Programs]
):
    urls = make_database(dialect)
    programs = start(urls.app)
    engine = make_engine(urls.migrator)
    with engine.connect() as connection:
        for statement in _POISON[dialect]:
            connection.exec_driver_sql(statement)

    with programs.paying():
        programs.wait_for(20)
        poisoner = http.client.HTTPConnection("127.0.0.1", programs.server.port, timeout=PATIENCE)
        told = [programs.send(poisoner, f"poison-{n}", POISON) for n in range(8)]
        programs.wait_for(20)

    with engine.connect() as connection:
        connection.exec_driver_sql("DROP TRIGGER poison" + (" ON journal_entries" if dialect == "postgresql" else ""))
    engine.dispose()
    assert set(told) == {(500, "unforeseen")}
    programs.check()
