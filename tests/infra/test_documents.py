"""What the operators' pages tell people to type, to open and to look for is there.

Commands of AWS are compared with its own client: operations, options, and which of them must be given.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from awscli.clidriver import create_clidriver

from bank.cli.main import main as bank
from tests.infra.terraform import INFRA, ROOT, blocks

OPERATING = ROOT / "docs/operating"
PAGES = sorted(OPERATING.glob("*.md"))
LINKING = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", INFRA / "README.md"]
UNITS = INFRA / "modules/app/server/etc/systemd/system"

TERRAFORM_COMMANDS = {"init", "plan", "apply", "import", "state", "output"}
#: Made by what runs, not by people, or copied from the example beside it.
MADE = ("build/", ".venv/", "infra/live/production/terraform.tfvars", "infra/live/test/terraform.tfvars")
#: Names that belong to AWS, PostgreSQL or MySQL, and to nothing here.
FOREIGN = {
    "allow_major_version_upgrade",
    "archive_command",
    "archive_mode",
    "default_transaction_read_only",
    "read_only",
    "recovery_target_action",
    "recovery_target_time",
    "restore_command",
    "xact_start",
}
#: What people put their own in place of.
PLACEHOLDERS = {"NEW_HOST"}


def of_pages(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.relative_to(ROOT).as_posix())


def without_fences(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def code_words(page: Path) -> list[str]:
    """What stands between backticks in the text."""
    return re.findall(r"`([^`\n]+)`", without_fences(page))


def commands(page: Path) -> Iterator[list[str]]:
    """Every command of the page's shell blocks, and each of our programs' in its text, in words."""
    shells = re.findall(r"^ *```(?:sh|bash)\n(.*?)^ *```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(shells).replace("\\\n", " ").splitlines()
    lines += [code for code in code_words(page) if re.match(r"(make|aws|bank|terraform) [a-z-]", code)]
    for line in lines:
        # A command in a command is looked at by itself.
        for part in [*re.findall(r"\$\((.*)\)", line), re.sub(r"\$\(.*\)", "X", line)]:
            words = shlex.split(part, comments=True) if part.count("'") % 2 == 0 else part.split()
            yield from simple_commands(words)


def simple_commands(words: list[str]) -> Iterator[list[str]]:
    """Split at `|`, `&&` and the like; a command that follows another's options (`systemd-run … bank`) counts, too."""
    command: list[str] = []
    for word in [*words, ";"]:
        if word in {"|", "&&", "||", ";", "do", "then"} or word.endswith(";"):
            yield command
            command = []
        elif word.endswith("/bin/bank"):
            yield command
            command = ["bank"]
        else:
            command.append(word)


def of(page: Path, program: str) -> list[list[str]]:
    """The page's commands of one program, without its name."""
    return [command[1:] for command in commands(page) if command[:1] == [program]]


# The programs


@of_pages(PAGES)
def test_every_make_target_is_there_with_its_variables(page: Path):
    makefile = (ROOT / "Makefile").read_text()
    known = makefile + "".join(file.read_text() for file in (ROOT / "scripts").glob("*.sh"))
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))

    for words in of(page, "make"):
        for word in words:
            name, is_variable, _ = word.partition("=")
            if is_variable:
                assert re.search(rf"\b{name}\b", known), f"make {' '.join(words)}: nothing reads {name}"
            else:
                assert name in targets, f"make {' '.join(words)}: there is no such target"


@of_pages(PAGES)
def test_every_command_of_the_bank_is_there_with_its_options(page: Path):
    for words in of(page, "bank"):
        command: click.Command = bank
        rest = list(words)
        while isinstance(command, click.Group) and rest:
            name = rest.pop(0)
            assert name in command.commands, f"bank {' '.join(words)}: there is no {name}"
            command = command.commands[name]
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        asked = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert asked <= options, f"bank {' '.join(words)}"


@cache
def aws_commands() -> Any:
    return create_clidriver()._get_command_table()


@of_pages(PAGES)
def test_every_operation_of_aws_is_there_with_its_options(page: Path):
    for words in of(page, "aws"):
        told = f"aws {' '.join(words)}"
        service, operation, *rest = words
        if service in {"s3", "configure"} or operation == "...":
            continue
        assert service in aws_commands(), told
        operations = aws_commands()[service]._get_command_table()
        assert operation in operations, told
        if operation == "wait":
            operations = operations["wait"].subcommand_table
            operation, *rest = rest
            assert operation in operations, told
        arguments = operations[operation].arg_table
        given = {word.removeprefix("--").partition("=")[0] for word in rest if word.startswith("--")}
        unknown = given - set(arguments) - {"region", "query", "output"}
        missing = {name for name, argument in arguments.items() if argument.required} - given
        assert not unknown, told
        # In the text, an operation may be named without all of it.
        assert not missing or not given, f"{told}: needs {missing}"


@of_pages(PAGES)
def test_every_root_and_every_address_of_terraform_is_there(page: Path):
    for words in of(page, "terraform"):
        [folder] = [word.removeprefix("-chdir=") for word in words if word.startswith("-chdir=")]
        assert list((ROOT / folder).glob("*.tf")), folder
        command, *rest = [word for word in words if not word.startswith("-chdir=")]
        assert command in TERRAFORM_COMMANDS, command
        targets = [word.removeprefix("-target=") for word in rest if word.startswith("-target=")]
        for address in [*targets, *(word for word in rest if word.startswith("module."))]:
            assert stands_at(ROOT / folder, address), f"{folder} has no {address}"


def stands_at(folder: Path, address: str) -> bool:
    """Does this module, or resource, stand in the folder or in a module that it calls?"""
    parts = re.sub(r"\[.*?\]", "", address).split(".")
    while parts[:1] == ["module"]:
        body = blocks(folder.relative_to(INFRA).as_posix(), "module").get(parts[1])
        source = re.search(r'source += "([^"]+)"', body or "")
        if not source:
            return False
        folder, parts = (folder / source[1]).resolve(), parts[2:]
    return not parts or ".".join(parts[:2]) in blocks(folder.relative_to(INFRA).as_posix(), "resource")


# The names


@cache
def alarms() -> set[str]:
    """Every alarm's name after the environment and region."""
    keys = re.findall(
        r"^ {6}([a-z][a-z-]+) = \{$", (INFRA / "modules/observability/alarms.tf").read_text(), re.MULTILINE
    )
    watched = re.findall(r'\$\{region\}-([a-z-]+)"', (INFRA / "modules/watch/watch.tf").read_text())
    assert len(keys) > 10
    assert len(watched) == 2
    return {
        *keys,
        *watched,
        "customers-cannot-bank",
        *(f"zone-without-server-us-{zone}" for zone in ("east-1a", "east-1b")),
    }


@of_pages(PAGES)
def test_every_alarm_named_is_one(page: Path):
    named = [
        word
        for command in of(page, "aws")
        if "--alarm-name" in command
        for word in [command[command.index("--alarm-name") + 1]]
    ]
    named += re.findall(r"alarms? `([^`]+)`", without_fences(page), re.IGNORECASE)
    for name in named:
        assert re.sub(r"^bank-(production|test|ENV)-(us-east-1|us-west-2|REGION)-", "", name) in alarms(), name


@of_pages(PAGES)
def test_every_unit_named_is_one(page: Path):
    for name in re.findall(r"\bbank(?:-[a-z]+)*\.(?:service|timer)\b", page.read_text()):
        assert (UNITS / name).exists(), name


@cache
def names_in_the_code() -> set[str]:
    """Every name in Terraform, Python, SQL, scripts, the Makefile and what servers are given."""
    kinds = {"*.tf", "*.json", "*.py", "*.sql", "*.sh"}
    files = [file for folder in ("infra", "bank", "scripts") for kind in kinds for file in (ROOT / folder).rglob(kind)]
    files += [file for file in (INFRA / "modules/app/server").rglob("*") if file.is_file()]
    return {name for file in [*files, ROOT / "Makefile"] for name in re.findall(r"\w+", file.read_text())}


@of_pages(PAGES)
def test_every_variable_and_setting_named_is_read_somewhere(page: Path):
    names = {
        name for code in code_words(page) for name in re.findall(r"^(?!pg_)([A-Za-z]+(?:_[A-Za-z]+)+)(?: = .*)?$", code)
    }
    assert not names - names_in_the_code() - FOREIGN - PLACEHOLDERS, "nothing here has these names"


@of_pages(PAGES)
def test_every_file_named_is_there(page: Path):
    for code in code_words(page):
        if re.match(r"(infra|scripts|bank|tests|docs|migrations)/[\w./-]+$", code) and not code.startswith(MADE):
            assert (ROOT / code).exists() or list(ROOT.glob(f"{code}.*")), code


# The links


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", ""))
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@of_pages(LINKING)
def test_every_link_leads_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_fences(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", without_fences(file), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


@of_pages([page for page in PAGES if page.name != "README.md"])
def test_the_index_knows_every_page(page: Path):
    assert f"({page.name})" in (OPERATING / "README.md").read_text()
