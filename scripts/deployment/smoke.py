"""Look at a region as its customers do, through its load balancer."""

from __future__ import annotations

import http.client
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from scripts.deployment import aws
from scripts.deployment.aws import Stop, say

_TIMEOUT_SECONDS = 10
_BODY_MAX = 1 << 20
_STATIC = re.compile(r'(?:href|src)="(/static/[^"?]+\?v=[^"]+)"')
_YEAR_SECONDS = 31_536_000


class Unsound(Exception):
    """The region did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    text: str


def smoke(region: str, url: str, *, rounds: int, over_seconds: float, patience_seconds: float) -> None:
    """Look `rounds` times, spread over some seconds, so that each server behind the load balancer is met.

    The first look may be repeated for `patience_seconds`, since names and targets need a moment; after it nothing may fail.

    Raises:
        Stop: what was wrong, and in which round.
    """
    _first(region, url, patience_seconds)
    for number in range(2, rounds + 1):
        time.sleep(over_seconds / rounds)
        try:
            check(url, plain(url))
        except Unsound as problem:
            raise Stop(f"{region}: round {number} of {rounds}: {problem}") from problem
    say(region, f"{url} answered as it should, {rounds} times")


def plain(url: str) -> str:
    """The same address without encryption."""
    return f"http://{urlsplit(url).hostname}"


def check(url: str, plain_url: str) -> None:
    """Look once.

    Raises:
        Unsound: the sentence says what is wrong.
    """
    _redirects(plain_url)
    for path in ("/healthz", "/readyz", "/writable"):
        answer = get(url + path)
        if answer.status != 200 or '"ok"' not in answer.text:
            raise Unsound(f"{url}{path} answered {answer.status}: {answer.text[:200].strip()}")
    page = get(f"{url}/login")
    _log_in_page(f"{url}/login", page)
    _static(url, page)


def get(url: str) -> Answer:
    """Ask once, following nothing.

    Raises:
        Unsound: there was no answer, or the certificate is not right.
    """
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # The system's own authorities, or those that SSL_CERT_FILE names.
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.netloc, timeout=_TIMEOUT_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(
            "GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers={"User-Agent": "bank-smoke"}
        )
        response = connection.getresponse()
        body = response.read(_BODY_MAX).decode("utf-8", "replace")
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
    except (OSError, http.client.HTTPException) as problem:
        raise Unsound(f"{url} gave no answer: {problem}") from problem
    finally:
        connection.close()


def _first(region: str, url: str, patience_seconds: float) -> None:
    last = ""
    for _ in aws.polls(patience_seconds):
        try:
            check(url, plain(url))
        except Unsound as problem:
            if str(problem) != last:
                say(region, f"not yet: {problem}")
            last = str(problem)
        else:
            return
    raise Stop(f"{region}: {last}")


def _redirects(plain_url: str) -> None:
    answer = get(f"{plain_url}/")
    location = answer.headers.get("location", "")
    if answer.status not in (301, 308) or not location.startswith("https://"):
        raise Unsound(f"{plain_url}/ answered {answer.status} and does not lead to https")


def _log_in_page(url: str, page: Answer) -> None:
    if page.status != 200:
        raise Unsound(f"{url} answered {page.status}")
    for what, found in {
        "form": re.search(r'<form[^>]+method="post"', page.text),
        "field for the password": re.search(r'<input[^>]+type="password"', page.text),
        "token against forged forms": re.search(r'<input[^>]+name="csrf_token"', page.text),
    }.items():
        if not found:
            raise Unsound(f"{url} has no {what}")
    age = re.match(r"max-age=(\d+)", page.headers.get("strict-transport-security", ""))
    if not age or int(age[1]) < _YEAR_SECONDS:
        raise Unsound(f"{url} does not tell browsers to use https for a year")
    if "default-src 'none'" not in page.headers.get("content-security-policy", ""):
        raise Unsound(f"{url} has no content security policy")


def _static(url: str, page: Answer) -> None:
    found = _STATIC.search(page.text)
    if not found:
        raise Unsound(f"{url}/login names no static file")
    answer = get(url + found[1])
    if answer.status != 200 or "immutable" not in answer.headers.get("cache-control", ""):
        raise Unsound(f"{url}{found[1]} answered {answer.status} and may not be kept by browsers")
