"""Write the reference pages that are made from the code: who may open what, the `bank` command, and errors."""

import os
import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

import bank
from bank.app import create_app
from bank.cli import main
from bank.errors import BankError
from bank.settings import Settings
from bank.web.access import table

REFERENCE = Path(__file__).parents[1] / "docs/reference"


def pages() -> dict[str, str]:
    """Each generated page's text by its file name."""
    app = create_app(Settings.from_env({"DATABASE_URL": "sqlite:///unused.sqlite"}))
    return {"access.md": table(app), "cli.md": command_page(), "errors.md": errors_page()}


def command_page() -> str:
    """The whole help of the `bank` command."""
    head = "# The `bank` command\n\nMade by `make reference`; a test compares it with the command itself.\n"
    return head + "".join(_section(main, "bank"))


def _section(command: click.Command, path: str) -> list[str]:
    context = click.Context(
        command, info_name=path, terminal_width=100, max_content_width=100, help_option_names=["-h", "--help"]
    )
    lines = [f"\n## {path}\n\n```text\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            lines += _section(child, f"{path} {name}")
    return lines


def errors_page() -> str:
    """Every error by its code."""
    head = (
        "# Errors\n\nMade by `make reference`; a test compares it with the code. Callers match on the code; people read the\n"
        "sentence that comes with it, which says what to do. The status is that of the page; on the command line every\n"
        "error ends with exit code 1.\n"
    )
    return head + "".join(
        f"\n### {error.code}\n\n{(error.__doc__ or '').splitlines()[0]} Status {error.status}.\n"
        for error in concrete_errors()
    )


def concrete_errors() -> list[type[BankError]]:
    """Every error that something raises, by code; the kinds they are of are not among them."""
    for module in pkgutil.walk_packages(bank.__path__, "bank."):
        if not module.name.startswith("bank.migrations"):
            import_module(module.name)
    raised = [error for error in _below(BankError) if error.__module__ != BankError.__module__]
    return sorted(raised, key=lambda error: error.code)


def _below(kind: type[BankError]) -> Iterator[type[BankError]]:
    for error in kind.__subclasses__():
        yield error
        yield from _below(error)


if __name__ == "__main__":
    os.chdir(REFERENCE)
    for name, text in pages().items():
        Path(name).write_text(text)
        print(f"{name} written", file=sys.stderr)
