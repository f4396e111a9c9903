"""Somebody who works here, about themselves: where they are logged in."""

from __future__ import annotations

from flask import render_template, url_for
from flask.typing import ResponseReturnValue as View

from bank.web import own_sessions
from bank.web.access import ANY_STAFF, open_to
from bank.web.current import staff_member
from bank.web.staff import staff

_LAYOUT = "staff/layout.html"


@staff.get("/profile")
@open_to(*ANY_STAFF)
def show_profile() -> View:
    """Who they are here, their password, and where they are logged in."""
    return render_template(
        "staff/profile.html",
        me=staff_member(),
        places=own_sessions.places(),
        last_log_in=own_sessions.last_log_in(),
    )


@staff.route("/profile/sessions/<id:session_id>/end", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def end_session(session_id: int) -> View:
    """Log out there, from here."""
    return own_sessions.end(session_id, back=url_for(".show_profile"), layout=_LAYOUT)


@staff.route("/profile/sessions/end-others", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def end_other_sessions() -> View:
    """Log out everywhere but here."""
    return own_sessions.end_others(back=url_for(".show_profile"), layout=_LAYOUT)
