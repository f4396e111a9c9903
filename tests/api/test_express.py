"""The thin route before Flask: whatever it answers, Flask's own route would have answered too."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import Client, TestResponse

from bank.api import wiring
from bank.app import create_app
from bank.identity import sessions
from bank.identity.store import api_tokens
from bank.ledger.tables import journal_entries
from bank.storage.errors import DatabaseAway
from bank.storage.lanes import QueueFull
from bank.storage.transaction import Bank
from tests.builders import Branch, a_bank, a_key
from tests.ledger import assert_books_balance
from tests.servers import DatabaseUrls

PATH = "/api/v1/transfers"
#: Makes the thin route hand a call on: a browser's word, which it leaves to the guard of forms.
BY_FLASK = {"Sec-Fetch-Site": "none"}


@dataclass
class Office:
    """A branch and its application; `call` is a transfer by Alice's token."""

    branch: Branch
    app: Flask
    token: str

    def call(self, *, by_flask: bool, **changed: Any) -> TestResponse:
        body = {
            "from": self.branch.number("alice_current"),
            "to": self.branch.number("bob_current"),
            "amount": {"minor_units": 12_50, "currency": "USD"},
            "reference": "Lunch",
            **changed.pop("body", {}),
        }
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Idempotency-Key": a_key(),
            "Content-Type": "application/json",
            **changed.pop("headers", {}),
            **(BY_FLASK if by_flask else {}),
        }
        sent = {"method": "POST", "data": json.dumps(body), **changed}
        return Client(self.app).open(PATH, headers={k: v for k, v in headers.items() if v is not None}, **sent)

    def entries(self) -> int:
        return int(self.branch.rows(sa.select(sa.func.count()).select_from(journal_entries))[0][0])


@pytest.fixture
def office(database_urls: DatabaseUrls) -> Iterator[Office]:
    bank = a_bank(database_urls.app)
    branch = Branch.open(bank)
    branch.payee("alice", "bob_current", "Bob Nakamura")
    token = f"bank_c{secrets.token_urlsafe(32)}"
    now = bank.clock.now()
    row = {
        "token_digest": sessions.digest(token), "kind": "customer", "person_id": branch.customer("alice").id, "name": "Shop",
        "scopes": "payments:write", "created_at": now, "expires_at": now + timedelta(days=1),
    }  # fmt: skip
    bank.run(lambda tx: tx.execute(api_tokens.insert(), row))
    office = Office(branch, create_app(bank.settings, bank), token)
    # A token that is new to a process is welcomed by Flask; from then on the thin route answers.
    wiring.limits(office.app).welcome(sessions.digest(token))
    yield office
    assert_books_balance(bank)
    bank.engine.dispose()


def told(response: TestResponse) -> tuple[Any, ...]:
    """All that a program can tell one answer from another by, but for ids, times and what is left of the rate."""
    changing = {"X-Request-Id", "RateLimit", "Location"}
    headers = {name: value for name, value in response.headers.items() if name not in changing}
    headers.pop("Content-Length", None)
    try:
        body = {name: value for name, value in json.loads(response.text).items() if name != "id"}
    except ValueError:
        body = response.text
    return response.status_code, headers, sorted(response.headers.keys()), body


#: One call each, by what is changed of a good one.
CALLS: dict[str, dict[str, Any]] = {
    "a transfer": {},
    "no reference": {"body": {"reference": ""}},
    "in another script": {"body": {"reference": "Zoë 🍜"}},
    "more than there is": {"body": {"amount": {"minor_units": 900_00, "currency": "USD"}}},
    "more than the limit": {"body": {"amount": {"minor_units": 10_000_01, "currency": "USD"}}},
    "another currency": {"body": {"amount": {"minor_units": 1, "currency": "EUR"}}},
    "nothing": {"body": {"amount": {"minor_units": 0, "currency": "USD"}}},
    "a fraction": {"body": {"amount": {"minor_units": 1.5, "currency": "USD"}}},
    "an unknown field": {"body": {"now": True}},
    "somebody else's account": {"body": {"from": "360200001"}},
    "to nobody": {"body": {"to": "360299993"}},
    "no JSON": {"data": "{"},
    "an array": {"data": "[]"},
    "half a character": {"body": {"reference": "\ud800"}},
    "a NUL": {"body": {"reference": "\0"}},
    "too large": {"data": "{" + " " * 70_000 + "}"},
    "no key": {"headers": {"Idempotency-Key": None}},
    "a key with a blank": {"headers": {"Idempotency-Key": "a b"}},
    "no token": {"headers": {"Authorization": None}},
    "a wrong token": {"headers": {"Authorization": f"Bearer bank_c{'x' * 43}"}},
    "no bearer": {"headers": {"Authorization": "Basic eDp5"}},
    "as a form": {"headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    "with a character set": {"headers": {"Content-Type": "application/json; charset=utf-8"}},
    "by GET": {"method": "GET"},
    "with a query": {"query_string": {"dry": "1"}},
}


@pytest.mark.dialects("sqlite")
@pytest.mark.parametrize("name", CALLS)
def test_it_answers_as_flask_does(office: Office, name: str):
    answers = [told(office.call(by_flask=by_flask, **CALLS[name])) for by_flask in (False, True)]

    assert answers[0] == answers[1]


def test_it_is_it_that_answers(office: Office, monkeypatch: pytest.MonkeyPatch):
    """On each database; Flask is not asked at all."""
    monkeypatch.setattr(Flask, "full_dispatch_request", None)

    made = office.call(by_flask=False)

    assert made.status_code == 201
    assert made.json == {
        "id": made.headers["Location"].rpartition("/")[2],
        "from": office.branch.number("alice_current"),
        "to": office.branch.number("bob_current"),
        "amount": {"minor_units": 12_50, "currency": "USD"},
        "reference": "Lunch",
    }
    assert office.branch.balance("bob_current") == 62_50


@pytest.mark.dialects("sqlite")
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("minor", [12_50, 900_00])
def test_a_key_is_answered_by_either_as_by_the_other(office: Office, first: bool, minor: int):
    body = {"amount": {"minor_units": minor, "currency": "USD"}}
    headers = {"Idempotency-Key": a_key()}

    once = office.call(by_flask=first, headers=headers, body=body)
    entries = office.entries()
    again = [office.call(by_flask=by_flask, headers=headers, body=body) for by_flask in (True, False)]

    assert once.status_code == (201 if minor == 12_50 else 422)
    assert "Idempotent-Replayed" not in once.headers
    for answer in again:
        assert (answer.status_code, answer.data) == (once.status_code, once.data)
        assert answer.headers["Idempotent-Replayed"] == "true"
    assert office.entries() == entries


@pytest.mark.dialects("sqlite")
@pytest.mark.parametrize("error", [DatabaseAway, QueueFull, ZeroDivisionError])
def test_what_is_refused_after_it_was_sent_is_sent_once(
    office: Office, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
):
    sent = []

    def send(_: Bank, message: Any) -> Any:
        sent.append(message)
        raise error

    monkeypatch.setattr(Bank, "send", send)
    answer = office.call(by_flask=False)

    assert len(sent) == 1
    assert answer.status_code == (500 if error is ZeroDivisionError else 503)
    assert answer.content_type == "application/problem+json"
    assert ("Retry-After" in answer.headers) == (answer.status_code == 503)


@pytest.mark.dialects("sqlite")
def test_a_call_is_counted_once_and_logged_without_its_token(office: Office, caplog: pytest.LogCaptureFixture):
    left = [
        int(office.call(by_flask=False, body=body).headers["RateLimit"].partition("r=")[2].partition(";")[0])
        for body in ({}, {}, {"amount": {"minor_units": 900_00, "currency": "USD"}}, {})
    ]

    # The bucket fills all the time: ten a second.
    assert all(before - after in (0, 1) for before, after in itertools.pairwise(left))
    lines = [record.facts for record in caplog.records if record.message == "request"]
    assert [line["status"] for line in lines] == [201, 201, 422, 201]
    assert {line["route"] for line in lines} == {PATH}
    assert len({line["who"] for line in lines}) == 1
    assert office.token not in caplog.text
    assert office.token[6:] not in str(lines)


@pytest.mark.dialects("sqlite")
def test_a_revoked_token_pays_nothing_at_its_next_request(office: Office):
    assert office.call(by_flask=False).status_code == 201
    office.branch.bank.run(lambda tx: tx.execute(api_tokens.update().values(revoked_at=office.branch.bank.clock.now())))

    answers = [office.call(by_flask=by_flask) for by_flask in (False, True)]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert office.branch.balance("bob_current") == 62_50
