"""What customers and staff see of files of payments: the list, the upload, one file, its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue as View
from flask_babel import lazy_gettext as _
from wtforms import FileField

from bank.language import gettext
from bank.payment_files import paying, service, store
from bank.payment_files.delimited import COLUMNS
from bank.payment_files.errors import PaymentFileUnusable
from bank.payment_files.model import ON_THE_WEB
from bank.payment_files.pain import VERSIONS
from bank.payment_files.store import PaymentFile
from bank.web import logs
from bank.web.current import author, bank
from bank.web.fields import ConfirmForm, PageForm
from bank.web.money import settle
from bank.web.paging import read_place

_FILES_A_PAGE: Final = 20
_LINES_SHOWN: Final = 10
_PROBLEMS_SHOWN: Final = 50
#: How long a request goes on paying: a script comes back by itself and shows how far it is; a person would have to
#: press a button. Both are well below what a load balancer waits.
_SECONDS_FOR_A_SCRIPT: Final = 2
_SECONDS_FOR_A_PERSON: Final = 20


class UploadForm(PageForm):
    """A file of payments."""

    file = FileField(_("File of payments"))


@dataclass(frozen=True, slots=True)
class Desk:
    """Whose files are shown, to whom: a customer's own, or at the branch those that staff brought.

    `may_upload` and `may_pay` are this visitor's; balances are shown to a customer only, for staff open a record first.
    """

    layout: str
    customer_id: int | None
    may_upload: bool = True
    may_pay: bool = True

    @property
    def owner(self) -> str:
        """Who the files belong to."""
        return service.owner_of(self.customer_id)

    def draw(self, template: str, **values: Any) -> str:
        """A page of it."""
        return render_template(template, layout=self.layout, desk=self, **values)


def show_list(desk: Desk) -> View:
    """The files, newest first."""
    before = read_place(request.args.get("before"))
    with bank().reader() as reader:
        files = store.newest_before(reader, desk.owner, before=before, limit=_FILES_A_PAGE + 1)
    older = files[_FILES_A_PAGE - 1].id if len(files) > _FILES_A_PAGE else None
    return desk.draw("payment_files.html", files=files[:_FILES_A_PAGE], older=older, before=before)


def upload(desk: Desk, then: str) -> View:
    """Take a file, and go on to `then`, the view that says what it would do; one with problems is not kept."""
    form = UploadForm()
    about: dict[str, Any] = {"form": form, "columns": COLUMNS, "versions": VERSIONS, "bounds": ON_THE_WEB}
    if not form.validate_on_submit():
        return desk.draw("payment_file_upload.html", **about), 422 if form.is_submitted() else 200
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        form.file.errors = [gettext("Choose a file.")]
        return desk.draw("payment_file_upload.html", **about), 422
    content = sent.stream.read(ON_THE_WEB.bytes + 1)
    try:
        file = service.take(bank(), content, sent.filename, ON_THE_WEB, by=author(), customer_id=desk.customer_id)
    except PaymentFileUnusable as unusable:
        logs.event("refused", code=unusable.code, status=unusable.status, problems=len(unusable.problems))
        shown = unusable.problems[:_PROBLEMS_SHOWN]
        more = len(unusable.problems) - len(shown)
        return desk.draw("payment_file_upload.html", refused=str(unusable), wrong=shown, more=more, **about), 422
    return redirect(url_for(then, file_id=file.id), 303)


def show(desk: Desk, file_id: int) -> View:
    """What a file would pay, or how far it is, or what became of it."""
    return desk.draw("payment_file.html", form=None, **_about(desk, file_id))


def pay(desk: Desk, file_id: int) -> View:
    """Check once more and confirm; or go on with what is being paid."""
    about = _about(desk, file_id)
    file: PaymentFile = about["file"]
    form = ConfirmForm()
    if not form.is_submitted():
        return desk.draw("payment_file.html", form=None if file.state == "done" else form, **about)

    def act() -> str:
        seconds = _SECONDS_FOR_A_SCRIPT if request.headers.get("HX-Request") else _SECONDS_FOR_A_PERSON
        now = paying.pay(bank(), desk.owner, file_id, by=author(), seconds=seconds)
        return url_for(".show_payment_file" if now.state == "done" else ".pay_file", file_id=file_id)

    return settle(form, act, "payment_file.html", layout=desk.layout, desk=desk, **about)


def download(desk: Desk, file_id: int) -> Response:
    """What became of each payment, as a file."""
    with bank().reader() as reader:
        file = service.find(reader, desk.owner, file_id, by=author())
        response = make_response(service.result_file(reader, file))
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    response.headers["Content-Disposition"] = f'attachment; filename="payments-{file.id}.csv"'
    return response


def _about(desk: Desk, file_id: int) -> dict[str, Any]:
    with bank().reader() as reader:
        file = service.find(reader, desk.owner, file_id, by=author())
        waiting = file.state == "waiting"
        return {
            "file": file,
            "results": store.results(reader, file.id),
            "totals": store.totals(reader, file.id) if waiting else [],
            "first": store.lines_after(reader, file.id, 0, limit=_LINES_SHOWN) if waiting else [],
            "doubtful": store.doubtful_lines(reader, file.id, limit=_PROBLEMS_SHOWN) if waiting else [],
            "refused_lines": [] if waiting else store.refused_lines(reader, file.id, limit=_PROBLEMS_SHOWN),
        }
