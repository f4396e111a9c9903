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


class OtherRegionAway(DatabaseAway):
    """The other region does not come to have what is committed, and no payment is confirmed before it has; nothing was done."""

    code = "other_region_away"

    def __init__(self) -> None:
        # It may have been sent before and be undecided: so it does not say that nothing has moved.
        Unavailable.__init__(
            self,
            _(
                "The bank cannot keep payments in two places at the moment, so nothing was done now. Try again in a"
                " minute; if you had sent this before, with the same form."
            ),
        )


class OutcomeUnknown(Unavailable):
    """Nobody knows yet whether it was booked: the connection broke during the commit, or the other region did not have it in time."""

    code = "outcome_unknown"

    def __init__(self) -> None:
        super().__init__(
            _("It is not known yet whether this was booked. Ask again with the same form: it is never booked twice.")
        )


class ClosedToWriting(Unavailable):
    """The bank is being moved to another database; it can be read, not changed."""

    code = "closed_to_writing"

    def __init__(self) -> None:
        super().__init__(
            _("The bank is being moved and takes no changes until that is done. Nothing has moved; try again later.")
        )
