"""Prepared queries: planned once for a connection, the same answers on every database, and right after a migration."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bank.ledger import service as ledger
from bank.spending import movements
from bank.spending.movements import Search
from bank.storage.prepared import prepared
from bank.storage.transaction import Bank
from tests.conftest import MakeDatabase
from tests.ledger import TODAY, a_till, an_account, move, opened
from tests.servers import DatabaseUrls

WORDS = sa.table("words", sa.column("number", sa.Integer), sa.column("word", sa.String))
WORD = prepared(sa.select(WORDS.c.word).where(WORDS.c.number == sa.bindparam("number"), WORDS.c.word.like("%")))
only_postgresql = pytest.mark.dialects("postgresql")


@pytest.fixture
def words(make_database: MakeDatabase, dialect: str) -> Iterator[sa.Connection]:
    """A connection to a database with a table of words by numbers."""
    with opened(make_database(dialect, migrated=False).migrator, pool_size=1) as bank, bank.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE words (number INTEGER, word VARCHAR(10))")
        connection.exec_driver_sql("INSERT INTO words VALUES (1, 'one'), (2, 'two')")
        yield connection


def word(connection: sa.Connection, number: int) -> str | None:
    return connection.execute(WORD, {"number": number}).scalar()


def how_many(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one())


def test_a_prepared_query_answers_for_the_values_of_each_time(words: sa.Connection):
    assert [word(words, number) for number in (1, 2, 3, 1)] == ["one", "two", None, "one"]


@only_postgresql
def test_it_is_prepared_once_for_a_connection_and_anew_for_the_next(words: sa.Connection):
    for _ in range(3):
        word(words, 1)
    assert how_many(words) == 1

    words.invalidate()
    words.rollback()

    assert word(words, 2) == "two"
    assert how_many(words) == 1


@only_postgresql
@pytest.mark.parametrize("change", ["ALTER TABLE words ALTER word TYPE varchar(20)", "DEALLOCATE ALL"])
def test_a_connection_from_before_a_migration_goes_on_answering(words: sa.Connection, change: str):
    word(words, 1)
    words.exec_driver_sql(change)

    assert [word(words, number) for number in (1, 2, 1)] == ["one", "two", "one"]


@only_postgresql
def test_one_that_failed_when_it_was_first_asked_can_be_asked_again(words: sa.Connection):
    words.exec_driver_sql("ALTER TABLE words RENAME TO away")
    with pytest.raises(sa.exc.ProgrammingError):
        word(words, 1)
    words.exec_driver_sql("ALTER TABLE away RENAME TO words")

    assert word(words, 1) == "one"


@only_postgresql
def test_a_plan_for_any_account_reads_no_more_of_a_large_one_than_its_page(bank: Bank, database_urls: DatabaseUrls):
    till, large, small = a_till(bank), an_account(bank), [an_account(bank) for _ in range(300)]
    days = [TODAY - timedelta(number // 5) for number in range(2000)]
    ledger.post(bank, [move(till, large, 1, booking_date=day) for day in days])
    ledger.post(bank, [move(till, account, 1) for account in small])
    with opened(database_urls.migrator) as owner, owner.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
    engine = sa.create_engine(bank.engine.url, connect_args=bank.dialect.connect_args(2.0))
    with engine.connect() as reader:
        reader.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        found = movements.find(reader, large, Search(), before=None, limit=20, customer_id=1)
        read = reader.exec_driver_sql(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'postings'"
        ).scalar_one()
    engine.dispose()

    assert len(found.movements) == 20
    assert read < 200
