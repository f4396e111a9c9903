"""Why a statement cannot be made."""

from __future__ import annotations

from bank.errors import Invalid


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
