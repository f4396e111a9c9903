"""The customer's own data: how to reach them, password, where they are logged in, log-out."""

from __future__ import annotations

from flask import make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.customers import service as customers
from bank.identity import logins
from bank.identity.passwords import WeakPassword, require_strong
from bank.language import gettext
from bank.web import log_in, own_sessions
from bank.web.access import CUSTOMER, open_to
from bank.web.current import author, bank, current, session_id, settings
from bank.web.current import customer as this_customer
from bank.web.customer import customer
from bank.web.forms import ChangePasswordForm, ContactForm

_CONTACT = ("email", "phone", "address", "city", "region", "postcode")


@customer.get("/profile")
@open_to(CUSTOMER)
def show_profile() -> View:
    """Who the bank takes the customer to be, and how they come in."""
    return render_template(
        "customer/profile.html",
        me=this_customer(),
        places=own_sessions.places(),
        last_log_in=own_sessions.last_log_in(),
        saved=request.args.get("saved") == "contact",
    )


@customer.route("/profile/contact", methods=["GET", "POST"])
@open_to(CUSTOMER)
def change_contact() -> View:
    """Where to reach the customer; the old values stay in the audit trail."""
    me = this_customer()
    form = ContactForm(data=None if request.method == "POST" else {name: getattr(me, name) for name in _CONTACT})
    if not form.validate_on_submit():
        return render_template("customer/profile_contact.html", form=form), 422 if form.is_submitted() else 200
    try:
        log_in.require_present_password(_stored_hash(), form.password.text, account=me.number)
    except log_in.LogInRefused:
        form.password.errors = [gettext("This is not your password, or it was tried too often.")]
        return render_template("customer/profile_contact.html", form=form), 422
    bank().run(customers.change_contact, me.id, {name: form[name].text for name in _CONTACT}, by=author())
    return redirect(url_for(".show_profile", saved="contact"), 303)


@customer.get("/profile/sessions")
@open_to(CUSTOMER)
def list_sessions() -> View:
    """Where the customer is logged in."""
    return render_template("customer/sessions.html", places=own_sessions.places())


@customer.route("/profile/sessions/<id:session_id>/end", methods=["GET", "POST"])
@open_to(CUSTOMER)
def end_session(session_id: int) -> View:
    """Log out there, from here."""
    return own_sessions.end(session_id, back=url_for(".list_sessions"), layout="layout.html")


@customer.route("/profile/sessions/end-others", methods=["GET", "POST"])
@open_to(CUSTOMER)
def end_other_sessions() -> View:
    """Log out everywhere but here."""
    return own_sessions.end_others(back=url_for(".list_sessions"), layout="layout.html")


@customer.route("/password", methods=["GET", "POST"])
@open_to(CUSTOMER)
def change_password() -> View:
    """Another password; all other sessions end."""
    form = ChangePasswordForm()
    if not form.validate_on_submit():
        return render_template("password.html", form=form, layout="layout.html"), 422 if form.is_submitted() else 200
    me = this_customer()
    try:
        log_in.require_present_password(_stored_hash(), form.old.text, account=me.number)
        require_strong(form.new.text, about=[settings().bank_name, me.name, me.number])
    except log_in.LogInRefused:
        form.old.errors = [gettext("This is not your present password, or it was tried too often.")]
    except WeakPassword as problem:
        form.new.errors = [str(problem)]
    else:
        new_hash = current().passwords.hash(form.new.text)
        bank().run(logins.change_password, me.id, new_hash, by=author(), keep_session=session_id())
        return redirect(url_for(".password_changed"), 303)
    return render_template("password.html", form=form, layout="layout.html"), 422


@customer.get("/password/changed")
@open_to(CUSTOMER)
def password_changed() -> View:
    """Said once it is done."""
    return render_template("password_changed.html", layout="layout.html")


@customer.post("/logout")
@open_to(CUSTOMER)
def log_out() -> View:
    """End the session on the server."""
    return log_in.log_out(make_response(redirect(url_for("public.welcome"), 303)))


def _stored_hash() -> str | None:
    with bank().reader() as reader:
        return logins.password_hash(reader, this_customer().id)
