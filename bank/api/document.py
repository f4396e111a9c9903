"""The OpenAPI 3.1 document, made from the routes, their models, guards and errors: what is not in the code is not in it."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from flask import Flask, current_app
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from bank.api import PREFIX, problems
from bank.api.guard import Needs
from bank.api.limits import TooManyCalls
from bank.api.operations import Operation
from bank.api.problems import InvalidToken, NoToken, WrongKind
from bank.api.schemas import Problem
from bank.customers.warnings import ReasonNeeded
from bank.errors import BankError
from bank.identity.tokens import SCOPES
from bank.payments.sending import WrongScope
from bank.storage.errors import DatabaseAway

VERSION: Final = "1.0.0"
_REF: Final = "#/components/schemas/{model}"

#: What stands in an address, by the parameter's name.
PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "number": {
        "description": "The account's number.",
        "schema": {"type": "string", "pattern": "^[0-9]{9,10}$", "examples": ["3602000006"]},
    },
    "period": {
        "description": "A month (`2026-03`), a year (`2026`), a day (`2026-03-31`), days (`2026-03-01-to-2026-04-02`) or"
        " the newest transactions (`last-20`).",
        "schema": {"type": "string", "maxLength": 40, "examples": ["2026-03"]},
    },
}

_ABOUT: Final = f"""\
Everything here is also on the bank's pages; what a person may not do there, their token may not do here.

**Tokens.** The profile's page “Access for programs” makes one, and `bank token new` does. Send it with every call:
`Authorization: Bearer bank_…`. A token has scopes and an end, and counts no more from the moment it is revoked.

**Amounts** are whole numbers of the currency's smallest unit: `{{"minor_units": 1250, "currency": "USD"}}` is 12.50 US
dollars. **Times** are RFC 3339 in UTC. **Numbers** of accounts are texts.

**Errors** are problems (RFC 9457, `{problems.MEDIA_TYPE}`). Match on `code`. What is somebody else's does not exist: 404.

**Rates.** Answers say what is left in `RateLimit`; whoever asks more gets 429 and `Retry-After`.
"""

_HEADERS: Final = {
    "RateLimit": "What is left of the rate (draft-ietf-httpapi-ratelimit-headers).",
    "RateLimit-Policy": "The rate: `q` calls in `w` seconds.",
    "Retry-After": "Seconds to wait.",
    "WWW-Authenticate": "What kind of credential is asked for (RFC 6750).",
    "X-Request-Id": "Names this request: tell it when you ask for help.",
}
_HEADERS_AT: Final = {401: ["WWW-Authenticate"], 409: [], 429: ["Retry-After"], 503: ["Retry-After"]}


def document(app: Flask) -> dict[str, Any]:
    """The document, made once."""
    made = app.extensions.get("bank-api-document")
    if made is None:
        made = app.extensions["bank-api-document"] = _made(app)
    return cast("dict[str, Any]", made)


def this_document() -> dict[str, Any]:
    """The running application's document."""
    return document(current_app)


def errors_of(operation: Operation, needed: Needs | None, has_body: bool) -> list[type[BankError]]:
    """Every error that this operation can answer, by status and code."""
    found: list[type[BankError]] = [*operation.refuses, problems.InvalidRequest, problems.Unforeseen]
    if needed is not None:
        found += [NoToken, InvalidToken, WrongScope, WrongKind, TooManyCalls, DatabaseAway]
        if any(scope in SCOPES["staff"] for scope in needed.scopes):
            found.append(ReasonNeeded)
    if has_body:
        found += [problems.NotJson, problems.BadRequest, problems.BodyTooLarge, problems.UnsupportedMediaType]
    return sorted(dict.fromkeys(found), key=lambda error: (error.status, error.code))


def _made(app: Flask) -> dict[str, Any]:
    found = list(_operations(app))
    models = [(model, mode) for _, _, view in found for model, mode in _models(view.operation)]
    _, schemas = models_json_schema(
        [*dict.fromkeys(models), (Problem, "serialization")],  # type: ignore[list-item]
        ref_template=_REF,
    )
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for rule, method, view in found:
        paths[_path(rule)][method.lower()] = _operation(rule, view)
    scopes = {scope: words for of_kind in SCOPES.values() for scope, words in of_kind.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "The bank's API", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": PREFIX}],
        "tags": [{"name": name} for name in sorted({view.operation.tag for _, _, view in found})],
        "paths": dict(sorted(paths.items())),
        "x-problems": _problems(view for _, _, view in found),
        "components": {
            "schemas": dict(sorted(schemas["$defs"].items())),
            "headers": {name: {"description": words, "schema": {"type": "string"}} for name, words in _HEADERS.items()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token with one of the operation's scopes. "
                    + " ".join(f"`{scope}`: {words}." for scope, words in scopes.items()),
                }
            },
        },
    }


def _problems(views: Iterable[Any]) -> list[dict[str, Any]]:
    """Every code that any operation can answer, and those of addresses that are none."""
    kinds = {problems.NoSuchResource, problems.WrongMethod}
    for view in views:
        kinds |= set(errors_of(view.operation, getattr(view, "needs", None), view.operation.body is not None))
    return [
        {"code": kind.code, "status": kind.status, "title": problems.title(kind)}
        for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code))
    ]


def _operations(app: Flask) -> Iterator[tuple[Rule, str, Any]]:
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint.startswith("api."):
            view = app.view_functions[rule.endpoint]
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method, view


def _models(operation: Operation) -> Iterator[tuple[type[BaseModel], str]]:
    for model in (operation.query, operation.headers, operation.body):
        if model is not None:
            yield model, "validation"
    if operation.answer is not None:
        yield operation.answer, "serialization"


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule.rule.removeprefix(PREFIX))


def _operation(rule: Rule, view: Any) -> dict[str, Any]:
    declared: Operation = view.operation
    needed: Needs | None = getattr(view, "needs", None)
    summary, _, further = inspect.cleandoc(view.__doc__ or "").partition("\n")
    told: dict[str, Any] = {
        "operationId": rule.endpoint.removeprefix("api."),
        "tags": [declared.tag],
        "summary": summary.removesuffix("."),
        "parameters": [
            *_path_parameters(rule),
            *_parameters(declared.query, "query"),
            *_parameters(declared.headers, "header"),
        ],
        "responses": _responses(declared, needed),
        "security": [{"token": [scope]} for scope in needed.scopes] if needed else [],
    }
    if further.strip():
        told["description"] = further.strip()
    if needed and needed.open_to:
        told["x-open-to"] = list(needed.open_to)
    if declared.body is not None:
        schema = {"$ref": _REF.format(model=declared.body.__name__)}
        told["requestBody"] = {
            "required": True,
            "description": f"At most {declared.most_body_bytes // 1024} KiB.",
            "content": {"application/json": {"schema": schema}},
        }
    return told


def _path_parameters(rule: Rule) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"<(?:[^<>:]+:)?(\w+)>", rule.rule):
        known = PARAMETERS.get(name, {"schema": {"type": "string"}})
        if choices := re.search(rf"<any\(([^)]*)\):{name}>", rule.rule):
            known = {**known, "schema": {"type": "string", "enum": re.split(r",\s*", choices[1])}}
        elif f"<id:{name}>" in rule.rule:
            known = {**known, "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}}
        yield {"name": name, "in": "path", "required": True, **known}


def _parameters(model: type[BaseModel] | None, where: str) -> Iterator[dict[str, Any]]:
    if model is None:
        return
    schema = model.model_json_schema(ref_template=_REF)
    for name, field in schema["properties"].items():
        told = {key: value for key, value in field.items() if key not in ("title", "description", "default")}
        # Left out is how a parameter is none: `null` is a text there.
        if "anyOf" in told:
            [other] = [choice for choice in told.pop("anyOf") if choice != {"type": "null"}]
            told = {**other, **told}
        if field.get("default") is not None:
            told["default"] = field["default"]
        yield {
            "name": name,
            "in": where,
            "required": name in schema.get("required", []),
            "schema": told,
            **({"description": field["description"]} if "description" in field else {}),
        }


def _responses(declared: Operation, needed: Needs | None) -> dict[str, Any]:
    found: dict[str, Any] = {str(declared.status): _good(declared, needed, "Done.")}
    for status, when in declared.answers_also.items():
        found[str(status)] = _good(declared, needed, when)
    by_status: dict[int, list[type[BankError]]] = defaultdict(list)
    for error in errors_of(declared, needed, declared.body is not None):
        by_status[error.status].append(error)
    for status, kinds in by_status.items():
        found[str(status)] = {
            "description": " ".join(f"`{kind.code}`: {problems.title(kind)}." for kind in kinds),
            "headers": _headers(["X-Request-Id", *_limit_headers(needed), *_HEADERS_AT.get(status, [])]),
            "content": {
                problems.MEDIA_TYPE: {
                    "schema": {
                        "allOf": [
                            {"$ref": _REF.format(model="Problem")},
                            {
                                "properties": {
                                    "status": {"const": status},
                                    "code": {"enum": [kind.code for kind in kinds]},
                                }
                            },
                        ]
                    }
                }
            },
        }
    return found


def _good(declared: Operation, needed: Needs | None, description: str) -> dict[str, Any]:
    headers = _headers(["X-Request-Id", *_limit_headers(needed)])
    headers |= {
        name: {"description": words, "schema": {"type": "string"}} for name, words in declared.answer_headers.items()
    }
    content: dict[str, Any] = {media: {} for media in declared.files}
    if declared.answer is not None:
        content["application/json"] = {"schema": {"$ref": _REF.format(model=declared.answer.__name__)}}
    return {"description": description, "headers": headers, **({"content": content} if content else {})}


def _limit_headers(needed: Needs | None) -> list[str]:
    return ["RateLimit", "RateLimit-Policy"] if needed else []


def _headers(names: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
