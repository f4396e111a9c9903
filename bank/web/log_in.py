"""The steps that logging in shares between customers and staff."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Response, request

from bank.audit import store as audit
from bank.audit.model import Author
from bank.errors import Refused
from bank.identity import sessions, throttle
from bank.language import gettext as _
from bank.web import logs, signed_in
from bank.web.current import author, bank, current, visitor


class LogInRefused(Refused):
    """Something of the log-in was wrong; which, is not said."""

    code = "log_in_refused"

    def __init__(self) -> None:
        super().__init__(
            _("The number or the password is wrong, or it was tried too often. Check both, or wait a few minutes.")
        )


def begin_attempt(account: str) -> None:
    """Count the attempt in the database before it is looked at.

    Raises:
        LogInRefused: too many failed lately, for this account or from this source; the time is that of a wrong password.
    """
    who = _folded(account)
    if not bank().run(throttle.attempt, account=who, source=signed_in.network_address(), at=bank().clock.now()):
        current().passwords.check(None, "")
        logs.event("log_in.throttled")
        raise LogInRefused


def try_password(stored: str | None, password: str, *, account: str) -> bool:
    """Check the password in the bounded pool; a right one clears the account's failures."""
    if not current().passwords.check(stored, password):
        logs.event("log_in.failed")
        return False
    forget_attempts(account)
    return True


def forget_attempts(account: str) -> None:
    """It was right: clear the account's failures, and take this attempt back from the source's."""
    at = bank().clock.now()
    bank().run(throttle.succeeded, account=_folded(account), source=signed_in.network_address(), at=at)


def take_attempt_back(account: str) -> None:
    """It was no guess at all: do not count it."""
    bank().run(throttle.taken_back, account=_folded(account), source=signed_in.network_address())


def require_present_password(stored: str | None, password: str, *, account: str) -> None:
    """Let only whoever knows the password change it; guesses are counted like log-ins.

    Raises:
        LogInRefused: it is wrong, or was tried too often.
    """
    begin_attempt(account)
    if not try_password(stored, password, account=account):
        raise LogInRefused


def succeed(response: Response, kind: str, person_id: int) -> Response:
    """Open a session with a new id, end the one before it, write it down, and hand out the cookie."""
    before = visitor()
    by = author(f"{kind}:{person_id}")
    token = bank().run(_open_session, kind, person_id, before.session.id if before else None, by)
    return signed_in.start(response, token)


def _open_session(tx: sa.Connection, kind: str, person_id: int, before: int | None, by: Author) -> str:
    if before is not None:
        sessions.revoke(tx, before, at=by.at)
    _, token = sessions.start(
        tx, kind, person_id, by=by, network_address=signed_in.network_address(), device=request.user_agent.string
    )
    audit.record(tx, "login", by.who, by=by)
    return token


def log_out(response: Response) -> Response:
    """End the session on the server at once, and take the cookies back."""
    if here := visitor():
        bank().run(sessions.revoke, here.session.id, at=bank().clock.now())
    return signed_in.end(response)


def _folded(account: str) -> str:
    """However it is typed, it is the same account that is being guessed."""
    return "".join(account.split()).replace("-", "").upper()
