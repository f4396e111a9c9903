"""What tests of the imports need: the command line on a test's database, and a look at all its rows."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import sqlalchemy as sa
from click.testing import CliRunner, Result

from bank.cli import main
from bank.settings import DEVELOPMENT_IDENTITY_KEY
from bank.storage.transaction import Bank
from tests.servers import DatabaseUrls


def environment(urls: DatabaseUrls, currency: str) -> dict[str, str]:
    """The settings of a bank on this database, as the application's role."""
    return {
        "DATABASE_URL": urls.app,
        "CURRENCY": currency,
        "IDENTITY_KEYS": DEVELOPMENT_IDENTITY_KEY,
        "BANK_ENV": "development",
    }


def run(urls: DatabaseUrls, *arguments: str, currency: str = "USD") -> Result:
    """`bank ARGUMENTS` on this database."""
    result = CliRunner().invoke(main, list(arguments), env=environment(urls, currency))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def kill_while_booking(urls: DatabaseUrls, bank: Bank, *arguments: str, currency: str, entries: int) -> None:
    """Start `bank ARGUMENTS` and kill it once so many entries are booked."""
    environ = {**os.environ, **environment(urls, currency)}
    command = [sys.executable, "-c", "from bank.cli import main; main()", *arguments]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while count(bank, "journal_entries") < entries:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "it booked too little in a minute"
        time.sleep(0.01)
    process.kill()
    process.wait()


def count(bank: Bank, table: str) -> int:
    """How many rows a table has."""
    with bank.reader() as reader:
        return int(reader.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one())


def dump(bank: Bank) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with bank.reader() as reader:
        tables = sorted(sa.inspect(reader).get_table_names())
        return {
            table: sorted((tuple(row) for row in reader.exec_driver_sql(f"SELECT * FROM {table}")), key=repr)
            for table in tables
        }
