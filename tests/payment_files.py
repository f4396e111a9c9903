"""Files of payments to test with, as spreadsheets and as payroll programs write them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from xml.sax.saxutils import escape

from bank.customers.store import Customer
from bank.payment_files import service
from bank.payment_files.model import ON_THE_WEB
from tests.builders import Branch

HEADER = "payer account,payee account,payee name,amount,reference"

#: From, to, name, amount, reference.
Row = tuple[str, str, str, str, str]


def as_csv(rows: Iterable[Row], *, keys: Iterable[str] | None = None, separator: str = ",") -> bytes:
    """The rows as CSV, with a column of keys if there are any."""
    lines = [HEADER.split(",") + (["key"] if keys else [])]
    named = iter(keys or ())
    lines += [[*row, *([next(named)] if keys else [])] for row in rows]
    return "\n".join(separator.join(line) for line in lines).encode()


def as_pain(
    rows: Iterable[Row],
    *,
    version: str = "pain.001.001.09",
    message: str = "SALARIES-1",
    day: str = "2026-01-31",
    count: str | None = None,
    total: str | None = None,
    currency: str = "USD",
    before: str = "",
    in_payment: str = "",
) -> bytes:
    """The rows as one message, a block of payments for each paying account; `count` and `total` None: the true ones."""
    rows = list(rows)
    plain = version.endswith(".03")
    bank = f"<FinInstnId><{'BIC' if plain else 'BICFI'}>OURBUS33</{'BIC' if plain else 'BICFI'}></FinInstnId>"
    count = str(len(rows)) if count is None else count
    total = str(sum(Decimal(row[3]) for row in rows)) if total is None else total
    blocks = []
    for payer in dict.fromkeys(row[0] for row in rows):
        payments = "".join(
            f"<CdtTrfTxInf><PmtId><EndToEndId>E{number}</EndToEndId></PmtId>"
            f'<Amt><InstdAmt Ccy="{currency}">{amount}</InstdAmt></Amt><CdtrAgt>{bank}</CdtrAgt>'
            f"<Cdtr><Nm>{escape(name)}</Nm></Cdtr><CdtrAcct><Id><Othr><Id>{payee}</Id></Othr></Id></CdtrAcct>{in_payment}"
            f"<RmtInf><Ustrd>{escape(reference)}</Ustrd></RmtInf></CdtTrfTxInf>\n"
            for number, (paying, payee, name, amount, reference) in enumerate(rows, start=1)
            if paying == payer
        )
        blocks.append(
            f"<PmtInf><PmtInfId>P{payer}</PmtInfId><PmtMtd>TRF</PmtMtd>"
            f"<ReqdExctnDt>{day if plain else f'<Dt>{day}</Dt>'}</ReqdExctnDt><Dbtr><Nm>Alice</Nm></Dbtr>"
            f"<DbtrAcct><Id><Othr><Id>{payer}</Id></Othr></Id></DbtrAcct><DbtrAgt>{bank}</DbtrAgt>\n{payments}</PmtInf>\n"
        )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{version}"><CstmrCdtTrfInitn>\n'
        f"<GrpHdr><MsgId>{message}</MsgId><CreDtTm>2026-01-31T10:00:00</CreDtTm><NbOfTxs>{count}</NbOfTxs>"
        f"<CtrlSum>{total}</CtrlSum><InitgPty><Nm>Alice</Nm></InitgPty></GrpHdr>\n"
        f"{''.join(blocks)}</CstmrCdtTrfInitn></Document>\n"
    ).encode()


def send(branch: Branch, rows: Iterable[Row], by: str) -> int:
    """Somebody's file of these payments, which nobody has confirmed; its id."""
    person = branch.people[by]
    customer_id = person.id if isinstance(person, Customer) else None
    file = service.take(
        branch.bank, as_csv(rows), "wages.csv", ON_THE_WEB, by=branch.author(by), customer_id=customer_id
    )
    return file.id
