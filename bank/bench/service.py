"""Measure what is asked for, round by round, each time right after its reference."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from bank.bench.figures import Figure, Run
from bank.bench.place import Item, Place, Plan, file_system, sync_us
from bank.bench.subjects import Subject, stages

#: Told before each step what begins.
Progress = Callable[[str], object]


def steps(subjects: Sequence[Subject], plan: Plan) -> int:
    """How often `measure` tells its progress: for each stage once, and for each round of each measurement."""
    rounds = [
        (1 if subject.once else plan.rounds) * (len(plan.servings) if subject.served else 1) for subject in subjects
    ]
    return len(stages(subjects)) + sum(rounds)


def measure(subjects: Sequence[Subject], plan: Plan, progress: Progress) -> tuple[list[Figure], dict[str, Any]]:
    """The figures in the order of their subjects, and the machine that they are of."""
    by_name = {subject.name: subject for subject in subjects}
    figures: list[Figure] = []
    with Place(plan) as place:
        about = machine(place)
        for stage, names in stages(subjects):
            progress(f"preparing {min(names)}")
            with stage(place, names) as items:
                figures += _rounds(items, by_name, plan, progress)
        about["load_average_after"] = os.getloadavg()[0]
    return sorted(figures, key=lambda figure: list(by_name).index(figure.name)), about


def _rounds(items: list[Item], subjects: dict[str, Subject], plan: Plan, progress: Progress) -> list[Figure]:
    """One of each, and again: what disturbs the machine for a while disturbs a round of everything."""
    taken: list[tuple[Item, list[tuple[Run | None, Run]]]] = [(item, []) for item in items]
    for turn in range(plan.rounds):
        for item, rounds in taken:
            if turn and subjects[item.name].once:
                continue
            progress(f"{item.name} {item.variant}".strip())
            before = item.before(plan.seconds) if item.before else None
            rounds.append((before, item.run(plan.seconds)))
    return [
        Figure(item.name, item.variant, about.unit, about.database, about.against, tuple(rounds))
        for item, rounds in taken
        for about in (subjects[item.name],)
    ]


def machine(place: Place) -> dict[str, Any]:
    """What the figures depend on besides the bank: processors, disk, versions, and how busy it was."""
    return {
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system": file_system(place.directory),
        "sync_us": round(sync_us(place.directory)),
        "load_average_before": os.getloadavg()[0],
        **{
            name: version(name)
            for name in ("retail-bank", "sqlalchemy", "psycopg2-binary", "pymysql", "flask", "gunicorn")
        },
    }
