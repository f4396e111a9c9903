"""Route 53's part: checks of each region's load balancer from outside, and which region a name leads to.

The checks run as a process of their own (`python -m tests.drill.route53 PLAN.json`) in the customers' network; the
answer stands in a file, which customers read as they would ask a resolver. Route 53 has many checkers; this is one.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

_STOP_SECONDS: Final = 5
_REGIONS: Final = ("east", "west")
#: Of three.
_REASONS: Final = 2


@dataclass(frozen=True, slots=True)
class Timing:
    """How often it asks, after how many answers alike it changes its mind, how long it waits, and how long a name is kept."""

    interval: float
    threshold: int
    connect_seconds: float
    answer_seconds: float
    ttl_seconds: float


_TERRAFORM: Final = Path(__file__).parents[2] / "infra/modules/dns/variables.tf"


def _as_deployed(name: str) -> str:
    """What the Terraform sets for a health check when nobody says otherwise."""
    found = re.search(rf"\b{name}\s*=\s*optional\(number, (\d+)\)", _TERRAFORM.read_text())
    assert found, f"{_TERRAFORM} says no {name}"
    return found[1]


#: What is asked of each region: does it serve pages, does it take payments?
QUESTIONS: Final = {"serves": "/readyz", "writes": "/writable"}
#: As infra/ sets it, and as AWS documents the rest: 4 s to connect, 2 s for the answer, a name of an ALB kept for 60 s.
REAL: Final = Timing(float(_as_deployed("interval_seconds")), int(_as_deployed("failures")), 4.0, 2.0, 60.0)
#: For short runs; reports say which it was.
COMPRESSED: Final = Timing(1.0, 2, 0.9, 0.9, 0.0)


def gets_customers(region: str, opinions: dict[tuple[str, str], bool]) -> bool:
    """Should customers be sent there? If two of three say so: it serves pages, it takes payments, the other takes none.

    As the calculated health check in infra/modules/dns has it; `opinions` by region and question.
    """
    other = next(each for each in _REGIONS if each != region)
    reasons = (opinions[region, "serves"], opinions[region, "writes"], not opinions[other, "writes"])
    return sum(reasons) >= _REASONS


def choose(home: str, healthy: dict[str, bool]) -> str:
    """The region that a customer of `home` is led to: their own, or else a healthy one; with none healthy, their own.

    >>> choose("west", {"east": True, "west": False}), choose("west", {"east": False, "west": False})
    ('east', 'west')
    """
    if healthy.get(home, True):
        return home
    return next((region for region in _REGIONS if healthy.get(region)), home)


@dataclass(slots=True)
class Opinion:
    """What is thought of a region: it changes after `threshold` answers in a row that say otherwise."""

    threshold: int
    healthy: bool = True
    _against: int = 0

    def hear(self, good: bool) -> bool:
        """Hear one more answer; has the opinion changed?"""
        self._against = 0 if good == self.healthy else self._against + 1
        if self._against < self.threshold:
            return False
        self.healthy, self._against = good, 0
        return True


@dataclass(slots=True)
class Names:
    """What a customer's resolver says, which keeps an answer for a while; without a file everybody stays at home."""

    file: Path | None
    ttl_seconds: float = 0.0
    _healthy: dict[str, bool] = field(default_factory=dict)
    _read_at: float = float("-inf")

    def answer(self, home: str) -> str:
        """The region that a customer of `home` asks now."""
        now = time.monotonic()
        if self.file and now - self._read_at >= self.ttl_seconds:
            self._healthy, self._read_at = _read(self.file), now
        return choose(home, self._healthy)


def _read(file: Path) -> dict[str, bool]:
    try:
        found: dict[str, bool] = json.loads(file.read_text())
    except FileNotFoundError:
        # Before the first check all are taken to be well.
        return {}
    return found


class Route53:
    """The checks, as long as the `with` lasts; `run` starts a command in the customers' network."""

    def __init__(
        self, addresses: dict[str, tuple[str, int]], directory: Path,
        run: Callable[[Sequence[str]], subprocess.Popen[bytes]], *, timing: Timing = COMPRESSED,
        epoch: float | None = None,
    ) -> None:  # fmt: skip
        """Keep state and changes in `directory`, the changes' instants in seconds since `epoch` (monotonic)."""
        self.timing = timing
        self.names = directory / "names.json"
        self.changes_file = directory / "route53.jsonl"
        self._plan = directory / "route53-plan.json"
        self._run = run
        plan = {"addresses": addresses, "names": str(self.names), "changes": str(self.changes_file)}
        self._plan.write_text(json.dumps({**plan, "epoch": epoch or time.monotonic(), "timing": asdict(timing)}))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Route53:
        self._process = self._run([sys.executable, "-m", "tests.drill.route53", str(self._plan)])
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def answer(self, home: str) -> str:
        """The region that customers of `home` are led to now, were no answer kept."""
        return choose(home, _read(self.names))

    def changes(self) -> list[dict[str, Any]]:
        """When which region began or ceased to get customers, by `healthy`."""
        if not self.changes_file.exists():
            return []
        return [json.loads(line) for line in self.changes_file.read_text().splitlines()]


@dataclass(slots=True)
class _Checker:
    plan: dict[str, Any]
    timing: Timing
    opinions: dict[tuple[str, str], Opinion]
    told: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(_REGIONS, True))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check_for_ever(self, region: str, question: str) -> None:
        due = time.monotonic()
        while True:
            host, port = self.plan["addresses"][region]
            good = self._ask(host, port, QUESTIONS[question])
            with self.lock:
                if self.opinions[region, question].hear(good):
                    self._publish()
            due = max(due + self.timing.interval, time.monotonic())
            time.sleep(max(due - time.monotonic(), 0))

    def _ask(self, host: str, port: int, path: str) -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=self.timing.connect_seconds)
        try:
            connection.connect()
            assert connection.sock is not None
            connection.sock.settimeout(self.timing.answer_seconds)
            connection.request("GET", path)
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _publish(self) -> None:
        opinions = {asked: opinion.healthy for asked, opinion in self.opinions.items()}
        now = {region: gets_customers(region, opinions) for region in _REGIONS}
        names = Path(self.plan["names"])
        new = names.with_suffix(".new")
        new.write_text(json.dumps(now))
        new.replace(names)
        at = round(time.monotonic() - self.plan["epoch"], 2)
        with Path(self.plan["changes"]).open("a") as file:
            for region in _REGIONS:
                if now[region] != self.told[region]:
                    file.write(json.dumps({"at": at, "region": region, "healthy": now[region]}) + "\n")
        self.told = now


def main(plan_path: str) -> None:
    """Check until killed."""
    plan = json.loads(Path(plan_path).read_text())
    timing = Timing(**plan["timing"])
    asked = [(region, question) for region in _REGIONS for question in QUESTIONS]
    checker = _Checker(plan, timing, {each: Opinion(timing.threshold) for each in asked})
    threads = [threading.Thread(target=checker.check_for_ever, args=each) for each in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
