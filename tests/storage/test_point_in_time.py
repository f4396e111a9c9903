"""A mistake is taken back by going to the instant before it: exactly what was acknowledged by then is there."""

from __future__ import annotations

import pytest

from tests.drill.point_in_time import DATABASE, Archiving, go_back
from tests.furnished import Furnished
from tests.servers import NotInstalled, PostgresServer, not_run


@pytest.fixture(autouse=True)
def installed() -> None:
    try:
        PostgresServer.find_binaries()
    except NotInstalled as missing:
        not_run("postgresql", str(missing))


def drop_the_ledger(source: Archiving, _furnished: Furnished) -> None:
    """What somebody with the owner's rights can do in a second."""
    with source.admin(DATABASE) as cursor:
        cursor.execute("DROP TABLE postings CASCADE")


@pytest.mark.dialects("postgresql")
@pytest.mark.usefixtures("dialect")
def test_a_restore_to_an_instant_holds_exactly_what_was_acknowledged_before_it() -> None:
    found = go_back(drop_the_ledger)

    assert found.restored == found.before
    assert len(found.before) == 12 + 80, "the furnished bank's, and two lots of payments"
    assert len(found.after - found.before) == 40
    assert found.verification.startswith("The ledger is sound: 92 entries")
