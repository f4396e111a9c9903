"""Three questions of load balancers: is this process alive, can it serve pages, does the bank take payments?"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from flask import Blueprint

from bank.storage.facts import bank_facts
from bank.web.access import PUBLIC, open_to
from bank.web.current import bank

health = Blueprint("health", __name__)

Answer = tuple[dict[str, str], int]


@health.get("/healthz")
@open_to(PUBLIC)
def healthz() -> Answer:
    """This process answers; it asks nobody else."""
    return {"status": "ok"}, 200


@health.get("/readyz")
@open_to(PUBLIC)
def readyz() -> Answer:
    """Pages can be served: the primary database answers a query, or else the replica near this server."""
    try:
        bank().first(sa.select(bank_facts.c.name).limit(1))
    except Exception:  # noqa: BLE001  # whatever it is, the answer is no
        return {"status": "the database does not answer"}, 503
    return {"status": "ok"}, 200


@health.get("/writable")
@open_to(PUBLIC)
def writable() -> Answer:
    """The primary database takes writes: a transaction that changes a row is begun, and taken back."""
    try:
        bank().run(_write_and_take_back)
    except _TakenBack:
        return {"status": "ok"}, 200
    except Exception:  # noqa: BLE001  # whatever it is, the answer is no
        return {"status": "the database takes no writes"}, 503
    raise AssertionError("the write was not taken back")


class _TakenBack(Exception):
    pass


def _write_and_take_back(tx: sa.Connection) -> None:
    tx.execute(bank_facts.insert(), {"name": f"writable-{secrets.token_hex(8)}", "value": ""})
    raise _TakenBack
