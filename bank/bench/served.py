"""The bank as it is served: gunicorn with the bank's own configuration, as in production, on a free port."""

from __future__ import annotations

import base64
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlencode

from bank.bench import processes
from bank.bench.furniture import PASSWORD, PASSWORD_MEMORY_KIB, Person
from bank.bench.generator import WrongAnswer
from bank.bench.place import Serving
from bank.bench.servers import free_port

_HOST: Final = "127.0.0.1"
_PATIENCE_SECONDS: Final = 60
_FORM_TOKEN: Final = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request was answered."""

    status: int
    body: str
    cookies: dict[str, str]
    location: str


class Served:
    """gunicorn and its workers, ended with the block."""

    def __init__(self, url: str, directory: Path, serving: Serving | None = None, **settings: str) -> None:
        """Prepare a server whose log is kept in `directory`; `settings` add to the production's."""
        self.port = free_port()
        self._directory = directory
        self._serving = serving
        self._environment = {
            "PATH": os.defpath,
            "BANK_ENV": "production",
            "DATABASE_URL": url,
            "BANK_NAME": "Bench",
            "BUSINESS_TIMEZONE": "UTC",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "IDENTITY_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "PASSWORD_MEMORY_KIB": str(PASSWORD_MEMORY_KIB),
            # A session of one log-in lasts through all rounds.
            "CUSTOMER_IDLE_SECONDS": "3600",
            "PROMETHEUS_MULTIPROC_DIR": str(directory / "counted"),
            **settings,
        }

    def __enter__(self) -> Self:
        self._directory.mkdir()
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--config=python:bank.gunicorn_conf",
            f"--bind={_HOST}:{self.port}",
        ]
        if shape := self._serving:
            command += [
                f"--worker-class={shape.worker_class}", f"--workers={shape.workers}", f"--threads={shape.threads}",
            ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  # a command of our own
                command, cwd=self._directory, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._leash = processes.leash(self.process.pid, signal.SIGTERM, self._directory)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        processes.end(self.process, signal.SIGTERM, self._leash, _PATIENCE_SECONDS)

    @property
    def log(self) -> Path:
        """All that it wrote."""
        return self._directory / "gunicorn.log"

    def cpu_seconds(self) -> float:
        """What the master and all its workers have used so far."""
        return processes.cpu_seconds(self.process.pid)

    def worker_mib(self) -> float:
        """The resident memory of the largest worker, in MiB."""
        return max(processes.resident_bytes(pid) for pid in processes.children(self.process.pid)) / 2**20

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        """Send one request on a connection of its own; in headers' names `_` is a hyphen."""
        connection = HTTPConnection(_HOST, self.port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request(
                method, path, body or None, {name.replace("_", "-"): text for name, text in headers.items()}
            )
            answer = connection.getresponse()
            pairs = (line.split(";")[0].partition("=")[::2] for line in answer.headers.get_all("Set-Cookie", ()))
            return Answer(answer.status, answer.read().decode(), dict(pairs), answer.headers.get("Location", ""))
        finally:
            connection.close()

    def log_in(self, person: Person) -> str:
        """Log a customer in through the form; answers the Cookie header of their session."""
        page = self.ask("GET", "/login")
        token = _FORM_TOKEN.search(page.body)
        if token is None:
            raise WrongAnswer(f"no form to log in: {page.status}")
        form = urlencode({"user": person.number, "password": PASSWORD, "csrf_token": token[1]})
        done = self.ask(
            "POST", "/login", form, Cookie=_cookie(page.cookies), Content_Type="application/x-www-form-urlencoded"
        )
        if done.status != 303:
            raise WrongAnswer(f"nobody could log in: {done.status}")
        return _cookie(page.cookies | done.cookies)

    def _wait(self) -> None:
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with suppress(OSError, HTTPException):
                if self.ask("GET", "/healthz").status == 200:
                    return
            if self.process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"gunicorn did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)


def _cookie(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
