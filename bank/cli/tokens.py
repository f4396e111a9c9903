"""`bank token`: what programs may do in a person's name."""

from __future__ import annotations

from typing import Any

import click

from bank.cli import common
from bank.customers import store as customers
from bank.customers.model import tidy
from bank.customers.service import NoSuchCustomer
from bank.identifiers import read_number
from bank.identity import staff as staff_members
from bank.identity import tokens
from bank.identity.staff import NoSuchStaff, read_user_id
from bank.identity.tokens import MOST_DAYS, SCOPES
from bank.storage.transaction import Bank


def _whose(command: Any) -> Any:
    """The options that name a person."""
    command = click.option("--staff", "user_id", help="User id of a member of staff.")(command)
    return click.option("--customer", "number", help="Number of a customer.")(command)


@click.group()
def token() -> None:
    """Make, list and revoke tokens, by which programs use the API in a person's name."""


@token.command("new")
@_whose
@click.option("--name", required=True, help="What it is for, as its owner reads it.")
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    help="What it may do; may be given more than once. For customers: "
    f"{', '.join(SCOPES['customer'])}. For staff: {', '.join(SCOPES['staff'])}.",
)
@click.option("--days", required=True, type=click.IntRange(1, MOST_DAYS), help="It ends by itself after so many days.")
@common.in_sentences
def new(number: str | None, user_id: str | None, name: str, scopes: tuple[str, ...], days: int) -> None:
    """Make a token and print it, once: it is stored nowhere."""
    bank = common.open_bank()
    kind, person_id = _person(bank, number, user_id)
    by = common.author(bank, "cli:token")
    token_id, secret = bank.run(tokens.make, kind, person_id, name=tidy(name), scopes=scopes, days=days, by=by)
    click.echo(f"Token {token_id}, shown once: {secret}")


@token.command("list")
@_whose
@common.in_sentences
def list_live(number: str | None, user_id: str | None) -> None:
    """List a person's live tokens."""
    bank = common.open_bank()
    kind, person_id = _person(bank, number, user_id)
    with bank.reader() as reader:
        found = tokens.of_person(reader, kind, person_id, at=bank.clock.now())
    for each in found:
        used = each.last_used_on.isoformat() if each.last_used_on else "never"
        click.echo(f"{each.id:>6}  ends {each.expires_at:%Y-%m-%d}  used {used:<10}  {each.scopes}  {each.name}")
    if not found:
        click.echo("No live token.")


@token.command()
@_whose
@click.argument("token_id", type=click.IntRange(1, 10**18))
@common.in_sentences
def revoke(number: str | None, user_id: str | None, token_id: int) -> None:
    """End one of a person's tokens, from its next use on."""
    bank = common.open_bank()
    kind, person_id = _person(bank, number, user_id)
    bank.run(tokens.revoke, kind, person_id, token_id, by=common.author(bank, "cli:token"))
    click.echo(f"Token {token_id} counts no more.")


def _person(bank: Bank, number: str | None, user_id: str | None) -> tuple[str, int]:
    if (number is None) == (user_id is None):
        raise click.UsageError("Name one person, with --customer or with --staff.")
    with bank.reader() as reader:
        if number is not None:
            customer = customers.by_number(reader, read_number(number))
            if customer is None:
                raise NoSuchCustomer
            return "customer", customer.id
        member = staff_members.by_user_id(reader, read_user_id(user_id or ""))
        if member is None:
            raise NoSuchStaff
        return "staff", member.id
