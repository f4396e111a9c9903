"""The messages that pages and operations send to the database, as docs/reference/round-trips.md promises them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from bank.app import create_app
from bank.storage.transaction import Bank
from tests.builders import a_bank
from tests.proxy import Proxy, proxied
from tests.web.browsing import Page

DOCUMENT = Path(__file__).parents[1] / "docs/reference/round-trips.md"
_ROW = re.compile(r"\| `(?P<what>[^`]+)` \| (?P<who>[^|]+) \| (?P<messages>\d+) \| (?P<are>[^|]+) \|")


@dataclass(frozen=True, slots=True)
class Counted:
    """The bank behind a counter on its socket."""

    bank: Bank
    app: Flask
    proxy: Proxy

    def messages(self, act: Callable[[], Page]) -> tuple[Page, list[bytes]]:
        """What it does, and each message that it sent to the database."""
        self.proxy.bursts.clear()
        page = act()
        return page, list(self.proxy.bursts)


@contextmanager
def counted(url: str) -> Iterator[Counted]:
    """The bank of a database, served; its one connection is open already."""
    with proxied(url) as (through, proxy):
        bank = a_bank(through, pool_size=1)
        with bank.connect():
            pass
        yield Counted(bank, create_app(bank.settings, bank), proxy)
        bank.engine.dispose()


def promised(section: str) -> dict[tuple[str, str], int]:
    """What a section of the document says: messages by page or operation, and by who asks."""
    _, text = DOCUMENT.read_text().split(f"\n## {section}\n")
    rows = [found for line in text.partition("\n## ")[0].splitlines() if (found := _ROW.match(line))]
    return {(row["what"], who.strip()): int(row["messages"]) for row in rows for who in row["who"].split(",")}


def told(bursts: list[bytes]) -> str:
    """The messages, for whoever has to find out which one is too much."""
    return "\n".join(repr(re.sub(rb"\s+", b" ", burst)[:200]) for burst in bursts)
