"""A commit that the database refuses leaves nothing behind on its connection."""

import pytest
import sqlalchemy as sa

from bank.storage.dialects.base import in_transaction
from bank.storage.transaction import Bank
from tests.conftest import MakeDatabase
from tests.ledger import opened


@pytest.fixture
def bank(make_database: MakeDatabase):
    with opened(make_database("sqlite").app, pool_size=1) as opened_bank:
        yield opened_bank


def test_the_connection_is_as_good_as_new_after_a_refused_commit(bank: Bank):
    orphan = "INSERT INTO account_holders (account_id, customer_id, role) VALUES (777, 777, 'owner')"
    with (
        bank.connect() as connection,
        pytest.raises(sa.exc.IntegrityError),
        in_transaction(connection, "BEGIN IMMEDIATE"),
    ):
        # Looked at by COMMIT only, which then says no and leaves the transaction open.
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.exec_driver_sql(orphan)

    with bank.connect() as connection:
        assert not connection.connection.dbapi_connection.in_transaction
    assert bank.run(lambda tx: tx.exec_driver_sql("SELECT count(*) FROM account_holders").scalar()) == 0
