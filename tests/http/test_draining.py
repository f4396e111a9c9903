"""A server that ends in order: a load balancer takes its customers elsewhere first, and none of them notices."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.builders import Branch
from tests.conftest import MakeDatabase
from tests.gunicorn_server import GunicornServer, wait_until
from tests.http.browsing import RemoteBrowser
from tests.http.conftest import Serve
from tests.http.test_metrics import bank_metrics
from tests.http.test_outage import BOUND_SECONDS, locked

CUSTOMERS = 8
#: As the load balancer's, twenty times faster: so many seconds between two checks, and two that fail in a row.
CHECK_SECONDS, FAILURES = 0.25, 2
DRAIN_SECONDS = 2
QUESTIONS = ("/healthz", "/readyz", "/writable")


@dataclass
class LoadBalancer:
    """Customers' requests to one server, on connections that are kept, until its health check has failed twice."""

    server: GunicornServer
    answered: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    #: When it stopped sending requests; 0 while it sends them.
    left_at: float = 0.0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Check, and send what customers ask, within the body; then wait for the last answers."""
        with ThreadPoolExecutor(CUSTOMERS + 1) as threads:
            running = [threads.submit(self._check), *(threads.submit(self._send) for _ in range(CUSTOMERS))]
            try:
                yield
            finally:
                self.over.set()
            for one in running:
                one.result(BOUND_SECONDS)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=BOUND_SECONDS)

    def _check(self) -> None:
        failed = 0
        while not self.over.wait(CHECK_SECONDS) and failed < FAILURES:
            failed = 0 if self._is_healthy() else failed + 1
        self.left_at = time.monotonic()

    def _is_healthy(self) -> bool:
        connection = self._connect()
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _send(self) -> None:
        connection = self._connect()
        while not self.left_at:
            try:
                connection.request("GET", "/login")
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.errors.append(str(answer.status))
                # http.client closes by itself what is to be closed, and opens another one for the next request.
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(repr(error))
                connection.close()
            self.answered.append(time.monotonic())
        connection.close()


def ended_under_load(server: GunicornServer) -> tuple[LoadBalancer, float]:
    """End the server by SIGTERM while customers ask; answers what they saw, and when that was."""
    balancer = LoadBalancer(server)
    assert server.process is not None
    with balancer.sending():
        wait_until(lambda: len(balancer.answered) > 20 * CUSTOMERS, BOUND_SECONDS, "customers to be served")
        assert balancer.errors == []
        told_at = time.monotonic()
        server.process.terminate()
        wait_until(lambda: balancer.left_at, BOUND_SECONDS, "the load balancer to take the server out")
    assert server.exit_code() == 0
    return balancer, told_at


def test_nobody_notices_that_a_server_ends(make_database: MakeDatabase, serve: Serve):
    server = serve(make_database("sqlite").app, workers=2, DRAIN_SECONDS=str(DRAIN_SECONDS))

    balancer, told_at = ended_under_load(server)

    assert balancer.errors == []
    # It was served to the end, although it had been told long before.
    assert len([at for at in balancer.answered if at > told_at]) > CUSTOMERS
    assert balancer.left_at - told_at < DRAIN_SECONDS
    assert {line["level"] for line in server.lines()} <= {"info", "warning"}


def test_without_draining_they_would_have(make_database: MakeDatabase, serve: Serve):
    server = serve(make_database("sqlite").app, workers=2, DRAIN_SECONDS="0")

    balancer, _ = ended_under_load(server)

    assert balancer.errors


@contextmanager
def draining(server: GunicornServer) -> Iterator[None]:
    """The server drains within the body, and is gone after it."""
    assert server.process is not None
    server.process.terminate()
    wait_until(lambda: RemoteBrowser(server.address).get("/healthz").status == 503, BOUND_SECONDS, "it to drain")
    yield
    # The second one ends the waiting.
    server.process.terminate()
    assert server.exit_code() == 0


def test_every_process_says_that_it_drains_and_serves_on_connections_that_end(
    make_database: MakeDatabase, serve: Serve
):
    server = serve(make_database("sqlite").app, workers=3, DRAIN_SECONDS="60")
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=BOUND_SECONDS)
    assert asked(kept, "/login") == (200, None)

    with draining(server):
        answers = {(path, *told(server, path)) for path in QUESTIONS for _ in range(10)}
        assert answers == {(path, 503, "draining") for path in QUESTIONS}
        # It was open before, and its next request is answered all the same.
        assert asked(kept, "/login") == (200, "close")
        assert {asked(connection(server), "/login") for _ in range(10)} == {(200, "close")}


def connection(server: GunicornServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=BOUND_SECONDS)


def asked(connection: http.client.HTTPConnection, path: str) -> tuple[int, str | None]:
    """The answer's status, and what it says of the connection."""
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.getheader("Connection") if answer.getheader("Connection") != "keep-alive" else None


def told(server: GunicornServer, path: str) -> tuple[int, str]:
    """The answer to a question about health."""
    answer = RemoteBrowser(server.address).get(path)
    return answer.status, json.loads(answer.response.data)["status"]


@pytest.mark.dialects("postgresql", "mysql")
def test_a_payment_that_waits_is_finished_though_the_server_ends(
    dialect: str, make_database: MakeDatabase, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = make_database(dialect)
    branch = open_branch(urls.app)
    server = serve(urls.app, workers=2, DRAIN_SECONDS="1")
    alice = RemoteBrowser(server.address, branch.session_of("alice"))
    payer, payee = branch.number("alice_current"), branch.number("bob_current")
    form = alice.fill("/pay", from_account=payer, to_account=payee, amount="30.00", reference="Last one")
    assert server.process is not None

    with ThreadPoolExecutor(1) as pool:
        with locked(urls.migrator, branch.accounts["alice_current"].id):
            paying = pool.submit(alice.ask, "/pay", form)
            time.sleep(0.5)
            server.process.terminate()
            # Draining is over: gunicorn's own end waits for the one process that still has something to do.
            wait_until(lambda: "Worker exiting" in server.text(), BOUND_SECONDS, "the other process to end")
            assert not paying.done()
        answer = paying.result(BOUND_SECONDS)

    assert answer.status == 303
    assert branch.balance("bob_current") == 80_00
    assert server.exit_code() == 0


def test_an_interrupt_waits_for_nobody(make_database: MakeDatabase, serve: Serve):
    server = serve(make_database("sqlite").app, workers=2, DRAIN_SECONDS="60")
    assert server.process is not None
    began = time.monotonic()

    server.process.send_signal(signal.SIGINT)

    assert server.exit_code() == 0
    assert time.monotonic() - began < 10


def test_a_process_that_dies_while_draining_is_replaced_by_one_that_drains(make_database: MakeDatabase, serve: Serve):
    server = serve(make_database("sqlite").app, workers=1, DRAIN_SECONDS="60")

    with draining(server):
        server.kill_workers()
        wait_until(lambda: answers_at_all(server), BOUND_SECONDS, "another process")
        assert told(server, "/healthz") == (503, "draining")
        assert RemoteBrowser(server.address).get("/login").status == 200


def answers_at_all(server: GunicornServer) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return bool(RemoteBrowser(server.address).get("/login").status)
    return False


def drain_by_post(server: GunicornServer, headers: dict[str, str]) -> int:
    one = connection(server)
    one.request("POST", "/drain", headers=headers)
    return one.getresponse().status


def test_whoever_is_on_its_host_lets_it_end_and_whoever_comes_by_a_proxy_does_not(
    make_database: MakeDatabase, serve: Serve
):
    server = serve(make_database("sqlite").app, workers=2, DRAIN_SECONDS="1", PROXY_HOPS="1")
    by_proxies = [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": ""},
        {"X-Forwarded-Proto": "http"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "127.0.0.1"},
    ]
    by_browsers = [{"Origin": server.address}, {"Sec-Fetch-Site": "none"}]

    refused = [drain_by_post(server, headers) for headers in (*by_proxies, *by_browsers)]
    assert (set(refused), told(server, "/healthz")) == ({404}, (200, "ok"))
    assert drain_by_post(server, {}) == 202
    wait_until(lambda: told(server, "/healthz") == (503, "draining"), BOUND_SECONDS, "it to drain")
    assert server.exit_code() == 0


def test_metrics_tell_that_it_drains(make_database: MakeDatabase, serve: Serve, tmp_path: Path):
    url = make_database("sqlite").app
    server = serve(url, workers=2, DRAIN_SECONDS="60", PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "metrics"))

    with bank_metrics(url, tmp_path / "metrics") as scrape:
        assert scrape().requests("GET", "/healthz", 503) == 0
        with draining(server):
            assert scrape().requests("GET", "/healthz", 503) > 0
