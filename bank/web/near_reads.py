"""What a session has seen travels with it: in a signed cookie, or in an API answer's header."""

from __future__ import annotations

from flask import Flask, Response, g, request

from bank.storage import near
from bank.web import signed_in
from bank.web.current import bank, settings

#: When what the answer shows was the newest state, while the primary database is away.
AS_OF = "Bank-As-Of"
_COOKIE = "position"
_READS = ("GET", "HEAD")


def install(app: Flask) -> None:
    """Know what was seen before each view, and what more after it."""
    app.before_request(_enter)
    app.after_request(_tell)
    app.teardown_request(lambda _error: near.enter(None))


def _enter() -> None:
    g.brought = _brought() if bank().near else ""
    seen = near.unseal(settings().secret_key, g.brought) if g.brought else None
    of_no_session = request.blueprint == "health"
    near.enter(near.Request(bank().near, seen, reads=request.method in _READS, of_no_session=of_no_session))


def _by_program() -> bool:
    return request.path.startswith("/api/v1")


def _brought() -> str:
    return request.headers.get(near.HEADER, "") if _by_program() else request.cookies.get(_cookie(), "")


def _tell(response: Response) -> Response:
    here = near.here()
    if here is None or request.endpoint == "static" or request.blueprint == "health":
        return response
    if here.as_of:
        response.headers[AS_OF] = here.as_of.isoformat()
    seen = here.position()
    sealed = near.seal(settings().secret_key, seen) if seen else ""
    if _by_program():
        if sealed:
            response.headers[near.HEADER] = sealed
    elif sealed and sealed != g.brought:
        signed_in.set_cookie(response, _COOKIE, sealed)
    elif not sealed and _cookie() in request.cookies:
        # Also where no replica is read: what was seen here, no replica may have yet.
        signed_in.delete_cookie(response, _COOKIE)
    return response


def _cookie() -> str:
    return signed_in.cookie_name(_COOKIE)
