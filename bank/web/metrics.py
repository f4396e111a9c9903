"""What this process counts of its work, in files that `bank metrics` reads; without a folder for them, nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from flask import Flask, Response, g, request
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.multiprocess import mark_process_dead

from bank.settings import SettingsRefused

#: Whoever asks chooses the method; nobody may make the bank keep a count for each word.
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)


#: Counts an answer: method, route, status, seconds.
Count = Callable[[str, str, int, float], None]


def install(app: Flask, engine: sa.Engine, directory: str) -> Count:
    """Count requests and connections in `directory`, which is made if it is missing; in none, do not count.

    Answers what counts those that Flask does not see.

    Raises:
        SettingsRefused: nothing can be written there.
    """
    if not directory:
        return _no_count
    try:
        Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
        _count_connections(engine)
    except OSError as problem:
        raise SettingsRefused([f"PROMETHEUS_MULTIPROC_DIR cannot be written to: {problem.strerror}."]) from problem
    count = _counter()
    app.after_request(lambda response: _count_answer(count, response))
    return count


def _no_count(_method: str, _route: str, _status: int, _seconds: float) -> None:
    """Nobody asked to have answers counted."""


def _count_connections(engine: sa.Engine) -> None:
    in_use = Gauge(
        "bank_database_connections", "Database connections in use", multiprocess_mode="livesum", registry=None
    )
    sa.event.listen(engine, "checkout", lambda *_: in_use.inc())
    sa.event.listen(engine, "checkin", lambda *_: in_use.dec())


def _counter() -> Count:
    requests = Counter("bank_requests", "Requests answered", ["method", "route", "status"], registry=None)
    seconds = Histogram("bank_request_seconds", "How long answers took", ["route"], buckets=_BUCKETS, registry=None)

    def count(method: str, route: str, status: int, took: float) -> None:
        requests.labels(method if method in _METHODS else "(other)", route, status).inc()
        seconds.labels(route).observe(took)

    return count


def _count_answer(count: Count, response: Response) -> Response:
    # The rule, not the path: addresses carry account numbers.
    route = request.url_rule.rule if request.url_rule else "(none)"
    count(request.method, route, response.status_code, time.perf_counter() - g.began)
    return response


def begin(directory: str) -> None:
    """Forget what the processes of an earlier server counted."""
    for file in Path(directory).glob("*.db") if directory else ():
        file.unlink(missing_ok=True)


def ended(directory: str, pid: int) -> None:
    """Forget the connections of a process that is gone; what it counted stays."""
    if directory:
        mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]
