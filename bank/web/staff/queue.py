"""The queue: what waits for the branch, who works on it, and the answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue as View
from flask_babel import lazy_gettext as _
from wtforms.widgets import TextArea

from bank.cases import service as cases
from bank.cases import store as case_store
from bank.cases.model import Case, kind_name, kinds_for, state_name
from bank.cases.store import cases as table
from bank.errors import Conflict
from bank.language import lasting, marked
from bank.ledger import store as ledger_store
from bank.web.access import ANY_STAFF, open_to
from bank.web.current import author, bank, staff_member
from bank.web.fields import OperationForm, TextField, at_most, required
from bank.web.lists import Column, List
from bank.web.money import settle
from bank.web.staff import staff
from bank.web.staff.look_up import require_reason

CASES: Final = List(
    "cases",
    (
        Column("opened", marked("Opened"), lambda case: case.opened_at, table.c.id),
        Column("number", marked("Number"), lambda case: case.id),
        Column("kind", marked("About"), lambda case: kind_name(case.kind), table.c.kind),
        Column("by", marked("Opened by"), lambda case: case.customer_name or case.opener_name or case.opened_by),
        Column("told", marked("What was said"), lambda case: "" if case.guarded else case.told),
        Column("worker", marked("Who works on it"), lambda case: case.worker_name),
        Column("state", marked("State"), lambda case: state_name(case.state)),
        Column("answer", marked("Answer"), lambda case: "" if case.guarded else case.answer),
    ),
    "opened",
    table.c.id,
    case_store.of_row,
)


class AnswerForm(OperationForm):
    """What the branch found."""

    answer = TextField(_("Answer"), validators=[required(_("Enter the answer.")), at_most(1000)], widget=TextArea())


@staff.get("/queue")
@open_to(*ANY_STAFF)
def show_queue() -> View:
    """The cases that this role works on, oldest first; `show=closed` gives those that were answered."""
    show = "closed" if request.args.get("show") == "closed" else None
    query = case_store.queue(kinds_for(staff_member().role.value), closed=bool(show))
    shown = CASES.show(query, show=show)
    if isinstance(shown, Response):
        return shown
    return render_template("staff/queue.html", shown=shown, now=bank().clock.now())


@staff.route("/cases/<id:case_id>", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def show_case(case_id: int) -> View:
    """One case; whoever took it answers and closes it here."""
    form = AnswerForm()
    if not form.is_submitted():
        return render_template("staff/case.html", form=form, **_about(case_id))

    def act() -> str:
        bank().run(cases.answer, case_id, form.answer.text, person=staff_member(), by=author())
        return url_for(".show_case", case_id=case_id)

    return settle(form, act, "staff/case.html", **_about(case_id))


@staff.post("/cases/<id:case_id>/take")
@open_to(*ANY_STAFF)
def take_case(case_id: int) -> View:
    """Work on it; of two who take it at once, one has it and the other reads who."""
    return _hand(case_id, cases.take)


@staff.post("/cases/<id:case_id>/give-back")
@open_to(*ANY_STAFF)
def give_case_back(case_id: int) -> View:
    """Let somebody else take it."""
    return _hand(case_id, cases.give_back)


@staff.app_template_filter()
def age_of(waited: timedelta) -> str:
    """How long something has waited."""
    return lasting(waited)


def _hand(case_id: int, change: Callable[..., None]) -> View:
    try:
        bank().run(change, case_id, person=staff_member(), by=author())
    except Conflict as refused:
        return render_template(
            "staff/case.html", form=AnswerForm(formdata=None), refused=str(refused), **_about(case_id)
        ), 409
    return redirect(url_for(".show_case", case_id=case_id), 303)


def _about(case_id: int) -> dict[str, Any]:
    with bank().reader() as reader:
        case: Case = cases.require_may_work_on(case_store.by_id(reader, case_id), staff_member())
        entry = ledger_store.entry(reader, case.entry_id) if case.entry_id else None
    if case.customer_id:
        require_reason([case.customer_id])
    return {"case": case, "entry": entry, "me": str(staff_member())}
