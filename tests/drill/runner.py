"""Runs scenarios: the estate up, customers at it, a fault, healing, and then what became of every payment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.drill import history, namespaces, report
from tests.drill.bank_data import make_bank
from tests.drill.check import check
from tests.drill.estate import Estate
from tests.drill.ledger_read import Opening, read_ledger
from tests.drill.report import Judged, Run
from tests.drill.route53 import COMPRESSED, REAL, Route53
from tests.drill.run_read import Violation
from tests.drill.scenarios import SECURED_SECONDS, Scenario
from tests.drill.scene import DidNotBite, Scene
from tests.drill.timeline import Mark
from tests.drill.topology import ROOT, account

#: How long a run may take beyond its load: the estate up and down, what was given up on, and the check.
SPARE_SECONDS: Final = 240
#: How long customers go on after the last wish: their patience, a pause, and their patience again.
_PATIENCE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Options:
    """How to run; `seconds` of load at least, `rate` wishes a second; `old` is the release that a new one replaces."""

    seed: int = 1
    seconds: int = 70
    rate: float = 50.0
    engine: str = "postgresql"
    secured: bool | None = None
    reports: Path = Path("build/drill")
    #: Empty: the one before the schema was last changed.
    old: str = ""
    #: Route 53 as AWS has it, every 10 s with names kept for a minute, and not every second.
    real_dns: bool = False


class Overrun(Exception):
    """It took longer than any run should."""


def run(scenario: Scenario, options: Options) -> Judged:
    """Run one scenario and write its report; whatever happens, nothing of it is left running.

    Raises:
        InUse: another run of the drill is on this machine.
        Overrun: it would not end.
    """
    place = options.reports / f"{scenario.name}-{options.engine}-{options.seed}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    began = time.monotonic()
    with _bounded(_seconds(scenario, options) + SPARE_SECONDS), _working_directory(place) as directory:
        made = _act(scenario, options, directory)
        made["violations"] += _left_over()
        made["seconds"] = round(time.monotonic() - began, 1)
        told = Run(scenario=scenario.name, kind=scenario.kind, seed=options.seed, engine=options.engine, **made)
        return report.report(told, place)


def _act(scenario: Scenario, options: Options, directory: Path) -> dict[str, Any]:
    """All that happens while the estate is up; answers what the report is made of."""
    secured = scenario.secured if options.secured is None else options.secured
    plan: dict[str, Any] = {}
    told = dict(scenario.estate)
    if "packages" in told:
        told["packages"] = {"old": options.old or _before_the_last_migration(), "new": ""}

    def furnish(url: str) -> None:
        plan.update(make_bank(url, seed=options.seed))
        if scenario.spoil:
            [modules] = estate.packages["new"].folder.glob("lib/python*/site-packages")
            scenario.spoil(modules)

    estate = Estate(
        directory,
        engine=options.engine,
        seed_bank=furnish,
        secured_seconds=SECURED_SECONDS if secured else 0,
        **told,
    )
    with estate:
        scene, load_says = _with_customers(scenario, options, directory, estate, plan)
        healed_at = scene.instant("healed", last=True)
        events = history.read(directory / "history.jsonl")
        opening = Opening.of(plan)
        ledger = read_ledger(estate.databases.primary.local_url("app"), opening)
        missing = [proof for proof in scenario.proofs if proof not in scene.proven]
        return {
            "command": command(scenario, options),
            "history": events,
            "violations": check(events, ledger, opening, healed_at=healed_at),
            "proof": "" if missing else "; ".join(dict.fromkeys(scene.says[proof] for proof in scenario.proofs)),
            "late_ms_max": estate.network.late_us_max() / 1000,
            "fault_at": scene.instant("fault"),
            "marks": [Mark(mark.at, mark.what) for mark in scene.marks if mark.kind in ("fault", "healed", "note")],
            "secured": secured,
            "logs": {name: [server.log for server in region.servers] for name, region in estate.regions.items()},
            "facts": {
                "estate": estate.facts(),
                "load": load_says,
                "route53": scene.route53.changes(),
                "dns": "as AWS has it" if options.real_dns else "compressed: every 1 s, twice, no name kept",
                "happened": [[mark.at, mark.kind, mark.what] for mark in scene.marks],
                "not proven": missing,
            },
            "must_break": sorted(scenario.must_break),
            "may_break": sorted(scenario.may_break),
        }


def _before_the_last_migration() -> str:
    """The last commit whose schema was another one."""
    words = ["git", "rev-list", "-1", "HEAD", "--", "migrations/versions"]
    last = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    return f"{last}^"


def _with_customers(
    scenario: Scenario, options: Options, directory: Path, estate: Estate, plan: dict[str, Any]
) -> tuple[Scene, dict[str, Any]]:
    """Let customers come, play the scenario, and wait until the last one has been answered."""
    addresses = {name: region.balancer.address for name, region in estate.regions.items()}
    timing = REAL if options.real_dns else COMPRESSED

    def outside(name: str) -> Callable[[Any], subprocess.Popen[bytes]]:
        return lambda words: estate.network.run("customer", words, log=directory / f"{name}.log", user="root", cwd=ROOT)

    if scenario.prepare:
        # What it does is no part of the run.
        scenario.prepare(Scene(estate, Route53(addresses, directory, outside("route53")), time.monotonic()))
    epoch = time.monotonic()
    with Route53(addresses, directory, outside("route53"), timing=timing, epoch=epoch) as route53:
        plan |= {
            "seed": options.seed, "rate": options.rate, "seconds": _seconds(scenario, options), "addresses": addresses,
            "names": str(route53.names), "ttl_seconds": timing.ttl_seconds, "epoch": epoch,
        }  # fmt: skip
        (directory / "plan.json").write_text(json.dumps(plan))
        estate.network.forget_lateness()
        words = [sys.executable, "-m", "tests.drill.load", directory / "plan.json", directory / "history.jsonl"]
        load = outside("load")(words)
        scene = Scene(estate, route53, epoch)
        try:
            _play(scenario, scene)
            load.wait(max(0.0, _seconds(scenario, options) - scene.now()) + _PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            # What they still wait for has no end in the history, and is judged so.
            scene.note("customers were sent away: they would not have been served")
        finally:
            if load.poll() is None:
                load.kill()
                load.wait()
    return scene, _last_line(directory / "load.log")


def _play(scenario: Scenario, scene: Scene) -> None:
    """Break things; a fault that did not bite fails the run, but not before everything else has been looked at."""
    try:
        scenario.play(scene)
    except DidNotBite as problem:
        scene.note(str(problem))
        scene.estate.network.heal()


def command(scenario: Scenario, options: Options) -> str:
    """What runs it again: the seed decides who wants what when; the machine, and what it does meanwhile, is its own."""
    words = ["python -m tests.drill run", scenario.name, f"--seed {options.seed}"]
    words.append(f"--seconds {_seconds(scenario, options)}")
    if options.engine != "postgresql":
        words.append(f"--engine {options.engine}")
    if options.secured is not None:
        words.append("--secured" if options.secured else "--no-secured")
    if options.real_dns:
        words.append("--real-dns")
    return " ".join(words)


def unexpected(scenario: Scenario, found: Judged) -> list[Violation]:
    """Broken promises that this scenario neither has to break nor may."""
    allowed = scenario.must_break | scenario.may_break
    return [violation for violation in found.run.violations if violation.rule not in allowed]


def _seconds(scenario: Scenario, options: Options) -> int:
    return max(options.seconds, scenario.least_seconds)


def _left_over() -> list[Violation]:
    """What the estate should have taken away with it."""
    return [Violation("left", host, "The host is still there.") for host in namespaces.present()]


def _last_line(log: Path) -> dict[str, Any]:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    try:
        said: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        return {"said": lines[-20:]}
    return said


@contextmanager
def _working_directory(place: Path) -> Iterator[Path]:
    """A directory with a short name, for sockets; its logs and the history are kept in `place`."""
    directory = Path(tempfile.mkdtemp(prefix="drill-", dir="/tmp"))
    owner = account()
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        for pattern in ("*.log", "*.jsonl"):
            for path in directory.rglob(pattern):
                shutil.copyfile(path, place / path.name)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _bounded(seconds: int) -> Iterator[None]:
    def over(_number: int, _frame: object) -> None:
        raise Overrun(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
