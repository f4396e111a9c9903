"""What somebody who works here lets programs do."""

from __future__ import annotations

from flask import url_for
from flask.typing import ResponseReturnValue as View

from bank.identity import staff as staff_members
from bank.web import own_tokens
from bank.web.access import ANY_STAFF, open_to
from bank.web.current import bank, staff_member
from bank.web.staff import staff

_LAYOUT = "staff/layout.html"


@staff.get("/profile/tokens")
@open_to(*ANY_STAFF)
def list_tokens() -> View:
    """Their tokens."""
    return own_tokens.show(_LAYOUT)


@staff.route("/profile/tokens/new", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def make_token() -> View:
    """A token for a program."""
    me = staff_member()

    def stored() -> str | None:
        with bank().reader() as reader:
            known = staff_members.password_hash(reader, me.user_id)
        return known[1] if known else None

    return own_tokens.make(stored, account=me.user_id, back=url_for(".list_tokens"), layout=_LAYOUT)


@staff.route("/profile/tokens/<id:token_id>/revoke", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def revoke_token(token_id: int) -> View:
    """End a token."""
    return own_tokens.revoke(token_id, back=url_for(".list_tokens"), layout=_LAYOUT)
