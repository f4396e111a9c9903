"""`python -m tests.drill`: both regions on this machine, broken on purpose."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.drill import report, runner, topology
from tests.drill.namespaces import InUse
from tests.drill.report import Judged
from tests.drill.runner import Options
from tests.drill.scenarios import ENGINES, SCENARIOS, SMOKE, Scenario

#: What automake and others take for "skipped": neither passed nor failed.
SKIPPED: Final = 77
_SMOKE_SECONDS: Final = 30


def main(words: Sequence[str] | None = None) -> int:
    """Exit status: 0 when all passed, 1 when one did not, 77 when this machine cannot run the drill."""
    asked = _parser().parse_args(words)
    if asked.what == "list":
        sys.stdout.writelines(f"{each.name:26} {each.about}\n" for each in SCENARIOS.values())
        return 0
    if lacking := topology.missing(asked.engine):
        sys.stderr.write(f"SKIPPED: {lacking}.\n")
        return SKIPPED
    scenarios = _chosen(asked)
    options = _options(asked)
    return _run_all(scenarios, options, timed=asked.what != "smoke")


def _run_all(scenarios: Iterable[Scenario], options: Options, *, timed: bool) -> int:
    runs: list[Judged] = []
    failed: list[str] = []
    for scenario in scenarios:
        _say(f"{scenario.name}: {scenario.about}")
        try:
            found = runner.run(scenario, options)
        except InUse as busy:
            sys.stderr.write(f"{busy}\n")
            return 1
        except Exception:  # noqa: BLE001  # one that could not be run is no reason to leave out the others
            failed.append(scenario.name)
            traceback.print_exc()
            continue
        runs.append(found)
        if not _tell(scenario, found, timed=timed):
            failed.append(scenario.name)
        _write_table(runs, options.reports)
    _say(f"passed: {len(runs) - len([each for each in failed if each in {r.run.scenario for r in runs}])}")
    if failed:
        _say(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


def _tell(scenario: Scenario, found: Judged, *, timed: bool) -> bool:
    """Say how it went; answers whether it passed: `timed`, whether it was fast enough as well."""
    for at, kind, what in found.run.facts["happened"]:
        _say(f"  {at:7.2f} s  {kind:6}  {what}")
    for proof in found.run.facts["not proven"]:
        _say(f"  NOT PROVEN: {proof}")
    for target in found.targets:
        _say(f"  {'reached' if target.reached else 'MISSED '}  {target.what}: {target.found} ({target.reach})")
    strange = runner.unexpected(scenario, found)
    for violation in strange[:10]:
        _say(f"  BROKEN  {violation.rule}, {violation.subject}: {violation.sentence}")
    passed = (found.passed if timed else found.sound) and not strange
    _say(f"  {'passed' if passed else 'FAILED'} in {found.run.seconds:.0f} s: {found.run.command}")
    return passed


def _write_table(runs: list[Judged], reports: Path) -> None:
    (reports / "summary.md").write_text(report.table(runs))
    (reports / "summary.json").write_text(json.dumps([report.as_json(each) for each in runs], indent=2) + "\n")


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _chosen(asked: argparse.Namespace) -> list[Scenario]:
    if asked.what == "run":
        chosen = [SCENARIOS[name] for name in asked.names]
    elif asked.what == "smoke":
        chosen = [SCENARIOS[name] for name in SMOKE]
    else:
        chosen = list(SCENARIOS.values())
    return [scenario for scenario in chosen if asked.engine in scenario.engines]


def _options(asked: argparse.Namespace) -> Options:
    seconds = asked.seconds or (_SMOKE_SECONDS if asked.what == "smoke" else Options().seconds)
    return Options(
        seed=asked.seed, seconds=seconds, rate=asked.rate, engine=asked.engine, secured=asked.secured,
        reports=asked.report, old=asked.old, real_dns=asked.real_dns,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.drill", description="Break both regions on this machine, on purpose."
    )
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("list", help="say what there is")
    one = what.add_parser("run", help="run the scenarios named")
    one.add_argument("names", nargs="+", choices=sorted(SCENARIOS), metavar="NAME")
    few = what.add_parser(
        "smoke", help=f"run {', '.join(SMOKE)}, on any machine: how fast it was is told, and not asked for"
    )
    everything = what.add_parser("all", help="run every scenario, one after the other")
    for each in (one, few, everything):
        _add_options(each)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    usual = Options()
    parser.add_argument("--seed", type=int, default=usual.seed, help="who wants what, and when (%(default)s)")
    parser.add_argument("--seconds", type=int, default=0, help="how long customers come; a scenario may need more")
    parser.add_argument("--rate", type=float, default=usual.rate, help="wishes a second (%(default)s)")
    parser.add_argument("--engine", choices=ENGINES, default=usual.engine, help="%(default)s, or the other")
    parser.add_argument("--secured", action=argparse.BooleanOptionalAction, help="confirm what the other region has")
    parser.add_argument("--report", type=Path, default=usual.reports, help="where reports go (%(default)s)")
    parser.add_argument(
        "--old",
        default=usual.old,
        help="the release that a new one replaces (default: the one before the last migration)",
    )
    parser.add_argument("--real-dns", action="store_true", help="check as Route 53 does, and keep names for a minute")


if __name__ == "__main__":
    sys.exit(main())
