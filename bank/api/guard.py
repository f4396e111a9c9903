"""Who may call what: each view says the scopes that open it; tokens come as bearers, and cookies are not looked at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from flask import Response, abort, current_app, g, request

from bank.api.current import Caller, bank, limits
from bank.api.limits import Allowance
from bank.api.look_up import look_up
from bank.api.problems import InvalidToken, NoToken, WrongKind
from bank.customers.store import Customer
from bank.errors import Unavailable
from bank.identity import tokens
from bank.identity.staff import Role
from bank.identity.tokens import SCOPES, read_secret
from bank.payments.sending import WrongScope

View = TypeVar("View", bound=Callable[..., Any])

_ANY_ROLE: Final = tuple(role.value for role in Role)
EXECUTIVE: Final = (Role.EXECUTIVE.value,)
TILL: Final = (Role.TELLER.value, Role.CASHIER.value)

#: The environ's word for a `Sent`.
SENT: Final = "bank.api.sent"


@dataclass(frozen=True, slots=True)
class Sent:
    """What a call came to before Flask was asked (`express`): it was admitted and sent, and this is what to tell."""

    error: Exception
    allowance: Allowance
    began: float


@dataclass(frozen=True, slots=True)
class Needs:
    """What a token must be for to open a view; `roles` are those of staff who may."""

    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    looked_up: bool

    @property
    def open_to(self) -> tuple[str, ...]:
        """The kinds of people who may, as the table of access names them."""
        kinds = {kind for kind, scopes in SCOPES.items() for scope in self.scopes if scope in scopes}
        return (*(["customer"] if "customer" in kinds else []), *(self.roles if "staff" in kinds else ()))


def needs(*scopes: str, roles: tuple[str, ...] = _ANY_ROLE, looked_up: bool = True) -> Callable[[View], View]:
    """Open the view to tokens of one of these scopes, and of staff only to these roles.

    With `looked_up=False` the view's own message to the database checks a customer's token: it takes
    `current.digest()`, and calls `limits().welcome(digest)` once the database knew it.
    """

    def mark(view: View) -> View:
        view.needs = marked = Needs(scopes, roles, looked_up)  # type: ignore[attr-defined]
        view.open_to = marked.open_to  # type: ignore[attr-defined]
        return view

    return mark


def public(view: View) -> View:
    """Open the view to everybody."""
    view.open_to = ("public",)  # type: ignore[attr-defined]
    return view


def let_in() -> None:
    """Let the call through, or say why not.

    Raises:
        NoToken, InvalidToken: 401.
        WrongScope, WrongKind, ReasonNeeded: 403.
        TooManyCalls: 429.
    """
    if "\0" in request.path:
        abort(404)
    view = current_app.view_functions[request.endpoint or ""]
    wanted: Needs | None = getattr(view, "needs", None)
    # OPTIONS tells the methods of an address, and nothing of anybody.
    if wanted is None or request.method == "OPTIONS":
        return
    kind, g.api_digest = read_authorization(request.headers.get("Authorization", ""))
    sent: Sent | None = request.environ.get(SENT)
    if sent:
        g.api_allowance, g.began = sent.allowance, sent.began
    else:
        g.api_allowance = limits().admit(g.api_digest, _address())
    g.asked_by = f"token:{g.api_digest[:12]}"
    if wanted.looked_up or kind == "staff":
        g.api_caller = look_up(kind, g.api_digest, (request.view_args or {}).get("number"))
        limits().welcome(g.api_digest)
        g.asked_by = str(g.api_caller.person)
        _require(g.api_caller, wanted)


def read_authorization(header: str) -> tuple[str, str]:
    """The kind of person whose token it is, and its digest.

    Raises:
        NoToken: there is none.
        InvalidToken: it cannot be one of this bank's.
    """
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer":
        raise NoToken
    found = read_secret(secret.strip())
    if found is None:
        raise InvalidToken
    return found


def _require(caller: Caller, wanted: Needs) -> None:
    kind = caller.token.kind
    role = "customer" if isinstance(caller.person, Customer) else caller.person.role.value
    if role not in wanted.open_to:
        raise WrongKind
    if not any(scope in SCOPES[kind] and caller.token.allows(scope) for scope in wanted.scopes):
        raise WrongScope


def conclude(response: Response) -> Response:
    """Tell what is left of the rate, and store, once a day, that the token was used."""
    allowance: Allowance | None = g.get("api_allowance")
    if response.status_code == 401:
        allowance = limits().turn_away(g.get("api_digest"), _address())
    if allowance is not None and "RateLimit" not in response.headers:
        response.headers.update(allowance.headers())
    if caller := g.get("api_caller"):
        _note_use(caller)
    return response


def _note_use(caller: Caller) -> None:
    today = bank().clock.business_date()
    if caller.token.last_used_on != today and limits().first_use_on(caller.digest, today):
        # When it cannot be stored, the answer matters more.
        with suppress(Unavailable):
            bank().run(tokens.note_use, caller.token.id, today)


def _address() -> str:
    return request.remote_addr or "unknown"
