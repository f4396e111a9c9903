"""What can go wrong in the bank's own words; HTTP and the command line learn of it once."""

from __future__ import annotations

from typing import ClassVar


class BankError(Exception):
    """Something the bank can explain: callers match on `code`, people read the sentence; `status` is HTTP's."""

    code: ClassVar[str] = "bank_error"
    status: ClassVar[int] = 500
    #: Was the same operation answered so before, by its idempotency key?
    replayed = False


class Unreadable(BankError):
    """A program's request is not written as agreed."""

    code = "unreadable"
    status = 400


class Unauthenticated(BankError):
    """A program does not say by whose leave it asks, or not in a way that counts."""

    code = "unauthenticated"
    status = 401


class Forbidden(BankError):
    """This person may not do this."""

    code = "forbidden"
    status = 403


class Missing(BankError):
    """There is no such thing, or none that this person may see."""

    code = "missing"
    status = 404


class Conflict(BankError):
    """Somebody or something else was first."""

    code = "conflict"
    status = 409


class Invalid(BankError):
    """What was typed cannot be read."""

    code = "invalid"
    status = 422


class Refused(BankError):
    """The request is clear, and the bank's rules say no."""

    code = "refused"
    status = 422


class Unavailable(BankError):
    """The bank cannot do this now; trying again later is right."""

    code = "unavailable"
    status = 503
