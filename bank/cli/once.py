"""Run a job that timers start on every server, on one of them."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC
from typing import Final

import click
from sqlalchemy.exc import DBAPIError

from bank.errors import BankError
from bank.storage import jobs
from bank.storage.jobs import Claim, Taken
from bank.storage.transaction import Bank

_ANSWER_SECONDS: Final = 5
#: So often within its lease a job says that it lives.
_RENEWALS: Final = 3

again = click.option(
    "--again", is_flag=True, help="Run it though another server runs it now, or has done it in this hour."
)


def run_once(
    bank: Bank,
    name: str,
    work: Callable[[], str],
    *,
    hourly: bool = True,
    again: bool = False,
    lease_seconds: float = jobs.LEASE_SECONDS,
) -> None:
    """Do the `work`, and print its sentence; or print who runs it already, or has done it in this hour of the database's.

    A job that fails, or whose server dies, is left to the next who asks for it. Before the migration that brings the
    table of jobs everybody runs them.

    Raises:
        ClockApart: this server's clock is not the database's.
    """
    if again or not jobs.are_kept(bank):
        click.echo(work())
        return
    claimed = bank.run(
        jobs.claim, name, run_by=f"{platform.node()} (process {os.getpid()})", server_time=bank.clock.now(),
        hourly=hourly, lease_seconds=lease_seconds,
    )  # fmt: skip
    if isinstance(claimed, Taken):
        click.echo(_told(name, claimed))
        return
    with _finished_or_left(bank, claimed), _renewed(bank, claimed, lease_seconds):
        click.echo(work())


def _told(name: str, taken: Taken) -> str:
    at = f"{taken.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    how = f"was done at {at} by" if taken.done else f"has been run since {at} by"
    return f"{name} {how} {taken.run_by}; nothing was done here. --again runs it all the same."


@contextmanager
def _finished_or_left(bank: Bank, mine: Claim) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # What went wrong is what counts. A database that is away cannot be told; the lease ends by itself.
        with suppress(BankError, DBAPIError):
            bank.run(jobs.give_up, mine)
        raise
    if not bank.run(jobs.finish, mine):
        click.echo(f"{mine.name} took so long without a word that another server has taken it up as well.", err=True)


@contextmanager
def _renewed(bank: Bank, mine: Claim, lease_seconds: float) -> Iterator[None]:
    """Say while the body runs that it does."""
    ended = threading.Event()
    teller = threading.Thread(target=_tell, args=(bank, mine, lease_seconds, ended), daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _tell(bank: Bank, mine: Claim, lease_seconds: float, ended: threading.Event) -> None:
    """On a connection of its own, which no long statement of the job keeps from it; most jobs end before the first word."""
    own: Bank | None = None
    while not ended.wait(lease_seconds / _RENEWALS):
        own = own or Bank.open(replace(bank.settings, pool_size=1), statement_seconds=_ANSWER_SECONDS)
        with suppress(BankError, DBAPIError):
            if not own.run(jobs.renew, mine, lease_seconds=lease_seconds):
                break
    if own:
        own.engine.dispose()
