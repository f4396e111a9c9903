"""The door's rules as stories, the same on every database. tests/scenario.py explains the words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from bank.ledger.errors import REFUSALS
from tests.scenario import Scenario

Play = Callable[[str], Scenario]

# What can be written in two ways in Unicode: é as one code point, and as e with an accent.
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"

CASES: Final = {
    # Moving money
    "a deposit raises the account and the till": """
        open      alice
        deposit   alice  100.00
        expect    alice  booked=100.00 available=100.00 held=0.00 version=1
        expect    till   booked=100.00 version=1
    """,
    "a withdrawal lowers both": """
        open      alice
        deposit   alice  100.00
        withdraw  alice   30.01
        expect    alice  booked=69.99 version=2
        expect    till   booked=69.99 version=2
    """,
    "the whole balance can be taken": """
        open      alice
        deposit   alice  100.00
        withdraw  alice  100.00
        expect    alice  booked=0.00
    """,
    "a transfer moves money between two customers": """
        open      alice
        open      bob    chart=savings
        deposit   alice  100.00
        transfer  alice  bob  0.01
        expect    alice  booked=99.99
        expect    bob    booked=0.01
    """,
    "one entry can have many postings": """
        open      alice
        open      bob
        deposit   alice  10.00
        entry     debit alice 10.00  credit bob 7.50  credit fee_income 2.50
        expect    alice  booked=0.00
        expect    bob    booked=7.50
        expect    fee_income  booked=2.50
    """,
    "an entry over several currencies balances in each": """
        open      alice
        open      emil  currency=EUR
        deposit   alice  100.00
        deposit   emil   5.00
        entry     debit alice 54.00  credit clearing-USD 54.00  debit clearing-EUR 50.00  credit emil 50.00
        expect    alice  booked=46.00
        expect    emil   booked=55.00
        expect    clearing-USD  booked=-54.00
        expect    clearing-EUR  booked=50.00
    """,
    "a currency may have no decimals, or three": """
        open      yuki   currency=JPY
        open      khalid currency=KWD
        deposit   yuki   500
        deposit   khalid 1.005
        withdraw  yuki   501  refused insufficient_funds account=yuki available=500 needed=501 currency=JPY
        expect    khalid booked=1.005
    """,
    "the largest amounts are exact": """
        open      alice
        open      bob
        deposit   alice  10000000000000.00
        deposit   alice  10000000000000.00
        deposit   alice  9999999999999.99
        transfer  alice  bob  10000000000000.00
        withdraw  alice  10000000000000.00
        withdraw  alice  10000000000000.00  refused insufficient_funds account=alice available=9999999999999.99 needed=10000000000000.00
        withdraw  alice  9999999999999.99
        expect    alice  booked=0.00
        expect    bob    booked=10000000000000.00
    """,
    "the bank's own accounts may go below zero": """
        open      alice
        transfer  suspense  alice  10.00
        transfer  fee_income  alice  5.00
        expect    suspense  booked=10.00
        expect    fee_income  booked=-5.00
    """,
    # Funds and floors
    "nobody spends what is not there": """
        open      alice
        deposit   alice  100.00
        withdraw  alice  100.01  refused insufficient_funds account=alice available=100.00 needed=100.01 currency=USD
        expect    alice  booked=100.00 version=1
        expect    till   booked=100.00 version=1
        journal   entries=2 refusals=1
    """,
    "an overdraft ends at its floor": """
        open      alice  floor=-50.00
        withdraw  alice  50.00
        withdraw  alice  0.01  refused insufficient_funds account=alice available=0.00 needed=0.01
        expect    alice  booked=-50.00 available=0.00
    """,
    "a floor above zero keeps money on the account": """
        open      alice
        deposit   alice  100.00
        floor     alice  25.00
        withdraw  alice  75.01  refused insufficient_funds account=alice available=75.00 needed=75.01
        withdraw  alice  75.00
    """,
    "a floor is refused when the balance is already lower": """
        open      alice  floor=-50.00
        withdraw  alice  30.00
        floor     alice  -29.99  refused floor_above_balance
        floor     alice  -30.00
        withdraw  alice  0.01  refused insufficient_funds account=alice available=0.00 needed=0.01
    """,
    "a floor is refused when a hold needs the money": """
        open      alice
        deposit   alice  30.00
        hold      alice  20.00
        floor     alice  10.01  refused floor_above_balance
        floor     alice  10.00
    """,
    "money can come in while the account is below zero": """
        open      alice  floor=-50.00
        withdraw  alice  50.00
        deposit   alice  20.00
        expect    alice  booked=-30.00 available=20.00
    """,
    "the first posting that lacks money is named": """
        open      alice
        open      bob
        deposit   alice  1.00
        deposit   bob    1.00
        entry     credit till 4.00 debit alice 2.00 debit bob 2.00  refused insufficient_funds account=alice available=1.00 needed=2.00
        entry     credit till 4.00 debit bob 2.00 debit alice 2.00  refused insufficient_funds account=bob available=1.00 needed=2.00
    """,
    # Accounts that are not there, are of another kind, are closed or frozen
    "an unknown account is refused on either side": """
        open      alice
        deposit   alice  10.00
        transfer  alice  nobody  1.00  refused unknown_account account=nobody
        transfer  nobody alice   1.00  refused unknown_account account=nobody
        hold      nobody 1.00          refused unknown_account account=nobody
        expect    alice  booked=10.00
    """,
    "an account takes its own currency only": """
        open      alice
        open      emil  currency=EUR
        deposit   alice  10.00
        deposit   emil   10.00
        transfer  alice  emil  1.00  refused currency_mismatch account=emil
        deposit   alice  1.00EUR     refused currency_mismatch account=alice
        hold      alice  1.00EUR     refused currency_mismatch account=alice
    """,
    "a closed account takes and gives nothing": """
        open      alice
        open      bob
        deposit   bob    1.00
        close     alice
        deposit   alice  1.00       refused account_closed account=alice
        withdraw  alice  1.00       refused account_closed account=alice
        transfer  bob    alice 1.00 refused account_closed account=alice
        hold      alice  1.00       refused account_closed account=alice
        expect    alice  status=closed booked=0.00 version=0
    """,
    "an account with money or a hold on it cannot be closed": """
        open      alice  floor=-50.00
        deposit   alice  1.00
        close     alice  refused account_not_empty
        withdraw  alice  1.00
        hold      alice  5.00  as dinner
        close     alice  refused account_not_empty
        release   dinner
        withdraw  alice  5.00
        close     alice  refused account_not_empty
        deposit   alice  5.00
        close     alice
    """,
    "a frozen account takes and gives nothing": """
        open      alice
        deposit   alice  10.00
        freeze    alice
        deposit   alice  1.00  refused account_frozen account=alice
        withdraw  alice  1.00  refused account_frozen account=alice
        hold      alice  1.00  refused account_frozen account=alice
        unfreeze  alice
        withdraw  alice  1.00
    """,
    "debits frozen, money still comes in": """
        open      alice
        deposit   alice  10.00
        freeze    alice  debits
        deposit   alice  1.00
        withdraw  alice  1.00  refused account_frozen account=alice
        hold      alice  1.00  refused account_frozen account=alice
        expect    alice  booked=11.00 status=debits_frozen
    """,
    "a till whose debits are frozen takes cash and pays none": """
        open      alice
        deposit   alice  10.00
        freeze    till   debits
        deposit   alice  1.00
        withdraw  alice  1.00  refused account_frozen account=till-USD
    """,
    "what is held on a frozen account can be released but not captured": """
        open      alice
        deposit   alice  10.00
        hold      alice  4.00  as dinner
        hold      alice  3.00  expires=+1h  as taxi
        freeze    alice
        capture   dinner 4.00  refused account_frozen account=alice
        release   dinner
        clock     +1h
        expire    taxi
        expect    alice  available=10.00
    """,
    # What is told first when several things are wrong
    "a missing account is told before a frozen one later in the entry, a frozen one before it": """
        open      alice
        freeze    alice
        transfer  nobody  alice  1.00  refused unknown_account account=nobody
        transfer  alice  nobody  1.00  refused account_frozen account=alice
    """,
    "currency is told before status, closed before funds": """
        open      alice
        close     alice
        deposit   alice  1.00EUR  refused currency_mismatch account=alice
        withdraw  alice  1.00     refused account_closed account=alice
    """,
    "the payee's status is told before the payer's limits and funds": """
        limits    everyone  per_payment=10.00 per_day=20.00
        open      alice
        open      bob
        freeze    bob
        pay       alice  bob  11.00  refused account_frozen account=bob
    """,
    "the payment limit is told before the daily one, that before funds": """
        limits    everyone  per_payment=10.00 per_day=9.00
        open      alice
        open      bob
        pay       alice  bob  10.01  refused over_payment_limit account=alice limit=10.00 needed=10.01 currency=USD
        pay       alice  bob   9.01  refused over_daily_limit account=alice limit=9.00 spent=0.00 needed=9.01 currency=USD
        pay       alice  bob   9.00  refused insufficient_funds account=alice available=0.00 needed=9.00 currency=USD
    """,
    "of two payers over their limits the first is named, a payment limit before any daily one": """
        limits    everyone  per_payment=10.00 per_day=20.00
        open      alice  per_day=1.00
        open      bob    per_payment=1.00
        open      carol
        pay       alice  carol  2.00  refused over_daily_limit account=alice limit=1.00 spent=0.00 needed=2.00
        pay       bob    carol  2.00  refused over_payment_limit account=bob limit=1.00 needed=2.00
    """,
    "a reversal's reasons are told before those of its postings": """
        open      alice
        deposit   alice  10.00  as first
        reverse   first
        freeze    alice
        reverse   first  refused already_reversed entry=first
        reverse   nobody refused unknown_entry entry=nobody
    """,
    "a hold's reasons are told before those of the postings": """
        open      alice
        deposit   alice  10.00
        hold      alice  10.00  expires=+1h  as dinner
        freeze    alice
        capture   dinner 10.01  refused hold_too_small hold=dinner remaining=10.00 currency=USD
        clock     +1h
        capture   dinner 10.01  refused hold_expired hold=dinner
        release   dinner
        capture   dinner 10.01  refused hold_ended hold=dinner
    """,
    # Limits
    "a payment's limit is met exactly and not passed": """
        limits    everyone  per_payment=10.00 per_day=100.00
        open      alice
        open      bob
        deposit   alice  100.00
        pay       alice  bob  10.00
        pay       alice  bob  10.01  refused over_payment_limit account=alice limit=10.00 needed=10.01
        expect    alice  spent=10.00
    """,
    "a day's limit adds payments up, and a new day begins with nothing": """
        limits    everyone  per_payment=10.00 per_day=15.00
        open      alice
        open      bob
        deposit   alice  100.00
        pay       alice  bob  10.00
        pay       alice  bob   5.01  refused over_daily_limit account=alice limit=15.00 spent=10.00 needed=5.01
        pay       alice  bob   5.00
        pay       alice  bob   0.01  refused over_daily_limit account=alice limit=15.00 spent=15.00 needed=0.01
        clock     +11h
        pay       alice  bob   0.01  refused over_daily_limit account=alice limit=15.00 spent=15.00 needed=0.01
        clock     +1h
        pay       alice  bob  10.00
        expect    alice  spent=10.00 spent_day=2026-03-03
    """,
    "the day changes at the bank's own midnight": """
        limits    everyone  per_payment=10.00 per_day=10.00
        open      alice
        open      bob
        deposit   alice  100.00
        clock     +11h                              # 04:00 UTC of the 3rd, 23:00 of the 2nd in New York
        pay       alice  bob  10.00  as late
        recorded  late   booking_date=2026-03-02
        clock     +59m
        pay       alice  bob  0.01   refused over_daily_limit account=alice limit=10.00 spent=10.00 needed=0.01
        clock     +1m
        pay       alice  bob  10.00  as early
        recorded  early  booking_date=2026-03-03
    """,
    "an account's own limits go before the bank's, higher or lower": """
        limits    everyone  per_payment=10.00 per_day=15.00
        open      alice
        open      bob
        deposit   alice  100.00
        limits    alice  per_payment=20.00
        pay       alice  bob  16.00  refused over_daily_limit account=alice limit=15.00 spent=0.00 needed=16.00
        limits    alice  per_payment=20.00 per_day=30.00
        pay       alice  bob  20.00
        limits    alice  per_payment=1.00 per_day=30.00
        pay       alice  bob  1.01   refused over_payment_limit account=alice limit=1.00 needed=1.01
        limits    alice
        pay       alice  bob  10.00  refused over_daily_limit account=alice limit=15.00 spent=20.00 needed=10.00
    """,
    "a limit of nothing allows nothing": """
        open      alice  per_payment=0.00
        open      bob
        deposit   alice  1.00
        pay       alice  bob  0.01  refused over_payment_limit account=alice limit=0.00 needed=0.01
        transfer  alice  bob  0.01
    """,
    "what has no limits uses none up": """
        limits    everyone  per_payment=10.00 per_day=10.00
        open      alice  per_payment=5.00 per_day=5.00
        open      bob
        deposit   alice  100.00
        transfer  alice  bob  50.00
        withdraw  alice  20.00
        expect    alice  spent=0.00 spent_day=None
        pay       alice  bob  5.00
        transfer  alice  bob  5.00
        expect    alice  spent=5.00
    """,
    "limits are the payer's, not the payee's, nor the bank's own": """
        limits    everyone  per_payment=10.00 per_day=10.00
        open      alice
        open      bob    per_payment=0.00
        deposit   alice  10.00
        pay       alice  bob  10.00
        expect    bob    spent=0.00 spent_day=None
        pay       clearing  alice  500.00
        expect    clearing  spent=0.00 spent_day=None
    """,
    "a refused payment uses no limit up": """
        limits    everyone  per_payment=10.00 per_day=10.00
        open      alice
        open      bob
        deposit   alice  5.00
        pay       alice  bob  6.00  refused insufficient_funds account=alice available=5.00 needed=6.00
        deposit   alice  5.00
        pay       alice  bob  10.00
    """,
    "a payment booked back in time counts towards the latest day": """
        limits    everyone  per_payment=10.00 per_day=10.00
        open      alice
        open      bob
        deposit   alice  100.00
        pay       alice  bob  6.00
        pay       alice  bob  4.01  day=-1  refused over_daily_limit account=alice limit=10.00 spent=6.00 needed=4.01
        pay       alice  bob  4.00  day=-1
        expect    alice  spent=10.00 spent_day=2026-03-02
        pay       alice  bob  0.01  refused over_daily_limit account=alice limit=10.00 spent=10.00 needed=0.01
        pay       alice  bob  10.00  day=+1
        expect    alice  spent=10.00 spent_day=2026-03-03
        pay       alice  bob  0.01  refused over_daily_limit account=alice limit=10.00 spent=10.00 needed=0.01
    """,
    "limits count within a batch": """
        limits    everyone  per_payment=10.00 per_day=15.00
        open      alice
        open      bob
        deposit   alice  100.00
        batch
          pay     alice  bob  10.00
          pay     alice  bob  10.00  refused over_daily_limit account=alice limit=15.00 spent=10.00 needed=10.00
          pay     alice  bob  5.00
        end
        expect    alice  spent=15.00 booked=85.00
    """,
    # Holds
    "a hold lowers the available balance but not the booked one": """
        open      alice
        deposit   alice  100.00
        hold      alice   30.00
        expect    alice  booked=100.00 available=70.00 held=30.00 version=1
        withdraw  alice  70.01  refused insufficient_funds account=alice available=70.00 needed=70.01
        withdraw  alice  70.00
    """,
    "a hold reserves no more than there is, down to the floor": """
        open      alice  floor=-20.00
        deposit   alice  10.00
        hold      alice  30.01  refused insufficient_funds account=alice available=30.00 needed=30.01 currency=USD
        hold      alice  30.00
        hold      alice  0.01   refused insufficient_funds account=alice available=0.00 needed=0.01 currency=USD
    """,
    "a hold is captured whole": """
        open      alice
        open      shop
        deposit   alice  100.00
        hold      alice  100.00  as dinner
        capture   dinner 100.00  to=shop
        expect    alice  booked=0.00 available=0.00 held=0.00
        expect    shop   booked=100.00
        capture   dinner 0.01    refused hold_ended hold=dinner
        release   dinner         refused hold_ended hold=dinner
        expire    dinner         refused hold_ended hold=dinner
    """,
    "a hold is captured in parts, and the rest is released": """
        open      alice
        deposit   alice  100.00
        hold      alice  30.00  as dinner
        capture   dinner 10.00
        expect    alice  booked=90.00 available=70.00 held=20.00
        capture   dinner 20.01  refused hold_too_small hold=dinner remaining=20.00 currency=USD
        capture   dinner 15.00
        release   dinner
        expect    alice  booked=75.00 available=75.00 held=0.00
    """,
    "a capture takes what it reserved, though nothing else is left": """
        open      alice
        deposit   alice  30.00
        hold      alice  30.00  as dinner
        withdraw  alice  0.01   refused insufficient_funds account=alice available=0.00 needed=0.01
        capture   dinner 30.00
        expect    alice  booked=0.00
    """,
    "what a capture frees is free for its own account only": """
        open      alice
        open      bob
        deposit   alice  30.00
        deposit   bob    4.00
        hold      alice  30.00  as dinner
        capture   dinner 30.00  with=bob:4.01  refused insufficient_funds account=bob available=4.00 needed=4.01
        capture   dinner 30.00  with=bob:4.00
        expect    alice  booked=0.00 held=0.00
        expect    bob    booked=0.00
    """,
    "a hold without an end stays until it is released": """
        open      alice
        deposit   alice  30.00
        hold      alice  30.00  as dinner
        clock     +4000d
        expire    dinner  refused hold_not_expired hold=dinner
        capture   dinner  1.00
        release   dinner
        expect    alice  available=29.00
    """,
    "a hold ends at its instant, to the microsecond": """
        open      alice
        deposit   alice  30.00
        hold      alice  30.00  expires=+1h  as dinner
        clock     +1h
        clock     -1us
        expire    dinner  refused hold_not_expired hold=dinner
        capture   dinner  10.00
        clock     +1us
        capture   dinner  10.00  refused hold_expired hold=dinner
        expire    dinner
        expect    alice  booked=20.00 available=20.00 held=0.00
        expire    dinner  refused hold_ended hold=dinner
    """,
    "an expired hold can be released by hand": """
        open      alice
        deposit   alice  30.00
        hold      alice  30.00  expires=+1h  as dinner
        clock     +2h
        release   dinner
        expect    alice  available=30.00
    """,
    "there is no such hold, or it is another account's, or the entry was no hold": """
        open      alice
        open      bob
        deposit   alice  30.00  as salary
        deposit   bob    30.00
        hold      alice  10.00  as dinner
        capture   nobody 1.00  of=alice  refused unknown_hold hold=nobody
        release   nobody       of=alice  refused unknown_hold hold=nobody
        capture   dinner 1.00  of=bob    refused unknown_hold hold=dinner
        expire    salary       of=alice  refused unknown_hold hold=salary
        release   dinner       of=nobody refused unknown_account account=nobody
        expect    alice  held=10.00
    """,
    "a refused hold is no hold": """
        open      alice
        hold      alice  1.00  as dinner  refused insufficient_funds
        deposit   alice  1.00
        capture   dinner 1.00  refused unknown_hold hold=dinner
    """,
    "what is due is swept, once": """
        open      alice
        deposit   alice  30.00
        hold      alice  1.00  expires=+1h  as soon
        hold      alice  2.00  expires=+2h  as later
        hold      alice  3.00
        sweep     expired=0
        clock     +1h
        sweep     expired=1
        sweep     expired=0
        clock     +1h
        release   later
        sweep     expired=0
        expect    alice  held=3.00
    """,
    # Reversals
    "a reversal moves everything back": """
        open      alice
        open      bob
        deposit   alice  10.00
        entry     debit alice 10.00  credit bob 7.50  credit fee_income 2.50  as purchase
        reverse   purchase
        expect    alice  booked=10.00
        expect    bob    booked=0.00
        expect    fee_income  booked=0.00
    """,
    "a deposit that was spent cannot be reversed, until the money is back": """
        open      alice
        deposit   alice  10.00  as salary
        withdraw  alice  4.00
        reverse   salary  refused insufficient_funds account=alice available=6.00 needed=10.00
        deposit   alice  4.00
        reverse   salary
        expect    alice  booked=0.00
    """,
    "a second reversal is refused": """
        open      alice
        deposit   alice  10.00  as salary
        deposit   alice  10.00
        reverse   salary
        reverse   salary  refused already_reversed entry=salary
        expect    alice  booked=10.00
    """,
    "two reversals in one batch: the second is refused": """
        open      alice
        deposit   alice  10.00  as salary
        deposit   alice  10.00
        batch
          reverse salary
          reverse salary  refused already_reversed entry=salary
        end
        expect    alice  booked=10.00
    """,
    "a reversal, a refusal and a hold cannot be reversed": """
        open      alice
        deposit   alice  10.00  as salary
        deposit   alice  10.00
        reverse   salary        as undone
        reverse   undone  refused not_reversible entry=undone
        withdraw  alice  99.00  as greedy  refused insufficient_funds
        reverse   greedy  refused not_reversible entry=greedy
        hold      alice  5.00   as dinner
        reverse   dinner  refused not_reversible entry=dinner
    """,
    "a captured payment can be reversed; the hold stays ended": """
        open      alice
        deposit   alice  10.00
        hold      alice  10.00  as dinner
        capture   dinner 10.00  as bill
        reverse   bill
        expect    alice  booked=10.00 available=10.00
        release   dinner  refused hold_ended hold=dinner
    """,
    "a payment to an account that was closed since cannot be reversed": """
        open      alice
        open      bob
        deposit   alice  10.00
        transfer  alice  bob  10.00  as gift
        withdraw  bob    10.00
        close     bob
        reverse   gift   refused account_closed account=bob
    """,
    # Batches
    "a refused neighbour spoils nothing": """
        open      alice
        open      bob
        batch
          deposit  alice  10.00
          withdraw alice  10.01   refused insufficient_funds account=alice available=10.00 needed=10.01
          transfer alice  nobody 1.00  refused unknown_account account=nobody
          transfer alice  bob   4.00
          withdraw bob    4.00
        end
        expect    alice  booked=6.00 version=2
        expect    bob    booked=0.00 version=2
        journal   entries=5 refusals=2
    """,
    "the order within a batch counts": """
        open      alice
        batch
          withdraw alice  10.00  refused insufficient_funds account=alice available=0.00 needed=10.00
          deposit  alice  10.00
        end
        expect    alice  booked=10.00
    """,
    "the same key twice in one batch posts once": """
        open      alice
        batch
          deposit  alice  10.00  key=once
          deposit  alice  10.00  key=once  replayed
          deposit  alice  11.00  key=once  key_reused
        end
        expect    alice  booked=10.00 version=1
        journal   entries=1
    """,
    "the same refused key twice in one batch is refused once": """
        open      alice
        batch
          withdraw alice  10.00  key=once  refused insufficient_funds account=alice available=0.00 needed=10.00
          deposit  alice  10.00
          withdraw alice  10.00  key=once  replayed insufficient_funds account=alice available=0.00 needed=10.00
        end
        expect    alice  booked=10.00
    """,
    # Keys
    "a key that comes again is answered as the first time, even on another day": """
        open      alice
        deposit   alice  10.00  as salary
        replay    salary  replayed
        clock     +3d
        replay    salary  replayed
        expect    alice  booked=10.00 version=1
        journal   entries=1
    """,
    "a remembered refusal is repeated after the money has come": """
        open      alice
        withdraw  alice  10.00  as early  refused insufficient_funds account=alice available=0.00 needed=10.00
        deposit   alice  100.00
        replay    early   replayed insufficient_funds account=alice available=0.00 needed=10.00 currency=USD
        expect    alice  booked=100.00
    """,
    "a posted key is repeated on an account that was closed since": """
        open      alice
        deposit   alice  10.00  as salary
        withdraw  alice  10.00
        close     alice
        replay    salary  replayed
    """,
    "a key with other content is refused, whatever differs": """
        open      alice
        open      bob
        deposit   alice  10.00  key=once narrative="March"
        deposit   alice  10.01  key=once narrative="March"  key_reused
        deposit   alice  10.00  key=once narrative="April"  key_reused
        deposit   bob    10.00  key=once narrative="March"  key_reused
        withdraw  alice  10.00  key=once narrative="March"  key_reused
        transfer  till   alice  10.00  key=once narrative="March"  key_reused
        hold      alice  10.00  key=once narrative="March"  key_reused
        deposit   alice  10.00  key=once narrative="March"  replayed
        journal   entries=1
        expect    alice  booked=10.00 held=0.00
    """,
    "a refused key with other content stays refused": """
        open      alice
        withdraw  alice  10.00  key=once  refused insufficient_funds
        deposit   alice  10.00  key=once  key_reused
        expect    alice  booked=0.00
    """,
    "an amount of another currency is other content": """
        open      alice
        open      emil  currency=EUR
        deposit   alice  10.00     key=once
        deposit   alice  10.00EUR  key=once  key_reused
        hold      alice  1.00      key=held
        hold      alice  1.00EUR   key=held  key_reused
    """,
    "keys compare byte for byte": f"""
        open      alice
        deposit   alice  1.00  key=once
        deposit   alice  1.00  key=Once
        deposit   alice  1.00  key="once "
        deposit   alice  1.00  key=" once"
        deposit   alice  1.00  key="once\t"
        deposit   alice  1.00  key={COMPOSED}
        deposit   alice  1.00  key={DECOMPOSED}
        deposit   alice  1.00  key=cafe
        deposit   alice  1.00  key=strasse
        deposit   alice  1.00  key=straße
        deposit   alice  1.00  key=once  replayed
        deposit   alice  1.00  key="once "  replayed
        deposit   alice  1.00  key={DECOMPOSED}  replayed
        expect    alice  booked=10.00
        journal   entries=10
    """,
    "a key may have 255 bytes in any script, and be cut nowhere": f"""
        open      alice
        deposit   alice  1.00  key={"k" * 255}
        deposit   alice  1.00  key={"k" * 254}x
        deposit   alice  1.00  key={"k" * 255}  replayed
        deposit   alice  1.00  key={"🐖" * 63}abc  as pigs
        deposit   alice  1.00  key={"🐖" * 63}abd
        recorded  pigs   key={"🐖" * 63}abc
        journal   entries=4
    """,
    "another caller's same key is another key": """
        open      alice
        deposit   alice  10.00  key=once by=customer:1
        deposit   alice  10.00  key=once by=customer:2
        deposit   alice  10.00  key=once by=Customer:1
        deposit   alice  10.00  key=once by=customer:1  replayed
        expect    alice  booked=30.00
    """,
    # What is recorded
    "a narrative is kept in any script, and beyond 16 bits": f"""
        open      alice
        deposit   alice  1.00  narrative="Grüße, 東京 שלום नमस्ते"  as a
        deposit   alice  1.00  narrative="🐖 \U0001d54f \U0010fffd"  as b
        deposit   alice  1.00  narrative={DECOMPOSED}  as c
        deposit   alice  1.00  narrative={"𝔘" * 200}  as d
        recorded  a  narrative="Grüße, 東京 שלום नमस्ते"
        recorded  b  narrative="🐖 \U0001d54f \U0010fffd"
        recorded  c  narrative={DECOMPOSED}
        recorded  d  narrative={"𝔘" * 200}
    """,
    "a narrative is text, whatever is in it": r"""
        open      alice
        deposit   alice  1.00  narrative='Robert"); DROP TABLE postings; --'  as a
        deposit   alice  1.00  narrative='{"$.key": [1, \"x\"]} %s %(x)s :batch \u0041 \\'  as b
        deposit   alice  1.00  narrative='  blanks around  '  as c
        recorded  a  narrative='Robert"); DROP TABLE postings; --'
        recorded  b  narrative='{"$.key": [1, \"x\"]} %s %(x)s :batch \u0041 \\'
        recorded  c  narrative='  blanks around  '
    """,
    "an instant keeps its microseconds": """
        open      alice
        deposit   alice  1.00  as first
        recorded  first  booked_at=2026-03-02T17:00:00.123456+00:00 booking_date=2026-03-02 kind=deposit caller=teller
        clock     +1us
        withdraw  alice  5.00  as second  refused insufficient_funds
        recorded  second booked_at=2026-03-02T17:00:00.123457+00:00 refusal=insufficient_funds
        clock     -123457us
        deposit   alice  1.00  as third
        recorded  third  booked_at=2026-03-02T17:00:00+00:00
    """,
    # Within a use case's transaction
    "a use case that fails after the door leaves nothing": """
        open      alice
        deposit   alice  10.00
        abandoned
          withdraw alice  1.00  key=once
          withdraw alice  99.00  refused insufficient_funds
          hold     alice  2.00
        end
        expect    alice  booked=10.00 held=0.00 version=1
        journal   entries=1
        withdraw  alice  5.00  key=once
        expect    alice  booked=5.00 version=2
    """,
    "a use case that ends well keeps what went through the door": """
        open      alice
        within
          deposit  alice  10.00  key=once
          withdraw alice  11.00  refused insufficient_funds account=alice available=10.00 needed=11.00
          deposit  alice  10.00  key=once  replayed
        end
        expect    alice  booked=10.00 version=1
        journal   entries=2 refusals=1
    """,
}


@pytest.mark.parametrize("story", CASES.values(), ids=CASES)
def test_the_story_comes_true(play: Play, story: str):
    play(story)


def test_every_refusal_has_a_story():
    told = {word for story in CASES.values() for word in story.split()}
    assert set(REFUSALS) <= told
