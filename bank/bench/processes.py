"""Programs started to be measured: what they used, and their end whatever becomes of us."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
#: Places in /proc/PID/stat after the name: proc(5), fields 4, 14 to 17 and 24.
_PARENT, _FIRST_TIME, _LAST_TIME, _RESIDENT = 1, 11, 14, 21


def cpu_seconds(pid: int) -> float:
    """What a process and all its descendants have used, those included that ended and were waited for.

    Source: proc(5), utime, stime, cutime and cstime of /proc/PID/stat.
    """
    stats = _stats()
    return sum(sum(map(int, stats[each][_FIRST_TIME : _LAST_TIME + 1])) for each in _tree(stats, pid)) / _TICKS


def children(pid: int) -> list[int]:
    """The processes that this one started and that still run."""
    return [each for each, fields in _stats().items() if int(fields[_PARENT]) == pid]


def resident_bytes(pid: int) -> int:
    """The memory that a process occupies, what it shares included."""
    return int(_stats()[pid][_RESIDENT]) * _PAGE_BYTES


def _tree(stats: dict[int, list[str]], root: int) -> Iterator[int]:
    if root in stats:
        yield root
    for pid, fields in stats.items():
        if int(fields[_PARENT]) == root:
            yield from _tree(stats, pid)


def _stats() -> dict[int, list[str]]:
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        # It may end while we look.
        with suppress(OSError):
            # The name stands in parentheses and may hold anything.
            found[int(file.parent.name)] = file.read_text().rpartition(")")[2].split()
    return found


def leash(pid: int, how: signal.Signals, directory: Path) -> subprocess.Popen[bytes]:
    """Watch over a server: when our end of the pipe closes without a word, end it and remove what it left."""
    script = """
        read -r word && exit 0
        kill -s "$2" "$1" 2>/dev/null
        for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" 2>/dev/null || break; sleep 0.2; done
        kill -s KILL "$1" 2>/dev/null
        rm -rf "$3"
    """
    return _watch(script, str(pid), how.name.removeprefix("SIG"), str(directory))


def _watch(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # a command of our own
        ["/bin/sh", "-c", script, "watch", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def sweep(directory: Path) -> subprocess.Popen[bytes]:
    """Watch over a folder: when our end of the pipe closes without a word, remove it, once nobody writes there any more."""
    script = """
        read -r word && exit 0
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            rm -rf "$1"; [ -e "$1" ] || break; sleep 0.3
        done
    """
    return _watch(script, str(directory))


def end(process: subprocess.Popen[bytes], how: signal.Signals, watch: subprocess.Popen[bytes], seconds: float) -> None:
    """End a server that is watched over; at once, if it takes longer than that."""
    process.send_signal(how)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    watch.communicate(b"let go\n")


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the body as Ctrl-C does: what was started is taken down on the way."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {each: signal.signal(each, leave) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
