"""Language and colours: kept by the browser, for everybody, before and after the log-in.

Nothing of them is stored about a person: the cookies say no more than the browser's own settings do.
"""

from __future__ import annotations

from typing import Final

from babel.support import NullTranslations
from flask import Flask, Response, request
from flask_babel import Babel, Domain

from bank import language
from bank.language import marked as _
from bank.web.current import settings

THEMES: Final = {"system": _("As the device"), "light": _("Light"), "dark": _("Dark")}
_YEAR_SECONDS: Final = 366 * 86_400


def install(app: Flask) -> None:
    """Read every page in the language that its reader chose, or else in the first that the browser asks for."""
    app.before_request(_read_in_their_language)
    # The thread's next reader has not chosen yet.
    app.teardown_request(lambda _error: language.choose(""))
    Babel(app, locale_selector=language.current).domain_instance = _OneCatalogue()


class _OneCatalogue(Domain):  # type: ignore[misc]  # Flask-Babel ships no types.
    """Templates and forms take their sentences from where all others do."""

    def get_translations(self) -> NullTranslations:
        """The catalogue of the reader's language."""
        return language.translations(language.current())


def _read_in_their_language() -> None:
    chosen = request.cookies.get("bank-language", "")
    if chosen not in language.LANGUAGES:
        chosen = request.accept_languages.best_match(list(language.LANGUAGES)) or ""
    language.choose(chosen)


def theme() -> str | None:
    """`light` or `dark`, when the reader chose one."""
    chosen = request.cookies.get("bank-theme", "")
    return chosen if chosen in THEMES and chosen != "system" else None


def keep(response: Response, *, chosen_language: str, chosen_theme: str) -> Response:
    """Let the browser keep what was chosen; what is on offer nowhere changes nothing."""
    for name, value, offered in (
        ("bank-language", chosen_language, language.LANGUAGES),
        ("bank-theme", chosen_theme, THEMES),
    ):
        if value in offered:
            response.set_cookie(
                name, value, max_age=_YEAR_SECONDS, secure=settings().production, httponly=True, samesite="Lax"
            )
    return response
