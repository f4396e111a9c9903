"""A folder of real transactions, brought in by the command that operators type."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from bank.bench.figures import Run
from bank.bench.place import Item, Place
from bank.ledger.tables import postings
from bank.storage.engine import make_engine


@contextmanager
def stage(place: Place, names: set[str]) -> Iterator[list[Item]]:
    """The folder of the plan, each time into a new database."""
    folder = place.plan.transactions
    assert folder is not None
    yield [Item(name, folder.name, lambda _seconds: _bring_in(place, folder.resolve())) for name in names]


def _bring_in(place: Place, folder: Path) -> Run:
    server = place.postgresql
    with server.bank_database("imported") as url:
        environment = {"PATH": os.defpath, "DATABASE_URL": url, "CURRENCY": place.plan.currency}
        main = "from bank.cli import main; main()"
        command = [sys.executable, "-c", main, "import", "transactions", str(folder), "--currency", place.plan.currency]
        before, began = server.cpu_seconds(), time.perf_counter()
        log = place.directory / "import.log"
        with log.open("wb") as said:
            process = subprocess.Popen(  # noqa: S603  # a command of our own
                command, cwd=place.directory, env=environment, stdout=said, stderr=said
            )
            try:
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                raise
            process.returncode = os.waitstatus_to_exitcode(status)
        took, spent = time.perf_counter() - began, server.cpu_seconds() - before
        if process.returncode:
            raise RuntimeError(f"the import failed:\n{log.read_text()[-2000:]}")
        return Run(_postings(url), took, spent, used.ru_utime + used.ru_stime)


def _postings(url: str) -> int:
    engine = make_engine(url)
    try:
        with engine.connect() as reader:
            count: int = reader.execute(sa.select(sa.func.count()).select_from(postings)).scalar_one()
            return count
    finally:
        engine.dispose()
