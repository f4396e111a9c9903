"""Problems that a customer reports about a movement, and what the branch answered."""

from __future__ import annotations

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue as View
from flask_babel import lazy_gettext as _
from wtforms.widgets import TextArea

from bank.accounts import store as account_store
from bank.cases import service as cases
from bank.cases import store as case_store
from bank.web.access import CUSTOMER, open_to
from bank.web.current import author, bank
from bank.web.current import customer as this_customer
from bank.web.customer import customer
from bank.web.customer.look_up import own_entry
from bank.web.fields import OperationForm, TextField, at_most, required
from bank.web.money import settle
from bank.web.paging import read_place

_PAGE_LINES = 20


class ReportForm(OperationForm):
    """What is wrong with a movement."""

    told = TextField(
        _("What is wrong?"), validators=[required(_("Say what is wrong.")), at_most(1000)], widget=TextArea()
    )


@customer.route("/movements/<id:entry_id>/report", methods=["GET", "POST"])
@open_to(CUSTOMER)
def report_problem(entry_id: int) -> View:
    """Tell the branch what is wrong with one of the customer's own movements; others' do not exist."""
    entry, mine = own_entry(entry_id)
    me = this_customer().id
    form = ReportForm()

    def act() -> str:
        case_id = bank().run(cases.report, me, entry_id, form.told.text, operation=form.key, by=author())
        return url_for(".show_case", case_id=case_id)

    with bank().reader() as reader:
        case = case_store.about_entry(reader, me, entry_id)
    return settle(form, act, "customer/report.html", entry=entry, mine=mine, case=case)


@customer.get("/cases")
@open_to(CUSTOMER)
def list_cases() -> View:
    """What this customer reported, newest first."""
    before = read_place(request.args.get("before"))
    with bank().reader() as reader:
        found = case_store.of_customer(reader, this_customer().id, before=before, limit=_PAGE_LINES + 1)
    older = found[_PAGE_LINES - 1].id if len(found) > _PAGE_LINES else None
    return render_template("customer/cases.html", cases=found[:_PAGE_LINES], before=before, older=older)


@customer.get("/cases/<id:case_id>")
@open_to(CUSTOMER)
def show_case(case_id: int) -> View:
    """One report and its answer; others' do not exist."""
    with bank().reader() as reader:
        case = case_store.by_id(reader, case_id)
        if case is None or case.customer_id != this_customer().id:
            raise cases.NoSuchCase
        # Whoever no longer holds the account keeps the report, and is led no further.
        me = this_customer().id
        mine = account_store.entry_of_customer(reader, case.entry_id, me)[1] if case.entry_id else []
    return render_template("customer/case.html", case=case, movement=case.entry_id if mine else None)
