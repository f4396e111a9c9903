"""What a run measured, and what several runs of it say together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_MICRO: Final = 1_000_000
_MILLI: Final = 1_000


@dataclass(frozen=True, slots=True)
class Run:
    """A few seconds of one operation over and over. CPU and durations in seconds; None: there is no such part.

    `application_cpu` is that of the bank's own processes. `generator_cpu` is what only made the load: it is told,
    and is no part of an operation's cost. `waits` are how long each call took, which may be many operations.
    """

    operations: int
    seconds: float
    database_cpu: float | None
    application_cpu: float
    generator_cpu: float | None = None
    waits: Sequence[float] = ()
    #: What else was seen, by a name that ends with its unit.
    seen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.operations <= 0 or self.seconds <= 0:
            raise AssertionError("nothing was measured")

    @property
    def per_second(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds

    @property
    def cpu_us(self) -> float:
        """What an operation costs the database and the bank together, in microseconds of CPU."""
        return self.micros((self.database_cpu or 0) + self.application_cpu)

    def micros(self, cpu: float) -> float:
        """Seconds of CPU in all as microseconds per operation."""
        return cpu / self.operations * _MICRO

    def wait_ms(self, percent: int) -> float | None:
        """The wait that so many of a hundred calls did not exceed, in milliseconds."""
        if not self.waits:
            return None
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * _MILLI


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several rounds, and the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """The spread of what was measured; None when nothing was."""
        known = [value for value in values if value is not None]
        return cls(statistics.median(known), min(known), max(known)) if known else None

    def as_json(self) -> dict[str, float]:
        """The same, to four digits."""
        return {name: float(f"{getattr(self, name):.4g}") for name in ("median", "least", "most")}


@dataclass(frozen=True, slots=True)
class Figure:
    """All rounds of one measurement, each with the run of its reference that came right before it.

    `variant` says how it was served, or how big the bank was; `against` what the reference is.
    """

    name: str
    variant: str
    unit: str
    database: str
    against: str
    rounds: tuple[tuple[Run | None, Run], ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """The rounds without their references."""
        return tuple(run for _, run in self.rounds)

    def per_second(self) -> Spread | None:
        """Operations per second."""
        return Spread.of(run.per_second for run in self.runs)

    def wait_ms(self, percent: int) -> Spread | None:
        """A percentile of how long calls took, in milliseconds."""
        return Spread.of(run.wait_ms(percent) for run in self.runs)

    def cpu_us(self, part: str) -> Spread | None:
        """Microseconds of CPU per operation of `database`, `application` or `generator`."""
        values = ((run, getattr(run, f"{part}_cpu")) for run in self.runs)
        return Spread.of(run.micros(cpu) for run, cpu in values if cpu is not None)

    def cpu_ratio(self) -> Spread | None:
        """The reference's CPU per operation to this one's, round by round: above 1, this one is cheaper."""
        return Spread.of(before.cpu_us / run.cpu_us for before, run in self.rounds if before)

    def rate_ratio(self) -> Spread | None:
        """This one's operations per second to the reference's, round by round: above 1, this one is quicker."""
        return Spread.of(run.per_second / before.per_second for before, run in self.rounds if before)

    def as_json(self) -> dict[str, Any]:
        """All that is known, with the key left out where nothing was measured."""
        told: dict[str, Spread | None] = {
            "per_second": self.per_second(),
            "p50_ms": self.wait_ms(50),
            "p99_ms": self.wait_ms(99),
            "cpu_us": Spread.of(run.cpu_us for run in self.runs),
            **{f"{part}_cpu_us": self.cpu_us(part) for part in ("database", "application", "generator")},
            "cpu_ratio": self.cpu_ratio(),
            "rate_ratio": self.rate_ratio(),
            "reference_cpu_us": Spread.of(before.cpu_us for before, _ in self.rounds if before),
            "reference_per_second": Spread.of(before.per_second for before, _ in self.rounds if before),
            **{name: Spread.of(run.seen.get(name) for run in self.runs) for name in sorted(self.seen())},
        }
        return {
            **{name: getattr(self, name) for name in ("name", "variant", "unit", "database", "against")},
            "rounds": len(self.rounds),
            "operations": sum(run.operations for run in self.runs),
            **{name: spread.as_json() for name, spread in told.items() if spread},
        }

    def seen(self) -> set[str]:
        """The names of what else was seen."""
        return {name for run in self.runs for name in run.seen}


_COLUMNS: Final = (
    "", "per second", "p50 ms", "p99 ms", "db µs", "bank µs", "load µs", "CPU ratio", "rate ratio"
)  # fmt: skip


def table(figures: Iterable[Figure]) -> list[str]:
    """The figures as lines of one table: medians, and behind two of them the least and the most."""
    rows = [list(_COLUMNS)]
    for figure in figures:
        rows.append(
            [
                f"{figure.name} {figure.variant}".strip(),
                _spread(figure.per_second()),
                *(_plain(figure.wait_ms(percent)) for percent in (50, 99)),
                *(_plain(figure.cpu_us(part)) for part in ("database", "application", "generator")),
                _spread(figure.cpu_ratio()),
                _plain(figure.rate_ratio()),
            ]
        )
        for name in sorted(figure.seen()):
            spread = _spread(Spread.of(run.seen.get(name) for run in figure.runs))
            rows.append([f"  {name}", spread, *[""] * (len(_COLUMNS) - 2)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return [_line(row, widths).rstrip() for row in rows]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    (first, *rest), (width, *others) = cells, widths
    return "  ".join([f"{first:{width}}", *(f"{cell:>{w}}" for cell, w in zip(rest, others, strict=True))])


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return f"{_short(spread.median)} ({_short(spread.least)}–{_short(spread.most)})"


def _plain(spread: Spread | None) -> str:
    return _short(spread.median) if spread else "-"


def _short(value: float) -> str:
    """
    >>> [_short(value) for value in (12345.6, 123.4, 12.34, 1.234, 0.01234)]
    ['12,346', '123', '12.3', '1.23', '0.012']
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
