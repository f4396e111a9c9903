"""The pool's connections: opened before anybody needs them, and not used once their server has ended them."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, DisconnectionError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolEmpty
from sqlalchemy.pool import QueuePool


def never_hand_out_ended(engine: sa.Engine, descriptor: Callable[[Any], int | None]) -> None:
    """Open a connection anew, before it is used, whose server has hung up; without asking the server.

    A server that ends a connection says so, or at least closes it, and nobody has read that: there is something to
    read on a connection that should be silent. Looking costs a system call, where a ping costs a round trip.
    """

    def look(connection: Any, _record: object, _holder: object) -> None:
        number = descriptor(connection)
        if number is None:
            return
        waiting = select.poll()
        waiting.register(number, select.POLLIN)
        if waiting.poll(0):
            raise DisconnectionError

    sa.event.listen(engine, "checkout", look)


def notice_the_dead(engine: sa.Engine, descriptor: Callable[[Any], int | None]) -> None:
    """Let the system ask after a server on a connection that is silent, so that one whose server is gone is seen to have
    ended, within half a minute, and nobody finds out by waiting for an answer on it."""

    def ask_after(connection: Any, _record: object) -> None:
        number = descriptor(connection)
        if number is None:
            return
        with socket.socket(fileno=os.dup(number)) as its:
            if its.family in (socket.AF_INET, socket.AF_INET6):
                its.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
                    if hasattr(socket, option):
                        its.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    sa.event.listen(engine, "connect", ask_after)


def open_ahead(engine: sa.Engine) -> threading.Thread:
    """Begin to open all connections that the pool may have, in the background.

    A database that is away is asked again by whoever needs it.
    """
    thread = threading.Thread(target=_open_all, args=(engine,), name="connections opened ahead", daemon=True)
    thread.start()
    return thread


def _open_all(engine: sa.Engine) -> None:
    pool = engine.pool
    opened: list[sa.Connection] = []
    try:
        while isinstance(pool, QueuePool) and pool.checkedin() + pool.checkedout() < pool.size():
            # Held until all are open, or the pool would hand out the same one again.
            opened.append(engine.connect())
    except (DBAPIError, PoolEmpty, InvalidRequestError):
        pass
    finally:
        for connection in opened:
            connection.close()
