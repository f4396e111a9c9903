"""Errors: RFC 9457 problems with a stable code, wherever they come from."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field

from bank.api import guard
from bank.api.operations import operation, parse
from bank.api.problems import InvalidRequest, NotJson
from bank.api.schemas import Amount, Model, Text
from bank.storage.errors import DatabaseAway
from bank.web import access
from tests.api.conftest import Program, code, program


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/accounts/", "/accounts/1/2/3", "/%00", "/accounts/%F0%9F%98%80/x", "/openapi.yaml"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH"])
def test_an_unknown_address_is_a_problem_for_everybody(method, path, whole):
    for asking in (Program(whole.app, None), program(whole, "alice")):
        answer = asking.ask(method, path)

        assert (answer.status_code, code(answer)) == (404, "no_such_resource")
        assert set(answer.json) == {"type", "title", "status", "code", "detail"}
        assert answer.json["type"] == "/api/v1/docs#no_such_resource"
        assert answer.json["status"] == 404
        assert answer.headers["X-Request-Id"]
        assert answer.headers["Content-Language"] == "en"
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_known_address_names_the_methods_that_it_takes(whole):
    for rule in access.rules(whole.app):
        if rule.path.startswith("/api/v1/") and "<" not in rule.path:
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(rule.methods):
                if any(other.path == rule.path and method in other.methods for other in access.rules(whole.app)):
                    continue
                answer = Program(whole.app, None).ask(method, rule.path.removeprefix("/api/v1"))
                assert (answer.status_code, code(answer)) == (405, "method_not_allowed")
                assert set(rule.methods) <= set(answer.allow)


def test_the_detail_is_in_the_readers_language_and_nothing_else_is(whole):
    asking = program(whole, "alice")
    english, spanish = (
        asking.get("/accounts/999999999", headers={"Accept-Language": language}) for language in ("en", "es")
    )

    assert english.json["detail"] != spanish.json["detail"]
    assert {**english.json, "detail": ""} == {**spanish.json, "detail": ""}
    assert spanish.headers["Content-Language"] == "es"


BAD_QUERIES = {
    "?x=1": "x", "?limit=0": "limit", "?limit=201": "limit", "?limit=1e2": "limit", "?limit=1_0": "limit", "?limit=": "limit",
    "?limit=%D9%A1": "limit", "?limit=" + "9" * 5000: "limit", "?from=2026-13-01": "from", "?to=20260301": "to", "?from=2026-W01-1": "from",
    "?from=1700000000": "from", "?side=Credit": "side", "?min=-1": "min", "?max=NaN": "max", "?limit=1&limit=2": "limit",
    "?after=" + "x" * 41: "after", "?side=%00": "side",
}  # fmt: skip


@pytest.mark.parametrize("query", BAD_QUERIES, ids=lambda query: query[:20])
def test_a_wrong_parameter_is_named(query, whole):
    answer = program(whole, "alice").get(f"/accounts/{whole.branch.number('alice_current')}/postings{query}")

    assert (answer.status_code, code(answer)) == (422, "invalid_request")
    assert [error["parameter"] for error in answer.json["errors"]] == [BAD_QUERIES[query]]
    assert all(set(error) == {"parameter", "detail"} and error["detail"] for error in answer.json["errors"])


@pytest.mark.parametrize(
    "at",
    ["2026-01-01", "2026-01-01T00:00:00", "1700000000", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "now", "", "2026-01-01 00:00:00Z",
     "9999-12-31T23:59:59Z", "0001-01-01T00:00:00%2B23:59", "2026-01-01T00:00:00%2B99:99"],
)  # fmt: skip
def test_an_instant_is_rfc_3339_and_has_passed(at, whole):
    answer = program(whole, "alice").get(f"/accounts/{whole.branch.number('alice_current')}/balance?at={at}")

    assert (answer.status_code, answer.json["errors"][0]["parameter"]) == (422, "at")


class Item(Model):
    amount: Amount
    text: Annotated[Text, Field(max_length=5)] = ""


class Order(Model):
    items: list[Item] = Field(max_length=3)


A = b'{"minor_units": 1, "currency": "USD"}'


@pytest.mark.parametrize(
    ("sent", "pointers"),
    [
        (b'{"items": [{"amount": %s}], "more": 1}' % A, ["#/more"]),
        (b'{"items": [{"amount": %s, "a/b~c": 1}]}' % A, ["#/items/0/a~1b~0c"]),
        (b'{"items": [{"amount": %s}, {}]}' % A, ["#/items/1/amount"]),
        (b"{}", ["#/items"]),
        (b"[]", ["#"]),
        (b'"text"', ["#"]),
        (b'{"items": [{"amount": {"minor_units": "1", "currency": "USD"}}]}', ["#/items/0/amount/minor_units"]),
        (b'{"items": [{"amount": {"minor_units": 1.0, "currency": "USD"}}]}', ["#/items/0/amount/minor_units"]),
        (b'{"items": [{"amount": {"minor_units": true, "currency": "USD"}}]}', ["#/items/0/amount/minor_units"]),
        (b'{"items": [{"amount": {"minor_units": 0, "currency": "usd"}}]}',
         ["#/items/0/amount/minor_units", "#/items/0/amount/currency"]),
        (b'{"items": [{"amount": {"minor_units": 1%s, "currency": "USD"}}]}' % (b"0" * 16), ["#/items/0/amount/minor_units"]),
        (b'{"items": [{"amount": {"minor_units": 1%s, "currency": "USD"}}]}' % (b"0" * 4000), ["#/items/0/amount/minor_units"]),
        (b'{"items": [{"amount": %s, "text": "sixsix"}]}' % A, ["#/items/0/text"]),
        (b'{"items": [{"amount": %s, "text": "a\\u0000b"}]}' % A, ["#/items/0/text"]),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_by_its_json_pointer(sent, pointers):
    with pytest.raises(InvalidRequest) as refused:
        parse(Order, sent)

    assert [error["pointer"] for error in refused.value.errors] == pointers


def test_so_many_wrong_fields_that_naming_them_would_take_long_are_told_as_one():
    many = b", ".join(b'"%d": 1' % field for field in range(1_001))

    with pytest.raises(InvalidRequest) as refused:
        parse(Order, b'{"items": [], %s}' % many)

    assert [error["pointer"] for error in refused.value.errors] == ["#"]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"nope",
        b"{'items': []}",
        b'{"items": []} x',
        b"\xff",
        b'{"items": [{"text": "\\ud800"}]}',
        b"[" * 5000,
    ],
    ids=lambda sent: repr(sent)[:20],
)
def test_what_is_no_json_is_told_so(sent):
    with pytest.raises(NotJson):
        parse(Order, sent)


@pytest.fixture
def echo(office):
    """A route that takes a body, as any resource may be written."""

    @office.app.post("/api/v1/echo", endpoint="api.echo")
    @guard.needs("payments:write")
    @operation("Test", body=Order, answer=Order)
    def answer(body: Order) -> Order:
        """Answer what was sent."""
        return body

    return program(office, "alice")


def test_a_body_is_json_by_its_type_too_and_no_larger_than_agreed(echo):
    good = b'{"items": [{"amount": %s}]}' % A
    most = 64 * 1024

    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert code(echo.post("/echo", data=good, headers={"Content-Type": kind})) == "unsupported_media_type"
    assert echo.post("/echo", data=good, content_type="application/json; charset=utf-8").status_code == 200
    assert echo.post("/echo", data=good.ljust(most), content_type="application/json").status_code == 200
    refused = echo.post("/echo", data=good.ljust(most + 1), content_type="application/json")
    assert (refused.status_code, code(refused)) == (413, "body_too_large")
    assert code(echo.post("/echo", data=b"{", content_type="application/json")) == "not_json"
    assert code(echo.post("/echo?x=1", data=good, content_type="application/json")) == "invalid_request"
    assert (
        code(Program(echo.client.application, None).post("/echo", data=b"{", content_type="application/json"))
        == "no_token"
    )


@pytest.mark.parametrize(
    ("error", "status", "said", "wait"),
    [(DatabaseAway(), 503, "database_away", "2"), (RuntimeError("the password is hunter2"), 500, "unforeseen", None)],
)
def test_trouble_of_the_banks_own_tells_no_more_than_it_should(error, status, said, wait, office, monkeypatch):
    @office.app.get("/api/v1/trouble", endpoint="api.trouble")
    @guard.public
    @operation("Test")
    def trouble() -> None:
        """Fail."""
        raise error

    answer = Program(office.app, None).get("/trouble")

    assert (answer.status_code, code(answer), answer.headers.get("Retry-After")) == (status, said, wait)
    assert "hunter2" not in answer.text


def test_a_form_from_another_site_is_refused_as_a_problem(whole):
    asking = program(whole, "alice")

    answer = asking.ask("POST", "/accounts", headers={"Origin": "https://elsewhere.example"})

    assert answer.status_code in (403, 405)
    assert answer.mimetype == "application/problem+json"
