"""What load balancers ask: is this server alive, can it serve a page, does the bank take payments? And: let it end."""

from __future__ import annotations

import time
from typing import Final, cast

import sqlalchemy as sa
from flask import Blueprint, Flask, current_app
from flask_wtf import CSRFProtect

from bank.storage.facts import bank_facts
from bank.storage.transaction import Bank
from bank.storage.writable import Writable
from bank.web import draining
from bank.web.access import PUBLIC, open_to
from bank.web.current import bank

health = Blueprint("health", __name__)

Answer = tuple[dict[str, str], int]

_OK: Final = "ok"
#: With a database that takes longer for one row, no page is served in time.
_SLOW_SECONDS: Final = 1.0


def install(app: Flask, csrf: CSRFProtect, bank: Bank) -> None:
    """Answer load balancers' questions, and what ends this server, which comes from no form."""
    app.extensions["writable"] = Writable(bank)
    csrf.exempt(drain)
    app.register_blueprint(health)


@health.get("/healthz")
@open_to(PUBLIC)
def healthz() -> Answer:
    """This process answers, and is not about to end; it asks nobody else."""
    return _answer(_OK)


@health.get("/readyz")
@open_to(PUBLIC)
def readyz() -> Answer:
    """Pages can be served in time: the primary database answers a query, or else the replica near this server."""
    return _answer(_OK if draining.draining() else _ready())


@health.get("/writable")
@open_to(PUBLIC)
def writable() -> Answer:
    """The primary database takes writes: not long ago it took one, which was taken back."""
    takes = draining.draining() or cast("Writable", current_app.extensions["writable"]).now()
    return _answer(_OK if takes else "the database takes no writes")


@health.post("/drain")
@open_to(PUBLIC)
def drain() -> Answer:
    """Let this server end in order, if somebody on its own host asks: health fails first, and what runs is finished."""
    draining.ask_for_it()
    return {"status": "draining"}, 202


def _answer(status: str) -> Answer:
    if draining.draining():
        return {"status": "draining"}, 503
    return {"status": status}, 200 if status == _OK else 503


def _ready() -> str:
    began = time.monotonic()
    try:
        bank().first(sa.select(bank_facts.c.name).limit(1))
    except Exception:  # noqa: BLE001  # whatever it is, the answer is no
        return "the database does not answer"
    return _OK if time.monotonic() - began <= _SLOW_SECONDS else "the database answers too slowly"
