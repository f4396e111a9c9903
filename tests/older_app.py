"""Databases as the older app left them: its schema on SQLite and MySQL, and one small branch with every oddity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bcrypt
import pytest
import sqlalchemy as sa

from tests.servers import NOT_RUN

#: The real branch's file lies beside the project, and is no part of it.
SHARED = Path(__file__).parents[2] / "shared/data"
PASSWORD = "the old password"

#: The older app's own types: whole balances and amounts, ages in place of birth dates, numbers as ids.
_metadata = sa.MetaData()
TABLES = {
    "users": sa.Table(
        "users",
        _metadata,
        sa.Column("id", sa.String(250), primary_key=True),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("user_type", sa.String(250), nullable=False),
        sa.Column("password", sa.String(250)),
    ),
    "customers": sa.Table(
        "customers",
        _metadata,
        sa.Column("cust_id", sa.Integer, primary_key=True),
        sa.Column("cust_ssn_id", sa.Integer, unique=True),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("address", sa.String(250), nullable=False),
        sa.Column("age", sa.Integer),
        sa.Column("state", sa.String(250), nullable=False),
        sa.Column("city", sa.String(250), nullable=False),
        sa.Column("status", sa.String(250), nullable=False),
    ),
    "customerlog": sa.Table(
        "customerlog",
        _metadata,
        sa.Column("log_id", sa.Integer, primary_key=True),
        sa.Column("cust_id", sa.Integer, sa.ForeignKey("customers.cust_id")),
        sa.Column("log_message", sa.String(250), nullable=False),
        sa.Column("time_stamp", sa.DateTime),
    ),
    "accounts": sa.Table(
        "accounts",
        _metadata,
        sa.Column("acc_id", sa.Integer, primary_key=True),
        sa.Column("acc_type", sa.String(250), nullable=False),
        sa.Column("balance", sa.Integer, nullable=False),
        sa.Column("cust_id", sa.Integer, sa.ForeignKey("customers.cust_id")),
        sa.Column("status", sa.String(250), nullable=False),
        sa.Column("message", sa.String(250)),
        sa.Column("last_update", sa.DateTime),
    ),
    "transactions": sa.Table(
        "transactions",
        _metadata,
        sa.Column("trans_id", sa.Integer, primary_key=True),
        sa.Column("acc_id", sa.Integer, sa.ForeignKey("accounts.acc_id")),
        sa.Column("trans_message", sa.String(250), nullable=False),
        sa.Column("amount", sa.Integer, nullable=False),
        sa.Column("time_stamp", sa.DateTime),
    ),
}

Rows = dict[str, list[tuple[Any, ...]]]

A, B, C = 110110000, 110110001, 110110002
CURRENT, SAVINGS, EMPTY, LEFT, MINUS = 360110000, 360110001, 360110002, 360110003, 360110004


def small_branch() -> Rows:
    """Three customers, five accounts; every amount whole, so that both databases can hold them."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    return {
        "users": [
            ("C00000001", "ramesh", "executive", hashed),
            ("c00000002", "suresh", "cashier", hashed),
            ("C00000003", "", "teller", hashed),
            ("C00000004", "nobody", "auditor", hashed),
            ("C00000005", "locked out", "teller", None),
        ],
        "customers": [
            (A, 12345678, "  Zoe\u0308   O'Brien ", "1 Elm Street", 40, "NJ ", "Cranmoor", "activate"),
            (B, 7, "박하늘빛", " ", 199, "New York", "Port Halden", "deactivate"),
            (C, 123456789, "", "x" * 250, None, "NY", "y" * 250, "activate"),
        ],
        "customerlog": [
            (1, A, "Customer Created", "2025-09-01 14:58:48"),
            (2, B, "Customer Created", "2025-09-01 15:08:30"),
            (3, C, "Customer Created", "2025-09-01 15:12:54"),
            (4, A, "Customer Data Updated", "2025-09-02 10:00:00"),
            (5, B, "Customer Deactivated", "2025-12-01 10:00:00"),
        ],
        "accounts": [
            # Opened with 500 of which no row was written.
            (CURRENT, "current", 380, A, "active", "Account successfully created", "2025-09-01 15:06:10"),
            (SAVINGS, "savings", 75, A, "active", "Account successfully created", "2025-09-01 15:10:00"),
            (EMPTY, "savings", 0, A, "deactive", "Account Deactivated", "2026-01-05 09:00:00"),
            # 30 were lost by two tellers at once.
            (LEFT, "current", 70, C, "deactive", "Account Deactivated", "2026-02-02 09:00:00"),
            (MINUS, "gold", -20, B, "active", "Account successfully created", "2025-12-02 09:00:00"),
        ],
        "transactions": [
            # Half past three in the morning in UTC is still the day before at the bank.
            (1, CURRENT, "Amount Deposited", 100, "2025-09-03 03:30:00"),
            # Another client's row stands between the two rows of a transfer.
            (2, CURRENT, f"Amount Transfered to {SAVINGS}", 60, "2025-09-04 10:00:00"),
            (3, LEFT, "Amount Deposited", 100, "2025-09-04 10:00:00"),
            (4, SAVINGS, f"Amount received from {CURRENT}", 60, "2025-09-04 10:00:01"),
            (5, CURRENT, "Amount Withdrawn", 100, "2025-09-05 10:00:00"),
            (6, CURRENT, "Amount Deposited", -50, "2025-09-06 10:00:00"),
            (7, CURRENT, "Amount Deposited", 0, "2025-09-07 10:00:00"),
            # The app stopped between this row and its other half.
            (8, CURRENT, f"Amount Transfered to {SAVINGS}", 10, "2025-09-08 10:00:00"),
            (9, SAVINGS, "Amount Deposited", 15, None),
            # -20 pulled from the other account.
            (10, MINUS, f"Amount Transfered to {EMPTY}", 20, "2025-12-03 10:00:00"),
            (11, EMPTY, f"Amount received from {MINUS}", 20, "2025-12-03 10:00:00"),
            (12, EMPTY, f"Amount Transfered to {MINUS}", -20, "2025-12-04 10:00:00"),
            (13, MINUS, f"Amount received from {EMPTY}", -20, "2025-12-04 10:00:00"),
            (14, EMPTY, "Amount Withdrawn", 40, "2025-12-05 10:00:00"),
            (15, MINUS, "Amount Deposited", 20, "2025-12-06 10:00:00"),
            (16, CURRENT, "Interest", 3, "2025-12-07 10:00:00"),
        ],
    }


def busy_branch(transactions: int) -> Rows:
    """One customer with a long history, for imports that are interrupted."""
    rows = small_branch()
    rows["transactions"] = [
        (number, CURRENT, "Amount Deposited", 1, f"2025-10-{1 + number * 27 // transactions:02d} 12:00:00")
        for number in range(1, transactions + 1)
    ]
    return rows


def write_sqlite(path: Path, rows: Rows) -> str:
    """Make the older database as a file; answers its URL. SQLite keeps any value in any column."""
    engine = sa.create_engine(f"sqlite:///{path}")
    _metadata.create_all(engine)
    with engine.begin() as connection:
        for table, values in rows.items():
            for row in values:
                marks = ", ".join("?" * len(row))
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", row)
    engine.dispose()
    return f"sqlite:///{path}"


def write_mysql(url: str, rows: Rows) -> str:
    """Make the older database in an empty one on MySQL; answers its URL."""
    engine = sa.create_engine(url.replace("mysql://", "mysql+pymysql://", 1))
    _metadata.create_all(engine)
    with engine.begin() as connection:
        for table, values in rows.items():
            for row in values:
                marks = ", ".join(["%s"] * len(row))
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", row)
    engine.dispose()
    return url


def shared(name: str) -> Path:
    """A file or folder of the real data; the test is skipped visibly where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{NOT_RUN}real data: no {name} beside the project")
    return path
