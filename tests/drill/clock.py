"""A clock of its own for one server, by libfaketime; it can be stepped while the server runs."""

from __future__ import annotations

from pathlib import Path

from tests.servers import not_run

_SHARED_MEMORY = Path("/dev/shm")
# The library leaves the monotonic clock alone, yet refuses to sleep by it, which is what Python's `time.sleep` does.
_SLEEP = """\
import select
import time

time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


class Clock:
    """What is put before a server's command."""

    def __init__(self, folder: Path) -> None:
        """Prepare it in a folder of its own, which everybody may enter; it is right as yet."""
        folder.mkdir(exist_ok=True)
        self._offset = folder / "offset"
        self._folder = folder
        (folder / "sitecustomize.py").write_text(_SLEEP)
        self.step(0)

    def step(self, seconds: float) -> None:
        """Be so far ahead of the right time from the next second on."""
        self._offset.write_text(f"{seconds:+f}s\n")

    def words(self) -> list[str]:
        """`env` and what it sets: for the server alone, not for what starts it as root."""
        told = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_CACHE_DURATION": "1",
            # What measures how long something takes does not jump with the clock, nor do files.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": str(self._folder),
        }
        return ["env", *(f"{name}={value}" for name, value in told.items())]


def forget(pid: int) -> None:
    """Remove the shared memory that the library leaves when its process is killed."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        (_SHARED_MEMORY / name).unlink(missing_ok=True)


def _library() -> Path:
    folders = [*Path("/usr/lib").glob("*/faketime"), *Path("/usr/lib").glob("faketime")]
    found = [library for folder in folders if (library := folder / "libfaketimeMT.so.1").exists()]
    return found[0] if found else not_run("a stepped clock", "no libfaketime; scripts/test-deps.sh drill installs it")
