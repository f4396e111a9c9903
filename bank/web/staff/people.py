"""Staff as an executive administers them."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from flask import Response, render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.identity import staff as staff_members
from bank.identity.staff import Role, Staff, role_name, temporary_password
from bank.identity.store import staff as table
from bank.language import gettext, marked
from bank.payments import tills
from bank.web.access import EXECUTIVE, open_to
from bank.web.current import author, bank, current, settings
from bank.web.fields import ConfirmForm, ReasonForm
from bank.web.lists import Column, List
from bank.web.money import settle
from bank.web.staff import staff
from bank.web.staff.forms import RoleForm, StaffForm
from bank.web.staff.look_up import staff_of

_STATES: Final = {"active": table.c.disabled_at.is_(None), "disabled": table.c.disabled_at.is_not(None)}
_DISABLED: Final[sa.ColumnElement[int]] = sa.case((table.c.disabled_at.is_not(None), 1), else_=0)


def _state(person: Staff) -> str:
    if person.disabled_at:
        return gettext("disabled")
    return gettext("must change the password") if person.must_change_password else gettext("active")


PEOPLE: Final = List(
    "staff",
    (
        Column("user_id", marked("User id"), lambda person: person.user_id, table.c.user_id),
        Column("name", marked("Name"), lambda person: person.name, table.c.name),
        Column("role", marked("Role"), lambda person: role_name(person.role), table.c.role),
        Column("state", marked("State"), _state, _DISABLED),
    ),
    "user_id",
    table.c.user_id,
    staff_members.of_row,
)


@staff.get("/people")
@open_to(*EXECUTIVE)
def list_staff() -> View:
    """Everybody who works here, and who did."""
    state = request.args.get("state")
    state = state if state in _STATES else None
    query = staff_members.listing()
    shown = PEOPLE.show(query if state is None else query.where(_STATES[state]), state=state)
    return shown if isinstance(shown, Response) else render_template("staff/people.html", shown=shown, state_of=_state)


@staff.route("/people/new", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def add_staff() -> View:
    """Take somebody on; the temporary password is shown once, on the answer to this very form."""
    form = StaffForm()
    if not form.is_submitted() or not form.validate():
        return render_template("staff/person_form.html", form=form), 422 if form.is_submitted() else 200
    password = temporary_password()
    try:
        person = bank().run(
            tills.take_on,
            user_id=form.user_id.value,
            name=form.name.text,
            role=Role(form.role.data),
            password_hash=current().passwords.hash(password),
            currency=settings().currency,
            by=author(),
        )
    except staff_members.UserIdTaken as taken:
        form.user_id.errors = [str(taken)]
        return render_template("staff/person_form.html", form=form), 409
    return render_template("staff/temporary_password.html", person=person, password=password)


@staff.route("/people/<user_id>/role", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def change_role(user_id: str) -> View:
    """Another role, from their next request on."""
    person = staff_of(user_id)
    form = RoleForm(role=person.role.value)

    def act() -> str:
        bank().run(tills.give_role, person, Role(form.role.data), settings().currency, by=author())
        return url_for(".list_staff")

    return settle(form, act, "staff/role.html", person=person)


@staff.route("/people/<user_id>/disable", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def disable_staff(user_id: str) -> View:
    """Shut them out at once."""
    person = staff_of(user_id)
    title = gettext("Disable %(name)s", name=person.name)
    told = gettext("They are logged out at once and cannot log in. What they did stays in the records.")
    return _set_disabled(person, True, title=title, button=gettext("Disable"), told=told, danger=True)


@staff.route("/people/<user_id>/enable", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def enable_staff(user_id: str) -> View:
    """Let them in again."""
    person = staff_of(user_id)
    title = gettext("Enable %(name)s", name=person.name)
    return _set_disabled(person, False, title=title, button=gettext("Enable"))


def _set_disabled(person: Staff, disabled: bool, **words: object) -> View:
    form = ReasonForm()

    def act() -> str:
        bank().run(staff_members.set_disabled, person.id, disabled, by=author(), reason=form.reason.text)
        return url_for(".list_staff")

    return settle(form, act, "staff/reason.html", back=url_for(".list_staff"), **words)


@staff.route("/people/<user_id>/password", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def reset_password(user_id: str) -> View:
    """A temporary password, shown once; all their sessions end."""
    person = staff_of(user_id)
    form = ConfirmForm()
    if not form.is_submitted() or not form.validate():
        return render_template(
            "staff/reset_password.html", person=person, form=form
        ), 422 if form.is_submitted() else 200
    password = temporary_password()
    bank().run(staff_members.set_password, person.id, current().passwords.hash(password), must_change=True, by=author())
    return render_template("staff/temporary_password.html", person=person, password=password)
