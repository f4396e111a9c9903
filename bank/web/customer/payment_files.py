"""Paying by file: a customer's own files."""

from __future__ import annotations

from flask.typing import ResponseReturnValue as View

from bank.payment_files.model import ON_THE_WEB
from bank.web import payment_files
from bank.web.access import CUSTOMER, open_to
from bank.web.current import customer as this_customer
from bank.web.customer import customer
from bank.web.payment_files import Desk
from bank.web.uploads import takes_file


@customer.get("/payment-files")
@open_to(CUSTOMER)
def list_payment_files() -> View:
    """The customer's files of payments, newest first."""
    return payment_files.show_list(_desk())


@customer.route("/payment-files/new", methods=["GET", "POST"])
@open_to(CUSTOMER)
@takes_file(ON_THE_WEB.bytes)
def upload_payment_file() -> View:
    """Send a file, which is checked as a whole."""
    return payment_files.upload(_desk(), then=".pay_file")


@customer.get("/payment-files/<id:file_id>")
@open_to(CUSTOMER)
def show_payment_file(file_id: int) -> View:
    """One file and what became of it; others' do not exist."""
    return payment_files.show(_desk(), file_id)


@customer.route("/payment-files/<id:file_id>/pay", methods=["GET", "POST"])
@open_to(CUSTOMER)
def pay_file(file_id: int) -> View:
    """Look at it once more, and pay it."""
    return payment_files.pay(_desk(), file_id)


@customer.get("/payment-files/<id:file_id>/result")
@open_to(CUSTOMER)
def download_payment_file(file_id: int) -> View:
    """What became of each payment, as CSV."""
    return payment_files.download(_desk(), file_id)


def _desk() -> Desk:
    return Desk("layout.html", this_customer().id)
