"""`bank staff`: who works here."""

from __future__ import annotations

import click

from bank.cli import common
from bank.identity import staff as staff_members
from bank.identity.passwords import Passwords
from bank.identity.staff import NoSuchStaff, Role, Staff, read_user_id, temporary_password
from bank.payments import tills
from bank.storage.transaction import Bank

ROLE = click.Choice([role.value for role in Role])


@click.group()
def staff() -> None:
    """Add staff, give roles and passwords, shut people out."""


@staff.command()
@click.argument("user_id")
@click.option("--name", required=True, help="Full name.")
@click.option("--role", required=True, type=ROLE, help="What they may do; docs/reference/access.md has the table.")
@common.in_sentences
def add(user_id: str, name: str, role: str) -> None:
    """Add a member of staff and print a temporary password, which must be changed at the first log-in."""
    bank = common.open_bank()
    password = temporary_password()
    person = bank.run(
        tills.take_on,
        user_id=read_user_id(user_id),
        name=name,
        role=Role(role),
        password_hash=_hash(bank, password),
        currency=bank.settings.currency,
        by=common.author(bank, "cli:staff"),
    )
    click.echo(f"{person.user_id} is {person.role}. Temporary password, shown once: {password}")


@staff.command("list")
@common.in_sentences
def list_all() -> None:
    """List everybody who works here, and who did."""
    with common.open_bank().reader() as reader:
        people = staff_members.everyone(reader)
    for person in people:
        state = (
            "disabled"
            if person.disabled_at
            else "must change the password"
            if person.must_change_password
            else "active"
        )
        click.echo(f"{person.user_id:<14} {person.role:<10} {state:<26} {person.name}")
    if not people:
        click.echo("Nobody yet. Add the first one: bank staff add C00000001 --name 'Full Name' --role executive")


@staff.command()
@click.argument("user_id")
@click.argument("new_role", type=ROLE)
@common.in_sentences
def role(user_id: str, new_role: str) -> None:
    """Give another role; it counts from their next request on."""
    bank = common.open_bank()
    person = _find(bank, user_id)
    bank.run(tills.give_role, person, Role(new_role), bank.settings.currency, by=common.author(bank, "cli:staff"))
    click.echo(f"{person.user_id} is {new_role} now.")


@staff.command()
@click.argument("user_id")
@click.option("--reason", required=True, help="It stays in the audit trail.")
@common.in_sentences
def disable(user_id: str, reason: str) -> None:
    """Shut somebody out at once."""
    _set_disabled(user_id, True, reason)


@staff.command()
@click.argument("user_id")
@click.option("--reason", required=True, help="It stays in the audit trail.")
@common.in_sentences
def enable(user_id: str, reason: str) -> None:
    """Let somebody in again."""
    _set_disabled(user_id, False, reason)


@staff.command()
@click.argument("user_id")
@common.in_sentences
def password(user_id: str) -> None:
    """Print a new temporary password; all their sessions end."""
    bank = common.open_bank()
    person = _find(bank, user_id)
    new = temporary_password()
    bank.run(
        staff_members.set_password, person.id, _hash(bank, new), must_change=True, by=common.author(bank, "cli:staff")
    )
    click.echo(f"Temporary password of {person.user_id}, shown once: {new}")


def _set_disabled(user_id: str, disabled: bool, reason: str) -> None:
    bank = common.open_bank()
    person = _find(bank, user_id)
    bank.run(staff_members.set_disabled, person.id, disabled, by=common.author(bank, "cli:staff"), reason=reason)
    click.echo(f"{person.user_id} is {'shut out' if disabled else 'let in again'}.")


def _find(bank: Bank, user_id: str) -> Staff:
    with bank.reader() as reader:
        person = staff_members.by_user_id(reader, read_user_id(user_id))
    if person is None:
        raise NoSuchStaff
    return person


def _hash(bank: Bank, new: str) -> str:
    return Passwords(memory_kib=bank.settings.password_memory_kib, at_once=1).hash(new)
