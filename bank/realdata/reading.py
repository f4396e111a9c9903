"""Check a whole folder before anything of it is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

from bank.money import MAX_MINOR_UNITS, exponent
from bank.realdata.files import MOST_ROWS, CsvFile, find
from bank.realdata.model import MOST_ID, OPERATIONS, BadRow, Client, Folder, FolderAccount, Operation, Transaction

_ROLES: Final = {"owner": "owner", "disponent": "authorised"}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FIRST_DAY: Final = date(1850, 1, 1)

T = TypeVar("T")
Row = dict[str, str]


class BadValue(ValueError):
    """A value that cannot be read; the text says why."""


def read_folder(folder: Path, currency: str, *, today: date, most_rows: int = MOST_ROWS) -> Folder:
    """Read and check every row; amounts are of `currency`, nothing is dated after `today`.

    Raises:
        FolderUnreadable: a file is missing or damaged, or lacks a column.
    """
    reader = _Reader(currency, today, most_rows)
    clients = reader.clients(find(folder, "customers.csv"))
    accounts = reader.accounts(find(folder, "accounts.csv"))
    reader.holders(find(folder, "holders.csv"), clients, accounts)
    accounts = reader.with_owners(accounts)
    reader.transactions(find(folder, "transactions.csv"), accounts)
    closing = folder / "closing_balances.csv"
    if closing.exists():
        reader.closing_balances(closing, accounts)
    return Folder(clients, accounts, tuple(reader.bad_rows), closing.exists())


class _Reader:
    """Reads one file after the other and keeps what is bad in each."""

    def __init__(self, currency: str, today: date, most_rows: int) -> None:
        self.currency = currency
        self.today = today
        self.most_rows = most_rows
        self.bad_rows: list[BadRow] = []
        self.accounts_file = ""

    def each(self, path: Path, columns: str, read: Callable[[int, Row], None]) -> None:
        """Have `read` take each row; a row that it cannot is bad."""
        file = CsvFile(path, tuple(columns.split()), self.most_rows)
        for line, row in file.rows():
            try:
                read(line, row)
            except BadValue as problem:
                file.refuse(line, str(problem))
        self.bad_rows += file.bad_rows

    def clients(self, path: Path) -> dict[int, Client]:
        clients: dict[int, Client] = {}

        def read(_line: int, row: Row) -> None:
            client_id = _id(row, "client_id", clients)
            born = self.day(row, "birth_date") if row["birth_date"] else None
            clients[client_id] = Client(client_id, born, row["district"][:100])

        self.each(path, "client_id birth_date district", read)
        return clients

    def accounts(self, path: Path) -> dict[int, FolderAccount]:
        accounts: dict[int, FolderAccount] = {}
        self.accounts_file = path.name

        def read(line: int, row: Row) -> None:
            account_id = _id(row, "account_id", accounts)
            accounts[account_id] = FolderAccount(account_id, line, self.day(row, "opened_on"))

        self.each(path, "account_id opened_on", read)
        return accounts

    def holders(self, path: Path, clients: dict[int, Client], accounts: dict[int, FolderAccount]) -> None:
        def read(_line: int, row: Row) -> None:
            client = _known(row, "client_id", clients).id
            account = _known(row, "account_id", accounts)
            if row["role"] not in _ROLES:
                raise BadValue(f"unknown role {_shown(row['role'])}")
            if client in account.holders:
                raise BadValue(f"client {client} holds account {account.id} already")
            account.holders[client] = _ROLES[row["role"]]

        self.each(path, "client_id account_id role", read)

    def with_owners(self, accounts: dict[int, FolderAccount]) -> dict[int, FolderAccount]:
        for account in accounts.values():
            if account.owner is None:
                self.bad_rows.append(BadRow(self.accounts_file, account.line, f"account {account.id} has no owner"))
        return {account_id: account for account_id, account in accounts.items() if account.owner is not None}

    def transactions(self, path: Path, accounts: dict[int, FolderAccount]) -> None:
        seen: set[int] = set()

        def read(line: int, row: Row) -> None:
            transaction_id = _id(row, "transaction_id", seen)
            account = _known(row, "account_id", accounts)
            operation = _operation(row)
            day = self.day(row, "booking_date")
            amount = self.amount(row["amount"])
            narrative = _narrative(operation, row)
            seen.add(transaction_id)
            account.transactions.append(Transaction(line, transaction_id, day, operation, amount, narrative))

        columns = "transaction_id account_id booking_date direction operation amount purpose counterparty_bank"
        self.each(path, f"{columns} counterparty_account", read)

    def closing_balances(self, path: Path, accounts: dict[int, FolderAccount]) -> None:
        def read(_line: int, row: Row) -> None:
            text = row["closing_balance"]
            balance = self.minor_units(text.removeprefix("-"))
            _known(row, "account_id", accounts).closing_balance = -balance if text.startswith("-") else balance

        self.each(path, "account_id closing_balance", read)

    def day(self, row: Row, column: str) -> date:
        """A day in ISO 8601, as YYYY-MM-DD, not in the future."""
        try:
            if not _DAY.fullmatch(row[column]):
                raise ValueError(row[column])
            day = date.fromisoformat(row[column])
        except ValueError as error:
            raise BadValue(f"{column} {_shown(row[column])} is no date like 1994-03-31") from error
        if not _FIRST_DAY <= day <= self.today:
            raise BadValue(f"{column} {_shown(row[column])} is not between {_FIRST_DAY} and today")
        return day

    def amount(self, text: str) -> int:
        """An amount above zero, in minor units."""
        if text.startswith("-"):
            raise BadValue(f"amount {_shown(text)} is below zero; direction says which way it goes")
        amount = self.minor_units(text)
        if amount == 0:
            raise BadValue(f"amount {_shown(text)} is zero")
        return amount

    def minor_units(self, text: str) -> int:
        decimals = exponent(self.currency)
        match = re.fullmatch(
            rf"([0-9]{{1,18}})(?:\.([0-9]{{1,{decimals}}}))?" if decimals else r"([0-9]{1,18})()", text
        )
        if not match:
            raise BadValue(f"amount {_shown(text)} is no amount like {'1234.50' if decimals else '1234'}")
        minor_units = int(match[1] + (match[2] or "").ljust(decimals, "0"))
        if minor_units > MAX_MINOR_UNITS:
            raise BadValue(f"amount {_shown(text)} is larger than the bank books at once")
        return minor_units


def _id(row: Row, column: str, taken: dict[int, Client] | dict[int, FolderAccount] | set[int]) -> int:
    """A new id of this column."""
    identifier = _whole(row, column)
    if identifier in taken:
        raise BadValue(f"{column} {identifier} came before")
    return identifier


def _whole(row: Row, column: str) -> int:
    text = row[column]
    limit = 10**18 if column == "transaction_id" else MOST_ID
    if not re.fullmatch(r"[0-9]{1,18}", text) or not 0 < int(text) <= limit:
        raise BadValue(f"{column} {_shown(text)} is no whole number from 1 to {limit}")
    return int(text)


def _known(row: Row, column: str, those: dict[int, T]) -> T:
    identifier = _whole(row, column)
    if identifier not in those:
        noun = column.removesuffix("_id")
        raise BadValue(f"unknown {noun} {identifier}")
    return those[identifier]


def _operation(row: Row) -> Operation:
    operation = OPERATIONS.get(row["operation"])
    if operation is None:
        raise BadValue(f"unknown operation {_shown(row['operation'])}")
    if row["direction"] != operation.direction:
        raise BadValue(f"{row['operation']} is a {operation.direction}, and direction is {_shown(row['direction'])}")
    return operation


def _narrative(operation: Operation, row: Row) -> str:
    """What the customer reads: the operation, its partner, its purpose."""
    for column in ("purpose", "counterparty_bank", "counterparty_account"):
        if not row[column].isprintable():
            raise BadValue(f"{column} {_shown(row[column])} has letters that cannot be printed")
    partner = "/".join(part for part in (row["counterparty_account"], row["counterparty_bank"]) if part)
    if operation.kind in ("transfer_in", "transfer_out"):
        partner = partner or "another bank"
    purpose = row["purpose"].replace("_", " ")
    said = " ".join(part for part in (operation.narrative, partner) if part)
    return f"{said}: {purpose}"[:200] if purpose and purpose != operation.kind.replace("_", " ") else said[:200]


def _shown(text: str) -> str:
    """The text in a report: quoted, printable, short."""
    return ascii(text[:40])
