"""Errors as programs read them: RFC 9457 problems, one for each of the bank's own errors and of HTTP's."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from flask import Blueprint, Response, g
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from bank.api.limits import TooManyCalls
from bank.errors import BankError, Forbidden, Invalid, Missing, Unauthenticated, Unavailable, Unreadable
from bank.language import current as language
from bank.language import gettext as _
from bank.payments.sending import SignedOut, WrongScope

MEDIA_TYPE: Final = "application/problem+json"
_REALM: Final = 'Bearer realm="bank"'
_logger: Final = logging.getLogger("bank")


class NoToken(Unauthenticated):
    """There is no bearer token in the request's Authorization header."""

    code = "no_token"

    def __init__(self) -> None:
        super().__init__(_("Send a token: “Authorization: Bearer bank_…”. The profile's page makes one."))


class InvalidToken(Unauthenticated):
    """The token is none of this bank's, was revoked or has ended, or its owner may not use the bank."""

    code = "invalid_token"

    def __init__(self) -> None:
        super().__init__(_("This token does not count, or not any more. Make another one."))


class WrongKind(Forbidden):
    """The token's owner, as a customer or in this role, may not do this."""

    code = "wrong_kind"

    def __init__(self) -> None:
        super().__init__(_("Whoever owns this token may not do this, on a page as little as by a program."))


class NotJson(Unreadable):
    """The body is no JSON."""

    code = "not_json"

    def __init__(self) -> None:
        super().__init__(_("The body cannot be read as JSON in UTF-8."))


class BadRequest(Unreadable):
    """The request breaks HTTP's own rules."""

    code = "bad_request"

    def __init__(self) -> None:
        super().__init__(_("This request cannot be read."))


class NoSuchResource(Missing):
    """The API has no such address."""

    code = "no_such_resource"

    def __init__(self) -> None:
        super().__init__(_("The API has no such address; /api/v1/docs lists those that it has."))


class WrongMethod(BankError):
    """The address does not take this method; the Allow header names those that it takes."""

    code = "method_not_allowed"
    status = 405

    def __init__(self) -> None:
        super().__init__(_("This address does not take this method; the Allow header names those that it takes."))


class BodyTooLarge(BankError):
    """The body is larger than this operation takes."""

    code = "body_too_large"
    status = 413

    def __init__(self) -> None:
        super().__init__(_("This is too much to send at once; nothing was done."))


class UnsupportedMediaType(BankError):
    """The body is not sent as application/json."""

    code = "unsupported_media_type"
    status = 415

    def __init__(self) -> None:
        super().__init__(_("Send the body as application/json."))


class InvalidRequest(Invalid):
    """A parameter or field is missing, unknown, or not what it must be; `errors` names each."""

    code = "invalid_request"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__(_("Some of what was sent is not what it must be; “errors” says what. Nothing was done."))
        self.errors = errors


class Unforeseen(BankError):
    """Something went wrong on the bank's side."""

    code = "unforeseen"

    def __init__(self) -> None:
        super().__init__(
            _(
                "Something went wrong on our side. Whatever you were doing was done either completely or not at all:"
                " look before you try again."
            )
        )


_HTTP: Final[dict[int, type[BankError]]] = {
    404: NoSuchResource,
    405: WrongMethod,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
}


def install(api: Blueprint) -> None:
    """Answer every error of the API's routes as a problem."""
    api.register_error_handler(BankError, answer)
    api.register_error_handler(HTTPException, of_http)
    api.register_error_handler(Exception, _unforeseen)


def answer(error: BankError) -> Response:
    """The problem that this error is."""
    if isinstance(error, SignedOut):
        error = InvalidToken()
    _logger.info(
        "refused", extra={"facts": {"request_id": g.get("request_id"), "code": error.code, "status": error.status}}
    )
    response = Response(json.dumps(body(error)), error.status, mimetype=MEDIA_TYPE)
    response.headers["Content-Language"] = language()
    response.headers.update(_headers(error))
    if error.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def body(error: BankError) -> dict[str, Any]:
    """What the program reads; `code` and `title` stay the same for ever, `detail` is for people."""
    return {
        "type": f"/api/v1/docs#{error.code}",
        "title": title(type(error)),
        "status": error.status,
        "code": error.code,
        "detail": str(error),
        **({"errors": error.errors} if isinstance(error, InvalidRequest) else {}),
    }


def title(error: type[BankError]) -> str:
    """The error's own first line."""
    return (error.__doc__ or "").splitlines()[0].removesuffix(".")


def of_http(error: HTTPException) -> Response | HTTPException:
    """One of HTTP's own errors as a problem; a redirect stays one."""
    status = error.code or 500
    if status < 400:
        return error
    response = answer(_HTTP.get(status, BadRequest if status < 500 else Unforeseen)())
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    if isinstance(error, RequestEntityTooLarge):
        # Nobody reads the rest of it.
        response.headers["Connection"] = "close"
    return response


def _headers(error: BankError) -> dict[str, str]:
    if isinstance(error, NoToken):
        return {"WWW-Authenticate": _REALM}
    if isinstance(error, InvalidToken):
        return {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
    if isinstance(error, WrongScope):
        return {"WWW-Authenticate": f'{_REALM}, error="insufficient_scope"'}
    if isinstance(error, TooManyCalls):
        return {"Retry-After": str(error.wait_seconds), **error.allowance.headers()}
    if isinstance(error, Unavailable):
        return {"Retry-After": "2"}
    return {}


def _unforeseen(error: Exception) -> Response:
    """The last resort: nothing of the error goes to the program, its place goes to the log."""
    kind = "database error" if isinstance(error, SQLAlchemyError) else "error"
    _logger.error(kind, exc_info=error, extra={"facts": {"request_id": g.get("request_id")}})
    return answer(Unforeseen())
