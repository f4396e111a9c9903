"""Lighthouse, as a phone on a slow line: accessibility and best practices complete, bytes and shifts within a budget.

Its performance score is not looked at: on a shared machine it measures the neighbours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.windows import find_chromium
from tests.pages.measures import MOST_BYTES
from tests.pages.places import CUSTOMER, NOBODY, Furnished
from tests.pages.tools import lighthouse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MOST_SHIFT = 0.05

#: All that a page and its files weigh as sent. gunicorn does not compress, so this is about three times what is
#: stored gzipped, and the page itself comes on top.
MOST_SENT_BYTES = 3 * MOST_BYTES


@pytest.mark.parametrize(("role", "path"), [(NOBODY, "/login"), (CUSTOMER, "/home")])
def test_lighthouse_finds_nothing_to_better(role: str, path: str, furnished: Furnished, address: str, tmp_path: Path):
    token = furnished.session_of(role)
    headers = {"Cookie": f"bank-session={token}"} if token else {}

    report = lighthouse(address + path, find_chromium(), tmp_path, headers)

    # Without the cookie it would have measured the log-in.
    assert report["finalDisplayedUrl"] == address + path
    assert {name: (report["categories"][name]["score"], _faults(report, name)) for name in CATEGORIES} == {
        name: (1, []) for name in CATEGORIES
    }
    audits = report["audits"]
    assert audits["cumulative-layout-shift"]["numericValue"] <= MOST_SHIFT
    assert audits["total-byte-weight"]["numericValue"] <= MOST_SENT_BYTES


CATEGORIES = ("accessibility", "best-practices")


def _faults(report: dict[str, Any], category: str) -> list[str]:
    """The audits of a category that took something off its score."""
    weighed = [audit["id"] for audit in report["categories"][category]["auditRefs"] if audit["weight"]]
    return [audit for audit in weighed if report["audits"][audit]["score"] not in (1, None)]
