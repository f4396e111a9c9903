"""`bank payments`: make what customers scheduled for today."""

from __future__ import annotations

import sys

import click

from bank.cli import common, once
from bank.money import Money
from bank.payments import due as due_payments
from bank.storage.transaction import Bank

_MOST_SHOWN = 100


@click.group()
def payments() -> None:
    """Make the payments that customers scheduled."""


@payments.command()
@click.option("--dry-run", is_flag=True, help="Say what is due, and pay nothing.")
@once.again
@common.in_sentences
def due(dry_run: bool, again: bool) -> None:
    """Make every scheduled payment whose day has come, the oldest first.

    Run it each morning, and as often as you like: each payment is made once, on any number of servers, and
    what an interrupted run left over is made by the next. Of several servers that start it in the same hour one makes
    the payments, and the others say which. A payment that the customer could not make by hand
    that day (no money, above a limit, account frozen) is refused, and its customer told.
    """
    bank = common.open_bank()
    if dry_run:
        _show(bank)
    else:
        once.run_once(bank, "payments-due", lambda: _pay(bank), again=again)


def _show(bank: Bank) -> None:
    today = bank.clock.business_date()
    with bank.reader() as reader:
        waiting = due_payments.count(reader, today)
        shown = due_payments.oldest(reader, today, limit=_MOST_SHOWN)
    for row in shown:
        click.echo(f"{row.id:>8}  {row.due_on}  {Money(row.minor_units, row.currency)!s:>22}")
    more = f" The first {_MOST_SHOWN} are shown." if waiting > _MOST_SHOWN else ""
    click.echo(f"{waiting} payments are due. Nothing was paid: this was a dry run.{more}")


def _pay(bank: Bank) -> str:
    with bank.reader() as reader:
        waiting = due_payments.count(reader, bank.clock.business_date())
    with click.progressbar(length=waiting, label="Paying", file=sys.stderr) as bar:
        made = due_payments.pay_all(bank, progress=bar.update)
    return f"{made['done']} payments made, {made['refused']} refused."
