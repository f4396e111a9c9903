"""`bank import`: the older app's database, and folders of transactions."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Final

import click

from bank.cli import common
from bank.legacy import service as legacy
from bank.legacy import store as legacy_store
from bank.legacy.plan import Plan, make_plan
from bank.legacy.report import ALARMS, Finding, in_order, summary, write_csv
from bank.money import Money
from bank.realdata import service as realdata
from bank.realdata.errors import WrongCurrency
from bank.realdata.model import Folder
from bank.realdata.reading import read_folder
from bank.spreadsheets import harmless

_REPORT: Final = click.Path(dir_okay=False, writable=True, path_type=Path)
_MOST_SHOWN: Final = 100
_DIFFERING: Final = ("stored_above_history", "stored_below_history", "not_equal")


@click.group("import")
def import_group() -> None:
    """Bring in an older bank's data, or a folder of transactions.

    Every import can be stopped and run again: what is there already is left as it is.
    """


@import_group.command("legacy")
@click.argument("url")
@click.option("--report", type=_REPORT, metavar="FILE.csv", help="Write the reconciliation report here.")
@click.option("--dry-run", is_flag=True, help="Reconcile and report, but bring nothing in.")
@common.in_sentences
def import_legacy(url: str, report: Path | None, dry_run: bool) -> None:
    """Bring in the older app's database at URL: customers, accounts, staff and history.

    URL is sqlite:///FILE or mysql://USER:PASSWORD@HOST/DATABASE; nothing in it is changed.
    Exits 1 when an account's balance here is not the stored one, or something could not be brought in.
    """
    bank = common.open_bank()
    by = common.author(bank, legacy.CALLER)
    plan = make_plan(legacy_store.read(url), bank.settings.currency, now=by.at)
    if dry_run:
        with bank.reader() as reader:
            legacy.refuse_if_impossible(reader, plan)
        findings: tuple[Finding, ...] = (*legacy.reconciliation(plan), *plan.findings)
        done = "Nothing was brought in: this was a dry run."
    else:
        with click.progressbar(length=legacy.steps(plan), label="Bringing in", file=sys.stderr) as bar:
            imported = legacy.bring_in(bank, plan, by=by, progress=bar.update)
        findings = imported.findings
        done = f"{imported.booked} entries booked, {imported.booked_before} had been booked before."
    if report:
        with report.open("w", encoding="utf-8", newline="") as file:
            write_csv(findings, file)
    _show(findings, plan, bank.settings.currency)
    click.echo(done)
    if alarming := [finding for finding in findings if finding.kind in ALARMS]:
        raise click.ClickException(f"{len(alarming)} of the findings need attention before this bank opens: see above.")


def _show(findings: tuple[Finding, ...], plan: Plan, currency: str) -> None:
    click.echo(f"\n{'':>6} {'':>18}  What was found")
    for line in summary(findings):
        click.echo(f"{line.count:>6} {line.total.figure if line.total else '':>18}  {line.says}")
    differing = [finding for finding in in_order(findings) if finding.kind in _DIFFERING]
    if differing:
        click.echo(f"\n{'Account':>12} {'stored':>16} {'history':>16} {'difference':>16} {'brought in':>16}")
    for finding in differing:
        amounts = (finding.stored, finding.history, finding.amount, finding.brought_in)
        figures = " ".join(f"{amount.figure if amount else '':>16}" for amount in amounts)
        click.echo(f"{finding.number:>12} {figures}{'  NOT EQUAL' if finding.kind == 'not_equal' else ''}")
    stored = Money(sum(account.stored.minor_units for account in plan.accounts), currency)
    click.echo(f"\n{len(plan.customers)} customers, {len(plan.accounts)} accounts with {stored} stored.")


@import_group.command("transactions")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--strict", is_flag=True, help="Load nothing if any row is bad.")
@click.option("--currency", default="CZK", show_default=True, help="What the amounts are in.")
@click.option("--report", type=_REPORT, metavar="FILE.csv", help="Write bad rows, overdrafts and differences here.")
@common.in_sentences
def import_transactions(directory: Path, strict: bool, currency: str, report: Path | None) -> None:
    """Load the customers, accounts and transactions in DIRECTORY.

    It holds customers.csv, accounts.csv, holders.csv, transactions.csv and perhaps closing_balances.csv, each
    plain or as .gz. A bad row is named and left out; with --strict nothing is loaded then. Exits 1 when nothing
    was loaded, when the ledger refused a row, or when an account does not end at its closing balance.
    """
    bank = common.open_bank()
    if currency != bank.settings.currency:
        raise WrongCurrency(currency, bank.settings.currency)
    by = common.author(bank, realdata.CALLER)
    folder = read_folder(directory, currency, today=by.business_date)
    for bad_row in folder.bad_rows[:_MOST_SHOWN]:
        click.echo(str(bad_row), err=True)
    if len(folder.bad_rows) > _MOST_SHOWN:
        click.echo(f"... and {len(folder.bad_rows) - _MOST_SHOWN} more bad rows (--report lists all)", err=True)
    if strict and folder.bad_rows:
        _write_report(report, folder, None)
        raise click.ClickException(f"Nothing was loaded: {len(folder.bad_rows)} rows are bad.")
    with click.progressbar(length=realdata.steps(folder), label="Loading", file=sys.stderr) as bar:
        loaded = realdata.load(bank, folder, by=by, progress=bar.update)
    _write_report(report, folder, loaded)
    _show_loaded(folder, loaded)


def _show_loaded(folder: Folder, loaded: realdata.Loaded) -> None:
    for number, floor in loaded.floors:
        click.echo(f"account {number}: went below zero, overdraft floor {floor}")
    for transaction, reason in loaded.refused:
        click.echo(f"transaction {transaction.id} (line {transaction.line}): {reason}", err=True)
    for difference in loaded.differing:
        click.echo(str(difference), err=True)
    click.echo(
        f"{len(folder.clients)} customers, {len(folder.accounts)} accounts; {loaded.booked} entries booked,"
        f" {loaded.booked_before} had been booked before; {len(folder.bad_rows)} bad rows left out;"
        f" {len(loaded.floors)} accounts with an overdraft."
    )
    if folder.has_closing_balances:
        click.echo(f"{loaded.compared - len(loaded.differing)} of {loaded.compared} closing balances are equal.")
    if loaded.refused or loaded.differing:
        refused, differing = len(loaded.refused), len(loaded.differing)
        raise click.ClickException(f"{refused} rows were refused, {differing} accounts differ: see above.")


def _write_report(path: Path | None, folder: Folder, loaded: realdata.Loaded | None) -> None:
    if path is None:
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "file", "line", "account", "amount", "detail"])
        writer.writerows(
            ["bad_row", harmless(bad.file), bad.line, "", "", harmless(bad.reason)] for bad in folder.bad_rows
        )
        if loaded:
            writer.writerows(["overdraft_floor", "", "", number, floor.plain, ""] for number, floor in loaded.floors)
            writer.writerows(["refused", "", row.line, "", "", harmless(reason)] for row, reason in loaded.refused)
            writer.writerows(
                ["differs", "", "", each.number, each.is_here.plain, f"should be {each.should_be.plain}"]
                for each in loaded.differing
            )
