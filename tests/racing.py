"""Several connections at one account at the same instant, from threads and from processes."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from bank.errors import BankError
from bank.storage.transaction import Bank
from tests.ledger import opened

T = TypeVar("T")

_PATIENCE_SECONDS = 60


class Racers:
    """Threads with a bank and a connection each, that start at the same signal."""

    def __init__(self, banks: Sequence[Bank], pool: ThreadPoolExecutor) -> None:
        self.banks = banks
        self.pool = pool

    def race(self, *acts: Callable[[Bank], T]) -> list[T | BankError]:
        """Do all `acts` at once; what each answered, in order. A bank's own error is an answer, any other is raised."""
        signal = threading.Barrier(len(acts), timeout=_PATIENCE_SECONDS)

        def run(bank: Bank, act: Callable[[Bank], T]) -> T | BankError:
            signal.wait()
            try:
                return act(bank)
            except BankError as error:
                return error

        running = [self.pool.submit(run, bank, act) for bank, act in zip(self.banks, acts, strict=False)]
        return [one.result(_PATIENCE_SECONDS) for one in running]


@contextmanager
def racers(url: str, count: int) -> Iterator[Racers]:
    """`count` racers on the database at `url`, connected and waiting."""
    with ExitStack() as open_ones, ThreadPoolExecutor(count) as pool:
        banks = [open_ones.enter_context(opened(url)) for _ in range(count)]
        for bank in banks:
            with bank.reader() as reader:
                reader.exec_driver_sql("SELECT 1")
        yield Racers(banks, pool)


def race_processes(url: str, acts: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]]) -> list[Any]:
    """Call each function of a module, with a bank and its arguments, in a process of its own; all at once."""
    with processes() as context:
        signal = context.Barrier(len(acts))
        answers = context.SimpleQueue()
        running = [
            context.Process(target=_take_part, args=(url, number, act, args, signal, answers))
            for number, (act, args) in enumerate(acts)
        ]
        for process in running:
            process.start()
        answered = dict(answers.get() for _ in running)
        for process in running:
            process.join(_PATIENCE_SECONDS)
    return [answered[number] for number in range(len(acts))]


@contextmanager
def processes() -> Iterator[Any]:
    """A way to start processes in milliseconds: they fork from one that has imported this already, and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.racing", "tests.lives"])
    yield context


def _take_part(
    url: str, number: int, act: Callable[..., Any], args: tuple[Any, ...], signal: Any, answers: Any
) -> None:
    with opened(url) as bank:
        with bank.reader() as reader:
            reader.exec_driver_sql("SELECT 1")
        signal.wait(_PATIENCE_SECONDS)
        try:
            answer = act(bank, *args)
        except BaseException as error:  # noqa: BLE001 — the parent judges
            answer = repr(error)
        answers.put((number, answer))
