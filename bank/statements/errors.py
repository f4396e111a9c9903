"""Why a statement cannot be made."""

from __future__ import annotations

from bank.errors import Invalid, Unavailable


class InvalidPeriod(Invalid):
    """The days or the number of transactions asked for make no statement."""

    code = "invalid_period"


class PeriodTooLong(Invalid):
    """The period has more transactions than one statement holds."""

    code = "period_too_long"

    def __init__(self, most_lines: int) -> None:
        super().__init__(
            f"Choose a shorter period: this one has more than {most_lines:,} transactions, "
            "the most that one statement holds."
        )
        self.most_lines = most_lines


class TooLongForPdf(Invalid):
    """The period has more transactions than one PDF holds."""

    code = "too_long_for_pdf"

    def __init__(self, most_lines: int) -> None:
        super().__init__(
            "Choose a shorter period, or take the CSV or XLSX: this one has more than "
            f"{most_lines:,} transactions, the most that one PDF holds."
        )


class StatementsBusy(Unavailable):
    """Too many statements are being made at this moment."""

    code = "statements_busy"

    def __init__(self) -> None:
        super().__init__("Many statements are being made at the moment. Try again in a few seconds.")
