"""Sessions and cookies: who is signed in, and whether they may call this view."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import Flask, Response, abort, current_app, g, redirect, request, session, url_for
from itsdangerous import BadSignature, URLSafeSerializer

from bank.audit.model import Author
from bank.customers import store as customer_store
from bank.customers.store import Customer
from bank.errors import Forbidden, Unavailable
from bank.identity import sessions
from bank.identity import staff as staff_members
from bank.identity.sessions import Session
from bank.identity.staff import Staff
from bank.language import gettext as _
from bank.payments.sending import SESSION, Credential, SignedOut
from bank.storage.prepared import prepared
from bank.web import access
from bank.web.current import Visitor, bank, settings, visitor

#: A last use younger than this is not worth a write.
_TOUCH_AFTER = timedelta(seconds=60)


#: How many columns of `_WHO` are the session's, and then the customer's; the others are the member of staff's.
_SESSION: Final = len(Session.__dataclass_fields__)
_CUSTOMER: Final = len(Customer.__dataclass_fields__)


def _who() -> sa.Select[Any]:
    """Session and person in one query, made once: a person of one kind has nothing in the other's columns."""
    session = sessions.LIVE.subquery()
    person = customer_store.listing(status=None).subquery()
    member = staff_members.listing().subquery()
    joined = session.outerjoin(
        person, sa.and_(session.c.kind == "customer", person.c.id == session.c.person_id)
    ).outerjoin(member, sa.and_(session.c.kind == "staff", member.c.id == session.c.person_id))
    return prepared(sa.select(session, person, member).select_from(joined))


_WHO: Final = _who()


class WrongRole(Forbidden):
    """This role may not do this."""

    code = "wrong_role"

    def __init__(self) -> None:
        super().__init__(_("Your role does not allow this. An executive can change roles."))


def install(app: Flask) -> None:
    """Look at the cookies before each view, and refresh them after it."""
    app.before_request(_let_in)
    app.after_request(_remember_use)


def cookie_name(what: str) -> str:
    """`__Host-` binds a cookie to this host and TLS; a laptop without TLS cannot have that."""
    return f"__Host-bank-{what}" if settings().production else f"bank-{what}"


def start(response: Response, token: str) -> Response:
    """Hand a new session's token to the browser; nothing of the time before it stays."""
    session.clear()
    g.fresh_token = token
    set_cookie(response, "session", token)
    set_cookie(response, "seen", _seen().dumps([_token_mark(token), bank().clock.now().timestamp()]))
    return response


def end(response: Response) -> Response:
    """Take the cookies back."""
    session.clear()
    g.forget = True
    for what in ("session", "seen"):
        delete_cookie(response, what)
    return response


def own_path(target: str | None) -> str | None:
    """A path on this host to go on to after the log-in; None for anything that leads elsewhere."""
    if not target or not target.startswith("/") or target.startswith("//") or "\\" in target or len(target) > 500:
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc or any(ord(letter) < 33 for letter in target) else target


def _let_in() -> Response | None:
    # Neither a file nor a health check is anybody's, and programs come with tokens.
    if request.endpoint is None or request.endpoint == "static" or request.blueprint in ("health", "api"):
        return None
    _refuse_nul()
    g.visitor = None
    view = current_app.view_functions[request.endpoint]
    return None if request.method == "POST" and hasattr(view, "asks_with_the_act") else let_in()


def let_in() -> Response | None:
    """Look at the visitor's cookies; the answer for whoever may not call this view, if there is one.

    Raises:
        WrongRole: their role does not allow it.
    """
    assert request.endpoint is not None
    kinds = access.kinds_for(current_app, request.endpoint)
    try:
        g.visitor = _visitor()
    except Unavailable:
        # A page for everybody needs nobody's session.
        if access.PUBLIC not in kinds:
            raise
    if access.PUBLIC in kinds:
        return None
    signed_in = visitor()
    if signed_in is None or (signed_in.session.kind == "customer") != (access.CUSTOMER in kinds):
        return _to_log_in(kinds)
    if isinstance(signed_in.person, Staff):
        if signed_in.person.role.value not in kinds:
            raise WrongRole
        if signed_in.person.must_change_password and request.endpoint not in ("staff.change_password", "staff.log_out"):
            return redirect(url_for("staff.change_password"))  # type: ignore[return-value]
    return None


def _refuse_nul() -> None:
    """Nothing here is named by a NUL, and PostgreSQL takes none, not even to look for it. Fields are tidied of it."""
    if "\0" in request.path:
        abort(404)
    if any("\0" in value for values in request.args.listvalues() for value in values):
        abort(400)


def credential() -> Credential:
    """The session that the cookies name, for the database to look at.

    Raises:
        SignedOut: they name none.
    """
    token = _token()
    if token is None:
        raise SignedOut
    return Credential(SESSION, sessions.digest(token), _last_seen(token))


def in_use() -> bool:
    """Do the cookies show that this bank has lately known the session? Nobody can make them up.

    So whoever has none cannot keep the database busy with payments that nobody may make.
    """
    token = _token()
    return token is not None and _last_seen(token) is not None


def note_use() -> None:
    """The database has looked at the session, and stored its use: the cookie is to say so too."""
    g.used = True


def _token() -> str | None:
    token = request.cookies.get(cookie_name("session"), "")
    return token if 20 <= len(token) <= 100 else None


def _to_log_in(kinds: tuple[str, ...]) -> Response:
    log_in = "public.log_in" if access.CUSTOMER in kinds else "staff.log_in"
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for(log_in, next=own_path(wanted)))  # type: ignore[return-value]


def _visitor() -> Visitor | None:
    token = _token()
    if token is None:
        return None
    rows = bank().first(_WHO, {"digest": sessions.digest(token)})
    if not rows or _over(found := Session(*rows[0][:_SESSION]), _last_seen(token)):
        return None
    [row] = rows
    if found.kind == "staff":
        member = staff_members.of_row(row[_SESSION + _CUSTOMER :])
        return Visitor(found, member) if member.disabled_at is None else None
    person = Customer(*row[_SESSION : _SESSION + _CUSTOMER])
    return Visitor(found, person) if person.active else None


def _over(found: Session, seen: datetime | None) -> bool:
    now = bank().clock.now()
    idle = settings().staff_idle_seconds if found.kind == "staff" else settings().customer_idle_seconds
    last_used_at = max(found.last_used_at, seen) if seen else found.last_used_at
    too_idle = now - last_used_at > timedelta(seconds=idle)
    return too_idle or now - found.created_at > timedelta(seconds=settings().session_absolute_seconds)


def _remember_use(response: Response) -> Response:
    """The last use travels in a signed cookie, so that pages stay free of writes, and is stored with the next write."""
    signed_in = visitor()
    if not (signed_in or g.get("used")) or g.get("fresh_token") or g.get("forget"):
        return response
    token = request.cookies[cookie_name("session")]
    now = bank().clock.now()
    set_cookie(response, "seen", _seen().dumps([_token_mark(token), now.timestamp()]))
    if signed_in is None:
        return response
    if request.method == "POST" and response.status_code < 500 and now - signed_in.session.last_used_at > _TOUCH_AFTER:
        # When it cannot be stored, the answer matters more; the cookie still says it.
        with suppress(Unavailable):
            bank().run(sessions.touch, signed_in.session.id, now)
    return response


def _last_seen(token: str) -> datetime | None:
    try:
        mark, seconds = _seen().loads(request.cookies.get(cookie_name("seen"), ""))
        return datetime.fromtimestamp(float(seconds), UTC) if mark == _token_mark(token) else None
    except (BadSignature, TypeError, ValueError):
        return None


def _seen() -> URLSafeSerializer:
    return URLSafeSerializer(settings().secret_key, salt="last use of a session")


def _token_mark(token: str) -> str:
    """Ties the cookie to its session, without showing the token in it."""
    return token[:8]


def set_cookie(response: Response, what: str, value: str) -> None:
    """Let the browser keep a value for as long as it is open, out of scripts' reach."""
    response.set_cookie(cookie_name(what), value, path="/", secure=settings().production, httponly=True, samesite="Lax")


def delete_cookie(response: Response, what: str) -> None:
    """Take the value back from the browser."""
    response.delete_cookie(cookie_name(what), path="/", secure=settings().production, httponly=True, samesite="Lax")


def network_address() -> str:
    """Where the request comes from, as far as PROXY_HOPS lets us believe it."""
    return request.remote_addr or "unknown"


def stranger() -> Author:
    """The author of what somebody does before being signed in."""
    now = bank().clock.now()
    return Author("nobody", now, bank().clock.business_date(now), g.request_id)
