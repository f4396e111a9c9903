"""The branch: customers, accounts, cash, staff; one module for each."""

from flask import Blueprint

staff = Blueprint("staff", __name__, url_prefix="/staff")

from bank.web.staff import (  # noqa: E402, F401  (they register their views)
    accounts,
    branch,
    cash,
    counts,
    customers,
    payment_files,
    people,
    profile,
    queue,
    system,
    till,
    tokens,
)
