"""When the database is away, busy, or silent about what it did."""

from __future__ import annotations

from bank.errors import Unavailable
from bank.language import gettext as _


class DatabaseAway(Unavailable):
    """The database cannot be reached, is too busy, or takes no writes for now; nothing has moved."""

    code = "database_away"

    def __init__(self) -> None:
        super().__init__(
            _("The bank cannot reach its records at the moment. Nothing has moved; try again in a minute.")
        )


class OutcomeUnknown(Unavailable):
    """The connection broke while the database was committing."""

    code = "outcome_unknown"

    def __init__(self) -> None:
        super().__init__(
            _(
                "The connection broke while this was being booked. Ask again with the same form: it is never booked twice."
            )
        )


class ClosedToWriting(Unavailable):
    """The bank is being moved to another database; it can be read, not changed."""

    code = "closed_to_writing"

    def __init__(self) -> None:
        super().__init__(
            _("The bank is being moved and takes no changes until that is done. Nothing has moved; try again later.")
        )
