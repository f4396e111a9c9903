"""How the API joins the application."""

from __future__ import annotations

from typing import cast

from flask import Flask, Response, request
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException

from bank.api import PREFIX, api, guard, problems
from bank.api.limits import Limits
from bank.settings import Settings


def install(app: Flask, settings: Settings) -> None:
    """Answer unknown addresses below the API's as problems; to be called before anything that could draw a page."""
    app.extensions["bank-api-limits"] = Limits(settings.api_calls_per_minute)
    app.before_request(_answer_the_unknown)


def limits(app: Flask) -> Limits:
    """The rates of this process."""
    return cast("Limits", app.extensions["bank-api-limits"])


def register(app: Flask, csrf: CSRFProtect) -> None:
    """Add the API's routes. A token is in no cookie, so no other site's form can bring it along."""
    app.register_blueprint(api)
    csrf.exempt(api)


def _answer_the_unknown() -> Response | HTTPException | None:
    if not request.path.startswith(PREFIX + "/") or request.routing_exception is None:
        return None
    return problems.of_http(request.routing_exception)


api.before_request(guard.let_in)
api.after_request(guard.conclude)
problems.install(api)
