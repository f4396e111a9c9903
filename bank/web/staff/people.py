"""Staff as an executive administers them."""

from __future__ import annotations

from flask import render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from bank.identity import staff as staff_members
from bank.identity.staff import Role, temporary_password
from bank.payments import tills
from bank.web.access import EXECUTIVE, open_to
from bank.web.current import author, bank, current, settings
from bank.web.forms import ConfirmForm, ReasonForm, RoleForm, StaffForm
from bank.web.money import settle
from bank.web.staff import staff
from bank.web.staff.look_up import staff_of

View = str | tuple[str, int] | AnyResponse


@staff.get("/people")
@open_to(*EXECUTIVE)
def list_staff() -> View:
    """Everybody who works here, and who did."""
    with bank().reader() as reader:
        people = staff_members.everyone(reader)
    return render_template("staff/people.html", people=people)


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
    return _set_disabled(user_id, True)


@staff.route("/people/<user_id>/enable", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def enable_staff(user_id: str) -> View:
    """Let them in again."""
    return _set_disabled(user_id, False)


def _set_disabled(user_id: str, disabled: bool) -> View:
    person = staff_of(user_id)
    form = ReasonForm()

    def act() -> str:
        bank().run(staff_members.set_disabled, person.id, disabled, by=author(), reason=form.reason.text)
        return url_for(".list_staff")

    title = f"{'Disable' if disabled else 'Enable'} {person.name}"
    return settle(
        form, act, "staff/reason.html", title=title, button=title.split(maxsplit=1)[0], back=url_for(".list_staff")
    )


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
