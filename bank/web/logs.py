"""One JSON line for each request and event; identifiers only, never names, numbers or secrets."""

from __future__ import annotations

import logging
import random
import time

from flask import Flask, Response, g, request

from bank.web.current import visitor
from bank.web.json_lines import JsonLines, Lines

logger = logging.getLogger("bank")


def install(app: Flask) -> None:
    """Give each request an id, and write a line when it is answered."""
    if not logger.handlers:
        handler = Lines()
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    app.before_request(_begin)
    app.after_request(_write)


def event(name: str, **facts: object) -> None:
    """Write a line about something other than a request's end."""
    logger.info(name, extra={"facts": {"request_id": g.get("request_id"), **facts}})


def a_request_id() -> str:
    """Names a request in the log; no secret, so it need not wait for the system's own chance."""
    return f"{random.getrandbits(64):016x}"


def _begin() -> None:
    g.request_id = a_request_id()
    g.began = time.perf_counter()


def _write(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    signed_in = visitor()
    # The rule, not the path: addresses carry account numbers.
    route = request.url_rule.rule if request.url_rule else "(none)"
    event(
        "request",
        method=request.method,
        route=route,
        status=response.status_code,
        milliseconds=round((time.perf_counter() - g.began) * 1000, 1),
        who=str(signed_in.person) if signed_in else g.get("asked_by"),
    )
    return response
