"""The `bank` command: its groups, and what belongs to none."""

from __future__ import annotations

import base64
import secrets

import click
import sqlalchemy as sa

from bank.cli import common
from bank.cli.bench import bench
from bank.cli.db import db
from bank.cli.demo import demo
from bank.cli.imports import import_group
from bank.cli.ledger import ledger
from bank.cli.metrics import metrics
from bank.cli.payment_files import import_payments
from bank.cli.payments import payments
from bank.cli.staff import staff
from bank.cli.tokens import token
from bank.customers.identity_number import IdentityNumbers
from bank.customers.service import rotate_identities
from bank.customers.store import customers

_ROTATED_AT_ONCE = 200


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="retail-bank")
def main() -> None:
    """Run a bank: its database, ledger, staff and imports.

    Every command reads the same settings as the server, from the environment:
    DATABASE_URL above all. `bank config` shows what they are.
    """


@main.command()
def config() -> None:
    """Print the settings in force, with secrets masked."""
    for name, value in common.settings().shown().items():
        click.echo(f"{name}={value}")


@main.group()
def keys() -> None:
    """Make new keys, and move sealed identity numbers to them."""


@keys.command("new")
def new_keys() -> None:
    """Print fresh SECRET_KEY and IDENTITY_KEYS lines; keep them where only the server can read."""
    click.echo(f"SECRET_KEY={secrets.token_urlsafe(48)}")
    click.echo(f"IDENTITY_KEYS={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}")


@keys.command("rotate")
@common.in_sentences
def rotate_keys() -> None:
    """Seal all identity numbers under the newest of IDENTITY_KEYS.

    Put the new key first and keep the old one behind it, restart the servers, run this, and then
    take the old key away. Safe to run again after an interruption.
    """
    bank = common.open_bank()
    identities = IdentityNumbers(bank.settings.identity_keys)
    with bank.reader() as reader:
        length = reader.execute(sa.select(sa.func.count()).select_from(customers)).scalar_one()
    with click.progressbar(length=length, label="Sealing identity numbers anew") as bar:
        last: int | None = 0
        while last is not None:
            last = bank.run(rotate_identities, identities, after=last, limit=_ROTATED_AT_ONCE)
            bar.update(_ROTATED_AT_ONCE)
    click.echo("All identity numbers are under the newest key; the older keys can go.")


main.add_command(bench)
main.add_command(db)
main.add_command(demo)
main.add_command(staff)
main.add_command(token)
main.add_command(import_group)
import_group.add_command(import_payments)
main.add_command(ledger)
main.add_command(metrics)
main.add_command(payments)
