"""Why an older database cannot be brought into this bank."""

from __future__ import annotations

from bank.errors import Conflict


class AnotherOlderBank(Conflict):
    """A different older database was brought in before."""

    code = "another_older_bank"

    def __init__(self) -> None:
        super().__init__(
            "Another older database was brought into this bank before. Both number their customers and accounts alike,"
            " so this one needs a bank of its own."
        )


class NumberTaken(Conflict):
    """A customer's or account's number that is to be brought in belongs to somebody here."""

    code = "number_taken"

    def __init__(self, what: str, number: str) -> None:
        super().__init__(f"{what} {number} exists in this bank already and is another one. Nothing was brought in.")
