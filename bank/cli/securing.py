"""`bank db secure`: whether payments wait for the other region's copy."""

from __future__ import annotations

import click
import sqlalchemy as sa

from bank.audit import store as audit
from bank.cli import common
from bank.storage.facts import learn
from bank.storage.secured import ALONE, NO, YES


@click.command()
@click.option(
    "--without-copy", is_flag=True, help="Confirm payments without a copy: there is none, or none that counts."
)
@common.in_sentences
def secure(without_copy: bool) -> None:
    """Let servers with SECURED_SECONDS confirm payments only when the other region's copy has them.

    Run it on a primary whose new copy follows it; without one, no payment is made from then on. With --without-copy
    payments are confirmed as if SECURED_SECONDS were 0, and those of the last moments are lost if this database is.
    Servers know within a second, without a restart.
    """
    bank = common.open_bank()
    by = common.author(bank, "cli:secure")

    def use_case(tx: sa.Connection) -> None:
        learn(tx, ALONE, YES if without_copy else NO)
        audit.record(tx, "payments.secured", "bank", by=by, details={"by_copy": not without_copy})

    bank.run(use_case)
    click.echo(
        "Payments are confirmed without a copy."
        if without_copy
        else "Payments are confirmed only when the copy has them, on servers with SECURED_SECONDS."
    )
