"""Whether the primary takes writes is seen where it matters: on a server whose disk is full, or that is only read."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bank.storage import migrate, writable
from bank.storage.facts import bank_facts
from bank.storage.transaction import Bank
from tests import servers
from tests.ledger import an_account, opened
from tests.servers import APP_ROLE, MariaDBServer, NotInstalled, PostgresServer, Server, not_run

SIZE_MIB = 120


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own, in memory, that a test may fill."""
    # Not in pytest's own folder, which other users lose sight of.
    disk = Path(tempfile.mkdtemp(prefix="bank-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=1777", "tmpfs", disk]
    try:
        if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
            not_run("a full disk", "only root may mount a small one")
        try:
            yield disk
        finally:
            subprocess.run(["umount", disk], check=True)
    finally:
        disk.rmdir()


@pytest.fixture
def server(dialect: str, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A database server that has that disk."""
    monkeypatch.setattr(servers, "_directory_for", lambda account, _prefix: given(small_disk / "s", account.pw_uid))
    try:
        made = {"postgresql": PostgresServer, "mysql": MariaDBServer}[dialect]()
    except NotInstalled as missing:
        not_run(dialect, str(missing))
    with made:
        yield made


def given(directory: Path, owner: int) -> Path:
    """The directory, made for its owner."""
    directory.mkdir()
    os.chown(directory, owner, -1)
    return directory


def fill(disk: Path) -> Path:
    """Leave not one byte free; answers the file that takes it all."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 2**12):
            while True:
                try:
                    file.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    break
    return ballast


def takes_writes(bank: Bank) -> bool:
    """A process that has not asked before asks now."""
    return writable.Writable(bank).now()


def only_inserts_a_row(bank: Bank) -> bool:
    """As a question would be that makes the server write no more than that."""

    def insert(tx: sa.Connection) -> None:
        tx.execute(bank_facts.insert(), {"name": f"only-{time.monotonic_ns()}", "value": ""})

    bank.run(insert)
    return True


@pytest.mark.dialects("postgresql", "mysql")
def test_a_full_disk_is_seen_and_also_that_it_is_full_no_more(server: Server, small_disk: Path):
    urls = server.create_database("bank_full")
    migrate.upgrade(urls.migrator)
    migrate.grant(urls.migrator, APP_ROLE)
    with opened(urls.app) as bank:
        an_account(bank, balance=100_00)
        assert takes_writes(bank)

        ballast = fill(small_disk)
        # A row that finds room in a page that is there would not have shown it.
        assert only_inserts_a_row(bank)
        assert not takes_writes(bank)
        assert not takes_writes(bank)

        ballast.unlink()
        assert takes_writes(bank)
