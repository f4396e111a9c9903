"""Files of payments at the branch: whoever has a till brings one, an executive has it paid."""

from __future__ import annotations

from flask.typing import ResponseReturnValue as View

from bank.payment_files.model import ON_THE_WEB
from bank.web import payment_files
from bank.web.access import ANY_STAFF, EXECUTIVE, TILL, open_to
from bank.web.current import staff_member
from bank.web.payment_files import Desk
from bank.web.staff import staff
from bank.web.uploads import takes_file


@staff.get("/payment-files")
@open_to(*ANY_STAFF)
def list_payment_files() -> View:
    """The branch's files of payments, newest first."""
    return payment_files.show_list(_desk())


@staff.route("/payment-files/new", methods=["GET", "POST"])
@open_to(*TILL)
@takes_file(ON_THE_WEB.bytes)
def upload_payment_file() -> View:
    """Bring a customer's file, which is checked as a whole; an executive has it paid."""
    return payment_files.upload(_desk(), then=".show_payment_file")


@staff.get("/payment-files/<id:file_id>")
@open_to(*ANY_STAFF)
def show_payment_file(file_id: int) -> View:
    """One file and what became of it."""
    return payment_files.show(_desk(), file_id)


@staff.route("/payment-files/<id:file_id>/pay", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def pay_file(file_id: int) -> View:
    """Look at what somebody else brought, and have it paid."""
    return payment_files.pay(_desk(), file_id)


@staff.get("/payment-files/<id:file_id>/result")
@open_to(*ANY_STAFF)
def download_payment_file(file_id: int) -> View:
    """What became of each payment, as CSV."""
    return payment_files.download(_desk(), file_id)


def _desk() -> Desk:
    role = staff_member().role.value
    return Desk("staff/layout.html", None, may_upload=role in TILL, may_pay=role in EXECUTIVE)
