"""What customers do over HTTP, by program and by browser: the request, and what its answer means."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from tests.drill.http_client import Answer

#: The same for both regions, as a name in DNS is.
HOST: Final = "bank.drill"
#: What a customer may rightly be told instead of what they want.
RIGHTLY: Final = ("insufficient_funds",)
_FORM_TOKEN: Final = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
_MOVEMENT: Final = re.compile(r'href="/movements/(\d+)"')
_PLACE: Final = re.compile(r"/movements/(\d+)\Z")


@dataclass(slots=True)
class Visitor:
    """A process of the history: a program or a browser of a customer's, and what it carries from answer to question."""

    process: int
    home: str
    token: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    position: str = ""
    form_token: str = ""

    @property
    def by_browser(self) -> bool:
        """Has it cookies, and no token?"""
        return not self.token

    def keep(self, answer: Answer) -> None:
        """Keep what the answer gave to carry."""
        if self.by_browser:
            self._keep_cookies(answer)
            if found := _FORM_TOKEN.search(answer.text):
                self.form_token = found[1]
        elif position := answer.header("bank-position"):
            self.position = position

    def _keep_cookies(self, answer: Answer) -> None:
        for name, value in answer.headers:
            if name != "set-cookie":
                continue
            pair, _, rest = value.partition(";")
            cookie, _, content = pair.partition("=")
            if not content or "max-age=0" in rest.lower():
                self.cookies.pop(cookie, None)
            else:
                self.cookies[cookie] = content


@dataclass(frozen=True, slots=True)
class Done:
    """It was done; `value` is what it told."""

    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """It was refused for good; nothing moved."""

    code: str


@dataclass(frozen=True, slots=True)
class Again:
    """Nobody knows, or nothing was done: to be sent again."""

    why: int | str


Outcome = Done | Refused | Again


class Act:
    """Something to ask, and to understand."""

    def request(self, visitor: Visitor) -> bytes:
        """As it goes over the network, with what the visitor carries."""
        raise NotImplementedError

    def read(self, answer: Answer) -> Outcome:
        """What the answer means."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Payment(Act):
    """By program, or with `form` as a browser sends the last page's form; the key is the reference, too."""

    value: dict[str, Any]
    form: bool

    def request(self, visitor: Visitor) -> bytes:
        return self._by_form(visitor) if self.form else self._by_program(visitor)

    def _by_program(self, visitor: Visitor) -> bytes:
        paid = self.value
        amount = {"minor_units": paid["minor"], "currency": "USD"}
        body = json.dumps({"from": paid["payer"], "to": paid["payee"], "amount": amount, "reference": paid["key"]})
        return _message(
            visitor,
            "POST",
            "/api/v1/transfers",
            body,
            **{"Content-Type": "application/json", "Idempotency-Key": paid["key"]},
        )

    def _by_form(self, visitor: Visitor) -> bytes:
        paid = self.value
        fields = {
            "csrf_token": visitor.form_token, "operation": paid["key"], "from_account": paid["payer"],
            "to_account": paid["payee"], "amount": f"{paid['minor'] // 100}.{paid['minor'] % 100:02}", "written_in": "en",
            "reference": paid["key"], "when": "now", "due_on": "",
        }  # fmt: skip
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Referer": f"https://{HOST}/pay"}
        return _message(visitor, "POST", "/pay", urlencode(fields), **kind)

    def read(self, answer: Answer) -> Outcome:
        if self.form:
            return _placed(answer, 303)
        if answer.status == 201:
            replayed = answer.header("idempotent-replayed") == "true"
            return Done({"entry": int(json.loads(answer.body)["id"]), "replayed": replayed})
        return _not_done(answer)


@dataclass(frozen=True, slots=True)
class AccountPage(Act):
    """An account's page in a browser: its newest movement is what it shows to be the newest state."""

    account: str

    def request(self, visitor: Visitor) -> bytes:
        return _message(visitor, "GET", f"/accounts/{self.account}", Accept="text/html")

    def read(self, answer: Answer) -> Outcome:
        if answer.status != 200:
            return _not_done(answer)
        shown = _MOVEMENT.search(answer.text)
        return Done({"account": self.account, "entry": int(shown[1]) if shown else None})


@dataclass(frozen=True, slots=True)
class NewestPosting(Act):
    """An account's newest posting, read by program."""

    account: str

    def request(self, visitor: Visitor) -> bytes:
        return _message(visitor, "GET", f"/api/v1/accounts/{self.account}/postings?limit=1")

    def read(self, answer: Answer) -> Outcome:
        if answer.status != 200:
            return _not_done(answer)
        [newest] = json.loads(answer.body)["postings"]
        return Done({"account": self.account, "seq": newest["number"], "balance": newest["balance"]["minor_units"]})


@dataclass(frozen=True, slots=True)
class Totals(Act):
    """All balances at once."""

    def request(self, visitor: Visitor) -> bytes:
        return _message(visitor, "GET", "/api/v1/accounts")

    def read(self, answer: Answer) -> Outcome:
        if answer.status != 200:
            return _not_done(answer)
        told = json.loads(answer.body)["accounts"]
        return Done({"balances": {each["number"]: each["booked"]["minor_units"] for each in told}})


@dataclass(frozen=True, slots=True)
class BecameOf(Act):
    """What became of a payment that a browser lost sight of."""

    key: str

    def request(self, visitor: Visitor) -> bytes:
        return _message(visitor, "GET", f"/operations/{self.key}", Accept="text/html")

    def read(self, answer: Answer) -> Outcome:
        if answer.status == 200:
            return Done({"became": "never"})
        found = _placed(answer, 302)
        return Done({"became": "done", **found.value}) if isinstance(found, Done) else found


@dataclass(frozen=True, slots=True)
class Listed(Act):
    """Whether a payment is among the newest 200 that went out, as a program would look for it."""

    account: str
    key: str

    def request(self, visitor: Visitor) -> bytes:
        return _message(visitor, "GET", f"/api/v1/accounts/{self.account}/postings?side=debit&limit=200")

    def read(self, answer: Answer) -> Outcome:
        if answer.status != 200:
            return _not_done(answer)
        page = json.loads(answer.body)
        for posting in page["postings"]:
            if posting["description"] == self.key:
                return Done({"became": "done", "entry": int(posting["entry"])})
        # Further back nobody looks: no such payment is so old.
        return Done({"became": "never"})


def _placed(answer: Answer, status: int) -> Outcome:
    """An answer that leads to a movement."""
    found = _PLACE.search(answer.header("location")) if answer.status == status else None
    return Done({"entry": int(found[1])}) if found else _not_done(answer)


def _not_done(answer: Answer) -> Outcome:
    if answer.status >= 500 or answer.status == 429:
        return Again(answer.status)
    if answer.header("content-type").startswith("application/problem+json"):
        return Refused(str(json.loads(answer.body).get("code", answer.status)))
    return Refused(str(answer.status))


def _message(visitor: Visitor, method: str, path: str, body: str = "", **headers: str) -> bytes:
    sent = {"Host": HOST, "User-Agent": "drill", "Accept-Language": "en", **headers}
    if visitor.by_browser:
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    else:
        sent["Authorization"] = f"Bearer {visitor.token}"
        if visitor.position:
            sent["Bank-Position"] = visitor.position
    if method == "POST":
        sent["Content-Length"] = str(len(body.encode()))
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n{body}".encode()
