"""The branch: customers, accounts, cash, staff; one module for each."""

from flask import Blueprint

staff = Blueprint("staff", __name__, url_prefix="/staff")

from bank.web.staff import accounts, branch, cash, customers, people  # noqa: E402, F401  (they register their views)
