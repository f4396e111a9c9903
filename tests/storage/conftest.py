"""What the tests of the ledger's door share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bank.storage.transaction import Bank
from tests.ledger import opened
from tests.scenario import Scenario
from tests.servers import DatabaseUrls


@pytest.fixture
def bank(database_urls: DatabaseUrls) -> Iterator[Bank]:
    """A new bank with nothing in it, as the application's role sees it."""
    with opened(database_urls.app) as opened_bank:
        yield opened_bank


@pytest.fixture
def play(bank: Bank) -> Callable[[str], Scenario]:
    """Play a story in text, then check every invariant of the books."""
    return Scenario(bank).play
