"""What customers see and do; one module for each noun."""

from flask import Blueprint

customer = Blueprint("customer", __name__)

from bank.web.customer import accounts, cases, movements, pay, payees, profile, scheduled, spending  # noqa: E402, F401  (they register their views)
