"""What must hold among the ledger's rows, each as one query that finds where it does not.

Every query reads its tables once or by index, and runs unchanged on all databases. Its
column `subject` names the row; the others are facts for the sentence, amounts in minor units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bank.language import marked as _
from bank.ledger.model import CHART


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule: what its breach is called, what kind of row breaks it, what holds (marked), how to say and find a breach."""

    kind: str
    noun: str
    proves: str
    sentence: str
    query: str


_SIGNED = "CASE WHEN p.side = a.normal_side THEN p.minor_units ELSE -p.minor_units END"
_AS_DEBIT = "CASE WHEN p.side = 'debit' THEN p.minor_units ELSE -p.minor_units END"
_ON_CHART = " OR ".join(
    f"(a.chart_code = '{code}' AND a.normal_side = '{line.normal_side}')" for code, line in CHART.items()
)

_ENTRIES = (
    Invariant(
        "unbalanced_entry",
        "entry",
        _("Each entry's debits equal its credits, per currency."),
        "Its debits less its credits are {gap} {currency}, not zero.",
        f"""SELECT p.entry_id AS subject, a.currency AS currency, SUM({_AS_DEBIT}) AS gap
            FROM postings p JOIN ledger_accounts a ON a.id = p.account_id
            GROUP BY p.entry_id, a.currency HAVING SUM({_AS_DEBIT}) <> 0""",
    ),
    Invariant(
        "account_twice",
        "entry",
        _("No entry posts to the same account twice."),
        "It posts to account {account} more than once.",
        """SELECT entry_id AS subject, account_id AS account
           FROM postings GROUP BY entry_id, account_id HAVING COUNT(*) > 1""",
    ),
    Invariant(
        "refused_entry_moved",
        "entry",
        _("What was refused moved nothing."),
        "It was refused ({refusal}), yet it posts, touches a hold or reverses.",
        """SELECT e.id AS subject, e.refusal AS refusal FROM journal_entries e
           WHERE e.refusal IS NOT NULL AND (
               e.hold_change IS NOT NULL OR e.hold_id IS NOT NULL OR e.reverses IS NOT NULL
               OR EXISTS (SELECT 1 FROM postings p WHERE p.entry_id = e.id))""",
    ),
    Invariant(
        "idle_entry",
        "entry",
        _("Each entry moved money, touched a hold or was refused."),
        "It neither posts nor touches a hold, and was not refused.",
        """SELECT e.id AS subject FROM journal_entries e
           WHERE e.refusal IS NULL AND e.hold_change IS NULL
             AND NOT EXISTS (SELECT 1 FROM postings p WHERE p.entry_id = e.id)""",
    ),
    Invariant(
        "repeated_key",
        "entry",
        _("No request was booked twice under one key."),
        "Its caller used its idempotency key {times} times.",
        """SELECT MAX(id) AS subject, COUNT(*) AS times
           FROM journal_entries GROUP BY caller, idempotency_key HAVING COUNT(*) > 1""",
    ),
    Invariant(
        "reversed_twice",
        "entry",
        _("No entry was reversed more than once."),
        "It was reversed {times} times.",
        """SELECT reverses AS subject, COUNT(*) AS times
           FROM journal_entries WHERE reverses IS NOT NULL GROUP BY reverses HAVING COUNT(*) > 1""",
    ),
    Invariant(
        "odd_reversal",
        "entry",
        _("Each reversal is the exact opposite of its entry."),
        "It is not the exact opposite of entry {original}.",
        """SELECT r.id AS subject, r.reverses AS original
           FROM journal_entries r LEFT JOIN journal_entries o ON o.id = r.reverses
           WHERE r.reverses IS NOT NULL AND (
               o.id IS NULL OR o.refusal IS NOT NULL OR o.reverses IS NOT NULL OR o.id >= r.id
               OR (SELECT COUNT(*) FROM postings p WHERE p.entry_id = r.id)
                  <> (SELECT COUNT(*) FROM postings p WHERE p.entry_id = o.id)
               OR EXISTS (SELECT 1 FROM postings p WHERE p.entry_id = o.id AND NOT EXISTS (
                   SELECT 1 FROM postings q WHERE q.entry_id = r.id AND q.account_id = p.account_id
                      AND q.minor_units = p.minor_units AND q.side <> p.side)))""",
    ),
)

_POSTINGS = (
    Invariant(
        "posting_without_entry",
        "posting",
        _("Each posting belongs to an entry."),
        "Its entry {entry} does not exist.",
        """SELECT p.account_id AS subject, p.seq AS seq, p.entry_id AS entry
           FROM postings p LEFT JOIN journal_entries e ON e.id = p.entry_id WHERE e.id IS NULL""",
    ),
    Invariant(
        "posting_without_account",
        "posting",
        _("Each posting belongs to an account."),
        "Its account does not exist.",
        """SELECT p.account_id AS subject, p.seq AS seq
           FROM postings p LEFT JOIN ledger_accounts a ON a.id = p.account_id WHERE a.id IS NULL""",
    ),
    Invariant(
        "wrong_booking_date",
        "posting",
        _("Each posting is booked on its entry's day."),
        "It is booked on {day}, its entry {entry} on {entry_day}.",
        """SELECT p.account_id AS subject, p.seq AS seq, p.entry_id AS entry,
                  p.booking_date AS day, e.booking_date AS entry_day
           FROM postings p JOIN journal_entries e ON e.id = p.entry_id WHERE p.booking_date <> e.booking_date""",
    ),
    Invariant(
        "impossible_posting",
        "posting",
        _("Each posting is a debit or a credit of more than nothing."),
        "Its side is {side} and its amount {minor}.",
        """SELECT p.account_id AS subject, p.seq AS seq, p.side AS side, p.minor_units AS minor
           FROM postings p WHERE p.minor_units <= 0 OR p.side NOT IN ('debit', 'credit')""",
    ),
    Invariant(
        "broken_chain",
        "posting",
        _("Each account's postings follow each other without a gap, and so do its balances."),
        "It does not continue posting {seq_before}: {balance_before} and {moved} are not {balance_after}.",
        f"""SELECT account_id AS subject, seq, seq_before, balance_before, moved, balance_after
            FROM (
                SELECT p.account_id, p.seq, p.balance_after, {_SIGNED} AS moved,
                       COALESCE(LAG(p.seq) OVER (PARTITION BY p.account_id ORDER BY p.seq), 0) AS seq_before,
                       COALESCE(LAG(p.balance_after) OVER (PARTITION BY p.account_id ORDER BY p.seq), 0)
                           AS balance_before
                FROM postings p JOIN ledger_accounts a ON a.id = p.account_id
            ) AS chained
            WHERE seq <> seq_before + 1 OR balance_after <> balance_before + moved""",
    ),
)

_ACCOUNTS = (
    Invariant(
        "wrong_balance",
        "account",
        _("Each balance is the sum of the account's postings."),
        "Its balance is {balance}, its postings add up to {total}.",
        f"""SELECT a.id AS subject, a.balance AS balance, COALESCE(s.total, 0) AS total
            FROM ledger_accounts a LEFT JOIN (
                SELECT p.account_id, SUM({_SIGNED}) AS total
                FROM postings p JOIN ledger_accounts a ON a.id = p.account_id GROUP BY p.account_id
            ) AS s ON s.account_id = a.id
            WHERE a.balance <> COALESCE(s.total, 0)""",
    ),
    Invariant(
        "wrong_version",
        "account",
        _("Each account has as many postings as it was booked on."),
        "Its version is {version}, but it has {postings} postings and the last is number {last_seq}.",
        """SELECT a.id AS subject, a.version AS version, COALESCE(s.postings, 0) AS postings,
                  COALESCE(s.last_seq, 0) AS last_seq
           FROM ledger_accounts a LEFT JOIN (
               SELECT account_id, COUNT(*) AS postings, MAX(seq) AS last_seq FROM postings GROUP BY account_id
           ) AS s ON s.account_id = a.id
           WHERE a.version <> COALESCE(s.postings, 0) OR a.version <> COALESCE(s.last_seq, 0)""",
    ),
    Invariant(
        "below_floor",
        "account",
        _("No account is below what it may fall to."),
        "Its balance {balance} less {held} held is below its floor {least}.",
        """SELECT id AS subject, balance, held, floor AS least FROM ledger_accounts WHERE balance - held < floor""",
    ),
    Invariant(
        "wrong_held",
        "account",
        _("What an account has held is the sum of its holds."),
        "It has {held} held, its holds add up to {total}.",
        """SELECT a.id AS subject, a.held AS held, COALESCE(s.total, 0) AS total
           FROM ledger_accounts a LEFT JOIN (
               SELECT account_id, SUM(remaining) AS total FROM holds GROUP BY account_id
           ) AS s ON s.account_id = a.id
           WHERE a.held <> COALESCE(s.total, 0)""",
    ),
    Invariant(
        "wrong_spent",
        "account",
        _("What counts towards a day's limit is what was paid that day."),
        "It counts {spent} against its limit of {day}, its postings of that day {total}.",
        """SELECT a.id AS subject, a.spent AS spent, a.spent_day AS day, COALESCE(s.total, 0) AS total
           FROM ledger_accounts a LEFT JOIN (
               SELECT account_id, limit_day, SUM(minor_units) AS total
               FROM postings WHERE limit_day IS NOT NULL GROUP BY account_id, limit_day
           ) AS s ON s.account_id = a.id AND s.limit_day = a.spent_day
           WHERE a.spent <> COALESCE(s.total, 0)""",
    ),
    Invariant(
        "wrong_limit_day",
        "account",
        _("The day that a limit counts for is that of the last limited payment."),
        "It counts what was spent on {day}, but the last posting that used up a limit is of {limit_day}.",
        """SELECT a.id AS subject, a.spent_day AS day, s.limit_day AS limit_day
           FROM ledger_accounts a LEFT JOIN (
               SELECT account_id, MAX(limit_day) AS limit_day FROM postings WHERE limit_day IS NOT NULL GROUP BY account_id
           ) AS s ON s.account_id = a.id
           WHERE a.spent_day <> s.limit_day
              OR (a.spent_day IS NULL AND s.limit_day IS NOT NULL) OR (a.spent_day IS NOT NULL AND s.limit_day IS NULL)""",
    ),
    Invariant(
        "off_the_chart",
        "account",
        _("Each account stands on a line of the chart of accounts."),
        "Its chart code {chart_code} with a normal side of {normal_side} is not on the chart of accounts.",
        f"""SELECT a.id AS subject, a.chart_code AS chart_code, a.normal_side AS normal_side
            FROM ledger_accounts a WHERE NOT ({_ON_CHART})""",
    ),
    Invariant(
        "impossible_status",
        "account",
        _("Each account has a known status, and a closed one is empty."),
        "Its status {status} does not exist, or it is closed with {balance} on it and {held} held.",
        """SELECT id AS subject, status, balance, held FROM ledger_accounts
           WHERE status NOT IN ('open', 'debits_frozen', 'frozen', 'closed')
              OR (status = 'closed' AND (balance <> 0 OR held <> 0))""",
    ),
    Invariant(
        "unbalanced_books",
        "currency",
        _("All debits equal all credits, per currency."),
        "All accounts together are {gap} out of balance.",
        """SELECT currency AS subject, SUM(CASE WHEN normal_side = 'debit' THEN balance ELSE -balance END) AS gap
           FROM ledger_accounts GROUP BY currency
           HAVING SUM(CASE WHEN normal_side = 'debit' THEN balance ELSE -balance END) <> 0""",
    ),
)

_HOLDS = (
    Invariant(
        "hold_without_entry",
        "hold",
        _("Each hold was reserved by an entry."),
        "No entry reserved it.",
        """SELECT h.id AS subject FROM holds h LEFT JOIN journal_entries e ON e.id = h.id WHERE e.id IS NULL""",
    ),
    Invariant(
        "hold_without_account",
        "hold",
        _("Each hold belongs to an account."),
        "Its account {account} does not exist.",
        """SELECT h.id AS subject, h.account_id AS account
           FROM holds h LEFT JOIN ledger_accounts a ON a.id = h.account_id WHERE a.id IS NULL""",
    ),
    Invariant(
        "wrong_remaining",
        "hold",
        _("What a hold still reserves is what its entries left."),
        "Of {minor} it still reserves {remaining}; its entries reserved {reserved} and left {left_over}.",
        """SELECT h.id AS subject, h.minor_units AS minor, h.remaining AS remaining,
                  COALESCE(e.hold_change, 0) AS reserved, COALESCE(e.hold_change, 0) + COALESCE(s.given, 0) AS left_over
           FROM holds h LEFT JOIN journal_entries e ON e.id = h.id LEFT JOIN (
               SELECT hold_id, SUM(hold_change) AS given FROM journal_entries WHERE hold_id IS NOT NULL GROUP BY hold_id
           ) AS s ON s.hold_id = h.id
           WHERE h.remaining <> COALESCE(e.hold_change, 0) + COALESCE(s.given, 0)
              OR h.minor_units <> COALESCE(e.hold_change, 0) OR h.remaining < 0 OR h.remaining > h.minor_units""",
    ),
    Invariant(
        "unknown_hold",
        "entry",
        _("Entries change only holds that exist."),
        "It changes hold {hold}, which does not exist.",
        """SELECT e.id AS subject, COALESCE(e.hold_id, e.id) AS hold
           FROM journal_entries e LEFT JOIN holds h ON h.id = COALESCE(e.hold_id, e.id)
           WHERE (e.hold_id IS NOT NULL OR e.hold_change IS NOT NULL) AND h.id IS NULL""",
    ),
    Invariant(
        "odd_hold_change",
        "entry",
        _("Each change of a hold is borne out by its entry's postings."),
        "It changes hold {hold} by {hold_change}, which its postings do not bear out.",
        """SELECT e.id AS subject, h.id AS hold, e.hold_change AS hold_change
           FROM journal_entries e JOIN holds h ON h.id = COALESCE(e.hold_id, e.id)
           WHERE e.refusal IS NULL AND (
               e.hold_change IS NULL
               OR (e.hold_id IS NULL AND e.hold_change <= 0) OR (e.hold_id IS NOT NULL AND e.hold_change >= 0)
               OR (EXISTS (SELECT 1 FROM postings p WHERE p.entry_id = e.id) AND NOT EXISTS (
                   SELECT 1 FROM postings p WHERE p.entry_id = e.id AND p.account_id = h.account_id
                      AND p.side = 'debit' AND p.minor_units = -e.hold_change)))""",
    ),
)

INVARIANTS: Final = (*_ENTRIES, *_POSTINGS, *_ACCOUNTS, *_HOLDS)
