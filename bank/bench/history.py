"""Years of transfers written straight into PostgreSQL's tables, as the door would have written them one by one."""

from __future__ import annotations

from typing import Final

from bank.bench.servers import PostgreSQLServer

#: The account that one posting in ten belongs to.
BIG: Final = 1

# Transfer by transfer: who pays whom. A fifth of them has the big account on one side or the other.
_WHO = """
    CREATE TEMPORARY TABLE who AS
    SELECT last.id + i AS entry_id, now() - interval '1 day' - ({transfers} - i) * (interval '700 days' / {transfers}) AS at,
           CASE WHEN i % 10 = 0 THEN {big} ELSE 2 + other END AS payer,
           CASE WHEN i % 10 = 5 THEN {big} ELSE 2 + (other + 1 + i % ({accounts} - 2)) % ({accounts} - 1) END AS payee
      FROM (SELECT max(id) AS id FROM journal_entries) AS last,
           LATERAL (SELECT i, i * 7919 % ({accounts} - 1) AS other FROM generate_series(1, {transfers}::bigint) AS i) AS each
"""
# The digest is that of `ledger.model.fingerprint`.
_ENTRIES = """
    INSERT INTO journal_entries (id, caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at)
    SELECT entry_id, 'customer:' || payer, 'history-' || entry_id,
           encode(sha256(convert_to(format(
               '["transfer", "Transfer", [[%s, "%s", 1, "{currency}"], [%s, "%s", 1, "{currency}"]], null, null]',
               least(payer, payee), CASE WHEN payer < payee THEN 'debit' ELSE 'credit' END,
               greatest(payer, payee), CASE WHEN payer < payee THEN 'credit' ELSE 'debit' END), 'UTF8')), 'hex'),
           'transfer', 'Transfer', at::date, at::date, at
      FROM who ORDER BY entry_id
"""
_POSTINGS = """
    INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date)
    SELECT account_id, a.version + row_number() OVER account, entry_id, side, 1, a.balance + sum(change) OVER account, at::date
      FROM who
      CROSS JOIN LATERAL (VALUES (payer, 'debit', -1), (payee, 'credit', 1)) AS half (account_id, side, change)
      JOIN ledger_accounts a ON a.id = account_id
    WINDOW account AS (PARTITION BY account_id ORDER BY entry_id)
     ORDER BY account_id, entry_id
"""
_BALANCES = """
    UPDATE ledger_accounts a SET balance = balance + change, version = version + count
      FROM (SELECT account_id, count(*) AS count, sum(change) AS change
              FROM who CROSS JOIN LATERAL (VALUES (payer, -1), (payee, 1)) AS half (account_id, change)
             GROUP BY account_id) AS moved
     WHERE a.id = moved.account_id
"""


def write(server: PostgreSQLServer, database: str, *, accounts: int, transfers: int, currency: str) -> None:
    """Let accounts 1 to `accounts`, which have money, pay each other so many times, a minor unit each."""
    words = {"accounts": accounts, "transfers": transfers, "currency": currency, "big": BIG}
    server.execute(
        database,
        # Who writes history does not ask the triggers that keep others from it; each row is looked at by `bank ledger verify`.
        "SET session_replication_role = replica",
        "SET work_mem = '256MB'",
        "SET synchronous_commit = off",
        *(statement.format_map(words) for statement in (_WHO, _ENTRIES, _POSTINGS, _BALANCES)),
        "SELECT setval(pg_get_serial_sequence('journal_entries', 'id'), max(id)) FROM journal_entries",
    )
    server.settle(database)
