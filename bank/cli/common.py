"""What every command needs: the bank, an author, and errors in sentences."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from bank.audit.model import Author
from bank.errors import BankError
from bank.settings import Settings, SettingsRefused
from bank.storage.transaction import Bank

P = ParamSpec("P")
T = TypeVar("T")


def settings() -> Settings:
    """The settings in the environment, or the end of the command with what is wrong about them."""
    try:
        return Settings.from_env(os.environ)
    except SettingsRefused as refused:
        raise click.ClickException(
            "\n".join(["These settings need attention:", *(f"  {problem}" for problem in refused.problems)])
        ) from refused


def open_bank() -> Bank:
    """The bank of this environment, patient with long statements."""
    return Bank.open(settings())


def author(bank: Bank, who: str) -> Author:
    """Who the audit trail names for what this command does: `cli:import`."""
    now = bank.clock.now()
    return Author(who, now, bank.clock.business_date(now))


def in_sentences(command: Callable[P, T]) -> Callable[P, T]:
    """Let the bank's own errors end a command with their sentence and exit code 1, not a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except BankError as error:
            raise click.ClickException(str(error)) from error

    return wrapped
