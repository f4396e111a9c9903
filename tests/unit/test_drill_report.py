"""The drill's report: what is counted and how, what is judged, and the three files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.drill import without_idempotency
from tests.drill.figures import figures, server_times
from tests.drill.history import Event
from tests.drill.report import Run, judged, report, table
from tests.drill.run_read import Violation
from tests.drill.timeline import Mark
from tests.drill.without_idempotency import NothingToTakeOut, take_out
from tests.unit.drill_runs import a_run

ROOT = Path(__file__).parents[2]


def operation(
    number: int, at: float, seconds: float, kind: str = "ok", f: str = "pay", tries: int = 1, **told: Any
) -> list[Event]:
    home = ("east", "west")[number % 2]
    each = [[at, home, 503, 1.0]] * (tries - 1) + [[at, home, 200, seconds * 1000]]
    return [
        Event(at, number, "invoke", f, {}, home),
        Event(at + seconds, number, kind, f, told, home, home, tries, seconds * 1000, 200, each),
    ]


HISTORY = [
    *operation(0, 0.0, 0.1),
    *operation(1, 1.0, 0.1),
    *operation(2, 2.0, 2.1, tries=2),
    *operation(3, 30.0, 0.2, kind="fail", code="insufficient_funds"),
    *operation(4, 4.0, 25.0, kind="info", tries=9),
    *operation(5, 5.0, 0.1),
    *operation(6, 6.0, 0.3, f="page"),
    *operation(7, 70.0, 0.1),
    *operation(8, 71.0, 0.1, f="look_up", became="never"),
]


def a_report(**changed: Any) -> Run:
    plain = Run(
        "server-killed", "server", 7, "python -m tests.drill run x", a_run().history, [], "it was gone", 41.0, 4.0
    )
    return replace(plain, **changed)


def test_requests_attempts_and_errors_are_counted_and_a_right_refusal_is_none():
    found = figures(HISTORY)

    assert (found.requests, found.attempts) == (8, 17)
    assert (found.first_try_errors, found.errors_after_retry, found.given_up) == (2, 1, 1)


def test_failed_tries_are_told_by_where_and_how():
    assert figures(HISTORY).failed_tries == {"east 503": 9, "east 200": 1}


def test_what_is_soon_is_counted_over_the_minute_from_the_fault_on():
    found = figures(HISTORY, fault_at=1.5)

    assert found.soon_percent == 60.0
    assert (found.soon_pages_percent, found.soon_payments_percent) == (100.0, 50.0)
    assert figures(HISTORY, fault_at=65.0).soon_percent == 100.0
    assert figures(HISTORY, fault_at=200.0).soon_percent is None


def test_the_longest_gap_counts_accepted_payments_of_customers_of_each_region():
    # East: accepted at 0.1 and 4.1, the last end at 29. West: at 1.1, 5.1 and 70.1, a refusal at 30.2.
    assert figures(HISTORY).longest_gap_seconds == {"east": 24.9, "west": 65.0}


def test_latencies_are_of_what_needed_one_try():
    latencies = figures(HISTORY).latency_ms

    assert latencies["page east"] == (300.0, 300.0)
    assert latencies["pay east"] == (100.0, 100.0)


def test_times_at_the_servers_come_from_their_logs(tmp_path: Path):
    log = tmp_path / "server.log"
    home = {"at": "2026-03-01T12:00:02", "method": "GET", "route": "/home", "status": 200}
    lines = [{**home, "milliseconds": ms} for ms in (3, 1, 2)]
    lines.append({**home, "at": "2026-03-01T12:00:00", "milliseconds": 800})
    lines.append(
        {**home, "at": "2026-03-01T12:00:01", "route": "/api/v1/transfers", "method": "POST", "milliseconds": 5}
    )
    failed = {**home, "status": 503, "milliseconds": 900}
    log.write_text("\n".join(map(json.dumps, [*lines, failed, {"event": "started"}])) + '\nBooting\n{"cut')

    assert server_times([log]) == {"GET /home": (3, 2, 3), "POST /api/v1/transfers": (1, 5, 5)}


def test_a_run_passes_when_its_fault_bit_and_its_targets_are_reached():
    good = a_report(history=[*operation(0, 0.0, 0.1), *operation(1, 1.0, 0.1)])

    assert judged(good).passed
    assert not judged(replace(good, proof="")).passed
    assert not judged(replace(good, violations=[Violation("lost", "k", "Gone.")])).passed
    assert not judged(replace(good, history=operation(2, 2.0, 2.1, tries=2))).passed
    assert not judged(replace(good, history=operation(4, 4.0, 25.0, kind="info"))).passed


def test_a_run_that_must_break_a_promise_passes_only_when_it_breaks_that_one_alone():
    run = a_report(kind="other", must_break=("duplicate",), history=operation(0, 0.0, 0.1))
    twice, lost = Violation("duplicate", "k", "Twice."), Violation("lost", "k", "Gone.")

    assert not judged(run).passed
    assert judged(replace(run, violations=[twice])).passed
    assert not judged(replace(run, violations=[twice, lost])).passed
    assert judged(replace(run, violations=[twice, lost], may_break=("lost",))).passed


def test_a_promise_that_cannot_be_kept_is_counted_and_not_failed():
    run = a_report(kind="other", history=operation(0, 0.0, 0.1), violations=[Violation("lost", "k", "Gone.")])

    assert not judged(run).passed
    assert judged(replace(run, may_break=("lost",))).passed
    assert "| 1 | 0 | 0 | 0 | 0 | 0 |" in table([judged(replace(run, may_break=("lost",)))])


@pytest.mark.parametrize(
    ("kind", "secured", "what"),
    [
        ("server", False, "done within 2 s, %"),
        ("database", False, "payments done within 2 s, %"),
        ("region", False, "longest gap in payments, s"),
        ("release", False, "first-try errors"),
        ("baseline", False, "far payment at the server, p99 ms"),
        ("baseline", True, "secured payment from the west, p50 ms"),
    ],
)
def test_each_kind_of_fault_is_held_to_its_target(kind: Any, secured: bool, what: str, tmp_path: Path):
    log = tmp_path / "west.log"
    told = {"at": "2026-03-01", "method": "POST", "route": "/api/v1/transfers", "status": 201, "milliseconds": 74.0}
    log.write_text(json.dumps(told) + "\n")
    run = a_report(kind=kind, secured=secured, history=HISTORY, logs={"west": [log]})

    assert what in [target.what for target in judged(run).targets]


def test_no_latency_is_judged_when_the_network_was_late(tmp_path: Path):
    run = a_report(kind="baseline", secured=True, late_ms_max=21.0)

    assert not any("ms" in target.what for target in judged(run).targets)


def test_a_report_is_a_table_figures_and_a_picture(tmp_path: Path):
    violations = [Violation("stale", "process 3, account 1", "Posting 2 was the newest, after 3.")]
    run = a_report(violations=violations, marks=[Mark(1.0, "server <east> killed")], proof="a | b")

    report(run, tmp_path)

    told = json.loads((tmp_path / "report.json").read_text())
    assert told["passed"] is False
    assert told["violations"][0]["rule"] == "stale"
    page = (tmp_path / "report.md").read_text()
    assert "stale, process 3, account 1" in page
    rows = [line for line in page.splitlines() if line.startswith(("| scenario", "| ---", "| server-killed"))]
    assert len({row.count("|") for row in rows[:3]}) == 1
    picture = ET.parse(tmp_path / "timeline.svg").getroot()
    assert "server <east> killed" in [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]


def test_a_run_that_nobody_asked_anything_is_drawn_too(tmp_path: Path):
    assert not report(a_report(history=[]), tmp_path).passed


def test_the_check_that_is_taken_out_is_there_and_never_taken_out_of_the_working_tree(tmp_path: Path):
    module = tmp_path / "bank/payments/sending.py"
    module.parent.mkdir(parents=True)
    module.write_text((ROOT / "bank/payments/sending.py").read_text())

    take_out(tmp_path)

    compile(module.read_text(), "sending.py", "exec")
    assert module.read_text() != (ROOT / "bank/payments/sending.py").read_text()
    with pytest.raises(NothingToTakeOut):
        take_out(tmp_path)
    with pytest.raises(NothingToTakeOut):
        take_out(Path(without_idempotency.__file__).parents[2])
