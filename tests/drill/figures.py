"""A run in figures: how many were served how soon, how many tries it took, and for how long nobody could pay."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.drill.check import answered
from tests.drill.history import Event, Operation, operations

#: What counts as soon, and over which time after a fault it is counted.
SOON_SECONDS: Final = 2.0
WINDOW_SECONDS: Final = 60.0
_READS: Final = ("page", "total")
_PAYMENT: Final = "/api/v1/transfers"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of everything that customers asked, the looking up of what they gave up on left out; percentages, seconds, ms."""

    requests: int
    attempts: int
    first_try_errors: int
    errors_after_retry: int
    given_up: int
    #: All, pages (with totals) and payments, of those asked within the window; None where nobody asked.
    soon_percent: float | None
    soon_pages_percent: float | None
    soon_payments_percent: float | None
    #: Between two accepted payments of customers of each region.
    longest_gap_seconds: dict[str, float]
    #: How often a try failed, by where and how.
    failed_tries: dict[str, int]
    #: p50 and p99 as customers see them, by what was asked and who answered; only what needed one try.
    latency_ms: dict[str, tuple[float, float]]


def figures(history: Iterable[Event], *, fault_at: float | None = None) -> Figures:
    """Count; the window is the 60 s from `fault_at` on, or without a fault the whole run."""
    asked = [each for each in operations(history) if each.asked.f != "look_up"]
    first = fault_at if fault_at is not None else 0.0
    last = fault_at + WINDOW_SECONDS if fault_at is not None else math.inf
    within = [each for each in asked if first <= each.asked.at < last]
    pages = [each for each in within if each.asked.f in _READS]
    payments = [each for each in within if each.asked.f == "pay"]
    return Figures(
        requests=len(asked),
        attempts=sum(each.ended.attempt for each in asked if each.ended),
        first_try_errors=sum(1 for each in asked if not answered(each) or (each.ended and each.ended.attempt > 1)),
        errors_after_retry=sum(1 for each in asked if not answered(each)),
        given_up=sum(1 for each in asked if each.outcome == "info"),
        soon_percent=_soon(within),
        soon_pages_percent=_soon(pages),
        soon_payments_percent=_soon(payments),
        longest_gap_seconds={home: _longest_gap(asked, home) for home in sorted({each.asked.home for each in asked})},
        failed_tries=_failed_tries(asked),
        latency_ms=_latencies(asked),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent do not exceed.

    >>> percentile([1, 2, 3, 4], 50), percentile([1, 2, 3, 4], 99)
    (2, 4)
    """
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


def server_times(logs: Iterable[Path]) -> dict[str, tuple[int, float, float]]:
    """How many requests of each route the application's own logs tell of, and their p50 and p99 in milliseconds.

    Those before the first payment are left out: the servers had just been started.
    """
    lines = [told for log in logs for told in _requests(log)]
    first = min((told["at"] for told in lines if told["route"] == _PAYMENT), default="")
    times: defaultdict[str, list[float]] = defaultdict(list)
    for told in lines:
        if told["at"] >= first:
            times[f"{told['method']} {told['route']}"].append(told["milliseconds"])
    return {route: (len(found), percentile(found, 50), percentile(found, 99)) for route, found in sorted(times.items())}


def _requests(log: Path) -> list[dict[str, Any]]:
    lines = [_log_line(line) for line in log.read_text(errors="replace").splitlines()]
    return [told for told in lines if told.get("route") and told.get("status", 500) < 400]


def _log_line(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        # What was cut off when its process was killed.
        return {}
    return told if isinstance(told, dict) else {}


def _soon(asked: Sequence[Operation]) -> float | None:
    if not asked:
        return None
    soon = sum(1 for each in asked if answered(each) and each.ended and each.ended.at - each.asked.at <= SOON_SECONDS)
    return round(100 * soon / len(asked), 3)


def _longest_gap(asked: Sequence[Operation], home: str) -> float:
    """Without an accepted payment of this region's customers, from the first time that one asked to the last end."""
    own = [each for each in asked if each.asked.home == home and each.asked.f == "pay"]
    if not own:
        return 0.0
    ends = [each.ended.at for each in own if each.ended]
    accepted = sorted(each.ended.at for each in own if each.ended and each.outcome == "ok")
    moments = [own[0].asked.at, *accepted, max(ends, default=own[-1].asked.at)]
    return round(max((after - before for before, after in itertools.pairwise(moments)), default=0.0), 2)


def _failed_tries(asked: Sequence[Operation]) -> dict[str, int]:
    failed = Counter(
        f"{region} {status}"
        for each in asked
        if each.ended
        for _, region, status, _ in each.ended.tries[: len(each.ended.tries) - answered(each)]
    )
    return dict(failed.most_common())


def _latencies(asked: Sequence[Operation]) -> dict[str, tuple[float, float]]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    for each in asked:
        if each.outcome == "ok" and each.ended and each.ended.attempt == 1 and each.ended.latency_ms is not None:
            times[f"{each.asked.f} {each.ended.region}"].append(each.ended.latency_ms)
    return {name: (percentile(found, 50), percentile(found, 99)) for name, found in sorted(times.items())}
