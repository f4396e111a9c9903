"""The drill's customers and its checker before real gunicorn: two servers of one bank stand for two regions.

Each server is held still for a while, so customers send again to the other what the first one does when it goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeDatabase
from tests.drill.bank_data import make_bank
from tests.drill.check import check
from tests.drill.figures import figures
from tests.drill.history import Event, read
from tests.drill.ledger_read import Opening, read_ledger
from tests.drill.route53 import Route53
from tests.drill.run_read import Violation
from tests.drill.without_idempotency import take_out
from tests.gunicorn_server import ROOT, GunicornServer
from tests.servers import children

SECONDS = 7.0
#: Longer than a customer's first attempt.
STILL_SECONDS = 1.3

Drill = Callable[[], tuple[list[Event], list[Violation], list[dict[str, Any]]]]


@pytest.fixture
def drill(dialect: str, make_database: MakeDatabase, tmp_path: Path) -> Drill:
    """Let customers pay while each server is held still once; answers the history, what was broken and Route 53's changes."""

    def run() -> tuple[list[Event], list[Violation], list[dict[str, Any]]]:
        url = make_database(dialect).app
        plan = make_bank(url, customers=12)
        plan |= {"seed": 5, "rate": 40, "seconds": SECONDS, "epoch": time.monotonic()}
        with (
            GunicornServer(url, tmp_path / "east", workers=1) as east,
            GunicornServer(url, tmp_path / "west", workers=1) as west,
        ):
            plan["addresses"] = {"east": ["127.0.0.1", east.port], "west": ["127.0.0.1", west.port]}
            with Route53(plan["addresses"], tmp_path, _start, epoch=plan["epoch"]) as names:
                plan["names"] = str(names.names)
                (tmp_path / "plan.json").write_text(json.dumps(plan))
                load = _start([sys.executable, "-m", "tests.drill.load", *_files(tmp_path)])
                for server in (east, west):
                    time.sleep(1.5)
                    _hold_still(server)
                assert load.wait(60) == 0
                changes = names.changes()
        history, opening = read(tmp_path / "history.jsonl"), Opening.of(plan)
        return history, check(history, read_ledger(url, opening), opening), changes

    return run


def _files(directory: Path) -> list[str]:
    return [str(directory / name) for name in ("plan.json", "history.jsonl")]


def _start(command: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)


def _hold_still(server: GunicornServer) -> None:
    assert server.process
    pids = [server.process.pid, *children(server.process.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(STILL_SECONDS)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.dialects("postgresql", "mysql")
def test_customers_who_are_kept_waiting_pay_once_elsewhere(drill: Drill):
    history, broken, changes = drill()

    assert broken == []
    found = figures(history)
    assert found.errors_after_retry == 0
    # Otherwise nothing was tried.
    assert found.first_try_errors > 5
    assert {change["healthy"] for change in changes} <= {True, False}
    kinds = Counter((event.f, event.type) for event in history)
    assert kinds["pay", "ok"] > 100
    assert kinds["page", "ok"] > 20
    assert kinds["total", "ok"] > 10
    assert any(event.f == "pay" and event.status == 303 for event in history), "no form was sent"


@pytest.mark.dialects("postgresql")
def test_without_the_idempotency_check_payments_are_made_twice_and_the_checker_says_so(
    drill: Drill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spoiled = tmp_path / "spoiled"
    shutil.copytree(ROOT / "bank", spoiled / "bank", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "migrations", spoiled / "migrations")
    shutil.copy(ROOT / "wsgi.py", spoiled)
    take_out(spoiled)
    monkeypatch.setattr("tests.gunicorn_server.ROOT", spoiled)

    _, broken, _ = drill()

    assert "duplicate" in {violation.rule for violation in broken}
