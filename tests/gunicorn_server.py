"""The bank as it is served: gunicorn with its own configuration, a free port and an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from bank.settings import DEVELOPMENT_IDENTITY_KEY
from tests.servers import adopting_orphans, children, free_port, leash, wait_for

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
STOP_SECONDS = 20


class GunicornServer:
    """gunicorn on 127.0.0.1, stopped with its workers when the `with` ends or this process does."""

    def __init__(self, database_url: str, directory: Path, *, workers: int = 3, **env: str) -> None:
        """Prepare a server whose log is kept in `directory`; `env` adds to its settings."""
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "gunicorn.log"
        self.directory = directory
        self.workers = workers
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.env = environment(DATABASE_URL=database_url, **env)
        self.process: subprocess.Popen[bytes] | None = None
        self._leash: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.launch()
        wait_for(self._answers, "gunicorn to answer")

    def launch(self) -> None:
        """Start, and do not wait."""
        command = [BIN / "gunicorn", "--config", "bank/gunicorn_conf.py", f"--bind=127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, f"--workers={self.workers}"], cwd=ROOT, env=self.env, stdout=log, stderr=log
            )
        self._leash = leash(self.process.pid, signal.SIGTERM, self.directory / "nothing")

    def stop(self) -> int:
        """Let it finish what it does, and end; answers the exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(STOP_SECONDS)
        self._forget()
        return code

    def kill(self) -> None:
        """End all its processes at once."""
        if not self.process:
            return
        # Stopped first, or the master would start others in place of those that end.
        self.process.send_signal(signal.SIGSTOP)
        pids = children(self.process.pid)
        with adopting_orphans():
            end([*pids, self.process.pid])
            self.process.wait(STOP_SECONDS)
            for pid in pids:
                with suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        self._forget()

    def _forget(self) -> None:
        self.process = None
        if self._leash:
            self._leash.communicate(b"let go\n")
            self._leash = None

    def exit_code(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until it ends by itself."""
        assert self.process is not None
        return self.process.wait(seconds)

    def kill_workers(self) -> None:
        """End the processes that serve at once; the master starts others."""
        assert self.process is not None
        end(children(self.process.pid))

    def text(self) -> str:
        """All that it wrote."""
        return self.log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """All that it wrote; each line is a JSON object."""
        return [json.loads(line) for line in self.text().splitlines()]

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"gunicorn ended with {self.process.returncode}:\n{self.text()[-4000:]}")
        return answers(f"{self.address}/healthz")


def environment(**settings: str) -> dict[str, str]:
    """What a server or a command needs and no more; nothing of the tests' own environment gets in."""
    plain = {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "x" * 40,
        "IDENTITY_KEYS": DEVELOPMENT_IDENTITY_KEY,
        "PASSWORD_MEMORY_KIB": "8192",
        # However busy this machine is.
        "STATEMENT_SECONDS": "15",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {name: value for name, value in {**plain, **settings}.items() if value}


def answers(address: str) -> bool:
    """Does this address answer 200?"""
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def end(pids: list[int]) -> None:
    """Kill processes that may just have gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until(happens: Callable[[], object], seconds: float, what: str) -> None:
    """Look every tenth of a second until it happens."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)
