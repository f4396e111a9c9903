"""What programs may do in the visitor's name: tokens to make, see and revoke; alike for customers and staff."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import render_template
from flask.typing import ResponseReturnValue as View
from flask_babel import lazy_gettext as _
from wtforms import SelectMultipleField
from wtforms.validators import InputRequired
from wtforms.widgets import CheckboxInput

from bank.errors import Invalid
from bank.identity import tokens
from bank.identity.tokens import MOST_DAYS, MOST_NAME, SCOPES, TooManyTokens
from bank.language import gettext, whole
from bank.web import log_in
from bank.web.current import Visitor, author, bank, visitor
from bank.web.fields import ConfirmForm, PageForm, ReadField, SecretField, TextField, at_most, choices, required
from bank.web.money import settle

_USUAL_DAYS = "90"


class CheckedField(SelectMultipleField):
    """Boxes to tick, of which at least one must be."""

    option_widget = CheckboxInput()


def read_lasting(text: str) -> int:
    """A typed number of days that a token may last.

    >>> read_lasting("90")
    90

    Raises:
        Invalid: it is none.
    """
    if re.fullmatch(r"[0-9]{1,4}", text) and 1 <= int(text) <= MOST_DAYS:
        return int(text)
    raise Invalid(gettext("Enter a number of days from 1 to %(most)s.", most=whole(MOST_DAYS)))


class TokenForm(PageForm):
    """A new token, by whoever knows the password."""

    name = TextField(_("What it is for"), validators=[required(_("Enter a name for it.")), at_most(MOST_NAME)])
    scopes = CheckedField(
        _("What it may do"), validate_choice=False, validators=[InputRequired(_("Choose at least one."))]
    )
    days = ReadField(_("For how many days"), read=read_lasting)
    password = SecretField(_("Your password"), validators=[required(_("Enter your password.")), at_most(1024)])


def show(layout: str) -> View:
    """The visitor's live tokens."""
    me, now = _me(), bank().clock.now()
    with bank().reader() as reader:
        mine = tokens.of_person(reader, me.session.kind, me.person.id, at=now)
    return render_template("tokens.html", tokens=mine, words=_words(me), layout=layout)


def make(stored_hash: Callable[[], str | None], *, account: str, back: str, layout: str) -> View:
    """Make a token; it is shown once, on the answer to this very form."""
    me = _me()
    form = TokenForm(days=_USUAL_DAYS)
    form.scopes.choices = choices([(scope, gettext(words)) for scope, words in SCOPES[me.session.kind].items()])
    page = {"form": form, "back": back, "layout": layout}
    if not form.validate_on_submit():
        return render_template("token_new.html", **page), 422 if form.is_submitted() else 200
    offered = [scope for scope in SCOPES[me.session.kind] if scope in (form.scopes.data or ())]
    if not offered:
        form.scopes.errors = [gettext("Choose at least one.")]
        return render_template("token_new.html", **page), 422
    try:
        log_in.require_present_password(stored_hash(), form.password.text, account=account)
        _id, secret = bank().run(
            tokens.make,
            me.session.kind,
            me.person.id,
            name=form.name.text,
            scopes=offered,
            days=form.days.value,
            by=author(),
        )
    except log_in.LogInRefused:
        form.password.errors = [gettext("This is not your password, or it was tried too often.")]
    except TooManyTokens as refused:
        return render_template("token_new.html", refused=str(refused), **page), 422
    else:
        return render_template("token_made.html", name=form.name.text, secret=secret, back=back, layout=layout)
    return render_template("token_new.html", **page), 422


def revoke(token_id: int, *, back: str, layout: str) -> View:
    """Ask, and then end one of the visitor's tokens; others' do not exist."""
    me = _me()
    with bank().reader() as reader:
        token = tokens.own(reader, me.session.kind, me.person.id, token_id)

    def act() -> str:
        bank().run(tokens.revoke, me.session.kind, me.person.id, token_id, by=author())
        return back

    return settle(ConfirmForm(), act, "token_revoke.html", token=token, words=_words(me), back=back, layout=layout)


def _words(me: Visitor) -> dict[str, str]:
    """Each scope in the reader's language."""
    return {scope: gettext(words) for scope, words in SCOPES[me.session.kind].items()}


def _me() -> Visitor:
    me = visitor()
    assert me is not None
    return me
