"""What `bank bench` makes of what it measured: no figure that was not measured, and no cost that is not the bank's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from bank.bench import processes, reference
from bank.bench.books import WrongBooks, books
from bank.bench.clients import load
from bank.bench.figures import Figure, Run, table
from bank.bench.furniture import furnish
from bank.bench.generator import Generator, WrongAnswer
from bank.bench.library import Transfers
from bank.bench.place import Plan, Serving
from bank.bench.servers import MariaDBServer, NotInstalled
from bank.bench.subjects import NAMES, SUBJECTS, chosen, stages
from bank.cli import main
from bank.storage.transaction import Bank
from tests.conftest import MakeDatabase

WAITS = [0.001] * 98 + [0.004, 0.009]


def a_figure(*rounds: tuple[Run | None, Run]) -> Figure:
    return Figure("transfer", "", "transfer", "postgresql", "TPC-B", rounds)


def a_run(
    database: float | None, application: float, generator: float | None = None, waits: list[float] = WAITS
) -> Run:
    """A thousand operations in half a second; CPU in milliseconds."""
    spent = None if database is None else database / 1000
    made = None if generator is None else generator / 1000
    return Run(1000, 0.5, spent, application / 1000, made, waits)


def test_the_ratio_is_of_the_servers_and_the_banks_cpu_and_not_of_what_made_the_load():
    told = a_figure((a_run(600, 200), a_run(300, 100, generator=5000))).as_json()

    assert told["cpu_us"]["median"] == 400
    assert told["generator_cpu_us"]["median"] == 5000
    assert told["cpu_ratio"]["median"] == 2


def test_each_round_is_held_against_the_reference_that_came_right_before_it():
    quiet, busy = (a_run(600, 200), a_run(300, 100)), (a_run(1200, 400), a_run(800, 200))

    told = a_figure(quiet, busy, quiet).as_json()

    assert told["cpu_ratio"] == {"median": 2, "least": 1.6, "most": 2}
    assert told["rate_ratio"]["median"] == 1
    assert told["rounds"] == 3


def test_waits_are_told_as_the_middle_one_and_the_worst_in_a_hundred():
    told = a_figure((None, a_run(1, 1))).as_json()

    assert told["p50_ms"]["median"] == 1
    assert told["p99_ms"]["median"] == 9
    assert told["per_second"]["median"] == 2000


def test_what_was_not_measured_is_told_nowhere():
    figure = a_figure((None, a_run(None, 100, waits=[])))

    told = figure.as_json()
    [_, line] = table([figure])

    assert not {"p50_ms", "p99_ms", "database_cpu_us", "generator_cpu_us", "cpu_ratio", "rate_ratio"} & told.keys()
    assert not [name for name in told if name.startswith("reference")]
    assert line.split() == ["transfer", "2,000", "(2,000–2,000)", "-", "-", "-", "100", "-", "-", "-"]


@pytest.mark.parametrize(("operations", "seconds"), [(0, 1.0), (1, 0.0)])
def test_a_run_of_nothing_is_no_run(operations, seconds):
    with pytest.raises(AssertionError, match="nothing was measured"):
        Run(operations, seconds, 0.1, 0.1)


def test_pgbench_is_believed_only_when_no_transaction_failed():
    said = (
        "number of transactions actually processed: 5120\nnumber of failed transactions: 0 (0.000%)\n"
        "latency average = 9.375 ms\ntps = 1706.123456 (without initial connection time)\n"
    )

    assert reference.read(said) == (5120, 1706.123456)
    with pytest.raises(RuntimeError, match="did not say"):
        reference.read(said.replace("transactions: 0 (0.000%)", "transactions: 3 (0.058%)"))


def test_cpu_of_a_process_includes_its_children_that_run_and_that_ended():
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    tree = (
        f"import subprocess, sys\nburn = {burn!r}\n"
        "subprocess.run([sys.executable, '-c', burn])\n"
        "alive = subprocess.Popen([sys.executable, '-c', burn + 'print(1, flush=True); input()'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "alive.stdout.readline(); print('burnt', flush=True); input(); alive.communicate(b'\\n')\n"
    )
    with subprocess.Popen([sys.executable, "-c", tree], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"burnt\n"
        [child] = processes.children(process.pid)
        spent = processes.cpu_seconds(process.pid)
        of_child = processes.cpu_seconds(child)
        process.communicate(b"\n")

    assert 0.28 <= of_child < 0.6
    assert 0.56 <= spent < 1.5


def test_our_own_memory_is_more_than_nothing():
    assert 10 * 2**20 < processes.resident_bytes(os.getpid()) < 2 * 2**30


class Counting(BaseHTTPRequestHandler):
    """Answers 201, and after so many requests something else."""

    protocol_version = "HTTP/1.1"
    good = 10**9
    seen: list[bytes]
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.seen.append(body)
            status = 201 if len(self.seen) <= self.good else 503
        self.send_response(status)
        self.send_header("Content-Length", "2")
        if self.headers["Host"] == "closing":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Roomy(ThreadingHTTPServer):
    """One that lets nobody wait to connect."""

    request_queue_size = 100


@pytest.fixture
def counting() -> Iterator[type[Counting]]:
    handler = type("Handler", (Counting,), {"seen": []})
    with Roomy(("127.0.0.1", 0), handler) as server:
        handler.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler
        server.shutdown()


@pytest.mark.parametrize("host", ["staying", "closing"])
def test_every_request_is_answered_and_none_is_sent_twice(counting, host):
    numbers = iter(range(10**6))

    def make() -> bytes:
        return b"POST / HTTP/1.1\r\nHost: %b\r\nContent-Length: 6\r\n\r\n%06d" % (host.encode(), next(numbers))

    driven = Generator(counting.port, 7, make, b"HTTP/1.1 201 ").drive(most=200)

    assert len(driven.waits) == 200
    assert sorted(counting.seen) == [b"%06d" % number for number in range(200)]


def test_one_wrong_answer_spoils_the_run(counting):
    counting.good = 20

    with pytest.raises(WrongAnswer, match="503"):
        Generator(
            counting.port, 3, lambda: b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 201 "
        ).drive(most=100)


def test_the_books_must_hold_what_was_answered_and_nothing_else(make_database: MakeDatabase):
    url = make_database("sqlite").migrator

    with books(url, lambda bank: furnish(bank, url, 20)) as kept:
        done = load(Transfers(url, 20, each=5), 2, 0.2, None)
        kept.posted += done.done
        kept.compare()
    with pytest.raises(WrongBooks, match=f"{done.done} transfers were answered, and 0 are"), books(url, str) as kept:
        kept.posted += done.done


def test_books_that_do_not_add_up_are_told(make_database: MakeDatabase):
    url = make_database("sqlite").migrator

    def fill(bank: Bank) -> None:
        furnish(bank, url, 5)
        with bank.connect() as connection:
            connection.exec_driver_sql("UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 1")

    with pytest.raises(WrongBooks, match="broken"), books(url, fill):
        """Nothing is posted."""


def test_every_measurement_is_taken_by_exactly_one_stage():
    taken = [name for _, names in stages(SUBJECTS) for name in names]

    assert sorted(taken) == sorted(NAMES)


def test_names_and_groups_choose_and_a_database_narrows():
    assert [subject.name for subject in chosen(["mysql", "page"], [], Plan())] == [
        "page",
        "mysql-transfer",
        "mysql-batch-100",
    ]
    assert {subject.database for subject in chosen([], ["sqlite"], Plan())} == {"sqlite"}
    assert "import" not in {subject.name for subject in chosen([], [], Plan())}


def test_the_list_measures_nothing_and_names_what_is_missing(monkeypatch):
    def absent() -> None:
        raise NotInstalled("mariadbd is missing; on Debian: apt-get install mariadb-server-core")

    monkeypatch.setattr(MariaDBServer, "find_binaries", absent)

    listed = CliRunner().invoke(main, ["bench", "--list", "--only", "mysql", "--only", "import"])
    refused = CliRunner().invoke(main, ["bench", "--only", "mysql"])

    assert listed.exit_code == 0
    assert "mysql-transfer" in listed.stdout
    assert listed.stderr.splitlines() == [
        "mariadbd is missing; on Debian: apt-get install mariadb-server-core.",
        "import needs a folder: --transactions DIRECTORY.",
    ]
    assert refused.exit_code == 1
    assert "apt-get install mariadb-server-core" in refused.stderr


@pytest.mark.parametrize("shape", ["gthread", "gthread:0x8", "threads:2x8", "gthread:2x8x"])
def test_a_way_of_serving_that_is_none_is_refused(shape):
    refused = CliRunner().invoke(main, ["bench", "--serving", shape])

    assert refused.exit_code == 2
    assert "must be like gthread:2x8" in refused.stderr


def test_a_way_of_serving_is_told_as_it_was_asked():
    assert str(Serving("gevent", 2, 32)) == "gevent:2x32"
