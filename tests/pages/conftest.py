"""A furnished bank served to a real browser, and the tools that measure what it draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser

from tests.builders import a_bank
from tests.databases import Databases
from tests.gunicorn_server import GunicornServer
from tests.pages.places import Furnished
from tests.pages.tools import Validator, running_validator
from tests.pages.visits import Visitors

# The same browser as the journeys'.
from tests.browser.conftest import chromium  # noqa: F401  # isort: skip


@pytest.fixture(scope="session")
def furnished(sqlite_databases: Databases) -> Iterator[Furnished]:
    with sqlite_databases.migrated() as urls:
        bank = a_bank(urls.app)
        yield Furnished(bank)
        bank.engine.dispose()


@pytest.fixture(scope="session")
def address(furnished: Furnished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where gunicorn serves the furnished bank."""
    url = furnished.bank.settings.database_url
    with GunicornServer(url, tmp_path_factory.mktemp("pages"), workers=1) as server:
        yield server.address


@pytest.fixture(scope="session")
def validator() -> Iterator[Validator]:
    with running_validator() as validator:
        yield validator


@pytest.fixture
def visitors(chromium: Browser, furnished: Furnished, address: str, validator: Validator) -> Iterator[Visitors]:  # noqa: F811
    """`visitors.visit(place)`: whoever may see the place, at its address, in a window of their own."""
    with ExitStack() as stack:
        yield Visitors(chromium, furnished, address, validator, stack)
