"""`bank payments`: make what customers scheduled for today."""

from __future__ import annotations

import sys

import click

from bank.cli import common
from bank.money import Money
from bank.payments import due as due_payments

_MOST_SHOWN = 100


@click.group()
def payments() -> None:
    """Make the payments that customers scheduled."""


@payments.command()
@click.option("--dry-run", is_flag=True, help="Say what is due, and pay nothing.")
@common.in_sentences
def due(dry_run: bool) -> None:
    """Make every scheduled payment whose day has come, the oldest first.

    Run it each morning, and as often as you like: each payment is made once, on any number of servers, and
    what an interrupted run left over is made by the next. A payment that the customer could not make by hand
    that day (no money, above a limit, account frozen) is refused, and its customer told.
    """
    bank = common.open_bank()
    today = bank.clock.business_date()
    with bank.reader() as reader:
        waiting = due_payments.count(reader, today)
        shown = due_payments.oldest(reader, today, limit=_MOST_SHOWN) if dry_run else []
    for row in shown:
        click.echo(f"{row.id:>8}  {row.due_on}  {Money(row.minor_units, row.currency)!s:>22}")
    if dry_run:
        more = f" The first {_MOST_SHOWN} are shown." if waiting > _MOST_SHOWN else ""
        click.echo(f"{waiting} payments are due. Nothing was paid: this was a dry run.{more}")
        return
    with click.progressbar(length=waiting, label="Paying", file=sys.stderr) as bar:
        made = due_payments.pay_all(bank, progress=bar.update)
    click.echo(f"{made['done']} payments made, {made['refused']} refused.")
