"""`bank demo`: a bank to look at."""

from __future__ import annotations

import click

from bank.cli import common
from bank.customers.store import customers
from bank.demo import service
from bank.demo.story import CUSTOMERS, STAFF


@click.group()
def demo() -> None:
    """Invented people and movements, for looking around. Never in production."""


@demo.command()
@click.option("--if-empty", is_flag=True, help="Do nothing when the database already holds a bank.")
@common.in_sentences
def load(if_empty: bool) -> None:
    """Fill an empty database with the demonstration."""
    bank = common.open_bank()
    try:
        service.load(bank)
    except service.NotEmptyBank:
        if not if_empty:
            raise
    else:
        click.echo("The demonstration is loaded.")


@demo.command("logins")
@common.in_sentences
def log_ins() -> None:
    """Print the demonstration's log-ins, if this is one."""
    bank = common.open_bank()
    with bank.reader() as reader:
        if not service.is_demo(reader):
            click.echo("This bank is not the demonstration; its log-ins are its own.")
            return
        numbers = [
            row.number for row in reader.execute(customers.select().order_by(customers.c.id).limit(len(CUSTOMERS)))
        ]
    click.echo("Demo log-ins (the passwords are published: never put real data here)")
    for person in STAFF:
        click.echo(f"  staff     {person.user_id:<12} {person.password:<28} {person.role}, {person.name}")
    for number, customer in zip(numbers, CUSTOMERS, strict=True):
        if customer.password:
            click.echo(f"  customer  {number:<12} {customer.password:<28} {customer.details.name}")
