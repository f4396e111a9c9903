"""The `bank` command."""

from bank.cli.main import main

__all__ = ["main"]
