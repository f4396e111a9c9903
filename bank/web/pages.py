"""What every template may use."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, url_for

from bank.identifiers import masked
from bank.money import Money
from bank.statements.model import kind_words, long_day, short_day
from bank.web.current import bank, settings, visitor


def install(app: Flask) -> None:
    """Register filters and values."""
    app.jinja_env.filters.update(instant=instant, day=long_day, short_day=short_day, masked=masked, kind=kind_words)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_values)


def _values() -> dict[str, Any]:
    return {
        "bank_name": settings().bank_name,
        "currency": settings().currency,
        "visitor": visitor(),
        "asset": asset,
        "zero": Money(0, settings().currency),
    }


def instant(moment: datetime) -> str:
    """An instant in the bank's own time zone, with its name."""
    local = moment.astimezone(bank().settings.business_timezone)
    return f"{short_day(local.date())}, {local:%H:%M} {local.tzname()}"


def asset(name: str) -> str:
    """The address of a static file, which changes with its content, so that browsers may keep it for ever."""
    return url_for("static", filename=name, v=_content_hash(Path(current_app.static_folder or "") / name))


@lru_cache
def _content_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def today() -> date:
    """The bank's calendar day."""
    return bank().clock.business_date()
