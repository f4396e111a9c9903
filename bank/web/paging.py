"""Places in long lists: keyset, carried in the address."""

from __future__ import annotations

import re

from werkzeug.routing import IntegerConverter

from bank.errors import Invalid
from bank.language import gettext as _


class IdConverter(IntegerConverter):
    """`<id:entry_id>` in an address: a number that fits a generated id; a longer one names nothing."""

    regex = r"[0-9]{1,18}"


class InvalidPlace(Invalid):
    """A place in a list that cannot be one."""

    code = "invalid_place"

    def __init__(self) -> None:
        super().__init__(_("This list has no such page. Start from its beginning."))


def read_place(text: str | None) -> int | None:
    """A sequence number or id from the address; None when there is none.

    Raises:
        InvalidPlace: it is no number.
    """
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise InvalidPlace
    return int(text)
