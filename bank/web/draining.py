"""A server about to end says so first: its health fails, and load balancers send nobody new; whoever comes is served."""

from __future__ import annotations

import mmap
import os
import signal
from ipaddress import ip_address
from typing import Final

from flask import abort, request

# One byte that gunicorn's master shares with the processes it forks: whichever is asked for the server's health knows.
_begun: Final = mmap.mmap(-1, 1)
#: The process that ends the server, if there is one: the parent of those that serve.
_masters: Final[list[int]] = []
#: With one of these, a proxy handed on what somebody else asked, or a browser what some page told it to.
_FROM_ELSEWHERE: Final = ("Forwarded", "Via", "X-Real-Ip", "Origin", "Sec-Fetch-Site")


def draining() -> bool:
    """Is this server about to end?"""
    return _begun[0] != 0


def begin() -> None:
    """From now on the server is about to end."""
    _begun[0] = 1


def ended_by_this_process() -> None:
    """The processes forked from now on are ended by this one."""
    _masters[:] = [os.getpid()]


def ask_for_it() -> None:
    """Have the server drain and end, as by SIGTERM.

    Raises:
        NotFound: whoever asks is not on this host, or nobody ends this server.
    """
    master = os.getppid()
    if not _is_from_this_host() or master not in _masters:
        abort(404)
    os.kill(master, signal.SIGTERM)


def _is_from_this_host() -> bool:
    # A proxy on this host has an address of this host, too.
    if any(name in _FROM_ELSEWHERE or name.startswith("X-Forwarded-") for name, _ in request.headers):
        return False
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:  # A socket in the file system has none.
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
