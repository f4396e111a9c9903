"""What can go wrong in the bank's own words; HTTP and the command line learn of it once."""

from __future__ import annotations

from typing import ClassVar


class BankError(Exception):
    """Something the bank can explain: callers match on `code`, people read the sentence."""

    code: ClassVar[str] = "bank_error"


class Invalid(BankError):
    """What was typed cannot be read."""

    code = "invalid"


class Refused(BankError):
    """The request is clear, and the bank's rules say no."""

    code = "refused"


class Conflict(BankError):
    """Somebody or something else was first."""

    code = "conflict"


class Forbidden(BankError):
    """This person may not do this."""

    code = "forbidden"


class Missing(BankError):
    """There is no such thing, or none that this person may see."""

    code = "missing"


class Unavailable(BankError):
    """The bank cannot do this now; trying again later is right."""

    code = "unavailable"
