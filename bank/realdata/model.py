"""What a folder holds once it has been read: people, accounts, transactions; and what was wrong with its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

#: Numbers here: nine digits like the older app's, in ranges of their own. `CLIENT` then the id in seven digits.
CLIENT_PREFIX: Final = "12"
ACCOUNT_PREFIX: Final = "37"
MOST_ID: Final = 9_999_999


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operation is to the books: its one direction, the entry's kind and narrative, the bank's own side."""

    direction: str
    kind: str
    narrative: str
    against: str


#: By the name that the file uses. `against` is a chart code; cash is a till of its own.
OPERATIONS: Final = {
    "cash_deposit": Operation("credit", "deposit", "Cash deposit", "cash"),
    "cash_withdrawal": Operation("debit", "withdrawal", "Cash withdrawal", "cash"),
    "card_withdrawal": Operation("debit", "card_withdrawal", "Card withdrawal", "clearing"),
    "transfer_in": Operation("credit", "transfer_in", "Transfer from", "clearing"),
    "transfer_out": Operation("debit", "transfer_out", "Transfer to", "clearing"),
    "interest": Operation("credit", "interest", "Interest", "interest_paid"),
    "fee": Operation("debit", "fee", "Fee", "fee_income"),
    "penalty_interest": Operation("debit", "penalty_interest", "Penalty interest", "penalty_interest"),
}


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be loaded: where it stands, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Client:
    """Who holds an account; the data has no names."""

    id: int
    birth_date: date | None
    district: str

    @property
    def number(self) -> str:
        """The customer's number here."""
        return f"{CLIENT_PREFIX}{self.id:07d}"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A booking on one account; amounts in minor units, above zero."""

    line: int
    id: int
    day: date
    operation: Operation
    minor_units: int
    narrative: str

    @property
    def change(self) -> int:
        """What it does to the account's balance."""
        return self.minor_units if self.operation.direction == "credit" else -self.minor_units


@dataclass(slots=True)
class FolderAccount:
    """An account with its holders (client id to role) and its transactions in the file's order."""

    id: int
    line: int
    opened_on: date
    holders: dict[int, str] = field(default_factory=dict)
    transactions: list[Transaction] = field(default_factory=list)
    closing_balance: int | None = None

    @property
    def number(self) -> str:
        """The account's number here."""
        return f"{ACCOUNT_PREFIX}{self.id:07d}"

    @property
    def owner(self) -> int | None:
        """The client who owns it."""
        return next((client for client, role in self.holders.items() if role == "owner"), None)

    def balances(self) -> Iterator[int]:
        """The balance after each transaction, from nothing; minor units."""
        balance = 0
        for transaction in self.transactions:
            balance += transaction.change
            yield balance

    def lowest_balance(self) -> int:
        """The lowest balance on the way: zero or less, in minor units."""
        return min(0, *self.balances(), 0)


@dataclass(frozen=True, slots=True)
class Folder:
    """All that can be loaded, and the rows that cannot."""

    clients: dict[int, Client]
    accounts: dict[int, FolderAccount]
    bad_rows: tuple[BadRow, ...]
    has_closing_balances: bool

    def transactions(self) -> Iterator[tuple[FolderAccount, Transaction]]:
        """Every transaction with its account, each account's in the file's order."""
        return ((account, each) for account in self.accounts.values() for each in account.transactions)
