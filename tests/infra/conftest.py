"""What the tests of the estate share: which of them may run side by side."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process (`--dist loadgroup`), so that what they share is made once."""
    for item in items:
        if item.path.parent.name == "infra" and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
