"""These tests look at what `make test-emulator` has put up; by themselves they have nothing to look at."""

from __future__ import annotations

import os

import pytest

from tests.servers import not_run


@pytest.fixture(autouse=True)
def _emulator() -> None:
    if "EMULATOR_TREE" not in os.environ:
        not_run("emulator", "`make test-emulator` runs these tests")
