"""Network namespaces of this machine: made under one prefix, entered by a thread, and swept away with all that runs in them."""

from __future__ import annotations

import ctypes
import fcntl
import grp
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

PREFIX = "drl-"
#: Where one run of the drill keeps what the next must find: its lock, and what it mounts.
STATE = Path("/run/drl")
#: What its processes need: login files, sockets, packages. Everybody may enter it; gone with the run.
WORK = STATE / "work"
NAMESPACES = Path("/var/run/netns")

_CLONE_NEWNET = 0x40000000
_GONE_SECONDS = 10.0

T = TypeVar("T")


class InUse(Exception):
    """Another run of the drill is on this machine: its hosts have the same names."""


def lock() -> int:
    """A descriptor that holds the drill's names for as long as it is open, here or in a child.

    Raises:
        InUse: another run holds them.
    """
    STATE.mkdir(mode=0o755, exist_ok=True)
    held = os.open(STATE / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise InUse("another run of the drill is on this machine; wait until it is over") from None
    return held


def ip(*words: str, commands: str | None = None) -> str:
    """What `ip` says; `commands` are lines for its `-batch -`.

    Raises:
        RuntimeError: what it complains of.
    """
    done = subprocess.run(["ip", *words], input=commands, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def present() -> list[str]:
    """The hosts of the drill that are there, this run's or one's that died."""
    return sorted(path.name.removeprefix(PREFIX) for path in NAMESPACES.glob(f"{PREFIX}*"))


def running(host: str) -> list[int]:
    """The processes in a host."""
    return [int(pid) for pid in ip("netns", "pids", f"{PREFIX}{host}").split()]


def sweep() -> None:
    """Kill what runs in the drill's hosts, and nothing else; then remove hosts and mounts."""
    hosts = present()
    deadline = time.monotonic() + _GONE_SECONDS
    while (pids := [pid for host in hosts for pid in running(host)]) and time.monotonic() < deadline:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
        _reap(pids)
    if hosts:
        ip("-batch", "-", commands="".join(f"netns del {PREFIX}{host}\n" for host in hosts))
    for mount in _mounts():
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(mount, ignore_errors=True)
    shutil.rmtree(WORK, ignore_errors=True)


def _mounts() -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [where for where in (line.split()[1] for line in lines) if where.startswith(f"{STATE}/")]


def _reap(pids: list[int]) -> None:
    """Those of them that are our children would stay as zombies in the list of processes."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def enter(host: str) -> None:
    """Let this thread be in a host from now on; its sockets stay there wherever they are used later."""
    descriptor = os.open(NAMESPACES / f"{PREFIX}{host}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns to {host}")
    finally:
        os.close(descriptor)


@contextmanager
def inside(host: str) -> Iterator[None]:
    """Be in a host for a moment; for a process whose other threads do not mind, since it is this thread alone."""
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(host)
        yield
    finally:
        ctypes.CDLL(None).setns(back, _CLONE_NEWNET)
        os.close(back)


def a_socket(host: str) -> socket.socket:
    """A TCP socket of a host, not connected yet, for this process to use."""

    def make() -> socket.socket:
        enter(host)
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    return _in_a_thread(make)


def _in_a_thread(work: Callable[[], T]) -> T:
    """Do it in a thread that ends, so that ours stays in its own namespace whatever happens."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as problem:  # noqa: BLE001  # raised again where it was asked for
            failed.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def group_of(account: Any) -> str:
    """The name of an account's group."""
    return grp.getgrgid(account.pw_gid).gr_name


def in_host(host: str) -> list[str]:
    """The words before a command that run it in a host; its process is the command's own."""
    return ["ip", "netns", "exec", f"{PREFIX}{host}"]


def as_account(account: Any) -> list[str]:
    """The words before a command that make it another account's, with no right of root's left."""
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--inh-caps=-all"]
