"""What every command needs: the bank, an author, and errors in sentences."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click
from sqlalchemy.exc import DBAPIError

from bank.audit.model import Author
from bank.errors import BankError
from bank.settings import Settings, SettingsRefused
from bank.storage import migrate
from bank.storage.engine import make_engine
from bank.storage.errors import DatabaseAway
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
            raise click.ClickException(_with_cause(error)) from error
        except DBAPIError as error:
            raise click.ClickException(_explained(error)) from error

    return wrapped


def _with_cause(error: BankError) -> str:
    """Whoever types commands can see to the database, so its own words help them."""
    cause = error.__cause__
    is_away = isinstance(error, DatabaseAway) and isinstance(cause, DBAPIError)
    return f"{error}\n{_first_line(cause)}" if is_away and cause else str(error)


def _explained(error: DBAPIError) -> str:
    """Most often the schema is missing or old; otherwise what the database says."""
    return _missing_schema() or f"The database says: {_first_line(error)}"


def _missing_schema() -> str | None:
    engine = make_engine(settings().database_url)
    try:
        with engine.connect() as connection:
            return migrate.missing(connection)
    except DBAPIError:
        return None
    finally:
        engine.dispose()


def _first_line(error: BaseException) -> str:
    # A driver's further lines hold values.
    return str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]
