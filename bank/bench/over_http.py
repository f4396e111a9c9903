"""The bank over HTTP: its API by a thousand tokens, its pages by signed-in customers, its workers' memory."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from bank.audit.model import Author
from bank.bench import history
from bank.bench.books import Books, books
from bank.bench.figures import Run
from bank.bench.furniture import WHO, Person, furnish
from bank.bench.generator import Generator, WrongAnswer
from bank.bench.place import Item, Place, Serving
from bank.bench.served import Served
from bank.bench.servers import Server
from bank.identity import tokens
from bank.identity.store import api_tokens
from bank.storage.transaction import Bank

CONNECTIONS: Final = 64
#: Whole batches are long requests; more of them at once would only wait.
BATCH_CONNECTIONS: Final = 4
BATCH: Final = 1_000
PAGE_CONNECTIONS: Final = 16
#: So many customers are signed in at once.
SESSIONS: Final = 16
HISTORY: Final = 20_000
_DATABASE: Final = "served"
_MOVEMENTS: Final = 20
CREATED: Final = b"HTTP/1.1 201 "
OK: Final = b"HTTP/1.1 200 "
#: A few of a worker's connections: wrong tokens are few, too, before an address is told to wait.
_REVOKED_TRIES: Final = 8

#: Where a request's number stands while it is prepared.
_COUNT: Final = b"@" * 10

Make = Callable[[], bytes]


@contextmanager
def stage(place: Place, names: set[str]) -> Iterator[list[Item]]:
    """Everything over HTTP on one bank, for each way of serving it in turn."""
    server, plan = place.postgresql, place.plan
    people: list[Person] = []

    def fill(bank: Bank) -> None:
        people.extend(furnish(bank, server.url(_DATABASE), plan.people, people=plan.people))
        history.write(server, _DATABASE, accounts=plan.people, transfers=HISTORY, currency=bank.settings.currency)

    with server.bank_database(_DATABASE) as url, books(url, fill) as kept:
        yield [
            Item(name, str(serving or ""), _when_served(place, kept, people, serving, name), before)
            for serving in plan.servings
            for name in ("http-transfer", "http-hot-account", "http-batch-1000", "page", "balance", "memory")
            if name in names
            for before in (None if name == "memory" else place.tpc_b,)
        ]


def _when_served(
    place: Place, kept: Books, people: list[Person], serving: Serving | None, name: str
) -> Callable[[int], Run]:
    """The run of one measurement; its server is started for it, so that no other's caches are in it."""

    def run(seconds: int) -> Run:
        url = kept.bank.settings.database_url
        with Served(url, place.new_directory(), serving, **place.plan.settings) as served:
            return _Visit(place, kept, people, served).run(name, seconds)

    return run


@dataclass(frozen=True, slots=True)
class _Visit:
    """One server while it is measured."""

    place: Place
    kept: Books
    people: list[Person]
    served: Served

    def run(self, name: str, seconds: int) -> Run:
        match name:
            case "http-transfer":
                return self._transfers(transfers(self.people), seconds)
            case "http-hot-account":
                payers = [replace(each, pays=(self.people[0].account,)) for each in self.people[1:]]
                return self._transfers(transfers(payers), seconds)
            case "http-batch-1000":
                generator = self._generator(BATCH_CONNECTIONS, batches(self.people), OK, all_booked)
                return self._counted(generator, seconds, BATCH)
            case "page":
                return self._read(self._generator(PAGE_CONNECTIONS, self._pages(), OK, is_a_page), seconds)
            case "balance":
                return self._read(self._generator(PAGE_CONNECTIONS, balances(self.people), OK), seconds)
            case "memory":
                return self._memory(self.place.plan.memory_requests)
        raise AssertionError(name)

    def _generator(
        self, connections: int, make: Make, expected: bytes, look: Callable[[bytes], None] | None = None
    ) -> Generator:
        return Generator(self.served.port, connections, make, expected, look)

    def _read(self, generator: Generator, seconds: int) -> Run:
        return measured(generator, self.place.postgresql, self.served, seconds)[0]

    def _counted(self, generator: Generator, seconds: int, each: int = 1) -> Run:
        run, sent = measured(generator, self.place.postgresql, self.served, seconds, each)
        self.kept.posted += sent
        self.kept.compare()
        return run

    def _transfers(self, make: Make, seconds: int) -> Run:
        run = self._counted(self._generator(CONNECTIONS, make, CREATED), seconds)
        self._revoke(self.people[-1])
        return run

    def _pages(self) -> Make:
        some = self.people[: min(SESSIONS, len(self.people))]
        return itertools.cycle([page(each, self.served.log_in(each)) for each in some]).__next__

    def _memory(self, requests: int) -> Run:
        """Payments and pages in turn; a worker's memory after the first few of them, and after all."""
        paying, reading = transfers(self.people), self._pages()
        expected = itertools.cycle((paying, reading))

        def make() -> bytes:
            return next(expected)()

        generator = self._generator(PAGE_CONNECTIONS, make, b"HTTP/1.1 20")
        first = generator.drive(most=max(100, requests // 20))
        before = self.served.worker_mib()
        run, sent = measured(generator, self.place.postgresql, self.served, most=requests, warm=0)
        # Every other request was a payment, the first one among them.
        self.kept.posted += (len(first.waits) + sent + 1) // 2
        self.kept.compare()
        return replace(run, seen={"worker_before_mib": before, "worker_after_mib": self.served.worker_mib()})

    def _revoke(self, person: Person) -> None:
        """Revoke a token that was in use a moment ago: from then on nobody may pay by it, whichever worker is asked.

        Raises:
            WrongAnswer: it still could, or could not before.
        """
        make = transfers([person])
        self._generator(_REVOKED_TRIES, make, CREATED).drive(most=_REVOKED_TRIES)
        self.kept.posted += _REVOKED_TRIES
        bank = self.kept.bank
        now = bank.clock.now()
        by = Author(WHO, now, bank.clock.business_date(now))
        bank.run(tokens.revoke, "customer", person.account_id, person.account_id, by=by)
        try:
            self._generator(_REVOKED_TRIES, make, b"HTTP/1.1 401 ").drive(most=_REVOKED_TRIES)
            self.kept.compare()
        finally:
            self._let_in_again(person)

    def _let_in_again(self, person: Person) -> None:
        """For the next round; the application's role could, and no command of the bank's does."""
        mine = api_tokens.c.id == person.account_id
        with self.kept.bank.connect() as connection:
            connection.execute(api_tokens.update().where(mine).values(revoked_at=None))


def measured(
    generator: Generator, server: Server, served: Served, seconds: float = float("inf"), each: int = 1, *,
    most: int | None = None, warm: float = 1.0,
) -> tuple[Run, int]:  # fmt: skip
    """Warm up for a second, then measure requests of so many operations; answers also how many were done in all."""
    before = generator.drive(seconds=min(warm, seconds)) if warm else None
    database, application = server.cpu_seconds(), served.cpu_seconds()
    driven = generator.drive(seconds=seconds, most=most)
    run = Run(
        operations=len(driven.waits) * each,
        seconds=driven.seconds,
        database_cpu=server.cpu_seconds() - database,
        application_cpu=served.cpu_seconds() - application,
        generator_cpu=driven.cpu,
        waits=driven.waits,
    )
    return run, run.operations + (len(before.waits) * each if before else 0)


def transfers(people: list[Person]) -> Make:
    """Requests that pay one minor unit, by one person's token after the other's, each time with a new key."""
    mine = secrets.token_hex(6)
    prepared = [
        _post("transfers", person, order(person.account, payee), f"Idempotency-Key: {mine}-{_COUNT.decode()}\r\n")
        for person in people
        for payee in person.pays
    ]
    # Neighbours in the list are one person's; a stride that shares no factor with its length mixes them.
    return _numbered([prepared[i * 7919 % len(prepared)] for i in range(len(prepared))])


def batches(people: list[Person]) -> Make:
    """Requests that pay a thousand times, from one account to its owner's payees in turn, each time with new keys."""
    mine = secrets.token_hex(6)
    prepared = []
    for person in people[:: max(1, len(people) // CONNECTIONS)]:
        payees = itertools.islice(itertools.cycle(person.pays), BATCH)
        orders = [
            order(person.account, payee) | {"idempotency_key": f"{mine}-{_COUNT.decode()}-{place}"}
            for place, payee in enumerate(payees)
        ]
        prepared.append(_post("batches", person, {"transfers": orders}))
    return _numbered(prepared)


def _post(where: str, person: Person, body: dict[str, object], headers: str = "") -> bytes:
    sent = json.dumps(body)
    return (
        f"POST /api/v1/{where} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {person.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n{headers}\r\n{sent}"
    ).encode()


def order(payer: str, payee: str) -> dict[str, object]:
    """A transfer as the API reads it."""
    amount = {"minor_units": 1, "currency": "USD"}
    return {"from": payer, "to": payee, "amount": amount, "reference": "bench"}


def _numbered(prepared: list[bytes]) -> Make:
    """The prepared requests in turn, each with the next number in place of _COUNT, which is as long."""

    def requests() -> Iterator[bytes]:
        for count, request in enumerate(itertools.cycle(prepared)):
            yield request.replace(_COUNT, b"%010d" % count)

    return requests().__next__


def balances(people: list[Person]) -> Make:
    """Requests for an account with its balance, by one person's token after the other's."""
    prepared = [
        f"GET /api/v1/accounts/{each.account} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {each.token}\r\n\r\n"
        for each in people
    ]
    return itertools.cycle([request.encode() for request in prepared]).__next__


def page(person: Person, cookie: str) -> bytes:
    """The request for a customer's own account, as a browser sends it."""
    return (
        f"GET /accounts/{person.account} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n"
        "Accept: text/html\r\nAccept-Language: en\r\n\r\n"
    ).encode()


def is_a_page(body: bytes) -> None:
    if body.count(b"/movements/") < _MOVEMENTS:
        raise WrongAnswer(f"no page of {_MOVEMENTS} movements: {body[:500]!r}")


def all_booked(body: bytes) -> None:
    if b'"booked":%d,' % BATCH not in body:
        raise WrongAnswer(f"not all of a batch was booked: {body[:500]!r}")
