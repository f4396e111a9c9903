"""The older app's rows as they are, and how its numbers are to be read; values only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from bank.money import MAX_MINOR_UNITS, Money, exponent

#: Customers' and accounts' numbers had nine digits.
DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class OldUser:
    """A row of `users`: staff. The password is bcrypt's hash."""

    id: str
    name: str
    user_type: str
    password: str | None


@dataclass(frozen=True, slots=True)
class OldCustomer:
    """A row of `customers`; `status` is spelled activate or deactivate."""

    id: int
    ssn: int | str | None
    name: str
    address: str
    age: Any
    state: str
    city: str
    status: str

    @property
    def number(self) -> str:
        """What people know the customer by."""
        return f"{self.id:0{DIGITS}d}"

    @property
    def active(self) -> bool:
        """Had nobody deactivated the customer?"""
        return self.status == "activate"


@dataclass(frozen=True, slots=True)
class OldLogRow:
    """A row of `customerlog`."""

    id: int
    customer_id: int | None
    message: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class OldAccount:
    """A row of `accounts`; `status` is spelled active or deactive; SQLite's INTEGER `balance` may be anything."""

    id: int
    product: str
    balance: Any
    customer_id: int | None
    status: str
    message: str
    last_update: datetime | None

    @property
    def number(self) -> str:
        """What people know the account by."""
        return f"{self.id:0{DIGITS}d}"

    @property
    def active(self) -> bool:
        """Had nobody deactivated the account?"""
        return self.status == "active"

    @property
    def still_as_opened(self) -> bool:
        """Is `last_update` the instant it was opened? (Later it tells of the last change of status.)"""
        return self.message == "Account successfully created"


@dataclass(frozen=True, slots=True)
class OldTransaction:
    """A row of `transactions`: the message carries the sign, `amount` may be text in any script's digits."""

    id: int
    account_id: int | None
    message: str
    amount: Any
    at: datetime | None


@dataclass(frozen=True, slots=True)
class OldBank:
    """All five tables, each in the order of its ids."""

    users: tuple[OldUser, ...]
    customers: tuple[OldCustomer, ...]
    log: tuple[OldLogRow, ...]
    accounts: tuple[OldAccount, ...]
    transactions: tuple[OldTransaction, ...]

    def fingerprint(self) -> str:
        """Tells this database from another branch's, however long it goes on being used: by its first rows."""
        first = [
            [(row.id, row.customer_id, row.at) for row in self.log[:1]],
            [(row.id, row.account_id, row.message, str(row.amount), row.at) for row in self.transactions[:1]],
        ]
        return hashlib.sha256(repr(first).encode()).hexdigest()


def whole_amount(amount: Any) -> int | None:
    """The amount as the older app's `int()` read it; None when it could not, or it is beyond all sense.

    >>> whole_amount("１００"), whole_amount(-50), whole_amount("abc")
    (100, -50, None)
    """
    try:
        number = int(amount)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) <= MAX_MINOR_UNITS else None


def stored_balance(balance: Any, currency: str) -> tuple[Money, bool] | None:
    """A stored balance rounded half up to the minor unit, and whether that changed it; None: it cannot be read.

    >>> stored_balance(837.365, "USD"), stored_balance(10, "USD")
    ((Money(minor_units=83737, currency='USD'), True), (Money(minor_units=1000, currency='USD'), False))
    """
    try:
        exact = Decimal(repr(balance) if isinstance(balance, float) else str(balance)).scaleb(exponent(currency))
    except InvalidOperation:
        return None
    if not exact.is_finite() or abs(exact) > MAX_MINOR_UNITS:
        return None
    rounded = exact.to_integral_value(ROUND_HALF_UP)
    return Money(int(rounded), currency), rounded != exact


def is_whole(balance: Any) -> bool:
    """Is the stored balance a whole number, as the column's type promised?"""
    return isinstance(balance, int) or (isinstance(balance, Decimal | float) and balance == int(balance))
