"""`bank import payments`: pay what a file says."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import click

from bank.cli import common
from bank.money import Money
from bank.payment_files import paying, service, store
from bank.payment_files.errors import PaymentFileUnusable
from bank.payment_files.model import BY_COMMAND, Reading

_MOST_SHOWN = 50


@click.command("payments")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check the file and say what it would pay; keep and pay nothing.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.csv",
    help="Write what became of each payment here.",
)
@common.in_sentences
def import_payments(file: Path, dry_run: bool, report: Path | None) -> None:
    """Pay what FILE says: CSV, or an ISO 20022 credit transfer initiation (pain.001).

    It is checked as a whole first: with anything wrong in it nothing is paid, and every problem is named with its
    line. The same file is paid once, however often it is given, here or at the branch; one that was broken off goes
    on where it was. Exits 1 when nothing was paid, or a payment was refused.
    """
    bank = common.open_bank()
    by = common.author(bank, "cli:import-payments")
    with file.open("rb") as opened:
        # A byte more than may be says that there are too many.
        content = opened.read(BY_COMMAND.bytes + 1)
    try:
        if dry_run:
            _show_totals(service.try_out(bank, content, BY_COMMAND, by=by))
            return
        taken = service.take(bank, content, file.name, BY_COMMAND, by=by)
    except PaymentFileUnusable as unusable:
        for problem in unusable.problems[:_MOST_SHOWN]:
            click.echo(str(problem), err=True)
        if len(unusable.problems) > _MOST_SHOWN:
            click.echo(f"... and {len(unusable.problems) - _MOST_SHOWN} more", err=True)
        raise
    if taken.finished_at:
        click.echo(f"This file came before: it was paid on {taken.finished_at:%Y-%m-%d}. Nothing is paid again.")
    with click.progressbar(length=taken.payments, label="Paying", file=sys.stderr) as bar:
        bar.update(taken.decided)
        paying.pay(bank, service.BRANCH, taken.id, by=by, progress=bar.update)
    with bank.reader() as reader:
        results = store.results(reader, taken.id)
        if report:
            report.write_bytes(service.result_file(reader, taken))
        refused = store.refused_lines(reader, taken.id, limit=_MOST_SHOWN)
    for line in refused:
        click.echo(f"line {line.line}: {line.amount} to {line.to_number}: {line.why}", err=True)
    counts = {result: results.get(result, (0, []))[0] for result in ("paid", "again", "refused")}
    click.echo(f"{counts['paid']} payments made, {counts['again']} made before, {counts['refused']} refused.")
    if counts["refused"]:
        raise click.ClickException(f"{counts['refused']} payments were refused: see above, or --report.")


def _show_totals(reading: Reading) -> None:
    counts, sums = defaultdict[str, int](int), defaultdict[tuple[str, str], int](int)
    for line in reading.lines:
        counts[line.payer] += 1
        sums[line.payer, line.amount.currency] += line.amount.minor_units
    for (payer, currency), total in sorted(sums.items()):
        click.echo(f"{payer:>12} {counts[payer]:>8} payments {Money(total, currency)!s:>24}")
    click.echo(f"{len(reading.lines)} payments. Nothing was paid: this was a dry run.")
