"""The API's document, fuzzed by schemathesis as each kind of caller: whatever is sent is answered as documented."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final

import pytest
import schemathesis
import sqlalchemy as sa
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import NonFatalError, ScenarioFinished

from bank.identity.staff import Staff
from bank.ledger.tables import journal_entries
from tests.builders import Branch, a_bank
from tests.databases import Databases
from tests.gunicorn_server import GunicornServer
from tests.ledger import assert_books_balance

#: Whose programs call, and with what scopes.
CALLERS: Final[dict[str, tuple[str | None, tuple[str, ...]]]] = {
    "nobody": (None, ()),
    "a customer who reads": ("alice", ("accounts:read", "statements:read")),
    "a customer who pays": ("alice", ("accounts:read", "payments:write")),
    "a teller": ("teller", ()),
    "an executive": ("executive", ()),
}
_NUMBER: Final = re.compile("[0-9]{9,10}", re.ASCII)
_CURRENCY: Final = re.compile("[A-Z]{3}", re.ASCII)
_ADDRESSES: Final = itertools.count(0x0A000001)
#: Posts that book nothing.
_NO_MONEY: Final = ("openings",)


@dataclass
class Heard:
    """What the API answered: how often by status, and the entries that it said it booked just then."""

    statuses: Counter[int] = field(default_factory=Counter)
    booked: set[int] = field(default_factory=set)

    def hear(self, case: schemathesis.Case, response: schemathesis.Response) -> None:
        self.statuses[response.status_code] += 1
        if case.method != "POST" or not 200 <= response.status_code < 300 or case.path.endswith(_NO_MONEY):
            return
        body = response.json()
        made = [one["transfer"] for one in body["items"] if one["status"] == "booked"] if "items" in body else [body]
        self.booked |= {int(one["id"]) for one in made}


@pytest.fixture(scope="module")
def branch(sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Branch, str]]:
    """A branch as it is served, and its address."""
    with sqlite_databases.migrated() as urls:
        bank = a_bank(urls.app)
        opened = Branch.open(bank)
        server = GunicornServer(
            urls.app, tmp_path_factory.mktemp("server"), workers=1, API_CALLS_PER_MINUTE="1000000", PROXY_HOPS="1"
        )
        with server:
            yield opened, server.address
        bank.engine.dispose()


def _config(branch: Branch, secret: str | None) -> SchemathesisConfig:
    """Few examples and the same ones each time; the addresses are of what exists, or half of it would be 404."""
    entry_id = branch.transfer("alice_current", "bob_current", 1)
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "auth": {"openapi": {"token": {"bearer": secret}}} if secret else {},
            "parameters": {
                "path.number": branch.number("alice_current"),
                "path.customer_number": branch.customer("alice").number,
                "path.entry_id": entry_id,
                "path.hold_id": branch.hold("alice_current", 1),
                "path.period": "last-20",
            },
            "generation": {"max-examples": 3 if secret else 1, "no-shrink": True, "deterministic": True},
            "phases": {"stateful": {"enabled": False}},
            # A transfer may be in order and refused all the same.
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422, 503]}},
        }
    )


@pytest.mark.parametrize("caller", CALLERS)
def test_whatever_is_sent_is_answered_as_documented(branch: tuple[Branch, str], caller: str):
    (bank, address), (name, scopes) = branch, CALLERS[caller]
    secret = bank.token_of(name, *scopes)[1] if name else None
    schema = schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json", config=_config(bank, secret))
    if name:
        # The others answer 403, which is seen of each role and scope in turn elsewhere.
        role = _role(bank, name)
        schema = schema.include(lambda context: role in context.operation.definition.raw.get("x-open-to", ()))
    heard, before = Heard(), _posted(bank)

    @schema.hook("map_body")
    def to_what_exists(_context: Any, body: Any) -> Any:
        """Most numbers are nobody's account, and most currencies no account's; what is in order gets one that is."""
        if isinstance(body, dict):
            numbers = {"from": bank.number("alice_current"), "to": bank.number("alice_savings")}
            body |= {member: number for member, number in numbers.items() if _NUMBER.fullmatch(str(body.get(member)))}
            if _CURRENCY.fullmatch(str(body.get("currency"))):
                body["currency"] = "USD"
            for inner in (*body.values(), *(body["transfers"] if isinstance(body.get("transfers"), list) else ())):
                to_what_exists(_context, inner)
        return body

    @schemathesis.hook("before_call")
    def from_elsewhere(_context: Any, case: schemathesis.Case, _kwargs: Any) -> None:
        """So many wrong tokens from one address would be stopped, and good ones with them."""
        case.headers["X-Forwarded-For"] = str(IPv4Address(next(_ADDRESSES)))

    @schemathesis.hook("after_call")
    def hear(_context: Any, case: schemathesis.Case, response: schemathesis.Response) -> None:
        heard.hear(case, response)

    try:
        failures = set(_failures(schema))
    finally:
        schemathesis.hooks.unregister_all()

    assert not failures, "\n\n".join(sorted(failures))
    assert _posted(bank) - before == heard.booked
    assert_books_balance(bank.bank)
    print(caller, heard.statuses, len(heard.booked))


def _failures(schema: schemathesis.BaseSchema) -> Iterator[str]:
    for event in from_schema(schema).execute():
        if isinstance(event, NonFatalError):
            yield f"{event.label}: {event.value!r}"
        if isinstance(event, ScenarioFinished) and event.status is Status.FAILURE:
            for checks in event.recorder.checks.values():
                for check in checks:
                    if check.failure_info:
                        yield f"{event.label}: {check.name}: {check.failure_info.failure}"


def _role(branch: Branch, name: str) -> str:
    person = branch.people[name]
    return person.role.value if isinstance(person, Staff) else "customer"


def _posted(branch: Branch) -> set[int]:
    rows = branch.rows(sa.select(journal_entries.c.id).where(journal_entries.c.refusal.is_(None)))
    return {row.id for row in rows}
