"""The drill's network: the hosts as namespaces, joined by the fabric, and what is done to the links between them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.drill import namespaces
from tests.drill.hosts import HOSTS, REGIONS, Distances, Host, account, addresses
from tests.drill.interruptions import Interruptions
from tests.drill.namespaces import PREFIX

__all__ = ["HOSTS", "REGIONS", "ROOT", "Distances", "Host", "Network", "account", "addresses", "missing"]

ROOT = Path(__file__).parents[2]
_FABRIC_SECONDS = 20.0


def missing(engine: str = "postgresql") -> str | None:
    """What this machine lacks for the drill, in a sentence; None when it lacks nothing."""
    if os.geteuid() != 0:
        return "the drill needs root, for network namespaces"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as problem:
        return f"the drill needs /dev/net/tun: {problem.strerror}"
    programs = {"ip": "iproute2", "setpriv": "util-linux", "haproxy": "haproxy"}
    if absent := [package for program, package in programs.items() if not shutil.which(program)]:
        return f"the drill needs {', '.join(absent)}: scripts/test-deps.sh drill"
    from tests.drill.databases import pair_of
    from tests.servers import NotInstalled

    try:
        pair_of(engine).SERVER.find_binaries()
    except NotInstalled as problem:
        return f"the drill needs a database: {problem}"
    return None


class Network:
    """The hosts and the fabric that joins them, while the `with` lasts; whatever runs in them ends with it."""

    def __init__(self, directory: Path, *, distances: Distances | None = None) -> None:
        """Prepare it; `directory` gets the fabric's log."""
        self.directory = directory
        self.distances = distances or Distances()
        self.account = account()
        self._opened = ExitStack()
        self._interruptions = Interruptions()
        self._fabric: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._asking = threading.Lock()

    def __enter__(self) -> Self:
        """Bring the hosts up, in half a second.

        Raises:
            InUse: another run of the drill is on this machine.
        """
        with ExitStack() as opened:
            held = namespaces.lock()
            opened.callback(os.close, held)
            opened.callback(self._interruptions.give_back)
            self._interruptions.turn()
            namespaces.sweep()
            opened.callback(namespaces.sweep)
            namespaces.WORK.mkdir(mode=0o755)
            namespaces.ip("-batch", "-", commands="".join(f"netns add {PREFIX}{host}\n" for host in HOSTS))
            self._start_fabric(held)
            opened.callback(self._end_fabric)
            for host in HOSTS.values():
                lines = f"addr add {host.address}/8 dev eth0\nlink set lo up\nlink set eth0 txqueuelen 5000 up\n"
                namespaces.ip("-n", f"{PREFIX}{host.name}", "-batch", "-", commands=lines)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._interruptions.hold()
        self._opened.close()

    # What runs in a host

    def run(
        self,
        host: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: dict[str, str] | None = None,
        user: str = "drill",
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command in a host; the process is the command's own. `user` is "drill", who may little, or "root"."""
        as_whom = namespaces.as_account(self.account) if user == "drill" else []
        plain = {"PATH": os.environ["PATH"], "HOME": str(namespaces.WORK), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        with log.open("ab") as output:
            # A group of its own: Ctrl-C is for the drill, which then ends all in order.
            return subprocess.Popen(
                [*namespaces.in_host(host), *as_whom, *map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd or "/",
                env=plain | (env or {}),
                start_new_session=True,
            )

    def get(
        self, host: str, url: str, *, method: str = "GET", seconds: float = 5.0, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Ask a URL from a host, without a process for it: status and body.

        Raises:
            OSError: there was no answer.
        """
        parts = urlsplit(url)
        assert parts.hostname is not None
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=seconds)
        connection.sock = namespaces.a_socket(host)
        try:
            connection.sock.settimeout(seconds)
            connection.sock.connect((parts.hostname, parts.port or 80))
            connection.request(method, parts.path or "/", headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as problem:
            raise OSError(f"{url}: {problem!r}") from problem
        finally:
            connection.close()

    # How far they are apart

    def link(self, a: str, b: str, *, delay_ms: float, jitter_ms: float = 0, loss: float = 0) -> None:
        """Set delay and loss between two hosts or regions, both ways, until `heal`; milliseconds one way, loss 0 to 1."""
        for one, other in self._pairs(a, b):
            for pair in ((one, other), (other, one)):
                self._ask(do="link", pair=pair, delay_ms=delay_ms, jitter_ms=jitter_ms, loss=loss)

    def cut(self, a: str, b: str, *, one_way: bool = False) -> None:
        """Let nothing through between two hosts or regions; one way: nothing from a to b. What is on its way is lost."""
        for one, other in self._pairs(a, b):
            self._ask(do="cut", pair=(one, other))
            if not one_way:
                self._ask(do="cut", pair=(other, one))

    def isolate(self, name: str) -> None:
        """Cut a host or a region off from everybody outside it."""
        inside = addresses(name)
        for one in inside:
            for other in (host.address for host in HOSTS.values() if host.address not in inside):
                self._ask(do="cut", pair=(one, other))
                self._ask(do="cut", pair=(other, one))

    def heal(self) -> None:
        """Let all be as it was at the start, at once."""
        self._ask(do="heal")

    def figures(self) -> dict[str, int]:
        """What the fabric counted: packets carried, dropped, and the latest delivery in microseconds."""
        counted: dict[str, int] = self._ask(do="figures")
        return counted

    def late_us_max(self) -> int:
        """How late the latest packet came, in microseconds; over 20 ms, what was timed is worth nothing."""
        return self.figures()["late_us_max"]

    def forget_lateness(self) -> None:
        """Measure lateness anew: bringing a machine up is not what is timed."""
        self._ask(do="forget")

    # How

    def _pairs(self, a: str, b: str) -> list[tuple[str, str]]:
        return [(one, other) for one in addresses(a) for other in addresses(b) if one != other]

    def _start_fabric(self, held: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs, (self.directory / "fabric.log").open("ab") as log:
            # It holds the lock too: if this process dies, it sweeps before anybody else may begin.
            self._fabric = subprocess.Popen(
                [sys.executable, "-m", "tests.drill.fabric", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno(), held],
                start_new_session=True,
            )
        ours.settimeout(_FABRIC_SECONDS)
        self._control = ours
        delays = [
            (one.address, other.address, self.distances.between(one, other))
            for one in HOSTS.values()
            for other in HOSTS.values()
            if one != other
        ]
        self._ask(do="begin", hosts={host.name: host.address for host in HOSTS.values()}, delays=delays)

    def _end_fabric(self) -> None:
        assert self._fabric is not None
        assert self._control is not None
        with suppress(OSError, RuntimeError):
            self._ask(do="end")
        self._control.close()
        try:
            self._fabric.wait(_FABRIC_SECONDS)
        except subprocess.TimeoutExpired:
            self._fabric.kill()
            self._fabric.wait()

    def _ask(self, **question: Any) -> Any:
        assert self._control is not None
        with self._asking:
            self._control.sendall(json.dumps(question).encode() + b"\n")
            received = b""
            while not received.endswith(b"\n"):
                if not (part := self._control.recv(65_536)):
                    raise RuntimeError(f"the fabric ended: {(self.directory / 'fabric.log').read_text()[-2000:]}")
                received += part
        return json.loads(received)
