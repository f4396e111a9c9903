"""What the customer lets programs do."""

from __future__ import annotations

from flask import url_for
from flask.typing import ResponseReturnValue as View

from bank.identity import logins
from bank.web import own_tokens
from bank.web.access import CUSTOMER, open_to
from bank.web.current import bank
from bank.web.current import customer as this_customer
from bank.web.customer import customer

_LAYOUT = "layout.html"


@customer.get("/profile/tokens")
@open_to(CUSTOMER)
def list_tokens() -> View:
    """The customer's tokens."""
    return own_tokens.show(_LAYOUT)


@customer.route("/profile/tokens/new", methods=["GET", "POST"])
@open_to(CUSTOMER)
def make_token() -> View:
    """A token for a program."""
    me = this_customer()

    def stored() -> str | None:
        with bank().reader() as reader:
            return logins.password_hash(reader, me.id)

    return own_tokens.make(stored, account=me.number, back=url_for(".list_tokens"), layout=_LAYOUT)


@customer.route("/profile/tokens/<id:token_id>/revoke", methods=["GET", "POST"])
@open_to(CUSTOMER)
def revoke_token(token_id: int) -> View:
    """End a token."""
    return own_tokens.revoke(token_id, back=url_for(".list_tokens"), layout=_LAYOUT)
