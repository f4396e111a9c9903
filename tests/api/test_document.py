"""The document says what the code does: every route, every status, every code; and it is OpenAPI 3.1."""

from __future__ import annotations

import json
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from bank.identity.tokens import SCOPES
from bank.web import access
from tests.api.conftest import Program
from tests.web.browsing import Browser


@pytest.fixture(scope="module")
def document(whole):
    return Program(whole.app, None).get("/openapi.json").json


def operations(document):
    return [(path, method, told) for path, methods in document["paths"].items() for method, told in methods.items()]


def test_it_is_open_api_3_1(document):
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_route_is_in_it_and_no_other(document, whole):
    routes = {
        (re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule.path.removeprefix("/api/v1")), method.lower())
        for rule in access.rules(whole.app)
        for method in rule.methods
        if rule.path.startswith("/api/v1/")
    }

    assert {(path, method) for path, method, _ in operations(document)} == routes
    assert len(routes) >= 8


def test_every_operation_says_what_opens_it_and_what_it_can_answer(document):
    known = {scope for of_kind in SCOPES.values() for scope in of_kind}
    for path, method, told in operations(document):
        assert told["summary"], (path, method)
        statuses = set(told["responses"])
        if not told["security"]:
            assert path in ("/openapi.json", "/docs")
            continue
        assert {scope for each in told["security"] for scope in each["token"]} <= known
        assert {"401", "403", "422", "429", "500", "503"} <= statuses, (path, method)
        assert told["x-open-to"]
        if "{" in path:
            assert "404" in statuses, (path, method)
        if "requestBody" in told:
            assert {"400", "413", "415"} <= statuses, (path, method)
        for status, response in told["responses"].items():
            assert "RateLimit" in response["headers"]
            assert ("Retry-After" in response["headers"]) == (status in ("429", "503"))
            assert ("WWW-Authenticate" in response["headers"]) == (status == "401")


def test_every_code_is_in_the_reference(document):
    reference = open("docs/reference/errors.md").read()  # noqa: PTH123, SIM115
    codes = {
        code
        for _, _, told in operations(document)
        for status, response in told["responses"].items()
        if status >= "400"
        for code in response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
    }

    assert codes <= {each["code"] for each in document["x-problems"]}
    for each in document["x-problems"]:
        section = reference.partition(f"\n### {each['code']}\n")[2].partition("\n### ")[0]
        assert f"Status {each['status']}." in section, each["code"]


def test_bodies_take_no_field_that_is_not_named(document):
    for path, method, told in operations(document):
        if "requestBody" in told:
            name = told["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert document["components"]["schemas"][name]["additionalProperties"] is False, (path, method)


def test_nothing_refers_to_what_is_not_there(document):
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        found = document
        for step in reference.split("/"):
            found = found[step]


@pytest.mark.parametrize("visitor", [None, "alice", "executive"])
def test_the_page_shows_all_of_it_to_everybody_without_scripts(visitor, document, whole):
    page = whole.browse_as(visitor).get("/api/v1/docs")

    assert (page.status, page.title) == (200, "The bank's API – Our Bank")
    for path, method, told in operations(document):
        assert f"{method.upper()} /api/v1{path}" in page.text
        assert f"operation-{told['operationId']}" in page.ids
    for name in document["components"]["schemas"]:
        assert f"schema-{name}" in page.ids or not document["components"]["schemas"][name].get("properties")
    # What a problem's type leads to.
    assert {each["code"] for each in document["x-problems"]} <= page.ids
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []
    assert re.findall(r"<script[^>]*>(.*?)</script>", page.html) == ["", ""]
    assert " style=" not in page.html


def test_the_page_is_english_in_every_language(whole):
    page = Browser(whole.app).get("/api/v1/docs", headers={"Accept-Language": "es"})

    assert '<html lang="es"' in page.html
    assert '<div lang="en" dir="ltr">' in page.html
