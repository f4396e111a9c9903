"""`bank bench` as it is typed: a real round on servers of its own, of which nothing is left however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bank.bench import history
from bank.bench.books import books
from bank.bench.clients import load
from bank.bench.floors import MariaDBFloor
from bank.bench.furniture import furnish
from bank.bench.place import private_settings
from bank.bench.servers import MariaDBServer, NotInstalled, PostgreSQLServer
from bank.storage.transaction import Bank
from tests.gunicorn_server import wait_until
from tests.servers import not_run

BANK = Path(sys.executable).parent / "bank"


@pytest.fixture(autouse=True)
def servers() -> None:
    for server in (PostgreSQLServer, MariaDBServer):
        try:
            server.find_binaries()
        except NotInstalled as missing:
            not_run(server.kind, str(missing))


@pytest.fixture
def disk() -> Iterator[Path]:
    """Where a run may leave nothing. Not in pytest's folder: every pytest that starts shuts that to other users anew."""
    place = Path(tempfile.mkdtemp(prefix="bench-tested-"))
    place.chmod(0o711)
    yield place
    assert list(place.iterdir()) == []
    assert those_in(place) == []
    place.rmdir()


def those_in(place: Path) -> list[str]:
    """The command lines of the processes that have to do with a folder."""
    found = []
    for pid in Path("/proc").glob("[0-9]*"):
        try:
            line, cwd = (pid / "cmdline").read_bytes().replace(b"\0", b" ").decode(), (pid / "cwd").readlink()
            log = (pid / "fd/1").readlink()
        except OSError:
            continue
        if str(place) in line or cwd.is_relative_to(place) or log.is_relative_to(place):
            found.append(line)
    return found


def bench(place: Path, *arguments: str) -> list[str]:
    return [str(BANK), "bench", "--rounds", "1", "--seconds", "1", "--directory", str(place), *arguments]


@pytest.mark.timeout(300)
def test_a_round_of_each_kind_is_measured_and_told(disk: Path, tmp_path: Path):
    names = ["batch-100", "http-transfer", "http-batch-1000", "page", "growth-transfer", "memory"]
    asked = [word for name in names for word in ("--only", name)]
    small = ["--growth-postings", "20000", "--memory-requests", "200"]

    # Settings of this machine's own are no business of a measurement.
    done = subprocess.run(
        bench(disk, *asked, *small, "--json", str(tmp_path / "told.json")),
        env={"PATH": os.environ["PATH"], "DATABASE_URL": "nonsense"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    figures = {figure["name"]: figure for figure in told["figures"]}
    lines = done.stdout.splitlines()

    assert sorted(figures) == sorted(names)
    assert told["plan"]["rounds"] == 1
    assert told["machine"]["processors"] == os.cpu_count()
    assert all(figure["operations"] > 0 and figure["rounds"] == 1 for figure in figures.values())
    assert all(figure["database_cpu_us"]["median"] > 0 for figure in figures.values())
    assert all(figures[name]["generator_cpu_us"]["median"] > 0 for name in ("http-transfer", "page", "memory"))
    assert "generator_cpu_us" not in figures["batch-100"]
    assert "cpu_ratio" not in figures["memory"]
    assert figures["memory"]["worker_after_mib"]["median"] > 20
    assert figures["growth-transfer"]["against"] == "the same at 10,000 postings"
    assert all(any(line.startswith(name) for line in lines) for name in names)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("how", "code", "during"),
    [(signal.SIGINT, 1, "--client=16"), (signal.SIGTERM, 143, "checkpointer"), (signal.SIGKILL, -9, "checkpointer")],
)
def test_nothing_is_left_when_it_is_ended_on_the_way(
    disk: Path, tmp_path: Path, how: signal.Signals, code: int, during: str
):
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            bench(disk, "--only", "http-transfer", "--seconds", "60"), stdout=said, stderr=said, start_new_session=True
        )
    try:
        wait_until(lambda: any(during in line for line in those_in(disk)), 120, f"{during} to run")
        os.killpg(process.pid, how)

        assert process.wait(60) == code, (tmp_path / "said").read_text()
    finally:
        process.kill()
    wait_until(lambda: those_in(disk) == [] and list(disk.iterdir()) == [], 12, "everything to be gone")


def test_history_is_what_the_door_would_have_written(disk: Path):
    (disk / "servers").mkdir()
    with PostgreSQLServer(disk / "servers") as server, server.bank_database("past") as url:

        def fill(bank: object) -> None:
            furnish(bank, server.url("past"), 40)
            history.write(server, "past", accounts=40, transfers=2000, currency="USD")

        # Its end proves every balance, sequence and digest.
        with books(url, fill) as kept, kept.bank.reader() as reader:
            count, of_big = reader.exec_driver_sql(
                "SELECT count(*), count(*) FILTER (WHERE account_id = 1) FROM postings WHERE minor_units = 1"
            ).one()
    (disk / "servers").rmdir()

    assert (count, of_big) == (4000, 400)


def test_mariadb_starts_of_its_own_and_takes_the_floors_transfers(disk: Path):
    (disk / "servers").mkdir()
    with MariaDBServer(disk / "servers") as server, server.bank_database("floor") as url:
        furnish(Bank.open(private_settings(url)), server.url("floor"), 20)

        done = load(MariaDBFloor(server.url("floor"), 20), 1, 0.2, server.cpu_seconds)

        with Bank.open(private_settings(url)).reader() as reader:
            booked = reader.exec_driver_sql("SELECT count(*) FROM journal_entries WHERE kind = 'transfer'").scalar_one()
            postings = reader.exec_driver_sql("SELECT count(*) FROM postings WHERE minor_units = 1").scalar_one()
    (disk / "servers").rmdir()

    assert done.run.database_cpu is not None
    assert (booked, postings) == (done.done, 2 * done.done)
