"""A program's reads beside a replica: as pages', by the header that it sends back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from bank.api import wiring
from bank.identity import sessions
from bank.identity.store import api_tokens
from bank.storage import near
from tests.builders import Branch, a_key
from tests.near.conftest import Pair
from tests.near.test_near_reads import Asked
from tests.servers import wait_for

pytestmark = pytest.mark.dialects("postgresql", "mysql")


@dataclass
class Program:
    """Alice's program, which sends back the position that it was told last."""

    app: Flask
    branch: Branch
    token: str = field(default_factory=lambda: f"bank_c{secrets.token_urlsafe(32)}")
    position: str = ""

    def __post_init__(self) -> None:
        now = self.branch.bank.clock.now()
        row = {
            "token_digest": sessions.digest(self.token), "kind": "customer", "person_id": self.branch.customer("alice").id,
            "name": "Near", "scopes": "accounts:read payments:write", "created_at": now, "expires_at": now + timedelta(days=1),
        }  # fmt: skip
        self.branch.bank.run(lambda tx: tx.execute(api_tokens.insert(), row))

    def ask(self, method: str, path: str, **sent: object) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": a_key(), near.HEADER: self.position}
        answer = self.app.test_client().open(
            f"/api/v1{path}", method=method, headers=headers, data=json.dumps(sent) if sent else None,
            content_type="application/json" if sent else None,
        )  # fmt: skip
        self.position = answer.headers.get(near.HEADER, self.position)
        return answer

    def booked(self) -> int:
        answer = self.ask("GET", f"/accounts/{self.branch.number('alice_savings')}")
        assert answer.status_code == 200, answer.text
        return int(answer.json["booked"]["minor_units"])  # type: ignore[index]

    def pay(self) -> TestResponse:
        return self.ask(
            "POST", "/transfers",
            **{"from": self.branch.number("alice_savings"), "to": self.branch.number("alice_current")},
            amount={"minor_units": 1, "currency": "USD"},
        )  # fmt: skip


@pytest.fixture
def program(west: Flask, branch: Branch) -> Program:
    branch.deposit(branch.accounts["alice_savings"], 5_00)
    return Program(west, branch)


def settle(program: Program, pair: Pair, asked: Asked) -> None:
    """Let the replica have all, and the program's reads go there alone."""
    pair.replica.catch_up()
    wait_for(lambda: asked.during(program.booked) == {"replica"}, "a read on the replica")


def by_flask(program: Program) -> TestResponse:
    return program.pay()


def by_the_thin_route(program: Program) -> TestResponse:
    # It answers for tokens that were welcomed before.
    wiring.limits(program.app).welcome(sessions.digest(program.token))
    return program.pay()


@pytest.mark.parametrize("pay", [by_flask, by_the_thin_route])
def test_a_program_is_shown_what_it_did_though_the_replica_is_behind(
    pay: Callable[[Program], TestResponse], program: Program, pair: Pair
) -> None:
    asked = Asked(program.app)
    settle(program, pair, asked)
    before = program.booked()

    pair.replica.hold_back()
    paid = pay(program)
    assert (paid.status_code, near.HEADER in paid.headers) == (201, True)
    assert program.booked() == before - 1

    settle(program, pair, asked)
    assert program.booked() == before - 1


def test_with_the_primary_away_a_program_reads_what_was_and_pays_nothing(program: Program, pair: Pair) -> None:
    settle(program, pair, Asked(program.app))
    before = program.booked()
    program.branch.bank.engine.dispose()

    pair.primary.stop()
    try:
        paid = program.pay()
        read = program.ask("GET", f"/accounts/{program.branch.number('alice_savings')}")
    finally:
        pair.primary.start()

    assert paid.status_code == 503
    assert paid.headers["Retry-After"]
    assert (read.status_code, "Bank-As-Of" in read.headers) == (200, True)
    assert read.json["booked"]["minor_units"] == before  # type: ignore[index]
