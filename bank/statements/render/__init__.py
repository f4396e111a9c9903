"""A statement as a file: every format shows the same figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bank.statements.errors import StatementsBusy
from bank.statements.model import Statement
from bank.statements.render import csv, pdf, xlsx
from bank.turns import Turns

# Making a file keeps a processor busy: one at a time in this process. Two may wait; whoever else asks is told so at
# once, for every thread that waits here is one that answers nobody.
_WAITING: Final = Turns(3, patience_seconds=0, busy=StatementsBusy)
_MAKING: Final = Turns(1, patience_seconds=5, busy=StatementsBusy)


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that a statement is downloaded as."""

    extension: str
    content_type: str
    make: Callable[[Statement], bytes]

    def render(self, statement: Statement) -> bytes:
        """The statement's file.

        Raises:
            StatementsBusy: too many are being made.
            TooLongForPdf: a PDF does not hold so many lines.
        """
        with _WAITING.taken(), _MAKING.taken():
            return self.make(statement)

    def filename(self, statement: Statement) -> str:
        """The account's last four digits and the period, in plain ASCII: `statement-0001-2026-03.csv`."""
        digits = re.sub(r"[^0-9A-Za-z]", "", statement.account_number)[-4:]
        return f"statement-{digits}-{statement.period.slug}.{self.extension}"


FORMATS: Final = {
    format_.extension: format_
    for format_ in (
        Format("pdf", "application/pdf", pdf.render),
        Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", xlsx.render),
        Format("csv", "text/csv; charset=utf-8", csv.render),
    )
}
