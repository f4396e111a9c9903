"""The older app's five tables, read as they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from bank.legacy.model import OldAccount, OldBank, OldCustomer, OldLogRow, OldTransaction, OldUser
from bank.storage.foreign import SourceUnreadable, read_only

# Within them an instant has its day in every time zone, and in every database.
_YEARS: Final = range(1000, 9999)

TABLES: Final = {
    "users": ("id", "name", "user_type", "password"),
    "customers": ("cust_id", "cust_ssn_id", "name", "address", "age", "state", "city", "status"),
    "customerlog": ("log_id", "cust_id", "log_message", "time_stamp"),
    "accounts": ("acc_id", "acc_type", "balance", "cust_id", "status", "message", "last_update"),
    "transactions": ("trans_id", "acc_id", "trans_message", "amount", "time_stamp"),
}


def read(url: str) -> OldBank:
    """The older database at `url` as it stands at this instant; nothing in it is changed.

    Raises:
        SourceUnreadable: it cannot be read, or is not the older app's.
    """
    with read_only(url) as source:
        _refuse_another_schema(source)
        return OldBank(
            users=tuple(_user(*row) for row in _rows(source, "users")),
            customers=tuple(_customer(*row) for row in _rows(source, "customers")),
            log=tuple(_log_row(*row) for row in _rows(source, "customerlog")),
            accounts=tuple(_account(*row) for row in _rows(source, "accounts")),
            transactions=tuple(_transaction(*row) for row in _rows(source, "transactions")),
        )


def _refuse_another_schema(source: sa.Connection) -> None:
    inspector = sa.inspect(source)
    there = set(inspector.get_table_names())
    for table, columns in TABLES.items():
        if table not in there:
            raise SourceUnreadable(f"This is no database of the older app: it has no table {table}.")
        known = {column["name"] for column in inspector.get_columns(table)}
        if missing := [column for column in columns if column not in known]:
            raise SourceUnreadable(
                f"This is no database of the older app: its table {table} has no column {missing[0]}."
            )


def _rows(source: sa.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    columns = TABLES[table]
    # Plain text, so that no column type reads more or less into a value than what is stored.
    for row in source.exec_driver_sql(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {columns[0]}"):
        yield tuple(row)


def _user(user_id: Any, name: Any, user_type: Any, password: Any) -> OldUser:
    return OldUser(_text(user_id), _text(name), _text(user_type), password)


def _customer(*row: Any) -> OldCustomer:
    customer_id, ssn, name, address, age, state, city, status = row
    return OldCustomer(customer_id, ssn, _text(name), _text(address), age, _text(state), _text(city), _text(status))


def _log_row(log_id: int, customer_id: int | None, message: Any, at: Any) -> OldLogRow:
    return OldLogRow(log_id, customer_id, _text(message), _instant(at))


def _account(*row: Any) -> OldAccount:
    account_id, product, balance, customer_id, status, message, at = row
    return OldAccount(account_id, _text(product), balance, customer_id, _text(status), _text(message), _instant(at))


def _transaction(transaction_id: int, account_id: int | None, message: Any, amount: Any, at: Any) -> OldTransaction:
    return OldTransaction(transaction_id, account_id, _text(message), amount, _instant(at))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _instant(value: Any) -> datetime | None:
    """The older app wrote UTC without saying so; None: there is none, or none that can be read."""
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        instant = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return instant if instant.year in _YEARS else None
