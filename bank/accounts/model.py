"""What accounts are called: their products and states, in the reader's language."""

from __future__ import annotations

from typing import Final

from bank.language import gettext
from bank.language import marked as _

PRODUCTS: Final = {"current": _("Current account"), "savings": _("Savings account")}

STATUSES: Final = {
    "open": _("open"),
    "debits_frozen": _("frozen for what leaves it"),
    "frozen": _("frozen both ways"),
    "closed": _("closed"),
}

HOLDER_ROLES: Final = {"owner": _("owner"), "authorised": _("authorised user")}


def product_name(product: str) -> str:
    """The product as people read it.

    >>> product_name("savings")
    'Savings account'
    """
    return gettext(PRODUCTS[product])


def holder_role(role: str) -> str:
    """As what a customer holds an account."""
    return gettext(HOLDER_ROLES[role])


def account_status(status: str) -> str:
    """What may pass over an account, in words."""
    return gettext(STATUSES[status])
