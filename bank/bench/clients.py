"""The library's load: processes that call the bank's own functions over and over."""

from __future__ import annotations

import multiprocessing
import signal
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

from bank.bench.figures import Run

#: Calls before it counts: plans are made and caches filled.
_WARM_UP: Final = 10
_PATIENCE_SECONDS: Final = 120


class Work(Protocol):
    """What a process is to do; it travels to the process, so it holds plain values."""

    @property
    def each(self) -> int:
        """Operations in one call."""

    def begin(self) -> Callable[[], object]:
        """Connect, and answer what makes one call."""


@dataclass(frozen=True, slots=True)
class Load:
    """A run, and how many operations were done in all: those count for the books that do not count for the figures."""

    run: Run
    done: int


def load(work: Work, processes: int, seconds: float, database_cpu: Callable[[], float] | None) -> Load:
    """Let so many processes do the work at once for so long.

    Raises:
        RuntimeError: a process ended before its time; it has said why on its own stderr.
    """
    # Spawned, not forked: nothing of ours is in them, nor in what they use.
    context = multiprocessing.get_context("spawn")
    pipes, clients = [], []
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            client = context.Process(target=_client, args=(work, theirs, seconds), daemon=True)
            client.start()
            theirs.close()
            pipes.append(ours)
            clients.append(client)
        for pipe in pipes:
            _hear(pipe)
        before = database_cpu() if database_cpu else None
        for pipe in pipes:
            pipe.send("go")
        heard = [_hear(pipe) for pipe in pipes]
        spent = database_cpu() - before if database_cpu and before is not None else None
        for client in clients:
            client.join(_PATIENCE_SECONDS)
    finally:
        for client in clients:
            client.kill()
    calls = sum(len(waits) for waits, _, _ in heard)
    run = Run(
        operations=calls * work.each,
        # Each counts the calls that it began in time; the last one may end a little later.
        seconds=max(took for _, took, _ in heard),
        database_cpu=spent,
        application_cpu=sum(cpu for _, _, cpu in heard),
        waits=[wait for waits, _, _ in heard for wait in waits],
    )
    return Load(run, (calls + _WARM_UP * processes) * work.each)


def _hear(pipe: Connection) -> Any:
    if not pipe.poll(_PATIENCE_SECONDS):
        raise RuntimeError("a client of the measurement did not answer")
    try:
        return pipe.recv()
    except EOFError as gone:
        raise RuntimeError("a client of the measurement ended before its time") from gone


def _client(work: Work, pipe: Connection, seconds: float) -> None:
    # Ctrl-C is for who started us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    call = work.begin()
    for _ in range(_WARM_UP):
        call()
    pipe.send("ready")
    pipe.recv()
    waits = array("d")
    clock = time.perf_counter
    cpu, began = time.process_time(), clock()
    now, until = began, began + seconds
    while now < until:
        call()
        after = clock()
        waits.append(after - now)
        now = after
    pipe.send((waits, now - began, time.process_time() - cpu))
