"""What customers see and do; one module for each noun."""

from flask import Blueprint

customer = Blueprint("customer", __name__)

from bank.web.customer import (  # noqa: E402, F401  (they register their views)
    accounts,
    cases,
    movements,
    pay,
    payees,
    payment_files,
    profile,
    scheduled,
    spending,
    tokens,
)
