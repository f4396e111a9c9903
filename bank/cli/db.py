"""`bank db`: the schema, its rights, and whole banks: backed up, restored, moved between databases."""

from __future__ import annotations

from pathlib import Path

import click

from bank.cli import backup, common, copying, securing, takeover
from bank.storage import migrate, rotation


@click.group()
def db() -> None:
    """Bring the schema up to date; give rights; back a bank up, restore it, copy it to another database."""


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
@click.argument("roles", nargs=-1, required=True, metavar="ROLE...")
@common.in_sentences
def grant(roles: tuple[str, ...]) -> None:
    """Give the application's roles the rights they need and no more, and print them.

    Run it as the role that owns the schema, after each upgrade. The application then cannot
    change or delete entries, postings or audit records, nor write a balance past the ledger's door.
    """
    try:
        statements = migrate.grant(common.settings().database_url, *roles)
    except ValueError as problem:
        raise click.ClickException(str(problem)) from problem
    for statement in statements:
        click.echo(f"{statement};")


@db.command("rotate-login")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@common.in_sentences
def rotate_login(file: Path) -> None:
    """Give the servers a new password for the database while they serve.

    FILE is their DATABASE_LOGIN_FILE. Two roles take turns. The one that FILE does not name gets a new password, both
    get their rights, and FILE is written anew once the new login has been tried. The role in use goes on working until
    the next rotation, so leave the servers time to fetch FILE between two: five minutes or more. With no FILE yet, or
    an empty one, the roles are made. After an interruption, run it again.

    DATABASE_URL must name a role that owns the schema and may create roles: CREATEROLE on PostgreSQL, CREATE USER on
    MySQL.
    """
    try:
        login = rotation.rotate(common.settings().database_url, file)
    except ValueError as problem:
        raise click.ClickException(str(problem)) from problem
    except OSError as problem:
        raise click.ClickException(f"{file} cannot be written: {problem.strerror}.") from problem
    click.echo(f"{login.username} has a new password, and {file} names it.")


db.add_command(backup.backup)
db.add_command(backup.restore)
db.add_command(copying.copy)
db.add_command(copying.reopen)
db.add_command(takeover.take_over)
db.add_command(takeover.fence)
db.add_command(securing.secure)
