"""Folders of transactions as another bank hands them over, small and whole or spoilt on purpose."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

HEADER: Final = (
    "transaction_id,account_id,booking_date,direction,operation,amount,"
    "balance_after_recorded,purpose,counterparty_bank,counterparty_account"
)
FILES: Final = {
    "customers.csv": """client_id,birth_date,sex,district
1,1945-02-04,male,Praha
2,1940-10-09,female,Brno
3,,male,Plzen
""",
    "accounts.csv": """account_id,district_id,statement_frequency,opened_on
10,1,monthly,1993-01-01
11,2,weekly,1993-02-01
""",
    "holders.csv": """client_id,account_id,role
1,10,owner
2,10,disponent
3,11,owner
""",
    "transactions.csv": f"""{HEADER}
1,10,1993-01-01,credit,cash_deposit,1000.00,1000.00,,,
9,10,1993-01-02,credit,transfer_in,200.50,1200.50,pension,ST,66487163
2,10,1993-01-03,debit,transfer_out,50,1150.50,household,QR,13943797
3,10,1993-01-04,debit,cash_withdrawal,400.00,750.50,,,
4,10,1993-01-05,debit,card_withdrawal,100.00,650.50,,,
5,10,1993-01-31,credit,interest,3.20,653.70,interest,,
6,10,1993-01-31,debit,fee,14.60,639.10,statement_fee,,
7,11,1993-02-01,credit,cash_deposit,100.00,100.00,,,
8,11,1993-02-02,debit,cash_withdrawal,250.00,-150.00,,,
10,11,1993-02-03,debit,penalty_interest,0.10,-150.10,penalty_interest,,
11,11,1993-02-04,credit,cash_deposit,200.00,49.90,,,
""",
    "closing_balances.csv": """account_id,closing_balance,transactions
10,639.10,7
11,49.90,4
""",
}


def write(folder: Path, **spoilt: str) -> Path:
    """Write the files, transactions compressed; `transactions="…"` puts another text in place of a file's."""
    folder.mkdir(exist_ok=True)
    for name, text in FILES.items():
        content = spoilt.get(name.removesuffix(".csv"), text).encode()
        if name == "transactions.csv":
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def plus(name: str, *lines: str) -> str:
    """A file's text with lines added at its end."""
    return FILES[f"{name}.csv"] + "".join(f"{line}\n" for line in lines)


def long_history(transactions: int) -> str:
    """Many deposits of one crown on account 10."""
    rows = (f"{number},10,1993-03-01,credit,cash_deposit,1.00,,,," for number in range(1, transactions + 1))
    return "\n".join([HEADER, *rows, ""])
