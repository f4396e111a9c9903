"""Where a measurement happens: a folder on a real disk, private servers that start when first needed, the reference."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from bank.bench import processes
from bank.bench.figures import Run
from bank.bench.reference import TpcB
from bank.bench.servers import MariaDBServer, PostgreSQLServer
from bank.settings import Settings

_IN_MEMORY: Final = {"tmpfs", "ramfs"}
#: What a plan without a folder tries, besides where this machine keeps what is temporary.
_ON_DISK: Final = Path("/var/tmp")  # noqa: S108


@dataclass(frozen=True, slots=True)
class Serving:
    """How gunicorn serves: the class of its workers, how many, and threads in each."""

    worker_class: str
    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.worker_class}:{self.workers}x{self.threads}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for: rounds of so many seconds, how it is served, and how large the large things are."""

    rounds: int = 5
    seconds: int = 3
    #: None: as bank/gunicorn_conf.py has it.
    servings: tuple[Serving | None, ...] = (None,)
    people: int = 1_000
    growth_postings: int = 10_000_000
    memory_requests: int = 20_000
    #: A folder for `bank import transactions`, and what its amounts are in.
    transactions: Path | None = None
    currency: str = "CZK"
    #: Settings of the bank that is served, by their variables' names.
    settings: dict[str, str] = field(default_factory=dict)
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to measure, and what to measure right before it."""

    name: str
    variant: str
    run: Callable[[int], Run]
    before: Callable[[int], Run] | None = None


class Place:
    """A folder of its own for one plan; all that was started ends with the block."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="bank-bench-", dir=self.plan.directory or disk()))
        # The servers are other users, and have folders of their own below.
        self.directory.chmod(0o711)
        self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        # For an end that leaves us no time.
        watch = processes.sweep(self.directory)
        self._stack.callback(watch.communicate, b"let go\n")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def new_directory(self) -> Path:
        """The name of a folder that is not there yet."""
        return self.directory / f"served-{secrets.token_hex(4)}"

    @cached_property
    def postgresql(self) -> PostgreSQLServer:
        """The private PostgreSQL."""
        return self._stack.enter_context(PostgreSQLServer(self.directory))

    @cached_property
    def mariadb(self) -> MariaDBServer:
        """The private MariaDB."""
        return self._stack.enter_context(MariaDBServer(self.directory))

    def tpc_b(self, seconds: int) -> Run:
        """The reference on the private PostgreSQL, prepared when first needed."""
        return self._tpc_b.run(seconds)

    @cached_property
    def _tpc_b(self) -> TpcB:
        return TpcB(self.postgresql)


def disk() -> Path:
    """Where temporary files lie on a disk: what memory holds needs no fsync, and would flatter everything."""
    usual = Path(tempfile.gettempdir())
    return _ON_DISK if file_system(usual) in _IN_MEMORY and _ON_DISK.is_dir() else usual


def file_system(path: Path) -> str:
    """What kind of file system a folder is on, like `ext4`."""
    best, kind = -1, ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, at, its_kind, *_ = line.split()
        if path.resolve().is_relative_to(at) and len(at) > best:
            best, kind = len(at), its_kind
    return kind


def sync_us(directory: Path) -> float:
    """How long writing 8 kB through to the disk takes, in microseconds; the middle of a hundred."""
    with tempfile.TemporaryFile(dir=directory) as file:
        took = []
        for _ in range(100):
            began = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return sorted(took)[50] * 1_000_000


def private_settings(url: str, **changed: object) -> Settings:
    """The settings of a bank that is only measured; nothing of this machine's own environment gets in."""
    return replace(Settings.from_env({"DATABASE_URL": url}), **changed)  # type: ignore[arg-type]
