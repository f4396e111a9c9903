"""Who may open which page: written on each view, and gathered into docs/reference/access.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from flask import Flask

from bank.identity.staff import Role

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC: Final = "public"
CUSTOMER: Final = "customer"
ANY_STAFF: Final = tuple(role.value for role in Role)
EXECUTIVE: Final = (Role.EXECUTIVE.value,)
TILL: Final = (Role.TELLER.value, Role.CASHIER.value)


@dataclass(frozen=True, slots=True)
class Rule:
    """One route of the access table."""

    path: str
    methods: tuple[str, ...]
    endpoint: str
    open_to: tuple[str, ...]
    #: What a program's token must be for: one of these.
    scopes: tuple[str, ...] = ()


def open_to(*kinds: str) -> Callable[[View], View]:
    """Say who may call the view: `public`, `customer`, or roles of staff."""

    def mark(view: View) -> View:
        view.open_to = kinds  # type: ignore[attr-defined]
        return view

    return mark


def asks_with_the_act(view: View) -> View:
    """Let a POST reach the view before anybody looked at its session: the act's own message to the database does.

    Where it is not just that act, the view calls `signed_in.let_in` before all else.
    """
    view.asks_with_the_act = True  # type: ignore[attr-defined]
    return view


def kinds_for(app: Flask, endpoint: str) -> tuple[str, ...]:
    """Who may call this endpoint; nobody when its view does not say."""
    if endpoint == "static":
        return (PUBLIC,)
    return getattr(app.view_functions[endpoint], "open_to", ())


def rules(app: Flask) -> list[Rule]:
    """The access table, by path."""
    found = [
        Rule(
            rule.rule,
            tuple(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})),
            rule.endpoint,
            kinds_for(app, rule.endpoint),
            getattr(getattr(app.view_functions[rule.endpoint], "needs", None), "scopes", ()),
        )
        for rule in app.url_map.iter_rules()
    ]
    return sorted(found, key=lambda rule: (rule.path, rule.methods))


def require_everywhere(app: Flask) -> None:
    """Refuse to start with a view that does not say who may call it."""
    silent = [rule.endpoint for rule in rules(app) if not rule.open_to]
    if silent:
        raise AssertionError(f"these views do not say who may call them: {', '.join(silent)}")


def table(app: Flask) -> str:
    """docs/reference/access.md."""
    kinds = (PUBLIC, CUSTOMER, *ANY_STAFF)
    lines = [
        "# Who may open what",
        "",
        "Made by `make reference`; a test compares it with the application. A dot means yes; whoever may not",
        "gets the log-in page, or 403, or 404 where the address must not confirm that something exists. Where scopes are",
        "named, programs come by tokens, and a token must be for one of them.",
        "",
        "| path | methods | scopes | " + " | ".join(kinds) + " |",
        "|---|---|---|" + "---|" * len(kinds),
    ]
    for rule in rules(app):
        marks = " | ".join("•" if kind in rule.open_to or PUBLIC in rule.open_to else " " for kind in kinds)
        scopes = " ".join(f"`{scope}`" for scope in rule.scopes)
        lines.append(f"| `{rule.path}` | {' '.join(rule.methods)} | {scopes} | {marks} |")
    return "\n".join(lines) + "\n"
