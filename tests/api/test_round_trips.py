"""Each call of the API sends the database the messages that docs/reference/round-trips.md lists."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from bank.api import wiring
from bank.identity import sessions
from bank.identity.staff import Staff
from bank.identity.store import api_tokens
from tests.builders import Branch, a_key
from tests.databases import Databases
from tests.round_trips import Counted, counted, promised, told

pytestmark = pytest.mark.dialects("postgresql", "mysql")

_PAID: Final = {"to": "{bob}", "amount": {"minor_units": 1, "currency": "USD"}}
_CASH: Final = {"amount": {"minor_units": 1, "currency": "USD"}}
_BATCH: Final = {"transfers": [{"idempotency_key": f"{{key}}-{n}", "from": "{mine}", **_PAID} for n in range(100)]}

#: Each call, by who makes it: its body, and its answer's status.
CALLS: Final[dict[tuple[str, str], tuple[Any, int]]] = {
    ("GET /accounts", "customer"): (None, 200),
    ("GET /accounts/{mine}", "customer"): (None, 200),
    ("GET /accounts/{mine}/balance", "customer"): (None, 200),
    ("GET /accounts/{mine}/postings", "customer"): (None, 200),
    ("GET /accounts/{mine}/holds", "customer"): (None, 200),
    ("POST /transfers", "customer"): ({"from": "{mine}", **_PAID}, 201),
    ("GET /transfers?idempotency_key={key}", "customer"): (None, 404),
    ("POST /batches", "customer"): (_BATCH, 200),
    ("GET /branch/accounts/{mine}", "teller"): (None, 200),
    ("POST /accounts/{mine}/deposits", "teller"): (_CASH, 201),
    ("POST /accounts/{mine}/withdrawals", "teller"): (_CASH, 201),
    ("POST /accounts/{mine}/transfers", "teller"): (_PAID, 201),
}


class Programs:
    """A token for Alice and one for the teller, which are known to this process."""

    def __init__(self, branch: Branch, bank: Counted) -> None:
        self.branch, self.bank = branch, bank
        branch.payee("alice", "bob_current", "Bob Nakamura")
        self.tokens = {"customer": self.a_token("alice", "c"), "teller": self.a_token("teller", "s")}

    def a_token(self, name: str, letter: str) -> str:
        person, now = self.branch.people[name], self.branch.bank.clock.now()
        token, is_staff = f"bank_{letter}{secrets.token_urlsafe(32)}", isinstance(person, Staff)
        row = {
            "token_digest": sessions.digest(token), "kind": "staff" if is_staff else "customer", "person_id": person.id,
            "name": "Counted", "scopes": "branch:read branch:write" if is_staff else "accounts:read payments:write",
            "created_at": now, "expires_at": now + timedelta(days=1),
        }  # fmt: skip
        self.branch.bank.run(lambda tx: tx.execute(api_tokens.insert(), row))
        wiring.limits(self.bank.app).welcome(sessions.digest(token))
        return token

    def call(self, what: str, who: str, body: Any, **headers: str) -> TestResponse:
        known = {"mine": self.branch.number("alice_current"), "bob": self.branch.number("bob_current"), "key": a_key()}
        method, _, path = what.partition(" ")
        sent = json.dumps(body)
        for name, value in known.items():
            sent, path = sent.replace(f"{{{name}}}", value), path.replace(f"{{{name}}}", value)
        given = {"Authorization": f"Bearer {self.tokens[who]}", "Idempotency-Key": a_key(), **headers}
        content = {"data": sent, "content_type": "application/json"} if body else {}
        return self.bank.app.test_client().open(f"/api/v1{path}", method=method, headers=given, **content)


@pytest.fixture(scope="module")
def programs(dialect: str, request: pytest.FixtureRequest) -> Iterator[Programs]:
    databases: Databases = request.getfixturevalue(f"{dialect}_databases")
    with databases.migrated() as urls, counted(urls.app) as bank:
        yield Programs(Branch.open(bank.bank), bank)


def test_every_call_sends_as_many_messages_as_the_document_says(programs: Programs):
    promises, wrong = promised("Programs"), []
    for (what, who), (body, status) in CALLS.items():
        # The first use of a token on a day is stored.
        programs.call(what, who, body)
        answer, bursts = programs.bank.messages(lambda: programs.call(what, who, body))  # type: ignore[arg-type,return-value]  # noqa: B023
        assert answer.status_code == status, (what, who, answer.text)  # type: ignore[attr-defined]
        if len(bursts) != promises.get((what.replace("{mine}", "{number}"), who)):
            wrong.append(f"{what} by {who}: {len(bursts)}\n{told(bursts)}")

    assert not wrong, "\n".join(wrong)


def test_a_transfer_is_one_message_also_by_the_slower_route(programs: Programs):
    body, _ = CALLS["POST /transfers", "customer"]

    _, bursts = programs.bank.messages(
        lambda: programs.call("POST /transfers", "customer", body, **{"Sec-Fetch-Site": "none"})  # type: ignore[arg-type,return-value]
    )

    assert len(bursts) == 1, told(bursts)


def test_the_document_lists_each_of_these_calls_and_no_other():
    assert set(promised("Programs")) == {(what.replace("{mine}", "{number}"), who) for what, who in CALLS}
