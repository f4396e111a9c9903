"""Clients and servers die at random instants of a running batch: each entry is whole or absent, and booked once."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from bank.ledger import service
from bank.storage import migrate
from bank.storage.errors import DatabaseAway, OutcomeUnknown
from bank.storage.transaction import Bank
from tests.conftest import DIALECTS
from tests.ledger import NOON, OWNER, a_till, an_account, assert_books_balance, balance, move, named, opened
from tests.lives import Plan, Witness, live_and_die
from tests.proxy import Proxy, proxy_before
from tests.racing import processes
from tests.servers import APP_ROLE, DatabaseUrls, MariaDBServer, NotInstalled, PostgresServer, not_run

SERVERS = {"postgresql": PostgresServer, "mysql": MariaDBServer}

# Together 200 deaths on each database.
DEATHS = 200
SERVER_DEATHS = 50

# Chooses when the deaths come; what they hit is chance.
SEED = int(os.environ.get("BANK_KILL_SEED", "2"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`served`: each dialect that has a server."""
    if "served" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--dialect") or DIALECTS
        metafunc.parametrize("served", [dialect for dialect in chosen if dialect in SERVERS])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_whatever_dies_with_its_client_is_whole_or_absent(bank: Bank, dialect: str, database_urls: DatabaseUrls):
    chance = random.Random(SEED)
    witness = Witness(bank, Plan.on(bank, SEED))
    print(f"BANK_KILL_SEED={SEED}")

    with processes() as context:
        for death in range(DEATHS - (SERVER_DEATHS if dialect in SERVERS else 0)):
            life = f"life-{death}"
            done = live_and_die(context, database_urls.app, witness.plan, life, chance.uniform(0, 0.05))
            witness.check(life, done)

    print(Counter(witness.retried), witness.completed)
    witness.finish()
    service.expire_holds(bank, at=NOON.replace(year=2030), who="endofday")
    assert_books_balance(bank)


@pytest.fixture
def own_server(served: str) -> Iterator[tuple[PostgresServer | MariaDBServer, DatabaseUrls]]:
    """A server that may be killed, with a bank's database on it."""
    try:
        server = SERVERS[served]()
    except NotInstalled as missing:
        not_run(served, str(missing))
    with server:
        urls = server.create_database("bank")
        migrate.upgrade(urls.migrator)
        migrate.grant(urls.migrator, APP_ROLE)
        yield server, urls


class Persistent(threading.Thread):
    """Posts batch after batch, and each again until it is answered: as every client should.

    It lives many lives one after the other, so that each is short enough to be looked at whole.
    """

    def __init__(self, bank: Bank, plan: Plan, name: str) -> None:
        super().__init__(name=name)
        self.bank = bank
        self.plan = plan
        self.life_and_done = (f"{name}-0", 0)
        self.ended: list[tuple[str, int]] = []
        self.met: Counter[str] = Counter()
        self.turning = threading.Event()
        self.stopping = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                life, done = self.life_and_done
                self._post_until_answered(life, done)
                self.life_and_done = (life, done + 1)
                if self.turning.is_set() or self.stopping.is_set():
                    self._turn()
        except BaseException as error:  # noqa: BLE001 — the test raises it
            self.failure = error

    def _turn(self) -> None:
        self.turning.clear()
        self.ended.append(self.life_and_done)
        self.life_and_done = (f"{self.name}-{len(self.ended)}", 0)

    def _post_until_answered(self, life: str, number: int) -> None:
        while True:
            try:
                outcomes = service.post(self.bank, self.plan.batch(life, number))
            except (DatabaseAway, OutcomeUnknown) as error:
                self.met[error.code] += 1
                time.sleep(0.01)
            else:
                self.met["again" if named(outcomes[0]) == "Replayed" else "posted"] += 1
                return


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_whatever_dies_with_its_server_is_whole_or_absent(own_server: tuple[PostgresServer, DatabaseUrls]):
    server, urls = own_server
    chance = random.Random(SEED)
    print(f"BANK_KILL_SEED={SEED}")
    with opened(urls.app) as bank, opened(urls.app) as first, opened(urls.app) as second:
        witness = Witness(bank, Plan.on(bank, SEED))
        with clients_posting(witness.plan, first, second) as clients:
            for death in range(SERVER_DEATHS):
                time.sleep(chance.uniform(0, 0.1))
                # Most of them without a word; some in order, as a planned fail-over does it.
                server.kill() if death % 5 else server.stop()
                server.start()
                # What was acknowledged before this look is there; what is running meanwhile may be.
                for client in clients:
                    witness.look_again(*client.life_and_done)
                    client.turning.set()

        print([client.met for client in clients])
        for life, done in (each for client in clients for each in client.ended):
            assert witness.look_again(life, done) == done
            witness.completed += done
        witness.finish()
        assert_books_balance(bank)


@contextmanager
def clients_posting(plan: Plan, *banks: Bank) -> Iterator[list[Persistent]]:
    """A client for each bank, posting until the context ends; raises what ended one of them early."""
    clients = [Persistent(bank, plan, f"client-{number}") for number, bank in enumerate(banks)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(60)
    for client in clients:
        assert client.failure is None, client.failure


@pytest.fixture
def cut(served: str, request: pytest.FixtureRequest) -> Iterator[tuple[Bank, Proxy]]:
    """A bank whose connections go through a proxy that can cut them."""
    urls: DatabaseUrls = request.getfixturevalue("make_database")(served)
    url, target = urls.app, _socket(urls.app)
    with proxy_before(target) as proxy, opened(url.replace(str(target.parent), str(proxy.directory))) as bank:
        yield bank, proxy


def _socket(url: str) -> Path:
    query = dict(pair.split("=", 1) for pair in urlsplit(url).query.split("&"))
    return Path(query["unix_socket"]) if "unix_socket" in query else Path(query["host"]) / ".s.PGSQL.5432"


Cut = tuple[Bank, Proxy]


def test_a_reply_lost_on_its_way_is_asked_for_again_and_posted_once(cut: Cut):
    bank, proxy = cut
    till, account = a_till(bank), an_account(bank)
    proxy.lose_reply(b"ledger_post")

    [outcome] = service.post(bank, [move(till, account, 1)])

    assert named(outcome) == "Replayed"
    assert balance(bank, account) == 1
    assert_books_balance(bank)


def test_a_request_lost_on_its_way_is_sent_again_and_posted_once(cut: Cut):
    bank, proxy = cut
    till, account = a_till(bank), an_account(bank)
    proxy.lose_request(b"ledger_post")

    [outcome] = service.post(bank, [move(till, account, 1)])

    assert named(outcome) == "Posted"
    assert balance(bank, account) == 1


@pytest.mark.parametrize("arrived", [True, False])
def test_when_the_database_stays_away_after_it_was_asked_the_outcome_is_unknown(cut: Cut, arrived: bool):
    bank, proxy = cut
    till, account = a_till(bank), an_account(bank)
    asked = move(till, account, 1)
    (proxy.lose_reply if arrived else proxy.lose_request)(b"ledger_post", then_away=True)

    with pytest.raises(OutcomeUnknown):
        service.post(bank, [asked])

    proxy.away = False
    [outcome] = service.post(bank, [asked])
    assert named(outcome) == ("Replayed" if arrived else "Posted")
    assert balance(bank, account) == 1


def test_when_the_database_was_away_before_it_was_asked_nothing_moved(cut: Cut):
    bank, proxy = cut
    till, account = a_till(bank), an_account(bank)
    bank.engine.dispose()
    proxy.away = True

    with pytest.raises(DatabaseAway):
        service.post(bank, [move(till, account, 1)])
    with pytest.raises(DatabaseAway):
        bank.run(service.set_status, account, "frozen", by=OWNER, reason="test")

    proxy.away = False
    assert balance(bank, account) == 0


def test_connections_that_died_in_the_pool_are_replaced_unnoticed(cut: Cut):
    bank, proxy = cut
    till, account = a_till(bank), an_account(bank)

    proxy.drop_all()
    [outcome] = service.post(bank, [move(till, account, 1)])
    proxy.drop_all()
    bank.run(service.set_status, account, "frozen", by=OWNER, reason="test")

    assert named(outcome) == "Posted"
    assert balance(bank, account) == 1


@pytest.mark.parametrize("word", [b"ledger_post", b"audit_records"])
def test_a_use_case_whose_connection_breaks_before_the_commit_runs_again(cut: Cut, word: bytes):
    bank, proxy = cut
    till, account = a_till(bank), an_account(bank)
    proxy.lose_reply(word)

    [outcome] = bank.run(deposit_and_freeze, till, account)

    assert named(outcome) == "Posted"
    assert balance(bank, account) == 1
    assert_books_balance(bank)


def test_a_use_case_whose_database_goes_away_before_the_commit_did_nothing(cut: Cut):
    bank, proxy = cut
    till, account = a_till(bank), an_account(bank)
    proxy.lose_reply(b"ledger_post", then_away=True)

    with pytest.raises(DatabaseAway):
        bank.run(deposit_and_freeze, till, account)

    proxy.away = False
    assert balance(bank, account) == 0


@pytest.mark.parametrize("arrived", [True, False])
def test_a_use_case_whose_commit_is_not_answered_has_an_unknown_outcome(cut: Cut, arrived: bool):
    bank, proxy = cut
    till, account = a_till(bank), an_account(bank)
    (proxy.lose_reply if arrived else proxy.lose_request)(b"COMMIT")

    with pytest.raises(OutcomeUnknown):
        bank.run(deposit_and_freeze, till, account)

    assert balance(bank, account) == (1 if arrived else 0)


def deposit_and_freeze(tx: sa.Connection, till: int, account: int) -> list[object]:
    outcomes = service.post_in(tx, [move(till, account, 1, idempotency_key="deposit")])
    service.set_status(tx, account, "frozen", by=OWNER, reason="test")
    return list(outcomes)


def test_a_refusal_is_told_though_the_connection_broke_with_it(cut: Cut):
    bank, proxy = cut
    account = an_account(bank, balance=1)
    proxy.lose_request(b"ROLLBACK")

    with pytest.raises(service.NotEmpty):
        bank.run(service.set_status, account, "closed", by=OWNER, reason="test")
