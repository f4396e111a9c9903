"""An operation of the API: what it reads and answers, written once on its view, for the call and for the document."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from flask import Response, request
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from bank.api.problems import InvalidRequest, NotJson, UnsupportedMediaType
from bank.errors import BankError

M = TypeVar("M", bound=BaseModel)

MOST_BODY_BYTES: Final = 64 * 1024
#: To name each mistake takes longer than to find it: whoever makes more is told only that there are so many.
_MOST_MISTAKES: Final = 1_000


class _Nothing(BaseModel):
    """An address takes no parameters unless it says which."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Operation:
    """What the document says of a view."""

    tag: str
    query: type[BaseModel] | None
    headers: type[BaseModel] | None
    body: type[BaseModel] | None
    answer: type[BaseModel] | None
    status: int
    files: tuple[str, ...]
    refuses: tuple[type[BankError], ...]
    answers_also: Mapping[int, str]
    answer_headers: Mapping[str, str]
    most_body_bytes: int


def operation(
    tag: str,
    *,
    query: type[BaseModel] | None = None,
    headers: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    answer: type[BaseModel] | None = None,
    status: int = 200,
    files: tuple[str, ...] = (),
    refuses: tuple[type[BankError], ...] = (),
    answers_also: Mapping[int, str] | None = None,
    answer_headers: Mapping[str, str] | None = None,
    most_body_bytes: int = MOST_BODY_BYTES,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Read the call's parts by these models, hand them to the view by name, and send the model that it answers.

    The view's docstring is the document's text. It may also answer a model with headers, or a response of its own.
    `files` are the media types of an answer that is a file; `refuses` are the errors that the view itself raises, and
    `answers_also` tells other good statuses with when they come.
    """

    def declare(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def called(**values: Any) -> Response:
            asked = read_query(query or _Nothing)
            if query is not None:
                values["query"] = asked
            if headers is not None:
                values["headers"] = read_headers(headers)
            if body is not None:
                request.max_content_length = most_body_bytes
                values["body"] = read_body(body)
            return _sent(view(**values), status)

        called.operation = Operation(  # type: ignore[attr-defined]
            tag, query, headers, body, answer, status, files, refuses, answers_also or {}, answer_headers or {},
            most_body_bytes,
        )  # fmt: skip
        return called

    return declare


def read_query(model: type[M]) -> M:
    """The parameters of the address.

    Raises:
        InvalidRequest: one is unknown, given twice, or not what it must be.
    """
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise InvalidRequest([{"parameter": name, "detail": "Given more than once."} for name in twice])
    return _parameters(model, request.args.to_dict())


def read_headers(model: type[M]) -> M:
    """Those of the request's headers that the model names.

    Raises:
        InvalidRequest: one is missing or not what it must be; or the error that the model has `otherwise`.
    """
    names = [field.alias or name for name, field in model.model_fields.items()]
    try:
        return _parameters(model, {name: request.headers[name] for name in names if name in request.headers})
    except InvalidRequest:
        if otherwise := getattr(model, "otherwise", None):
            raise otherwise() from None
        raise


def read_body(model: type[M]) -> M:
    """The request's JSON.

    Raises:
        UnsupportedMediaType: it is sent as something else.
        NotJson: it is none.
        InvalidRequest: a field is missing, unknown, or not what it must be.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    return parse(model, request.get_data())


def parse(model: type[M], sent: bytes) -> M:
    """JSON as this model.

    Raises:
        NotJson: it is none.
        InvalidRequest: a field is missing, unknown, or not what it must be.
    """
    try:
        return model.model_validate_json(sent)
    except ValidationError as error:
        if error.error_count() > _MOST_MISTAKES:
            told = {"pointer": "#", "detail": f"more than {_MOST_MISTAKES} fields are not what they must be"}
            raise InvalidRequest([told]) from None
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if any(each["type"] == "json_invalid" for each in found):
            raise NotJson from None
        raise InvalidRequest([_about("pointer", _pointer(each), each) for each in found]) from None


def _parameters(model: type[M], given: dict[str, str]) -> M:
    try:
        # Not strictly: what stands in an address or a header is text, and each field's own type reads it.
        return model.model_validate(given, strict=False)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidRequest([_about("parameter", str(each["loc"][0]), each) for each in found]) from None


def _pointer(error: ErrorDetails) -> str:
    """RFC 6901, as a URI fragment."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in error["loc"])
    return "#" + "".join(f"/{step}" for step in steps)


def _about(what: str, place: str, error: ErrorDetails) -> dict[str, str]:
    return {what: place, "detail": error["msg"].removeprefix("Value error, ")}


def _sent(result: Any, status: int) -> Response:
    if isinstance(result, Response):
        return result
    model, headers = result if isinstance(result, tuple) else (result, {})
    response = Response(model.model_dump_json(by_alias=True), status, mimetype="application/json")
    response.headers.update(headers)
    return response
