"""Numbers that people read out and type: customers' and accounts', with a check digit."""

from __future__ import annotations

import re
from typing import Final

from stdnum import luhn

from bank.errors import Invalid
from bank.language import gettext as _

#: The older app's numbers have nine digits and no check digit; they are kept as they are.
IMPORTED_DIGITS: Final = 9


class InvalidNumber(Invalid):
    """A customer or account number that cannot be right."""

    code = "invalid_number"


def with_check_digit(serial: int) -> str:
    """A new number: the serial and its Luhn digit (ISO/IEC 7812-1, annex B).

    >>> with_check_digit(360200000)
    '3602000006'
    """
    return f"{serial}{luhn.calc_check_digit(str(serial))}"


def read_number(text: str) -> str:
    """The digits of a typed customer or account number; blanks and hyphens are ignored.

    >>> read_number(" 360 200 0006 ")
    '3602000006'

    Raises:
        InvalidNumber: not nine digits, nor ten with a right check digit.
    """
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"[0-9]{9,10}", digits):
        raise InvalidNumber(_("Enter the number's 9 or 10 digits, as on the statement."))
    if len(digits) > IMPORTED_DIGITS and not luhn.is_valid(digits):
        raise InvalidNumber(_("Check the number: one of its digits is mistyped."))
    return digits


def masked(number: str) -> str:
    """All but the last four characters hidden.

    >>> masked("3602000001")
    '\\u200e•••• 0001'
    """
    # Dots have no direction: unmarked they would stand behind the digits in languages written from the right.
    return f"\u200e•••• {number[-4:]}"
