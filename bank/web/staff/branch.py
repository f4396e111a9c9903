"""Coming in, going out, the branch's home and its records."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from bank.audit import store as audit
from bank.identity import staff as staff_members
from bank.identity.passwords import WeakPassword, normalised, require_strong
from bank.identity.staff import InvalidUserId, read_user_id
from bank.ledger import store as ledger_store
from bank.web import log_in as entrance
from bank.web import signed_in
from bank.web.access import ANY_STAFF, EXECUTIVE, PUBLIC, open_to
from bank.web.current import author, bank, current, session_id, settings, staff_member
from bank.web.forms import ChangePasswordForm, StaffLogInForm
from bank.web.paging import read_place
from bank.web.staff import staff

View = str | tuple[str, int] | AnyResponse

_PAGE_LINES = 50


@staff.get("/")
@open_to(*ANY_STAFF)
def home() -> View:
    """What this role does here; for those with a till, what should be in it."""
    me = staff_member()
    till = None
    if me.till_account_id is not None:
        with bank().reader() as reader:
            till = ledger_store.account(reader, me.till_account_id)
    return render_template("staff/home.html", till=till)


@staff.route("/login", methods=["GET", "POST"])
@open_to(PUBLIC)
def log_in() -> View:
    """Sign a member of staff in; the same answer after the same time whatever was wrong."""
    form = StaffLogInForm()
    wanted = signed_in.own_path(request.values.get("next"))
    if not form.validate_on_submit():
        return render_template("staff/login.html", form=form, wanted=wanted), 422 if form.is_submitted() else 200
    try:
        staff_id = _checked(form.user.text, form.password.text)
    except entrance.LogInRefused as refused:
        form.password.errors = [str(refused)]
        return render_template("staff/login.html", form=form, wanted=wanted), 422
    return entrance.succeed(make_response(redirect(wanted or url_for(".home"), 303)), "staff", staff_id)


def _checked(typed: str, password: str) -> int:
    entrance.begin_attempt(typed)
    try:
        user_id = read_user_id(typed)
    except InvalidUserId:
        user_id = ""
    with bank().reader() as reader:
        known = staff_members.password_hash(reader, user_id)
    stored = known[1] if known else None
    if not entrance.try_password(stored, password, account=typed) or known is None:
        raise entrance.LogInRefused
    if current().passwords.outdated(known[1]):
        bank().run(staff_members.rehash, known[0], current().passwords.hash(password))
    return known[0]


@staff.post("/logout")
@open_to(*ANY_STAFF)
def log_out() -> View:
    """End the session on the server."""
    return entrance.log_out(make_response(redirect(url_for(".log_in"), 303)))


@staff.route("/password", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def change_password() -> View:
    """Another password; all other sessions end."""
    form = ChangePasswordForm()
    layout = "staff/layout.html"
    if not form.validate_on_submit():
        return render_template("password.html", form=form, layout=layout), 422 if form.is_submitted() else 200
    me = staff_member()
    with bank().reader() as reader:
        known = staff_members.password_hash(reader, me.user_id)
    try:
        entrance.require_present_password(known and known[1], form.old.text, account=me.user_id)
        require_strong(form.new.text, about=[settings().bank_name, me.name, me.user_id])
        if normalised(form.new.text) == normalised(form.old.text):
            raise WeakPassword("Choose another password than the present one.")
    except entrance.LogInRefused:
        form.old.errors = ["This is not your present password, or it was tried too often."]
    except WeakPassword as problem:
        form.new.errors = [str(problem)]
    else:
        new_hash = current().passwords.hash(form.new.text)
        bank().run(
            staff_members.set_password, me.id, new_hash, must_change=False, by=author(), keep_session=session_id()
        )
        return redirect(url_for(".password_changed"), 303)
    return render_template("password.html", form=form, layout=layout), 422


@staff.get("/password/changed")
@open_to(*ANY_STAFF)
def password_changed() -> View:
    """Said once it is done."""
    return render_template("password_changed.html", layout="staff/layout.html")


@staff.get("/records")
@open_to(*EXECUTIVE)
def show_records() -> View:
    """The audit trail, newest first; `as=json` gives the same to a program."""
    before = read_place(request.args.get("before"))
    with bank().reader() as reader:
        records = audit.page_before(reader, None, before=before, limit=_PAGE_LINES + 1)
    older = records[_PAGE_LINES - 1].id if len(records) > _PAGE_LINES else None
    if request.args.get("as") == "json":
        return _records_as_json(records[:_PAGE_LINES], older)
    return render_template("staff/records.html", records=records[:_PAGE_LINES], older=older)


def _records_as_json(records: list[sa.Row[Any]], older: int | None) -> AnyResponse:
    shown = [{**record._mapping, "at": record.at.isoformat()} for record in records]  # noqa: SLF001 — its public name
    place: dict[str, Any] = {"before": older, "as": "json"}
    return jsonify(records=shown, older=url_for(".show_records", **place) if older else None)


@staff.get("/trial-balance")
@open_to(*EXECUTIVE)
def show_trial_balance() -> View:
    """Debits and credits by line of the chart of accounts."""
    with bank().reader() as reader:
        lines = ledger_store.trial_balance(reader)
    return render_template("staff/trial_balance.html", lines=lines)
