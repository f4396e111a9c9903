"""A statement as a file: every format shows the same figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bank.statements.model import Statement
from bank.statements.render import csv, pdf, xlsx


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that a statement is downloaded as."""

    extension: str
    content_type: str
    render: Callable[[Statement], bytes]

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
