"""A story that fails says where and how."""

from __future__ import annotations

import pytest

from tests.ledger import opened
from tests.scenario import Scenario, StoryFailed


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("withdraw alice 5.00", "happened: refused insufficient_funds account=alice available=1.00 needed=5.00"),
        (
            "withdraw alice 5.00 refused insufficient_funds available=2.00",
            "happened: refused insufficient_funds account=",
        ),
        ("withdraw alice 1.00 refused account_frozen", "happened: posted"),
        ("expect alice booked=2.00", "happened: booked=1.00"),
        ("close alice", "happened: refused account_not_empty"),
        ("deposit alice", "cannot be read"),
        ("rob alice", "cannot be read"),
        ("expect alice colour=red", "cannot be read"),
    ],
)
def test_a_story_that_does_not_come_true_names_its_line(make_database, line: str, message: str):
    with opened(make_database("sqlite").app) as bank, pytest.raises(StoryFailed) as failed:
        Scenario(bank).play(f"open alice\ndeposit alice 1.00\n{line}")
    assert f"line 3: `{line}`" in str(failed.value)
    assert message in str(failed.value)
