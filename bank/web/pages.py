"""What every template may use."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, request, url_for

from bank import language
from bank.accounts.model import account_status, holder_role, product_name
from bank.cases.model import kind_name, state_name
from bank.identifiers import masked
from bank.identity.staff import role_name
from bank.money import Money
from bank.payments.model import kind_words, told
from bank.spending.rules import category_name
from bank.web import preferences
from bank.web.current import bank, settings, visitor


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
    app.jinja_env.globals["asset"] = asset
    # Jinja's own names the number only `num`, and does not group its digits.
    app.jinja_env.globals["ngettext"] = _ngettext
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_values)


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


def asset(name: str) -> str:
    """The address of a static file, which changes with its content, so that browsers may keep it for ever."""
    return url_for("static", filename=name, v=_content_hash(Path(current_app.static_folder or "") / name))


@lru_cache
def _content_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def today() -> date:
    """The bank's calendar day."""
    return bank().clock.business_date()
