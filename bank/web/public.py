"""Pages for everybody: welcome, log-in, enrolment."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.customers import store as customer_store
from bank.identifiers import InvalidNumber, read_number
from bank.identity import logins
from bank.identity.logins import WrongCode
from bank.identity.passwords import WeakPassword, require_strong
from bank.web import preferences, signed_in
from bank.web.access import PUBLIC, open_to
from bank.web.current import bank, current, settings, visitor
from bank.web.forms import EnrolForm, LogInForm
from bank.web.log_in import (
    LogInRefused,
    begin_attempt,
    forget_attempts,
    succeed,
    take_attempt_back,
    try_password,
)

public = Blueprint("public", __name__)


@public.get("/")
@open_to(PUBLIC)
def welcome() -> View:
    """Whoever is signed in goes home; others are shown the two doors."""
    if here := visitor():
        return redirect(url_for("staff.home" if here.session.kind == "staff" else "customer.home"))
    return render_template("welcome.html")


@public.post("/preferences")
@open_to(PUBLIC)
def choose_preferences() -> View:
    """The reader's language and colours, kept by the browser; then the page they were on."""
    response = redirect(signed_in.own_path(request.form.get("next")) or url_for(".welcome"), 303)
    return preferences.keep(
        make_response(response),
        chosen_language=request.form.get("language", ""),
        chosen_theme=request.form.get("theme", ""),
    )


@public.get("/stay")
@open_to(PUBLIC)
def stay() -> View:
    """Whoever is signed in stays so; 403 for whom that is over. Asked by the page's own script."""
    return ("", 204) if visitor() else ("", 403)


@public.route("/login", methods=["GET", "POST"])
@open_to(PUBLIC)
def log_in() -> View:
    """Sign a customer in. Unknown number, wrong password and too many attempts get the same answer after the same time."""
    form = LogInForm()
    wanted = signed_in.own_path(request.values.get("next"))
    if not form.validate_on_submit():
        return render_template("login.html", form=form, wanted=wanted), 422 if form.is_submitted() else 200
    try:
        customer_id = _checked(form.user.text, form.password.text)
    except LogInRefused as refused:
        form.password.errors = [str(refused)]
        return render_template("login.html", form=form, wanted=wanted), 422
    response = make_response(redirect(wanted or url_for("customer.home"), 303))
    return succeed(response, "customer", customer_id)


def _checked(typed: str, password: str) -> int:
    number = _number_or_none(typed)
    begin_attempt(typed)
    with bank().reader() as reader:
        customer = customer_store.by_number(reader, number) if number else None
        stored = logins.password_hash(reader, customer.id) if customer and customer.active else None
    if not try_password(stored, password, account=typed) or customer is None or stored is None:
        raise LogInRefused
    if current().passwords.outdated(stored):
        bank().run(logins.rehash, customer.id, current().passwords.hash(password))
    return customer.id


@public.route("/enrol", methods=["GET", "POST"])
@open_to(PUBLIC)
def enrol() -> View:
    """Set a first or forgotten password by the one-time code from the branch."""
    form = EnrolForm()
    if not form.validate_on_submit():
        return render_template("enrol.html", form=form), 422 if form.is_submitted() else 200
    try:
        _enrol(form)
    except WeakPassword as problem:
        form.new.errors = [str(problem)]
    except (WrongCode, LogInRefused):
        form.code.errors = [str(WrongCode())]
    else:
        return redirect(url_for("public.enrolled"), 303)
    return render_template("enrol.html", form=form), 422


def _enrol(form: EnrolForm) -> None:
    typed = form.user.text
    attempt = f"enrol {typed}"
    begin_attempt(attempt)
    try:
        # Before the code is looked at: a weak password must not use it up, nor count as a guess at it.
        require_strong(form.new.text, about=[settings().bank_name, typed])
    except WeakPassword:
        take_attempt_back(attempt)
        raise
    number = _number_or_none(typed)
    new_hash = current().passwords.hash(form.new.text)
    with bank().reader() as reader:
        customer = customer_store.by_number(reader, number) if number else None
    if customer is None or not customer.active:
        raise WrongCode
    bank().run(logins.redeem_code, customer.id, form.code.text, new_hash, by=signed_in.stranger())
    forget_attempts(attempt)


@public.get("/enrolled")
@open_to(PUBLIC)
def enrolled() -> View:
    """The password is set; the next step is to log in."""
    return render_template("enrolled.html")


@public.get("/forgotten")
@open_to(PUBLIC)
def forgotten() -> View:
    """What to do about a forgotten password."""
    return render_template("forgotten.html")


def _number_or_none(typed: str) -> str | None:
    try:
        return read_number(typed)
    except InvalidNumber:
        return None
