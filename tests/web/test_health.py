"""What load balancers ask of one process: health that sees what matters, and costs the database little."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bank.app import create_app
from bank.web import draining
from tests.builders import settings_for
from tests.conftest import MakeDatabase
from tests.web.conftest import Served, served

OWN = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]
OTHERS = ["10.20.0.7", "192.0.2.1", "::ffff:10.20.0.7", "fe80::1", "", "localhost", "127.0.0.1, 10.20.0.7"]


@pytest.fixture
def office(make_database: MakeDatabase) -> Iterator[Served]:
    with served(make_database("sqlite").app) as one:
        yield one


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """This process's parent takes itself for gunicorn's master; answers what it was sent."""
    sent: list[int] = []
    monkeypatch.setattr(draining, "_masters", [os.getppid()])
    monkeypatch.setattr("bank.web.draining.os.kill", lambda *what: sent.extend(what))
    return sent


def drain(office: Served, address: str) -> int:
    return office.app.test_client().post("/drain", environ_base={"REMOTE_ADDR": address}).status_code


@pytest.mark.parametrize("address", OWN)
def test_its_own_host_may_let_it_end(address: str, office: Served, ended: list[int]):
    assert (drain(office, address), ended) == (202, [os.getppid(), signal.SIGTERM])


@pytest.mark.parametrize("address", OTHERS)
def test_nobody_elsewhere_may(address: str, office: Served, ended: list[int]):
    assert (drain(office, address), ended) == (404, [])


def test_where_no_gunicorn_is_above_it_nobody_may(office: Served, monkeypatch: pytest.MonkeyPatch):
    sent: list[int] = []
    monkeypatch.setattr("bank.web.draining.os.kill", lambda *what: sent.extend(what))

    assert (drain(office, "127.0.0.1"), sent) == (404, [])


def slowed(office: Served, seconds: float) -> None:
    """Each statement takes so long."""
    sa.event.listen(office.branch.bank.engine, "before_cursor_execute", lambda *_: threading.Event().wait(seconds))


def test_a_database_that_is_slow_makes_no_page_in_time(office: Served):
    client = office.app.test_client()
    assert client.get("/readyz").json == {"status": "ok"}
    slowed(office, 1.1)

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json) == (503, {"status": "the database answers too slowly"})
    assert client.get("/healthz").status_code == 200


@pytest.fixture
def count_questions(office: Served) -> Callable[[], int]:
    """How often the database was asked whether it takes writes."""
    asked: list[str] = []
    sa.event.listen(
        office.branch.bank.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: asked.append(statement) if "INSERT" in statement else None,
    )
    return lambda: len(asked)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which answers grow old: one second after another, as the test says."""
    now = [1000.0]
    monkeypatch.setattr("bank.storage.writable.time.monotonic", lambda: now[0])
    return now


def test_checkers_ask_the_database_once_in_a_second(
    office: Served, clock: list[float], count_questions: Callable[[], int]
):
    client = office.app.test_client()

    assert [client.get("/writable").status_code for _ in range(5)] == [200] * 5
    assert count_questions() == 1
    clock[0] += 1.1
    assert client.get("/writable").status_code == 200
    assert count_questions() == 2


def test_the_database_is_asked_for_room_on_its_disk_more_seldom_unless_it_had_none(
    office: Served, clock: list[float], monkeypatch: pytest.MonkeyPatch
):
    client, asked, full = office.app.test_client(), [], [False]

    def take_room(_dialect: object, _tx: object) -> None:
        asked.append(clock[0])
        if full[0]:
            raise sa.exc.OperationalError("", {}, Exception("no space left on device"))

    monkeypatch.setattr(type(office.branch.bank.dialect), "take_room", take_room)
    statuses = []
    for time in range(10):
        full[0] = time >= 5
        clock[0] = 1000 + time * 1.5
        statuses.append(client.get("/writable").status_code)

    assert statuses == [200] * 8 + [503] * 2
    assert asked == [1000, 1006, 1012, 1013.5]


def test_who_asks_at_the_same_time_shares_one_question(office: Served, count_questions: Callable[[], int]):
    slowed(office, 0.1)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: office.app.test_client().get("/writable").status_code, range(8)))

    assert (answers, count_questions()) == ([200] * 8, 1)


def test_who_asks_while_somebody_finds_out_is_told_what_was_so_before(office: Served, clock: list[float]):
    client = office.app.test_client()
    assert client.get("/writable").status_code == 200
    reached, go_on = threading.Event(), threading.Event()
    sa.event.listen(office.branch.bank.engine, "before_cursor_execute", lambda *_: reached.set() or go_on.wait(10))
    clock[0] += 1.1

    with ThreadPoolExecutor(2) as threads:
        finding_out = threads.submit(client.get, "/writable")
        assert reached.wait(5)
        meanwhile = threads.submit(office.app.test_client().get, "/writable").result(5)
        assert not finding_out.done()
        # What is long ago is told to nobody: this one waits for the answer.
        clock[0] += 4
        waiting = threads.submit(office.app.test_client().get, "/writable")
        go_on.set()
        assert (waiting.result(5).status_code, finding_out.result(5).status_code) == (200, 200)

    assert meanwhile.status_code == 200


def test_what_was_so_once_is_not_said_when_it_no_longer_is(office: Served, clock: list[float]):
    client = office.app.test_client()
    assert client.get("/writable").status_code == 200
    sa.event.listen(office.branch.bank.engine, "before_cursor_execute", _refuse)
    clock[0] += 1.1

    answer = client.get("/writable")

    assert (answer.status_code, answer.json) == (503, {"status": "the database takes no writes"})


def _refuse(*_: object) -> None:
    raise sa.exc.OperationalError("INSERT", {}, Exception("no space left on device"))


def test_the_question_leaves_nothing_behind(office: Served):
    before = office.branch.rows(sa.text("SELECT count(*) FROM bank_facts"))

    assert office.app.test_client().get("/writable").status_code == 200

    assert office.branch.rows(sa.text("SELECT count(*) FROM bank_facts")) == before


def test_a_draining_process_says_so_and_asks_nobody(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draining, "_begun", bytearray(b"\1"))
    client: FlaskClient = create_app(settings_for("postgresql://bank@127.0.0.1:1/none")).test_client()

    answers = [client.get(path) for path in ("/healthz", "/readyz", "/writable")]

    assert [(answer.status_code, answer.json) for answer in answers] == [(503, {"status": "draining"})] * 3
