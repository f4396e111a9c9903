"""`bank db`: the schema, its rights, and moving a bank between databases."""

from __future__ import annotations

import click

from bank.cli import common, copying
from bank.storage import migrate


@click.group()
def db() -> None:
    """Bring the schema up to date; give rights; copy a bank to another database."""


@db.command()
@click.option("--revision", default="head", show_default=True, help="Where to go.")
@common.in_sentences
def upgrade(revision: str) -> None:
    """Apply the migrations that are missing.

    Safe to run on every server at once: one does it, the others wait and find it done.
    DATABASE_URL must name a role that owns the schema.
    """
    click.echo(f"The schema is at {migrate.upgrade(common.settings().database_url, revision)}.")


@db.command()
@click.option("--revision", default="-1", show_default=True, help="Where to go back to.")
@click.confirmation_option(prompt="This drops tables or columns with what is in them. Go back?")
@common.in_sentences
def downgrade(revision: str) -> None:
    """Take back migrations: the last one, or down to a revision. For development: production rolls back code, not schema."""
    click.echo(f"The schema is at {migrate.downgrade(common.settings().database_url, revision)}.")


@db.command()
@click.argument("role")
@common.in_sentences
def grant(role: str) -> None:
    """Give the application's ROLE the rights it needs and no more, and print them.

    Run it as the role that owns the schema, after each upgrade. The application then cannot
    change or delete entries, postings or audit records, nor write a balance past the ledger's door.
    """
    try:
        statements = migrate.grant(common.settings().database_url, role)
    except ValueError as problem:
        raise click.ClickException(str(problem)) from problem
    for statement in statements:
        click.echo(f"{statement};")


db.add_command(copying.copy)
db.add_command(copying.reopen)
