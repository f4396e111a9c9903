"""The document for programs, and as a page for people: drawn here, so that it needs no scripts and nobody else's code."""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import Any

from flask import Response, render_template
from markupsafe import Markup, escape

from bank.api import api
from bank.api.document import this_document
from bank.api.guard import public
from bank.api.operations import operation


@api.get("/openapi.json")
@public
@operation("This document", files=("application/json",))
def show_document() -> Response:
    """This document.

    OpenAPI 3.1; anybody may read it.
    """
    return Response(json.dumps(this_document()), mimetype="application/json")


@api.get("/docs")
@public
@operation("This document", files=("text/html",))
def show_page() -> Response:
    """This document as a page."""
    document = this_document()
    operations = [
        {"method": method.upper(), "path": path, **told}
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]
    operations.sort(key=lambda one: (one["tags"], one["path"], one["method"]))
    by_tag = {tag: list(found) for tag, found in groupby(operations, key=lambda one: one["tags"][0])}
    page = render_template("api/docs.html", document=document, by_tag=by_tag, example=example, kind=kind_of)
    return Response(page, mimetype="text/html")


@api.app_template_filter()
def told_in_html(text: str) -> Markup:
    """The little of CommonMark that the document's texts use: paragraphs, `code` and **strong** words."""
    safe = str(escape(text.strip()))
    for mark, tag in (("`", "code"), (r"\*\*", "strong")):
        safe = re.sub(f"{mark}(.+?){mark}", rf"<{tag}>\1</{tag}>", safe, flags=re.DOTALL)
    return Markup("".join(f"<p>{paragraph}</p>" for paragraph in safe.split("\n\n")))  # noqa: S704  # escaped above


def example(schema: dict[str, Any]) -> str:
    """What such a body looks like."""
    return json.dumps(_example(schema), indent=2, ensure_ascii=False)


def _example(schema: dict[str, Any]) -> Any:
    schema = _resolved(schema)
    if "examples" in schema:
        return schema["examples"][0]
    for word in ("const", "default"):
        if schema.get(word) is not None:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _example(choices[0])
    match schema.get("type"):
        case "object":
            return {name: _example(field) for name, field in schema.get("properties", {}).items()}
        case "array":
            return [_example(schema["items"])]
        case "integer":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case _:
            return {"date": "2026-03-31", "date-time": "2026-03-31T12:00:00Z"}.get(schema.get("format", ""), "…")


def kind_of(schema: dict[str, Any]) -> str:
    """What a field holds, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if choices := schema.get("anyOf"):
        return " or ".join(kind_of(choice) for choice in choices)
    if "items" in schema:
        return f"list of {kind_of(schema['items'])}"
    if "enum" in schema:
        return ", ".join(str(choice) for choice in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    return {"string": str(schema.get("format", "text")).replace("date-time", "instant").replace("date", "day")}.get(
        schema.get("type", ""),
        str(schema.get("type", "")).replace("integer", "whole number").replace("null", "nothing"),
    )


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = this_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found
