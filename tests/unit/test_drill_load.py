"""The drill's customers: what they want by a seed, where they go next, what they carry, and how answers are read."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.drill import acts, history
from tests.drill.acts import Again, Done, Refused, Visitor
from tests.drill.history import Event, Writer
from tests.drill.http_client import Answer, Client, NoAnswer
from tests.drill.load import next_region, pause
from tests.drill.route53 import QUESTIONS, REAL, Names, Opinion, choose, gets_customers
from tests.drill.workload import wishes


def in_a_loop(asked: Coroutine[Any, Any, Any]) -> Any:
    """Its answer, from a loop in a thread of its own: this one may have the browser's already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asked).result(30)


PAYMENT = {"key": "k" * 36, "payer": "1", "payee": "2", "minor": 305}
PLAN: dict[str, Any] = {
    "seed": 7, "rate": 50, "seconds": 20,
    "customers": [{"account": str(n), "pays": [str(n + 1)], "browses": n > 0} for n in range(5)],
}  # fmt: skip


def test_the_same_seed_wants_the_same_and_another_one_something_else():
    assert list(wishes(PLAN)) == list(wishes(PLAN))
    assert list(wishes(PLAN)) != list(wishes({**PLAN, "seed": 8}))


def test_wishes_come_at_their_rate_and_in_their_mix():
    found = list(wishes({**PLAN, "seconds": 200}))
    kinds = Counter(wish.f for wish in found)

    assert 9_500 < len(found) < 10_500
    assert {f: round(count / len(found), 1) for f, count in kinds.items()} == {"pay": 0.7, "page": 0.2, "total": 0.1}
    assert [wish.at for wish in found] == sorted(wish.at for wish in found)
    assert len({wish.value["key"] for wish in found if wish.f == "pay"}) == kinds["pay"]
    assert not any(wish.by_browser and wish.customer == 0 for wish in found)


def test_after_a_failure_at_once_the_same_region_is_asked_and_after_waiting_the_other():
    assert next_region(2, "east", "east", waited=False) == "east"
    assert next_region(2, "east", "east", waited=True) == "west"
    assert next_region(2, "east", "west", waited=False) == "west"
    assert [next_region(attempt, "east", "east", waited=False) for attempt in (3, 4)] == ["west", "west"]


def test_pauses_grow_to_a_second_and_differ():
    class Highest:
        def uniform(self, low: float, high: float) -> float:
            return high

    assert [pause(attempt, Highest()) for attempt in (1, 2, 3, 9)] == pytest.approx([0.075, 0.15, 0.3, 1.5])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("healthy", "led"),
    [
        ({}, "west"),
        ({"west": True}, "west"),
        ({"west": False, "east": True}, "east"),
        ({"west": False, "east": False}, "west"),
    ],
)
def test_customers_are_led_away_only_where_somebody_serves(healthy: dict[str, bool], led: str):
    assert choose("west", healthy) == led


@pytest.mark.parametrize(
    ("east_writes", "west_serves", "west_writes", "gets"),
    [
        (True, True, True, True),
        (True, True, False, False),
        (False, True, False, True),
        (True, False, True, False),
        (False, False, True, True),
        (True, False, False, False),
    ],
)
def test_a_region_gets_customers_when_two_of_three_reasons_say_so(
    east_writes: bool, west_serves: bool, west_writes: bool, gets: bool
):
    opinions = {
        ("east", "serves"): True, ("east", "writes"): east_writes,
        ("west", "serves"): west_serves, ("west", "writes"): west_writes,
    }  # fmt: skip

    assert gets_customers("west", opinions) is gets


def test_the_same_is_asked_as_the_deployment_asks():
    terraform = (Path(__file__).parents[2] / "infra/modules/dns/dns.tf").read_text()

    for question, path in QUESTIONS.items():
        assert f'{question} = {{ path = "{path}"' in terraform
    assert "child_health_threshold = 2" in terraform


def test_an_opinion_changes_after_as_many_answers_in_a_row_as_it_takes():
    opinion = Opinion(3)

    heard = [opinion.hear(good) for good in (False, False, True, False, False, False, True, True, True)]

    assert heard == [False] * 5 + [True] + [False] * 2 + [True]
    assert opinion.healthy


def test_a_name_is_kept_for_its_time(tmp_path: Path):
    file = tmp_path / "names.json"
    file.write_text('{"east": true, "west": true}')
    forgets, keeps = Names(file), Names(file, ttl_seconds=60)
    assert forgets.answer("west") == keeps.answer("west") == "west"

    file.write_text('{"east": true, "west": false}')

    assert (forgets.answer("west"), keeps.answer("west")) == ("east", "west")


def test_the_real_times_are_those_of_the_deployment():
    assert REAL.interval in (10, 30)
    assert 1 <= REAL.threshold <= 10


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    return Answer(status, list(headers.items()), body if isinstance(body, bytes) else json.dumps(body).encode())


PROBLEM = {"content-type": "application/problem+json"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (answer(201, {"id": "17"}), Done({"entry": 17, "replayed": False})),
        (answer(201, {"id": "17"}, **{"idempotent-replayed": "true"}), Done({"entry": 17, "replayed": True})),
        (answer(422, {"code": "insufficient_funds"}, **PROBLEM), Refused("insufficient_funds")),
        (answer(404, b"<html>"), Refused("404")),
        (answer(503, {"code": "outcome_unknown"}, **PROBLEM), Again(503)),
        (answer(502, b"<html>"), Again(502)),
        (answer(429, {"code": "too_many_calls"}, **PROBLEM), Again(429)),
    ],
)
def test_a_program_understands_what_became_of_its_payment(given: Answer, meant: acts.Outcome):
    assert acts.Payment(PAYMENT, form=False).read(given) == meant


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (answer(303, b"", location="/movements/17"), Done({"entry": 17})),
        (answer(303, b"", location="/login?next=/pay"), Refused("303")),
        (answer(422, b"<html>"), Refused("422")),
        (answer(503, b"<html>"), Again(503)),
    ],
)
def test_a_browser_understands_what_became_of_its_payment(given: Answer, meant: acts.Outcome):
    assert acts.Payment(PAYMENT, form=True).read(given) == meant


def test_a_form_carries_what_the_page_gave_and_the_amount_in_decimals():
    visitor = Visitor(1, "east", cookies={"bank-session": "s"})
    page = answer(200, b'<input type="hidden" name="csrf_token" value="t0ken">')
    page.headers.extend([("set-cookie", "bank-position=p; Path=/"), ("set-cookie", "old=; Max-Age=0; Path=/")])
    visitor.cookies["old"] = "o"

    visitor.keep(page)
    sent = acts.Payment(PAYMENT, form=True).request(visitor).decode()

    assert "Cookie: bank-session=s; bank-position=p\r\n" in sent
    assert "csrf_token=t0ken&operation=" in sent
    assert "amount=3.05&" in sent


def test_a_program_carries_the_position_that_it_was_given():
    visitor = Visitor(1, "east", token="bank_c")
    visitor.keep(answer(200, {}, **{"bank-position": "p"}))

    assert b"Bank-Position: p\r\n" in acts.Totals().request(visitor)


def test_what_became_of_a_payment_is_done_or_never():
    listed = acts.Listed("1", "key")

    assert acts.BecameOf("key").read(answer(302, b"", location="/movements/17")) == Done(
        {"became": "done", "entry": 17}
    )
    assert acts.BecameOf("key").read(answer(200, b"<html>")) == Done({"became": "never"})
    found = answer(200, {"postings": [{"description": "key", "entry": "17"}]})
    assert listed.read(found) == Done({"became": "done", "entry": 17})
    assert listed.read(answer(200, {"postings": []})) == Done({"became": "never"})


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _ask(handler: Handler, times: int = 1, seconds: float = 2.0) -> list[Answer]:
    server = await asyncio.start_server(handler, "127.0.0.1")
    host, port = server.sockets[0].getsockname()
    client = Client({"east": (host, port)})
    try:
        return [await client.ask("east", b"GET / HTTP/1.1\r\n\r\n", seconds) for _ in range(times)]
    finally:
        client.close()
        server.close()


def test_a_connection_is_kept_unless_the_server_closes_it():
    opened = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        for closing in (b"", b"Connection: close\r\n"):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nX-A: b\r\n" + closing + b"Content-Length: 2\r\n\r\nhi")
        writer.close()

    answers = in_a_loop(_ask(serve, times=4))

    assert [(each.status, each.header("x-a"), each.text) for each in answers] == [(200, "b", "hi")] * 4
    assert opened == 2


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "unreadable"),
        (b"nonsense\r\n\r\n", "unreadable"),
        (None, "timeout"),
    ],
)
def test_half_an_answer_is_none(sent: bytes | None, why: str):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if sent is None:
            await reader.read()
        else:
            writer.write(sent)
        writer.close()

    with pytest.raises(NoAnswer, match=why):
        in_a_loop(_ask(serve, seconds=0.2))


def test_where_nobody_listens_the_connection_is_refused():
    client = Client({"east": ("127.0.0.1", 1)})

    with pytest.raises(NoAnswer, match="refused"):
        in_a_loop(client.ask("east", b"", 2.0))


def test_a_history_is_read_as_it_was_written_without_a_line_that_was_cut_off(tmp_path: Path):
    events = [
        Event(0.5, 3, "invoke", "total", {}, "east"),
        Event(
            0.7,
            3,
            "ok",
            "total",
            {"balances": {"1": 5}},
            "east",
            "west",
            2,
            200.0,
            200,
            [[0.5, "east", "timeout", 9.0]],
        ),
    ]
    file = io.StringIO()
    for event in events:
        Writer(file).write(event)
    path = tmp_path / "history.jsonl"

    path.write_text(file.getvalue() + '{"at": 1, "proc')

    assert history.read(path) == events


@pytest.mark.parametrize(
    "lines",
    [
        [Event(0, 1, "invoke", "pay", {}), Event(1, 1, "invoke", "pay", {})],
        [Event(0, 1, "ok", "pay", {})],
        [Event(0, 1, "invoke", "pay", {}), Event(1, 1, "ok", "page", {})],
    ],
)
def test_a_history_that_no_run_can_leave_is_refused(lines: list[Event]):
    with pytest.raises(ValueError, match="process 1"):
        list(history.operations(lines))
