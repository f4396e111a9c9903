"""`bank ledger`: prove it sound, show its balance, end holds whose time has come."""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta

import click
from sqlalchemy.exc import DBAPIError

from bank.accounts import verify as accounts_verify
from bank.cli import common, once
from bank.errors import BankError
from bank.ledger import service, store
from bank.ledger import verify as ledger_verify
from bank.ledger.model import CHART
from bank.ledger.verify import Finding, Size, Verification
from bank.money import Money
from bank.storage.transaction import Bank


@click.group()
def ledger() -> None:
    """Prove the ledger sound, show its trial balance, expire holds."""


@ledger.command()
@click.option(
    "--unless-verified-within", type=click.IntRange(1, 8760), metavar="HOURS",
    help="Skip it when it was done so lately, by any server, and the ledger was sound.",
)  # fmt: skip
@common.in_sentences
def verify(unless_verified_within: int | None) -> None:
    """Re-compute every invariant of the ledger from its rows; name what is broken.

    Exits 1 if anything is. Payments may be booked meanwhile: it looks at one instant. How it ended is
    kept for the operators' page, unless the database's role may not write. Where a timer on every server starts it,
    `--unless-verified-within 20` lets one of them do it each day, and only one at a time; after one that found
    something, all look again.
    """
    bank = common.open_bank()
    if unless_verified_within is None:
        click.echo(verify_and_remember(bank))
        return
    if (ago := _sound_since(bank, timedelta(hours=unless_verified_within))) is not None:
        click.echo(f"The ledger was verified {_told(ago)} ago, sound; skipped.")
        return
    once.run_once(bank, "ledger-verify", lambda: verify_and_remember(bank), hourly=False)


def verify_and_remember(bank: Bank) -> str:
    """Verify the bank, keep how it ended, and answer a sentence; end the command with what is broken."""
    began = time.monotonic()
    size, findings = _verify(bank)
    ended = Verification(bank.clock.now(), time.monotonic() - began, size.entries, len(findings))
    try:
        bank.run(ledger_verify.remember, ended)
    except (BankError, DBAPIError):
        click.echo("How this ended could not be stored for the operators' page: this role may not write.", err=True)
    return _conclude(size, findings)


def _sound_since(bank: Bank, within: timedelta) -> timedelta | None:
    """How long ago the ledger was verified and sound, if that is not longer than `within`; None: verify it."""
    with bank.reader() as reader:
        last = ledger_verify.last(reader)
    if last is None or last.findings:
        return None
    ago = bank.clock.now() - last.at
    return ago if timedelta(0) <= ago <= within else None


def _told(ago: timedelta) -> str:
    minutes = int(ago.total_seconds()) // 60
    count, unit = (minutes, "minute") if minutes < 60 else (minutes // 60, "hour")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def verify_bank(bank: Bank) -> str:
    """Verify the bank's ledger and accounts, and answer a sentence; end the command with what is broken."""
    return _conclude(*_verify(bank))


def _verify(bank: Bank) -> tuple[Size, list[Finding]]:
    with bank.snapshot() as reader:
        size = ledger_verify.size(reader)
        with click.progressbar(length=size.entries, label="Verifying", file=sys.stderr) as bar:
            findings = [*ledger_verify.verify(reader, bar.update), *accounts_verify.verify(reader)]
    return size, findings


def _conclude(size: Size, findings: list[Finding]) -> str:
    for finding in findings:
        click.echo(str(finding))
    summary = (
        f"{size.entries} entries, {size.postings} postings, {size.accounts} ledger accounts and {size.holds} holds"
    )
    if findings:
        raise click.ClickException(f"The ledger is broken in {len(findings)} places, among {summary}.")
    return f"The ledger is sound: {summary}."


@ledger.command("trial-balance")
@click.option(
    "--as-of", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="At the end of this day, like 2026-03-31."
)
@common.in_sentences
def trial_balance(as_of: datetime | None) -> None:
    """Print what stands on each line of the chart of accounts; debits and credits are equal per currency."""
    with common.open_bank().snapshot() as reader:
        lines = store.trial_balance(reader, as_of.date() if as_of else None)
    click.echo(f"{'':34}{'accounts':>9}{'debit':>22}{'credit':>22}")
    for line in lines:
        click.echo(_columns(CHART[line.chart_code].name, line.accounts, line.debit, line.credit))
    for currency in sorted({line.currency for line in lines}):
        of_currency = [line for line in lines if line.currency == currency]
        totals = [
            Money(sum(amount.minor_units for amount in column), currency)
            for column in ([line.debit for line in of_currency], [line.credit for line in of_currency])
        ]
        click.echo(_columns(f"Total {currency}", sum(line.accounts for line in of_currency), *totals))


def _columns(name: str, accounts: int, debit: Money, credit: Money) -> str:
    return f"{name:34}{accounts:>9}{_amount(debit):>22}{_amount(credit):>22}"


def _amount(amount: Money) -> str:
    return str(amount) if amount.minor_units else ""


@ledger.command("expire-holds")
@once.again
@common.in_sentences
def expire_holds(again: bool) -> None:
    """Give back what is reserved by holds whose time has come. Safe to run at any time, as often as you like.

    Of several servers that start it in the same hour one does it, and the others say which.
    """
    bank = common.open_bank()
    once.run_once(bank, "expire-holds", lambda: _expire(bank), again=again)


def _expire(bank: Bank) -> str:
    expired = service.expire_holds(bank, at=bank.clock.now(), who="cli:expire-holds")
    return f"{expired} holds expired."
