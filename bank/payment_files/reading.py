"""Read a file of payments in whichever of the formats it is."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from datetime import date

from bank.language import gettext as _
from bank.language import whole
from bank.payment_files import delimited, pain
from bank.payment_files.model import Bounds, Reading


def read(content: bytes, bounds: Bounds, *, currency: str, today: date) -> Reading:
    """All payments that the file says, and every problem that can be seen without looking at an account.

    `currency` is the amounts' where a CSV does not say; nothing is to be paid after `today`.
    """
    if len(content) > bounds.bytes:
        reading = Reading("csv")
        most = whole(bounds.bytes // 1024)
        reading.refuse(None, "", _("The file is larger than %(most)s KiB. Send it in parts.", most=most))
        return reading
    reading = pain.read(content, bounds, today=today) if _is_xml(content) else delimited.read(content, bounds, currency)
    if not reading.lines and not reading.problems:
        reading.refuse(None, "", _("There is no payment in this file."))
    return reading


def _is_xml(content: bytes) -> bool:
    """Does it begin with an angle bracket, in whatever encoding?"""
    start = content[:200]
    for mark in (BOM_UTF8, BOM_UTF16_LE, BOM_UTF16_BE):
        start = start.removeprefix(mark)
    return start.replace(b"\0", b"").lstrip().startswith(b"<")
