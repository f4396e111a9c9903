"""Coming in, going out, the branch's home and its records."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Final

from flask import Response, jsonify, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.audit import store as audit
from bank.audit.model import Record
from bank.audit.store import audit_records
from bank.cases import store as case_store
from bank.cases.model import kinds_for
from bank.identity import staff as staff_members
from bank.identity.passwords import WeakPassword, normalised, require_strong
from bank.identity.staff import InvalidUserId, Role, read_user_id
from bank.language import gettext, marked
from bank.ledger import verify
from bank.web import log_in as entrance
from bank.web import signed_in
from bank.web.access import ANY_STAFF, EXECUTIVE, PUBLIC, open_to
from bank.web.current import author, bank, current, session_id, settings, staff_member
from bank.web.forms import ChangePasswordForm
from bank.web.lists import Column, List
from bank.web.staff import staff
from bank.web.staff.forms import StaffLogInForm
from bank.web.staff.look_up import require_reason


@staff.get("/")
@open_to(*ANY_STAFF)
def home() -> View:
    """What this role does here and what waits for it; for those with a till, what should be in it."""
    me = staff_member()
    last = None
    with bank().reader() as reader:
        open_cases = case_store.count_open(reader, kinds_for(me.role.value))
        if me.role is Role.EXECUTIVE:
            last = verify.last(reader)
    return render_template("staff/home.html", open_cases=open_cases, findings=last.findings if last else 0)


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
            raise WeakPassword(gettext("Choose another password than the present one."))
    except entrance.LogInRefused:
        form.old.errors = [gettext("This is not your present password, or it was tried too often.")]
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


RECORDS: Final = List(
    "records",
    (
        Column("at", marked("When"), lambda record: record.at, audit_records.c.id),
        Column("who", marked("Who"), lambda record: record.who),
        Column("action", marked("What"), lambda record: record.action),
        Column("subject", marked("About"), lambda record: record.subject),
        Column("reason", marked("Why"), lambda record: record.reason),
        Column("details", marked("Details"), lambda record: json.dumps(record.details, ensure_ascii=False)),
    ),
    "-at",
    audit_records.c.id,
    lambda row: Record(*row),
)


@staff.get("/records")
@open_to(*EXECUTIVE)
def show_records() -> View:
    """The audit trail, newest first, of all or of one subject (`customer:17`); `as=json` is for programs."""
    subject = request.args.get("subject", "").strip()[:60] or None
    if subject and (customer := re.fullmatch(r"customer:([0-9]{1,18})", subject)):
        require_reason([int(customer[1])])
    shown = RECORDS.show(audit.listing(subject=subject), subject=subject)
    if isinstance(shown, Response):
        return shown
    if request.args.get("as") == "json":
        records = [{**asdict(record), "at": record.at.isoformat()} for record in shown.rows]
        older = shown.address(after=shown.more, **{"as": "json"}) if shown.more else None
        return jsonify(records=records, older=older)
    return render_template("staff/records.html", shown=shown)
