"""Why a statement cannot be made."""

from __future__ import annotations

from bank.errors import Invalid, Unavailable
from bank.language import gettext as _
from bank.language import whole


class InvalidPeriod(Invalid):
    """The days or the number of transactions asked for make no statement."""

    code = "invalid_period"


class PeriodTooLong(Invalid):
    """The period has more transactions than one statement holds."""

    code = "period_too_long"

    def __init__(self, most_lines: int) -> None:
        super().__init__(
            _(
                "Choose a shorter period: this one has more than %(most)s transactions, the most that one statement holds.",
                most=whole(most_lines),
            )
        )
        self.most_lines = most_lines


class TooLongForPdf(Invalid):
    """The period has more transactions than one PDF holds."""

    code = "too_long_for_pdf"

    def __init__(self, most_lines: int) -> None:
        super().__init__(
            _(
                "Choose a shorter period, or take the CSV or XLSX: this one has more than %(most)s transactions,"
                " the most that one PDF holds.",
                most=whole(most_lines),
            )
        )


class StatementsBusy(Unavailable):
    """Too many statements are being made at this moment."""

    code = "statements_busy"

    def __init__(self) -> None:
        super().__init__(_("Many statements are being made at the moment. Try again in a few seconds."))
