"""HTTP learns of errors once: each becomes a page that says what happened, what to do, and its reference."""

from __future__ import annotations

from typing import Final

from flask import Flask, g, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed

from bank.errors import BankError, Conflict, Forbidden, Invalid, Missing, Refused, Unavailable
from bank.storage.errors import DatabaseAway, OutcomeUnknown
from bank.web import logs

STATUS: Final = {Forbidden: 403, Missing: 404, Conflict: 409, Invalid: 422, Refused: 422, Unavailable: 503}

_SENTENCES: Final = {
    400: ("This request cannot be read", "Go back, reload the page and try again."),
    404: ("Page not found", "Check the address, or start from the home page."),
    405: ("This cannot be opened like that", "Start from the home page."),
    413: ("This is too much to send at once", "Send less; nothing was done."),
}


def install(app: Flask) -> None:
    """Register the handlers; whatever nobody foresaw ends in the last one."""
    app.register_error_handler(BankError, _bank_error)
    app.register_error_handler(CSRFError, _form_expired)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)


def status_of(error: type[BankError]) -> int:
    """The HTTP status of one of the bank's own errors."""
    kinds: tuple[type, ...] = error.__mro__
    return next(STATUS[kind] for kind in kinds if kind in STATUS)


def _page(status: int, title: str, sentence: str) -> tuple[str, int]:
    return render_template(
        "error.html", title=title, sentence=sentence, reference=g.get("request_id", ""), retry=None
    ), status


def _bank_error(error: BankError) -> tuple[str, int] | tuple[str, int, dict[str, str]]:
    status = status_of(type(error))
    logs.event("refused", code=error.code, status=status)
    if isinstance(error, Unavailable):
        return _unavailable(error)
    titles = {403: "You may not do this", 404: "Not found", 409: "This has changed meanwhile", 422: "This was not done"}
    return _page(status, titles[status], str(error))


def _unavailable(error: Unavailable) -> tuple[str, int, dict[str, str]]:
    """Say whether money moved, or how to find out."""
    operation = request.form.get("operation", "")
    unknown = isinstance(error, OutcomeUnknown) and operation
    sentence = str(error)
    if request.method == "POST" and isinstance(error, DatabaseAway):
        sentence = "The bank cannot reach its records at the moment. Nothing was done and no money moved. Try again in a minute."
    if unknown:
        sentence = f"Payment {operation} is being checked. Do not send it again with a new form; look here in a minute what became of it."
    page = render_template(
        "error.html",
        title="The bank is busy"
        if not isinstance(error, DatabaseAway | OutcomeUnknown)
        else "There is a problem with the service",
        sentence=sentence,
        reference=g.get("request_id", ""),
        retry=operation if unknown else None,
    )
    return page, 503, {"Retry-After": "30"}


def _form_expired(_: CSRFError) -> tuple[str, int]:
    logs.event("refused", code="form_token", status=400)
    return _page(400, "This form is too old", "Nothing was done. Go back, reload the page and send the form again.")


def _http_error(error: HTTPException) -> tuple[str, int] | tuple[str, int, dict[str, str]] | HTTPException:
    status = error.code or 500
    if status < 400:
        return error
    title, sentence = _SENTENCES.get(status, ("This did not work", "Start from the home page."))
    page = _page(status, title, sentence)
    # RFC 9110, 15.5.6: a 405 names what would be allowed.
    return (*page, {"Allow": ", ".join(error.valid_methods or ())}) if isinstance(error, MethodNotAllowed) else page


def _unforeseen(error: Exception) -> tuple[str, int]:
    """The last resort: nothing of the error goes to the page, its place goes to the log."""
    kind = "database error" if isinstance(error, SQLAlchemyError) else "error"
    logs.logger.error(kind, exc_info=error, extra={"facts": {"request_id": g.get("request_id")}})
    sentence = (
        "Something went wrong on our side. Whatever you were doing was done either completely or not at all:"
        " look before you try again."
    )
    return _page(InternalServerError.code, "There is a problem with the service", sentence)
