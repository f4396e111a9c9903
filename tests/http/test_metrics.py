"""`bank metrics`: what real gunicorn's processes counted, and what the database knows, on a port of their own."""

from __future__ import annotations

import http.client
import re
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from bank.app import create_app
from bank.cli.metrics import LedgerGauges
from bank.ledger import verify
from bank.ledger.verify import Verification
from bank.storage.transaction import Bank
from tests.builders import Branch, settings_for
from tests.conftest import MakeDatabase
from tests.gunicorn_server import BIN, ROOT, GunicornServer, environment, wait_until
from tests.http.browsing import RemoteBrowser
from tests.http.conftest import Serve
from tests.ledger import opened
from tests.servers import children, free_port

NOWHERE = "postgresql://bank@127.0.0.1:1/none"


class Metrics:
    """What a scrape answered: each sample's value by its name with labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        self.values = {sample: float(value) for sample, _, value in lines}
        self.names = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))

    def requests(self, method: str, route: str, status: int) -> float:
        return self.values.get(f'bank_requests_total{{method="{method}",route="{route}",status="{status}"}}', 0)


@contextmanager
def bank_metrics(url: str, folder: Path | str, **env: str) -> Iterator[Callable[[], Metrics]]:
    """Run `bank metrics`; the value scrapes it."""
    port = free_port()
    process = subprocess.Popen(
        [BIN / "bank", "metrics", "--listen", f"127.0.0.1:{port}"], cwd=ROOT, stdout=subprocess.PIPE,
        env=environment(DATABASE_URL=url, PROMETHEUS_MULTIPROC_DIR=str(folder), PYTHONUNBUFFERED="1", **env),
    )  # fmt: skip

    def scrape() -> Metrics:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert answer.status == 200
            return Metrics(answer.read().decode())

    try:
        assert process.stdout is not None
        assert f"on port {port} of 127.0.0.1.".encode() in process.stdout.readline()
        yield scrape
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """It does not exist yet."""
    return tmp_path / "run" / "metrics"


def processes_that_counted(folder: Path) -> set[str]:
    return {file.stem.partition("_")[2] for file in folder.glob("counter_*.db")}


def ask_both(server: GunicornServer, folder: Path) -> int:
    """Ask on new connections until two processes have answered; says how many times."""
    asked = 0
    while asked < 10 or len(processes_that_counted(folder)) < 2:
        assert RemoteBrowser(server.address).get("/login").status == 200
        asked += 1
        assert asked < 2000
    return asked


def test_counts_add_up_over_processes_outlive_them_and_end_with_the_server(
    make_database: MakeDatabase, serve: Serve, folder: Path
):
    url = make_database("sqlite").app
    server = serve(url, workers=2, PROMETHEUS_MULTIPROC_DIR=str(folder))
    with bank_metrics(url, folder) as scrape:
        asked = ask_both(server, folder)
        before = scrape()
        assert server.process is not None
        old = set(children(server.process.pid))
        server.kill_workers()
        wait_until(lambda: server.process and set(children(server.process.pid)) - old, 10, "new processes")
        asked += ask_new_ones(server, folder, old)
        after = scrape()
        live = {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*.db")}
        server.stop()
        server.start()
        anew = scrape()

    assert before.requests("GET", "/login", 200) < after.requests("GET", "/login", 200) == asked
    histogram = {sample: value for sample, value in after.values.items() if 'route="/login"' in sample}
    assert histogram['bank_request_seconds_count{route="/login"}'] == asked
    assert histogram['bank_request_seconds_bucket{le="+Inf",route="/login"}'] == asked
    assert 0 < histogram['bank_request_seconds_sum{route="/login"}'] < 60 * asked
    assert live.isdisjoint(old)
    assert anew.requests("GET", "/login", 200) == 0


def ask_new_ones(server: GunicornServer, folder: Path, old: set[int]) -> int:
    """Ask until a process that was not there before has answered; says how many times."""
    asked = 0
    while not {int(pid) for pid in processes_that_counted(folder)} - old or not asked:
        assert RemoteBrowser(server.address).get("/login").status == 200
        asked += 1
    return asked


def test_the_port_of_the_pages_has_no_metrics(make_database: MakeDatabase, serve: Serve, folder: Path):
    server = serve(make_database("sqlite").app, workers=1, PROMETHEUS_MULTIPROC_DIR=str(folder))

    assert RemoteBrowser(server.address).get("/metrics").status == 404


def test_without_a_folder_nothing_is_counted_and_the_ledger_is_still_told(make_database: MakeDatabase, serve: Serve):
    url = make_database("sqlite").app
    server = serve(url, workers=1)
    assert RemoteBrowser(server.address).get("/login").status == 200

    with bank_metrics(url, "") as scrape:
        assert scrape().names == {"bank_info", "bank_database_up"}
    assert list(server.directory.rglob("*.db")) == []
    hooks = create_app(settings_for(url)).after_request_funcs[None]
    assert "bank.web.metrics" not in {hook.__module__ for hook in hooks}


def test_labels_hold_rules_and_never_what_was_asked_for(
    make_database: MakeDatabase, open_branch: Callable[[str], Branch], serve: Serve, folder: Path
):
    url = make_database("sqlite").app
    branch = open_branch(url)
    server = serve(url, workers=2, PROMETHEUS_MULTIPROC_DIR=str(folder))
    alice, number = RemoteBrowser(server.address, branch.session_of("alice")), branch.number("alice_current")
    assert alice.get(f"/accounts/{number}").status == 200
    assert alice.get(f"/accounts/{branch.number('bob_current')}").status == 404
    assert alice.get("/nothing/here?secret=1").status == 404
    for method in ("PUT", "BREW", "X" * 20):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request(method, "/login")
        assert connection.getresponse().status == 405
    assert RemoteBrowser(server.address).send("/login", user="3602000001", password="wrong").status == 422
    with bank_metrics(url, folder) as scrape:
        found = scrape()

    [rule] = {route for route in re.findall(r'route="([^"]+)"', found.text) if route.startswith("/accounts/")}
    assert re.fullmatch(r"/accounts/<[a-z:_]+>", rule)
    assert (found.requests("GET", rule, 200), found.requests("GET", rule, 404)) == (1, 1)
    assert found.requests("GET", "(none)", 404) == 1
    assert found.requests("POST", "/login", 422) == 1
    assert found.requests("(other)", "(none)", 405) == 2
    assert found.requests("PUT", "(none)", 405) == 1
    for word in (number, branch.number("bob_current"), "nothing", "secret", "BREW", "XXX", "3602000001", "Alice"):
        assert word not in found.text


def test_connections_in_use_are_counted_and_forgotten_with_their_process(
    make_database: MakeDatabase, serve: Serve, folder: Path
):
    url = make_database("sqlite").app
    server = serve(url, workers=2, PROMETHEUS_MULTIPROC_DIR=str(folder), STATEMENT_SECONDS="50")
    in_use = "bank_database_connections"
    with bank_metrics(url, folder) as scrape, writing(url) as end_writing:
        # It holds a connection for as long as somebody else writes.
        threading.Thread(target=lambda: RemoteBrowser(server.address).get("/writable")).start()
        wait_until(lambda: scrape().values.get(in_use) == 1, 10, "one connection in use")
        end_writing()
        wait_until(lambda: scrape().values.get(in_use) == 0, 10, "it to be given back")
    # What the process knows by now it would tell without asking.
    time.sleep(1.5)
    with bank_metrics(url, folder) as scrape, writing(url):
        waiting = threading.Thread(target=_ask_in_vain, args=[server])
        waiting.start()
        wait_until(lambda: scrape().values.get(in_use) == 1, 10, "one connection in use")
        server.kill_workers()
        wait_until(lambda: scrape().values.get(in_use, 0) == 0, 10, "the dead process's connection to be forgotten")
        waiting.join(10)


def _ask_in_vain(server: GunicornServer) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        RemoteBrowser(server.address).get("/writable")


@contextmanager
def writing(url: str) -> Iterator[Callable[[], object]]:
    """Hold SQLite's one write lock."""
    file = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    file.execute("BEGIN IMMEDIATE")
    yield lambda: file.execute("ROLLBACK")
    file.close()


def test_every_metric_is_in_the_reference_and_no_other(make_database: MakeDatabase, serve: Serve, folder: Path):
    url = make_database("sqlite").app
    with opened(url) as bank:
        bank.run(verify.remember, Verification(bank.clock.now(), 1.0, 1234, 5))
    server = serve(url, workers=1, PROMETHEUS_MULTIPROC_DIR=str(folder))
    assert RemoteBrowser(server.address).get("/readyz").status == 200
    with bank_metrics(url, folder) as scrape:
        found = scrape()

    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE)
    assert found.names == set(documented)
    assert found.values[f'bank_info{{release="{version("retail-bank")}"}}'] == 1
    assert found.values["bank_database_up"] == 1
    assert (found.values["bank_ledger_findings"], found.values["bank_ledger_entries"]) == (5, 1234)
    assert 0 <= found.values["bank_ledger_verified_seconds_ago"] < 120


def test_a_database_that_is_away_fails_no_scrape(folder: Path):
    with bank_metrics(NOWHERE, folder) as scrape:
        found = scrape()

    assert found.values["bank_database_up"] == 0
    assert found.names == {"bank_info", "bank_database_up"}


def test_the_database_is_asked_every_fifteen_seconds_at_most(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
):
    now = 1000.0
    monkeypatch.setattr("bank.cli.metrics.time.monotonic", lambda: now)
    with opened(make_database("sqlite").app) as bank:
        gauges = LedgerGauges(bank)
        assert "bank_ledger_findings" not in told(gauges)
        bank.run(verify.remember, Verification(bank.clock.now(), 1.0, 12, 3))
        now += 14.9
        assert "bank_ledger_findings" not in told(gauges)
        now += 0.1
        assert told(gauges)["bank_ledger_findings"] == 3

    away = Bank.open(settings_for(NOWHERE))
    gauges, asked = LedgerGauges(away), []
    monkeypatch.setattr(Bank, "reader", lambda bank: asked.append(bank) or bank.connect())
    assert [told(gauges)["bank_database_up"] for _ in range(3)] == [0, 0, 0]
    assert len(asked) == 1


def told(gauges: LedgerGauges) -> dict[str, float]:
    return {sample.name: sample.value for metric in gauges.collect() for sample in metric.samples}


@pytest.mark.parametrize(
    ("listen", "because"),
    [
        ("9100", "must be ADDRESS:PORT"),
        ("localhost:9100", "must be ADDRESS:PORT"),
        (":9100", "must be ADDRESS:PORT"),
        ("127.0.0.1:", "must end with a port"),
        ("127.0.0.1:0", "must end with a port"),
        ("127.0.0.1:65536", "must end with a port"),
        ("127.0.0.1:٩١٠٠", "must end with a port"),
        ("127.0.0.1:-1", "must end with a port"),
        ("192.0.2.1:9100", "cannot be served"),
    ],
)
def test_an_address_that_cannot_be_served_is_refused_in_a_sentence(listen: str, because: str, tmp_path: Path):
    command = [BIN / "bank", "metrics", "--listen", listen]
    env = environment(DATABASE_URL=f"sqlite:///{tmp_path}/none.sqlite", LC_ALL="C.UTF-8")
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode in (1, 2)
    assert because in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_and_a_folder_that_cannot_be_made_are_told(make_database: MakeDatabase, tmp_path: Path):
    url = make_database("sqlite").app
    (tmp_path / "file").touch()
    server = GunicornServer(url, tmp_path, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "file"))
    server.launch()
    assert server.exit_code(15) == 4
    server.kill()
    assert "PROMETHEUS_MULTIPROC_DIR cannot be written to" in server.text()
    assert "Traceback" not in server.text()

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        command = [BIN / "bank", "metrics", "--listen", f"127.0.0.1:{other.getsockname()[1]}"]
        env = environment(DATABASE_URL=url)
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr == "Error: Metrics cannot be served: Address already in use.\n"
