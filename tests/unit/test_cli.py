"""The `bank` command, as whoever runs a branch's server types it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from bank.cli import main
from bank.customers import service as customers
from bank.customers.identity_number import IdentityNumbers
from bank.customers.model import CustomerDetails
from bank.customers.store import Customer
from bank.demo.story import CUSTOMERS, STAFF
from bank.identity import staff as staff_members
from bank.identity.passwords import Passwords
from bank.settings import DEVELOPMENT_IDENTITY_KEY, Settings
from bank.storage import migrate
from bank.storage.facts import fact
from bank.storage.transaction import Bank
from tests.builders import Branch, a_bank
from tests.conftest import MakeDatabase
from tests.servers import free_port

NEW_KEY = base64.urlsafe_b64encode(b"the newer key has 32 bytes also.").decode()

Run = Callable[..., Result]


def run_on(url: str) -> Run:
    """Run commands on the database at a URL; nothing of this machine's environment gets in."""

    def run(*arguments: str, **env: str | None) -> Result:
        plain = dict.fromkeys(Settings.from_env({}).shown())
        settings = {**plain, "DATABASE_URL": url, "PASSWORD_MEMORY_KIB": "8192", **env}
        result = CliRunner().invoke(main, arguments, env=settings)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture
def url(make_database: MakeDatabase) -> str:
    """A migrated SQLite database."""
    return make_database("sqlite").app


@pytest.fixture
def bank(url: str) -> Iterator[Bank]:
    opened = a_bank(url)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def run(url: str) -> Run:
    return run_on(url)


def said(result: Result) -> str:
    """What a command that did its work printed."""
    assert result.exit_code == 0, result.output
    return result.output


def refused(result: Result) -> str:
    """The sentence of a command that did not."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.removeprefix("Error: ").strip()


def every_command(command: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from every_command(child, (*path, name))


@pytest.mark.parametrize("path", list(every_command()), ids=lambda path: " ".join(path) or "bank")
def test_every_command_explains_itself_and_its_options(path: tuple[str, ...]):
    command: Any = main
    for name in path:
        command = command.commands[name]

    text = said(CliRunner().invoke(main, [*path, "--help"]))

    assert command.help
    assert command.help.split(".")[0].split()[0] in text
    silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
    assert silent == []


# Settings


def test_config_prints_each_setting_with_its_secrets_masked(run: Run):
    text = said(
        run(
            "config",
            DATABASE_URL="postgres://bank:hunter2@db.example.org/bank?sslpassword=hunter3",
            SECRET_KEY="a secret of some length 0123456789",
            IDENTITY_KEYS=f"{NEW_KEY},{DEVELOPMENT_IDENTITY_KEY}",
        )
    )

    assert "DATABASE_URL=postgresql+psycopg2://bank:********@db.example.org/bank?sslpassword=********" in text
    assert "SECRET_KEY=********" in text
    assert "IDENTITY_KEYS=********, ********" in text
    assert {line.partition("=")[0] for line in text.splitlines()} == set(Settings.from_env({}).shown())
    for secret in ("hunter", "a secret", NEW_KEY, DEVELOPMENT_IDENTITY_KEY):
        assert secret not in text


def test_wrong_settings_are_listed_all_at_once(run: Run):
    text = refused(run("config", DATABASE_URL="oracle://db/bank", CURRENCY="dollars", POOL_SIZE="0"))

    assert text.splitlines()[0] == "These settings need attention:"
    assert re.findall(r"^  ([A-Z_]+) ", text, re.MULTILINE) == ["CURRENCY", "DATABASE_URL", "POOL_SIZE"]


# Schema


def test_upgrade_makes_the_schema_and_a_second_time_finds_it_made(tmp_path: Path):
    run = run_on(f"sqlite:///{tmp_path}/folder/bank.sqlite")

    texts = [said(run("db", "upgrade")) for _ in range(2)]

    assert texts == [f"The schema is at {migrate.head()}.\n"] * 2
    assert said(run("db", "downgrade", "--yes", "--revision", "base")) == "The schema is at None.\n"


def test_a_revision_that_does_not_exist_is_a_sentence(run: Run):
    assert "Can't locate revision identified by '7777'" in refused(run("db", "upgrade", "--revision", "7777"))


def test_without_a_schema_each_command_says_to_upgrade(tmp_path: Path):
    run = run_on(f"sqlite:///{tmp_path}/empty.sqlite")
    sentence = f"The schema is at nothing, and this release needs {migrate.NEEDED}: run `bank db upgrade` first."

    for command in (
        ("staff", "list"), ("staff", "add", "C00000009", "--name", "Ida Berg", "--role", "teller"), ("demo", "load"),
        ("demo", "logins"), ("ledger", "trial-balance"), ("ledger", "verify"), ("ledger", "expire-holds"),
        ("keys", "rotate"),
    ):  # fmt: skip
        assert refused(run(*command)).endswith(sentence), command


def test_without_a_schema_the_servers_databases_say_the_same(dialect: str, make_database: MakeDatabase):
    run = run_on(make_database(dialect, migrated=False).migrator)

    assert "run `bank db upgrade` first" in refused(run("staff", "list"))


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_with_the_database_away_each_command_ends_in_a_sentence_with_the_reason(scheme: str):
    run = run_on(f"{scheme}://bank:hunter2@127.0.0.1:{free_port()}/bank")

    for command in (("db", "upgrade"), ("db", "grant", "bank_app"), ("staff", "list"), ("ledger", "verify")):
        sentence = refused(run(*command))
        assert "refused" in sentence, command
        assert "hunter2" not in sentence


# Staff


def test_staff_are_added_listed_given_roles_and_passwords_and_shut_out(run: Run, bank: Bank):
    assert "Add the first one: bank staff add" in said(run("staff", "list"))

    added = said(run("staff", "add", "c00000001", "--name", "Grace Okafor", "--role", "executive"))
    said(run("staff", "add", "C00000002", "--name", "Mei Tanaka", "--role", "cashier"))
    password = added.strip().rpartition(" ")[2]

    assert password_works(bank, "C00000001", password)
    assert listed(run) == {
        "C00000001": "executive must change the password",
        "C00000002": "cashier must change the password",
    }

    assert said(run("staff", "role", "c00000002", "teller")) == "C00000002 is teller now.\n"
    assert said(run("staff", "disable", "C00000002", "--reason", "Left")) == "C00000002 is shut out.\n"
    assert listed(run)["C00000002"] == "teller disabled"
    assert said(run("staff", "enable", "C00000002", "--reason", "Came back")) == "C00000002 is let in again.\n"

    new = said(run("staff", "password", "C00000001")).strip().rpartition(" ")[2]
    assert new != password
    assert password_works(bank, "C00000001", new)
    assert not password_works(bank, "C00000001", password)


def listed(run: Run) -> dict[str, str]:
    lines = [line.split() for line in said(run("staff", "list")).splitlines()]
    return {words[0]: " ".join(words[1:-2]) for words in lines}


def password_works(bank: Bank, user_id: str, password: str) -> bool:
    with bank.reader() as reader:
        known = staff_members.password_hash(reader, user_id)
    assert known
    return Passwords(memory_kib=8192, at_once=1).check(known[1], password)


def test_what_staff_cannot_be_told_is_refused_in_a_sentence(run: Run):
    said(run("staff", "add", "C00000001", "--name", "Grace Okafor", "--role", "executive"))

    for sentence, *command in (
        ("C00000001 is taken", "add", "C00000001", "--name", "Another", "--role", "teller"),
        ("Enter a user id of 3 to 29 letters", "add", "é", "--name", "Another", "--role", "teller"),
        ("There is no member of staff", "role", "C00000009", "teller"),
        ("at least one executive", "role", "C00000001", "teller"),
        ("at least one executive", "disable", "C00000001", "--reason", "Left"),
        ("There is no member of staff", "password", "C00000009"),
    ):
        assert sentence in refused(run("staff", *command)), command
    assert run("staff", "add", "C00000002", "--name", "Another", "--role", "king").exit_code == 2
    assert run("staff", "disable", "C00000001").exit_code == 2


# The demonstration


def test_the_demonstration_is_loaded_once_and_tells_its_log_ins(run: Run, bank: Bank):
    assert "not the demonstration" in said(run("demo", "logins"))
    assert said(run("demo", "load", "--if-empty")) == "The demonstration is loaded.\n"

    assert said(run("demo", "load", "--if-empty")) == ""
    assert "already holds a bank" in refused(run("demo", "load"))
    text = said(run("demo", "logins"))
    for person in STAFF:
        assert re.search(rf"staff +{person.user_id} +{person.password} ", text)
        assert password_works(bank, person.user_id, person.password)
    assert [customer.password for customer in CUSTOMERS if customer.password and customer.password not in text] == []
    assert "The ledger is sound" in said(run("ledger", "verify"))


def test_the_demonstration_is_never_put_into_production_nor_into_somebodys_bank(run: Run, bank: Bank, url: str):
    production = {
        "BANK_ENV": "production", "BANK_NAME": "Harbor Bank", "BUSINESS_TIMEZONE": "America/New_York",
        "SECRET_KEY": "correct-horse-battery-staple-0123456789", "IDENTITY_KEYS": NEW_KEY,
    }  # fmt: skip

    assert "not loaded with BANK_ENV=production" in refused(run("demo", "load", **production))
    assert "not loaded with BANK_ENV=production" in refused(run("demo", "load", "--if-empty", **production))
    Branch.open(bank)
    assert "already holds a bank" in refused(run("demo", "load"))
    assert said(run("demo", "load", "--if-empty")) == ""
    with bank.reader() as reader:
        assert fact(reader, "demo") is None


# Keys


def test_new_keys_are_settings_that_production_accepts(run: Run):
    first, second = (dict(line.split("=", 1) for line in said(run("keys", "new")).splitlines()) for _ in range(2))

    assert not set(first.values()) & set(second.values())
    Settings.from_env(
        {
            "BANK_ENV": "production", "BANK_NAME": "Harbor Bank", "BUSINESS_TIMEZONE": "Europe/Paris",
            "DATABASE_URL": "sqlite:///bank.sqlite", **first,
        }
    )  # fmt: skip


def registered(bank: Bank, identities: IdentityNumbers, number: str) -> Customer:
    now = bank.clock.now()
    by = customers.Author("test", now, bank.clock.business_date(now))
    details = CustomerDetails(f"Customer {number}", date(1980, 1, 2), "1 High Street", "Portland")
    return bank.run(customers.register, details, identities.seal(number), identities.digests(number), by=by)


def test_after_a_rotation_the_old_key_can_go(dialect: str, make_database: MakeDatabase):
    url = make_database(dialect).app
    run, bank = run_on(url), a_bank(url)
    old, both, new = (
        IdentityNumbers(keys) for keys in ((DEVELOPMENT_IDENTITY_KEY,), (NEW_KEY, DEVELOPMENT_IDENTITY_KEY), (NEW_KEY,))
    )
    people = {number: registered(bank, old, number) for number in ("012345678", "045678901", "AB1234")}
    people["777777777"] = registered(bank, both, "777777777")

    with pytest.raises(customers.IdentityTaken):
        registered(bank, both, "012345678")
    for _ in range(2):
        assert "the older keys can go" in said(
            run("keys", "rotate", IDENTITY_KEYS=f"{NEW_KEY},{DEVELOPMENT_IDENTITY_KEY}")
        )

    with bank.reader() as reader:
        for number, customer in people.items():
            found = customers.find_one(reader, number, new)
            assert (found.number, new.open(str(found.identity_sealed))) == (customer.number, number)
            assert old.masked(found.identity_sealed) == "unreadable, its key is missing"
    for number in people:
        with pytest.raises(customers.IdentityTaken):
            registered(bank, new, number)
    bank.engine.dispose()


def test_a_rotation_without_the_old_key_changes_nothing_and_says_what_is_missing(run: Run, bank: Bank):
    registered(bank, IdentityNumbers((DEVELOPMENT_IDENTITY_KEY,)), "012345678")

    result = run("keys", "rotate", IDENTITY_KEYS=NEW_KEY)

    assert result.exit_code == 1
    assert "not among IDENTITY_KEYS" in result.stderr
    with bank.reader() as reader:
        [sealed] = reader.execute(sa.text("SELECT identity_sealed FROM customers")).scalars()
    assert IdentityNumbers((DEVELOPMENT_IDENTITY_KEY,)).open(sealed) == "012345678"


@pytest.mark.parametrize(("whose", "scope"), [("alice", "accounts:read"), ("teller", "branch:read")])
def test_a_token_is_made_printed_once_listed_and_revoked(whose, scope, bank, url):
    person = Branch.open(bank).people[whose]
    option = ["--customer", person.number] if isinstance(person, Customer) else ["--staff", person.user_id]
    run = run_on(url)

    made = run("token", "new", *option, "--name", "Books", "--scope", scope, "--days", "90")
    [secret] = re.findall(r"bank_[cs][A-Za-z0-9_-]{43}", made.output)
    [number] = re.findall(r"^Token (\d+),", made.output)
    listed = run("token", "list", *option)

    assert (made.exit_code, listed.exit_code) == (0, 0)
    assert f"{scope}  Books" in listed.output
    assert secret not in listed.output
    assert secret not in repr(Branch(bank).dump())
    assert run("token", "revoke", "--staff", "SPARE-1", number).exit_code == 1
    assert run("token", "revoke", *option, number).exit_code == 0
    assert run("token", "list", *option).output == "No live token.\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "Name one person"),
        (["--customer", "1102000005", "--staff", "C1"], "Name one person"),
        (["--customer", "110119999"], "There is no customer"),
        (["--staff", "NOBODY-1"], "There is no member of staff"),
        (["--staff", "TELLER-1", "--scope", "accounts:read"], "branch:read, branch:write"),
    ],
)
def test_a_token_needs_somebody_and_what_they_may_do(options, says, bank, url):
    Branch.open(bank)
    result = run_on(url)("token", "new", "--name", "Books", "--days", "9", "--scope", "branch:read", *options)

    assert result.exit_code in (1, 2)
    assert says in result.output
    assert "bank_" not in result.output
