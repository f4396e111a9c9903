"""POST /api/v1/transfers before Flask's dispatch, which costs more than the payment itself.

It reads the call with the same functions as the view (`guard`, `operations`, `transfers`), and answers only the
transfer that is made. Whatever else there is to say, Flask says: it gets the call as it came, or, when the transfer
was sent and refused, the refusal beside it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from bank.api import PREFIX, guard, transfers
from bank.api.limits import Allowance, Limits
from bank.api.operations import MOST_BODY_BYTES, parse
from bank.api.transfers import TransferOrder
from bank.errors import BankError
from bank.storage import near
from bank.storage.transaction import Bank

_PATH: Final = f"{PREFIX}/transfers"
#: What only a browser sends; whether it may is for the guard of forms.
_BROWSERS: Final = ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_TRANSFER_ENCODING")
_logger: Final = logging.getLogger("bank")

#: Counts an answer: method, route, status, seconds.
Count = Callable[[str, str, int, float], None]


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that can be answered here."""

    digest: str
    key: str
    order: TransferOrder
    allowance: Allowance


class Express:
    """Answers transfers, and hands every other call on."""

    def __init__(
        self, following: WSGIApplication, bank: Bank, limits: Limits, headers: dict[str, str], count: Count
    ) -> None:
        """`headers` are on every answer of the bank's."""
        self._following = following
        self._bank = bank
        self._limits = limits
        self._headers = list(headers.items())
        self._count = count

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != _PATH or environ["REQUEST_METHOD"] != "POST" or environ.get("QUERY_STRING"):
            return self._following(environ, start_response)
        began = time.perf_counter()
        if call := self._read(environ):
            try:
                return self._make(call, environ, start_response, began)
            except Exception as error:  # noqa: BLE001  # Flask tells it
                environ[guard.SENT] = guard.Sent(error, call.allowance, began)
        return self._following(environ, start_response)

    def _read(self, environ: WSGIEnvironment) -> _Call | None:
        """The call, if it is one in order; its body is left to be read again."""
        length = environ.get("CONTENT_LENGTH", "")
        if environ.get("CONTENT_TYPE") != "application/json" or any(name in environ for name in _BROWSERS):
            return None
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= MOST_BODY_BYTES):
            return None
        with suppress(BankError):
            kind, digest = guard.read_authorization(environ.get("HTTP_AUTHORIZATION", ""))
            if kind != "customer":
                return None
            key = transfers.key_of(environ.get("HTTP_IDEMPOTENCY_KEY"))
            sent = environ["wsgi.input"].read(int(length))
            environ["wsgi.input"] = BytesIO(sent)
            order = parse(TransferOrder, sent)
            # A token that nobody has used here yet is Flask's to welcome, or to count against its address.
            if allowance := self._limits.admit_known(digest):
                return _Call(digest, key, order, allowance)
        return None

    def _make(
        self, call: _Call, environ: WSGIEnvironment, start_response: StartResponse, began: float
    ) -> Iterable[bytes]:
        with near.request(self._bank.near) as here:
            made, headers = transfers.send(self._bank, call.digest, call.key, call.order)
            position = here.position()
        body = made.model_dump_json(by_alias=True).encode()
        request_id = f"{random.getrandbits(64):016x}"  # no secret
        told = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            *headers.items(),
            *call.allowance.headers().items(),
            *self._headers,
            ("X-Request-Id", request_id),
        ]
        if position:
            told.append((near.HEADER, near.seal(self._bank.settings.secret_key, position)))
        seconds = time.perf_counter() - began
        self._count("POST", _PATH, 201, seconds)
        _logger.info("request", extra={"facts": {
            "request_id": request_id, "method": "POST", "route": _PATH, "status": 201,
            "milliseconds": round(seconds * 1000, 1), "who": f"token:{call.digest[:12]}",
        }})  # fmt: skip
        start_response("201 CREATED", told)
        return [body]
