"""What a log may hold: lines of JSON with the request's id, and nothing about people or their money."""

from __future__ import annotations

import re
import socket
import sqlite3
import urllib.parse
from collections.abc import Callable

from tests.builders import Branch
from tests.conftest import MakeDatabase
from tests.gunicorn_server import GunicornServer
from tests.http.browsing import RemoteBrowser
from tests.http.conftest import PASSWORD, Serve

PERSON = {
    "name": "Wilhelmina Featherstone",
    "birth_date": "1971-02-03",
    "identity_number": "219-09-9999",
    "address": "77 Quince Terrace",
    "city": "Kennebunkport",
    "postcode": "04046",
    "email": "mina@featherstone.example",
    "phone": "+1 207 555 0147",
}
NOTE = "Sale of the old piano"
REFERENCE = "Violin lessons"
WRONG_PASSWORD = "trombone parsley 99 wrong"


def journey(branch: Branch, server: GunicornServer) -> set[str]:
    """Everything a customer meets, from the branch to the first payment and some mistakes; what nobody may log of it."""
    executive = RemoteBrowser(server.address, branch.session_of("executive"))
    teller = RemoteBrowser(server.address, branch.session_of("teller"))
    registered = executive.done("/staff/customers/new", **PERSON)
    customer = number_on(registered.text)
    opened = executive.done(f"/staff/customers/{customer}/accounts/new", product="current")
    account = number_on(opened.text.replace(customer, ""))
    teller.done(f"/staff/accounts/{account}/deposit", amount="431.17", note=NOTE)
    page = teller.send(f"/staff/customers/{customer}/code")
    [code] = re.findall(r"\b[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}\b", page.text)

    person = RemoteBrowser(server.address)
    person.done("/enrol", user=customer, code=code, new=PASSWORD, again=PASSWORD)
    assert person.send("/login", user=customer, password=WRONG_PASSWORD).status == 422
    person.done("/login", user=customer, password=PASSWORD)
    payee = branch.number("bob_current")
    person.done("/pay", from_account=account, to_account=payee, amount="12.34", reference=REFERENCE)
    assert person.send("/pay", from_account=account, to_account=payee, amount="9999").status == 422
    assert person.get(f"/accounts/{payee}").status == 404
    assert person.get(f"/accounts/{account}/statement?as=pdf").status == 200
    for text in (PERSON["name"], PERSON["identity_number"]):
        assert executive.get("/staff/customers?q=" + urllib.parse.quote(text)).status == 200
    tokens = {cookie.value for browser in (executive, teller, person) for cookie in browser.jar if cookie.value}
    return {customer, account, payee, code, code.replace("-", ""), *tokens}


def number_on(text: str) -> str:
    """The first number with ten digits."""
    found = re.search(r"\b\d{10}\b", text)
    assert found, text
    return found.group()


def test_the_log_is_json_with_request_ids_and_says_nothing_about_people(
    make_database: MakeDatabase, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = make_database("sqlite")
    branch = open_branch(urls.app)
    server = serve(urls.app, workers=2)

    secrets = journey(branch, server)
    executive = RemoteBrowser(server.address, branch.session_of("executive"))
    form = executive.fill("/staff/customers/new", **{**PERSON, "identity_number": "219-09-8888"})
    break_table(urls.app, "customers")
    # Their error messages hold the SQL and every parameter.
    failures = [executive.get("/staff/customers?q=Featherstone"), executive.ask("/staff/customers/new", form)]
    say_nonsense(server.port, f"GET /accounts/{branch.number('alice_current')} HTTP/9.9\r\n\r\n")
    server.stop()

    lines = server.lines()
    assert [failure.status for failure in failures] == [500, 500]
    for failure in failures:
        reference = failure.response.headers["X-Request-Id"]
        assert f"Reference {reference}" in failure.text
        events = [line for line in lines if line.get("request_id") == reference]
        assert [line["level"] for line in events] == ["error", "info"]
        assert any("OperationalError" in place for place in events[0]["error"])
        assert any("bank/web/" in place for place in events[0]["error"])
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) > 30
    assert len({line["request_id"] for line in requests}) == len(requests)
    assert {"method", "route", "status", "milliseconds", "who"} <= set(requests[0])

    text = server.text()
    secrets |= {branch.number("alice_current"), PASSWORD, WRONG_PASSWORD, NOTE, REFERENCE, "431.17", "12.34", "Alice"}
    secrets |= {*PERSON.values(), "219099999", "219098888", *PERSON["name"].split(), "featherstone"}
    assert [secret for secret in sorted(secrets) if secret in text] == []
    assert not re.search(r"INSERT INTO|SELECT |parameters|Traceback", text)


def break_table(url: str, table: str) -> None:
    """Take a table away, as nothing that the bank foresees would."""
    database = sqlite3.connect(url.removeprefix("sqlite:///"))
    database.execute(f"ALTER TABLE {table} RENAME TO gone")
    database.close()


def say_nonsense(port: int, text: str) -> None:
    """A request that gunicorn itself refuses."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text.encode())
        assert b"400" in connection.recv(1000)
