"""The figures that a drill has to reach, by the kind of fault; a target is judged only where it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tests.drill.figures import Figures
from tests.drill.run_read import Violation

#: baseline: nothing breaks. server: a server, a load balancer or a region's servers are lost. database: the link or the
#: database is lost or slow. region: a region is lost for good. release: planned. other: what fits none.
FaultKind = Literal["baseline", "server", "database", "region", "release", "other"]

#: Routes that are read or paid by the customers, as the servers' logs name them.
PAGE: Final = "GET /accounts/<number>"
PAYMENT: Final = "POST /api/v1/transfers"
#: The fabric's lateness in milliseconds above which no latency of a run is stated.
MOST_LATE_MS: Final = 20.0

Times = dict[str, tuple[int, float, float]]


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, what was, and whether that will do."""

    what: str
    reach: str
    found: str
    reached: bool
    #: It says how fast this machine was as well: a gate that has other machines cannot ask for it.
    timed: bool = True


def judge(
    kind: FaultKind, found: Figures, violations: list[Violation], *, secured: bool, far: Times, valid_latency: bool
) -> list[Target]:
    """The targets that this run measures; `far` are the times at the servers of the region without the primary."""
    targets = [
        _at_most("errors after retry", 0, found.errors_after_retry, timed=False),
        _at_most("broken promises", 0, len(violations), timed=False),
    ]
    if kind == "server":
        targets.append(_at_least("done within 2 s, %", 99.9, found.soon_percent))
    if kind == "database":
        targets.append(_at_least("pages done within 2 s, %", 99, found.soon_pages_percent))
        targets.append(_at_least("payments done within 2 s, %", 95, found.soon_payments_percent))
    if kind == "region":
        gap = max(found.longest_gap_seconds.values(), default=0.0)
        targets.append(_at_most("longest gap in payments, s", 5, gap))
    if kind == "release":
        targets.append(_at_most("first-try errors", 0, found.first_try_errors))
    if kind == "baseline" and valid_latency:
        targets += _latencies(found, far, secured=secured)
    return targets


def _latencies(found: Figures, far: Times, *, secured: bool) -> list[Target]:
    targets = []
    if PAGE in far:
        _, half, most = far[PAGE]
        targets += [
            _at_most("far page at the server, p50 ms", 8, half),
            _at_most("far page at the server, p99 ms", 40, most),
        ]
    if PAYMENT in far and not secured:
        _, half, most = far[PAYMENT]
        targets.append(_at_most("far payment at the server, p50 ms", 75, half))
        targets.append(_at_most("far payment at the server, p99 ms", 120, most))
    if secured:
        # At the customer, who is a little further away than the server: stricter than what is asked for.
        for name, (half, _) in found.latency_ms.items():
            if name.startswith("pay "):
                targets.append(_at_most(f"secured payment from the {name[4:]}, p50 ms", 85, half))
    return targets


def _at_most(what: str, most: float, found: float, *, timed: bool = True) -> Target:
    return Target(what, f"≤ {most:g}", f"{found:g}", found <= most, timed)


def _at_least(what: str, least: float, found: float | None) -> Target:
    if found is None:
        return Target(what, f"≥ {least:g}", "nobody asked", reached=False)
    return Target(what, f"≥ {least:g}", f"{found:g}", found >= least)
