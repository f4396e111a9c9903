"""HTTP learns of errors once: each becomes a page that says what happened, what to do, and its reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flask import Flask, g, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed

from bank.errors import BankError, Unavailable
from bank.language import gettext
from bank.language import marked as _
from bank.storage.errors import DatabaseAway, OtherRegionAway, OutcomeUnknown
from bank.web import logs

_SENTENCES: Final = {
    400: (_("This request cannot be read"), _("Go back, reload the page and try again.")),
    404: (_("Page not found"), _("Check the address, or start from the home page.")),
    405: (_("This cannot be opened like that"), _("Start from the home page.")),
    413: (_("This is too much to send at once"), _("Send less; nothing was done.")),
}
_OTHERWISE: Final = (_("This did not work"), _("Start from the home page."))
_TITLES: Final = {
    403: _("You may not do this"),
    404: _("Not found"),
    409: _("This has changed meanwhile"),
    422: _("This was not done"),
}
_TROUBLE: Final = _("There is a problem with the service")


def install(app: Flask) -> None:
    """Register the handlers; whatever nobody foresaw ends in the last one."""
    app.register_error_handler(BankError, _bank_error)
    app.register_error_handler(CSRFError, _form_expired)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)


def _page(
    status: int, title: str, sentence: str, retry: str | None = None, again: Sequence[tuple[str, str]] = ()
) -> tuple[str, int]:
    """`title` and `sentence` are told already, in the reader's language.

    `retry` is an operation to look after, `again` what was typed, to be sent once more.
    """
    said = {"title": title, "sentence": sentence, "reference": g.get("request_id", "")}
    return render_template("error.html", **said, retry=retry, again=again), status


def _bank_error(error: BankError) -> tuple[str, int] | tuple[str, int, dict[str, str]]:
    status = error.status
    logs.event("refused", code=error.code, status=status)
    if isinstance(error, Unavailable):
        return _unavailable(error)
    return _page(status, gettext(_TITLES[status]), str(error))


def _unavailable(error: Unavailable) -> tuple[str, int, dict[str, str]]:
    """Say whether money moved, or how to find out."""
    operation = request.form.get("operation", "")
    unknown = isinstance(error, OutcomeUnknown) and operation
    sentence = str(error)
    if request.method == "POST" and isinstance(error, DatabaseAway) and not isinstance(error, OtherRegionAway):
        sentence = gettext(
            "The bank cannot reach its records at the moment. Nothing was done and no money moved. Try again in a minute."
        )
    if unknown:
        sentence = gettext(
            "Payment %(operation)s is being checked. Do not send it again with a new form; look here in a minute what"
            " became of it.",
            operation=operation,
        )
    trouble = isinstance(error, DatabaseAway | OutcomeUnknown)
    title = gettext(_TROUBLE) if trouble else gettext("The bank is busy")
    # A form with an operation can be sent as often as one likes: it is done once.
    again = list(request.form.items(multi=True)) if operation and not unknown else []
    return (*_page(503, title, sentence, operation if unknown else None, again), {"Retry-After": "2"})


def _form_expired(_error: CSRFError) -> tuple[str, int]:
    logs.event("refused", code="form_token", status=400)
    told = gettext("Nothing was done. Go back, reload the page and send the form again.")
    return _page(400, gettext("This form is too old"), told)


def _http_error(error: HTTPException) -> tuple[str, int] | tuple[str, int, dict[str, str]] | HTTPException:
    status = error.code or 500
    if status < 400:
        return error
    title, sentence = _SENTENCES.get(status, _OTHERWISE)
    page = _page(status, gettext(title), gettext(sentence))
    # RFC 9110, 15.5.6: a 405 names what would be allowed.
    return (*page, {"Allow": ", ".join(error.valid_methods or ())}) if isinstance(error, MethodNotAllowed) else page


def _unforeseen(error: Exception) -> tuple[str, int]:
    """The last resort: nothing of the error goes to the page, its place goes to the log."""
    kind = "database error" if isinstance(error, SQLAlchemyError) else "error"
    logs.logger.error(kind, exc_info=error, extra={"facts": {"request_id": g.get("request_id")}})
    sentence = gettext(
        "Something went wrong on our side. Whatever you were doing was done either completely or not at all:"
        " look before you try again."
    )
    return _page(InternalServerError.code, gettext(_TROUBLE), sentence)
