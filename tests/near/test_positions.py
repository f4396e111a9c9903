"""What a replica answers when asked whether it has come as far as a position."""

from __future__ import annotations

import pytest

from bank.storage.dialects import dialect_of
from bank.storage.engine import make_engine
from tests.near.conftest import Pair


def reached(pair: Pair, position: str) -> bool:
    engine = make_engine(pair.replica_url)
    with engine.connect() as connection:
        answer = dialect_of(engine).has_reached(connection, position)
    engine.dispose()
    return answer


@pytest.mark.dialects("postgresql")
def test_a_transaction_that_is_open_is_not_reached_though_a_later_one_is(pair: Pair) -> None:
    engine = make_engine(pair.urls.admin)
    write = "INSERT INTO bank_facts (name, value) VALUES ('{}', '') RETURNING pg_current_xact_id()::text"
    with engine.connect() as early, engine.connect() as late:
        early.exec_driver_sql("BEGIN")
        first = early.exec_driver_sql(write.format("early")).scalar_one()
        second = late.exec_driver_sql(write.format("late")).scalar_one()
        pair.replica.catch_up()
        while_open = reached(pair, f"x{first}"), reached(pair, f"x{second}"), reached(pair, f"x{int(second) + 100}")
        early.exec_driver_sql("COMMIT")
        pair.replica.catch_up()
        after = reached(pair, f"x{first}")
        late.exec_driver_sql("DELETE FROM bank_facts WHERE name IN ('early', 'late')")
    engine.dispose()

    assert while_open == (False, True, False)
    assert after


@pytest.mark.dialects("postgresql")
def test_a_place_in_the_log_or_the_end_of_all_transactions_before_is_enough(pair: Pair) -> None:
    pair.replica.catch_up()
    engine = make_engine(pair.urls.app)
    with engine.connect() as connection:
        log, transaction = dialect_of(engine).position(connection).split()
    engine.dispose()
    later = int(transaction) + 100

    assert reached(pair, f"FFFF/0 {transaction}")
    assert reached(pair, f"0/1 {later}")
    assert not reached(pair, f"FFFF/0 {later}")
    assert log


@pytest.mark.dialects("mysql")
def test_of_several_domains_each_must_be_reached(pair: Pair) -> None:
    pair.replica.catch_up()
    engine = make_engine(pair.urls.app)
    with engine.connect() as connection:
        position = dialect_of(engine).position(connection)
    engine.dispose()
    domain, server, number = position.split("-")

    assert reached(pair, position)
    assert not reached(pair, f"{domain}-{server}-{int(number) + 1000}")
    assert not reached(pair, f"{position},7-{server}-1")
