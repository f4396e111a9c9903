"""Text that spreadsheets open: harmless as it stands."""

from __future__ import annotations

import re
from typing import Final

# What begins a formula in Excel, LibreOffice or Google Sheets; the full-width signs are what some East Asian
# editions read like the plain ones. A cell also begins wherever a reader sees a separator that the writer did not
# mean: Excel splits at semicolons in much of Europe. A price may end in a minus, as in "100,-".
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_START: Final = re.compile(r'(?:\A|[;,|\t\r\n])[\s"]*(?=[=+\-@＝＋－＠])(?!-\Z)')


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula, whatever it takes for the end of a cell.

    >>> harmless("=1+1"), harmless("Rent; =1+1"), harmless("Rent - 100,-")
    ("'=1+1", "Rent; '=1+1", 'Rent - 100,-')
    """
    return _FORMULA_START.sub(r"\g<0>'", text)
