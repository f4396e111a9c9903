"""What every template may use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel.support import NullTranslations
from flask import Flask, current_app, request, url_for
from markupsafe import Markup

from bank import language
from bank.accounts.model import account_status, holder_role, product_name
from bank.cases.model import kind_name, state_name
from bank.identifiers import masked
from bank.identity.staff import role_name
from bank.money import Money
from bank.payments.model import kind_words, told
from bank.spending.rules import category_name
from bank.storage import near
from bank.web import preferences
from bank.web.current import bank, settings, visitor

_KEPT: Final = "kept parts of pages"


def install(app: Flask) -> None:
    """Register filters and values."""
    app.jinja_env.filters.update(
        instant=instant,
        day=language.long_day,
        short_day=language.short_day,
        day_of_week=day_of_week,
        month=language.month,
        together=language.together,
        whole=language.whole,
        masked=masked,
        kind=kind_words,
        told=told,
        account_status=account_status,
        product=product_name,
        holder_role=holder_role,
        role=role_name,
        category=category_name,
        case_kind=kind_name,
        case_state=state_name,
    )
    app.jinja_env.globals.update(asset=asset, drawn=drawn, same_for_all=same_for_all, _=_sentence)
    app.extensions[_KEPT] = {}
    # Jinja's own names the number only `num`, and does not group its digits.
    app.jinja_env.globals["ngettext"] = _ngettext
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_values)


def _sentence(sentence: str, /, **values: Any) -> Markup:
    """A template's sentence in the reader's language, as Jinja's own would give it: what it has is known by then."""
    catalogue = language.translations(language.current())
    return _with_places(catalogue, sentence) % values if values else _without_places(catalogue, sentence)


@cache
def _with_places(catalogue: NullTranslations, sentence: str) -> Markup:
    # Written by us and our translators: markup, into which only values come escaped.
    return Markup(catalogue.ugettext(sentence))  # noqa: S704


@cache
def _without_places(catalogue: NullTranslations, sentence: str) -> Markup:
    return _with_places(catalogue, sentence) % {}


def _ngettext(one: str, many: str, number: int, **values: Any) -> str:
    return language.ngettext(one, many, number, **{name: value for name, value in values.items() if name != "n"})


def _values() -> dict[str, Any]:
    here = visitor()
    idle = here and (
        settings().staff_idle_seconds if here.session.kind == "staff" else settings().customer_idle_seconds
    )
    return {
        "bank_name": settings().bank_name,
        "currency": settings().currency,
        "visitor": here,
        "idle_seconds": idle,
        "payments_closed": near.closed(),
        "shown_as_of": near.as_of(),
        "zero": Money(0, settings().currency),
        "language": language.current(),
        "languages": language.LANGUAGES,
        "direction": language.locale().text_direction,
        "theme": preferences.theme(),
        "themes": {code: language.gettext(name) for code, name in preferences.THEMES.items()},
        "here": request.full_path.rstrip("?") if request.method == "GET" else request.path,
    }


def instant(moment: datetime) -> str:
    """An instant in the bank's own time zone, with its name."""
    return language.minute(moment.astimezone(bank().settings.business_timezone))


def day_of_week(day: date) -> str:
    """A day as a heading, which begins with a capital in every language: today and yesterday by those words."""
    ago = (today() - day).days
    if ago in (0, 1):
        return language.gettext("Yesterday") if ago else language.gettext("Today")
    said = language.day_of_week(day)
    return said[:1].upper() + said[1:]


def same_for_all(*about: Hashable, caller: Callable[[], Markup]) -> Markup:
    """A part of a page that is the same for everybody who reads in this language: drawn when it is first wanted.

    `about` is what it is called, and all else that it depends on: few things, and nothing that is a person's own.
    """
    parts: dict[Hashable, Markup] = current_app.extensions[_KEPT]
    about = (language.current(), *about)
    return parts.get(about) or parts.setdefault(about, caller())


def asset(name: str) -> str:
    """The address of a static file, which changes with its content, so that browsers may keep it for ever."""
    return _ASSETS.get(name) or _ASSETS.setdefault(name, _address_of_asset(name))


_ASSETS: Final[dict[str, str]] = {}


def _address_of_asset(name: str) -> str:
    content = (Path(current_app.static_folder or "") / name).read_bytes()
    return url_for("static", filename=name, v=hashlib.sha256(content).hexdigest()[:12])


@cache
def drawn(name: str) -> Markup:
    """An icon, by its name in the sheet of them."""
    sheet = asset("vendor/icons-1.62.0.svg")
    return Markup('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>').format(
        sheet, name
    )


def today() -> date:
    """The bank's calendar day."""
    return bank().clock.business_date()
