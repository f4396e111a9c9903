"""How large what is sent may be: every form small, and a file only where one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from flask import Flask, current_app, request

View = TypeVar("View", bound=Callable[..., Any])

#: What the other fields of a form with a file, and the lines between its parts, may take.
BESIDE_A_FILE: Final = 64 * 1024


def takes_file(most_bytes: int) -> Callable[[View], View]:
    """Let this view alone be sent a file of up to so many bytes."""

    def mark(view: View) -> View:
        view.most_bytes = most_bytes + BESIDE_A_FILE  # type: ignore[attr-defined]
        return view

    return mark


def install(app: Flask) -> None:
    """Set the bound before anything reads the body, as the check of the form token does."""
    app.before_request(_bound)


def _bound() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    if most := getattr(view, "most_bytes", None):
        request.max_content_length = most
