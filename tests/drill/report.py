"""What a run leaves behind: report.json, report.md and timeline.svg in its directory; and one table of several runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.drill.figures import Figures, figures, server_times
from tests.drill.history import Event
from tests.drill.run_read import Violation
from tests.drill.targets import MOST_LATE_MS, FaultKind, Target, judge
from tests.drill.timeline import Mark, draw

_HEADINGS: Final = (
    "scenario", "seed", "requests", "attempts", "first-try errors", "errors after retry", "within 2 s, %",
    "pages / payments, %", "lost", "twice", "phantom", "totals", "stale", "other", "longest gap east / west, s",
    "proof", "late ms", "s", "passed",
)  # fmt: skip
_COLUMNS: Final = {"lost": "lost", "twice": "duplicate", "phantom": "phantom", "totals": "total", "stale": "stale"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a scenario, before it is judged."""

    scenario: str
    kind: FaultKind
    seed: int
    #: How to run it again.
    command: str
    history: Sequence[Event]
    violations: Sequence[Violation]
    #: What shows that the fault bit; empty: nothing does, and the run does not count.
    proof: str
    #: Seconds that the whole run took, and how late packets were at worst, in milliseconds.
    seconds: float
    late_ms_max: float
    fault_at: float | None = None
    marks: Sequence[Mark] = ()
    engine: str = "postgresql"
    secured: bool = False
    #: The servers' logs, by region, and the region without the primary.
    logs: dict[str, Sequence[Path]] = field(default_factory=dict)
    far: str = "west"
    #: Whatever else was measured or configured: versions, timings, whether health checks were compressed.
    facts: dict[str, Any] = field(default_factory=dict)
    #: Rules whose breach the scenario expects, and fails without; and those that it cannot keep, and only counts.
    must_break: Sequence[str] = ()
    may_break: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A run and what came of it."""

    run: Run
    figures: Figures
    targets: list[Target]
    at_servers: dict[str, dict[str, tuple[int, float, float]]]

    @property
    def sound(self) -> bool:
        """The fault bit, no promise was broken, and what had to be found was found; however long it took."""
        found = {each.rule for each in self.run.violations}
        kept = all(each.reached for each in self.targets if not each.timed)
        return bool(self.run.proof) and set(self.run.must_break) <= found and kept

    @property
    def passed(self) -> bool:
        """It is sound, and fast enough."""
        return self.sound and all(each.reached for each in self.targets)


def judged(run: Run) -> Judged:
    """The run in figures, beside what it had to reach."""
    found = figures(run.history, fault_at=run.fault_at)
    at_servers = {region: server_times(logs) for region, logs in run.logs.items()}
    unforgiven = [each for each in run.violations if each.rule not in {*run.may_break, *run.must_break}]
    targets = judge(
        run.kind, found, unforgiven, secured=run.secured, far=at_servers.get(run.far, {}),
        valid_latency=run.late_ms_max <= MOST_LATE_MS,
    )  # fmt: skip
    return Judged(run, found, targets, at_servers)


def report(run: Run, directory: Path) -> Judged:
    """Write the run's three files, and answer how it went."""
    found = judged(run)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.json").write_text(json.dumps(as_json(found), indent=2) + "\n")
    (directory / "report.md").write_text(_page(found))
    title = f"{run.scenario}, seed {run.seed}, {run.engine}{', secured' if run.secured else ''}"
    (directory / "timeline.svg").write_text(draw(title, run.history, run.marks))
    return found


def table(runs: Iterable[Judged]) -> str:
    """One Markdown row for each run."""
    rows = [_HEADINGS, ["---"] * len(_HEADINGS), *(_row(each) for each in runs)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def as_json(found: Judged) -> dict[str, Any]:
    """All of it but the history, which has a file of its own."""
    run = found.run
    plain = ("scenario", "kind", "seed", "command", "engine", "secured", "proof", "seconds", "late_ms_max", "fault_at")
    return {
        **{name: getattr(run, name) for name in plain},
        "passed": found.passed,
        "must_break": list(run.must_break),
        "may_break": list(run.may_break),
        "figures": asdict(found.figures),
        "targets": [asdict(target) for target in found.targets],
        "violations": [asdict(violation) for violation in run.violations],
        "marks": [asdict(mark) for mark in run.marks],
        "at_servers": found.at_servers,
        "facts": run.facts,
    }


def _row(found: Judged) -> list[str]:
    run, counted = found.run, found.figures
    broken = Counter(each.rule for each in run.violations)
    other = sum(count for rule, count in broken.items() if rule not in _COLUMNS.values())
    name = (
        f"{run.scenario}{' (secured)' if run.secured else ''}{'' if run.engine == 'postgresql' else f' ({run.engine})'}"
    )
    soon = f"{_percent(counted.soon_pages_percent)} / {_percent(counted.soon_payments_percent)}"
    gaps = " / ".join(f"{counted.longest_gap_seconds.get(home, 0):g}" for home in ("east", "west"))
    return [
        name, str(run.seed), str(counted.requests), str(counted.attempts), str(counted.first_try_errors),
        str(counted.errors_after_retry), _percent(counted.soon_percent), soon,
        *(str(broken[rule]) for rule in _COLUMNS.values()), str(other), gaps,
        _cell(run.proof) or "**none**", f"{run.late_ms_max:.0f}", f"{run.seconds:.0f}", "yes" if found.passed else "**no**",
    ]  # fmt: skip


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _page(found: Judged) -> str:
    run = found.run
    parts = [f"# {run.scenario}: {'passed' if found.passed else 'failed'}\n", f"`{run.command}`\n", table([found])]
    parts.append("| target | reach | found | |\n| --- | --- | --- | --- |\n" + "".join(
        f"| {each.what} | {each.reach} | {each.found} | {'reached' if each.reached else '**missed**'} |\n"
        for each in found.targets
    ))  # fmt: skip
    if run.late_ms_max > MOST_LATE_MS:
        parts.append(f"Packets came up to {run.late_ms_max:.0f} ms late: no latency of this run is to be stated.\n")
    if failed := found.figures.failed_tries:
        parts.append("Tries that failed: " + ", ".join(f"{where} {count}" for where, count in failed.items()) + ".\n")
    parts.append("| as customers see it, first try | p50 ms | p99 ms |\n| --- | --- | --- |\n" + "".join(
        f"| {name} | {half:g} | {most:g} |\n" for name, (half, most) in found.figures.latency_ms.items()
    ))  # fmt: skip
    for region, times in found.at_servers.items():
        parts.append(f"| at the servers of the {region} | requests | p50 ms | p99 ms |\n| --- | --- | --- | --- |\n" + "".join(
            f"| `{route}` | {count} | {half:g} | {most:g} |\n" for route, (count, half, most) in times.items()
        ))  # fmt: skip
    if run.violations:
        parts.append("## Broken promises\n")
        parts.append("".join(f"* {each.rule}, {each.subject}: {each.sentence}\n" for each in run.violations[:100]))
        if len(run.violations) > 100:
            parts.append(f"… and {len(run.violations) - 100} more in report.json.\n")
    parts.append("![Timeline](timeline.svg)\n")
    return "\n".join(parts)
