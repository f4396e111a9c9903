"""`bank bench`: what the bank's operations cost on this machine, beside references measured in turn."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from bank.bench import service
from bank.bench.figures import table
from bank.bench.place import Plan, Serving
from bank.bench.processes import ended_in_order
from bank.bench.subjects import GROUPS, NAMES, Subject, chosen, missing

_DATABASES: Final = ("postgresql", "mysql", "sqlite")
_CLASSES: Final = ("sync", "gthread", "gevent")
#: A load average per processor above which other work bears on the figures.
_BUSY: Final = 0.25


class ServingShape(click.ParamType[Serving]):
    """`gthread:2x8`: the class of the workers, how many, and the threads of each."""

    name = "CLASS:WORKERSxTHREADS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Serving:
        """Read it. Raises: click.BadParameter."""
        found = re.fullmatch(rf"({'|'.join(_CLASSES)}):([1-9]\d?)x([1-9]\d{{0,2}})", value)
        if found is None:
            self.fail(f"must be like gthread:2x8, with one of {', '.join(_CLASSES)}.", param, ctx)
        return Serving(found[1], int(found[2]), int(found[3]))


class Setting(click.ParamType[tuple[str, str]]):
    """`GROUP_COMMIT_MOST=1`."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Read it. Raises: click.BadParameter."""
        name, equals, text = value.partition("=")
        if not equals or not re.fullmatch(r"[A-Z_]+", name):
            self.fail("must be like GROUP_COMMIT_MOST=1.", param, ctx)
        return name, text


@click.command()
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([*GROUPS, *NAMES]),
    metavar="NAME",
    help="Measure this, or this group; may be given more than once. --list shows the names.",
)
@click.option(
    "--database",
    "databases",
    multiple=True,
    type=click.Choice(_DATABASES),
    help="Measure on this database alone; may be given more than once.",
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100), help="How often each is measured.")
@click.option("--seconds", default=3, show_default=True, type=click.IntRange(1, 600), help="For how long each time.")
@click.option(
    "--serving",
    "servings",
    multiple=True,
    type=ServingShape(),
    help="Serve like gthread:2x8; given more than once, they are compared. Default: as bank/gunicorn_conf.py.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    type=Setting(),
    help="A setting of the bank that is served, like GROUP_COMMIT_MOST=1.",
)
@click.option(
    "--growth-postings",
    default=10_000_000,
    show_default=True,
    type=click.IntRange(20_000, 100_000_000),
    help="How large the large bank is; ten million take some minutes and 6 GB.",
)
@click.option(
    "--memory-requests",
    default=20_000,
    show_default=True,
    type=click.IntRange(200, 10_000_000),
    help="After how many requests a worker's memory is looked at again.",
)
@click.option(
    "--transactions",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="A folder for `bank import transactions`, whose loading is measured too.",
)
@click.option("--currency", default="CZK", show_default=True, help="What the amounts in that folder are in.")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    help="Where the databases lie meanwhile. Default: where temporary files do, if that is a disk.",
)
@click.option(
    "--json",
    "report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write all figures here as well.",
)
@click.option(
    "--list",
    "--dry-run",
    "is_dry",
    is_flag=True,
    help="Say what would be measured, and what this machine lacks for it; measure nothing.",
)
def bench(
    only: tuple[str, ...],
    databases: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    report: Path | None,
    is_dry: bool,
    servings: tuple[Serving, ...],
    **amounts: Any,
) -> None:  # fmt: skip
    """Measure what payments and pages cost on this machine.

    It starts private databases of its own, and touches no other: DATABASE_URL and all other settings are left aside.
    Each measurement is taken in rounds, every time right after its reference: on PostgreSQL that is pgbench's TPC-B on
    the same server with its default durability, elsewhere the same rows written by hand-made statements.

    \b
      db µs, bank µs   CPU of the database and of the bank for one operation
      load µs          CPU of what made the load; no part of the ratio
      CPU ratio        the reference's CPU for one operation to this one's: above 1, ours is cheaper
      rate ratio       this one's operations per second to the reference's

    All figures are medians; behind some stand the least and the most of the rounds. Run it on a machine that does
    nothing else: docs/explanation/performance.md says how to read it.

    \b
      bank bench --list
      bank bench --only transfer --rounds 3
      bank bench --only http --serving gthread:2x8 --serving gthread:2x32 --json serving.json
    """
    plan = Plan(servings=servings or (None,), settings=dict(settings), **amounts)
    subjects = chosen(only, databases, plan)
    lacking = missing(subjects, plan)
    if is_dry:
        _show(subjects, lacking)
        return
    if not subjects or lacking:
        raise click.ClickException("\n".join(lacking) or "Nothing is left to measure: see --list.")
    with ended_in_order():
        _measure(subjects, plan, report)


def _show(subjects: list[Subject], lacking: list[str]) -> None:
    for subject in subjects:
        click.echo(f"{subject.name:18}{subject.group:9}{subject.database:11}{subject.says}")
        if subject.against:
            click.echo(f"{'':38}against {subject.against}")
    for problem in lacking:
        click.echo(problem, err=True)


def _measure(subjects: list[Subject], plan: Plan, report: Path | None) -> None:
    with click.progressbar(
        length=service.steps(subjects, plan), label="Measuring", file=sys.stderr, item_show_func=lambda what: what or ""
    ) as bar:
        figures, about = service.measure(subjects, plan, lambda what: bar.update(1, what))
    for line in table(figures):
        click.echo(line)
    click.echo("\n" + ", ".join(f"{name} {value}" for name, value in about.items()))
    if about["load_average_before"] > _BUSY * about["processors"]:
        click.echo("This machine was busy before: other work is in these figures.", err=True)
    if report:
        asked = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(plan).items()}
        told = {"machine": about, "plan": asked, "figures": [figure.as_json() for figure in figures]}
        report.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
