"""The application with its idempotency check taken out: a mistake that the drill has to find.

The key of every payment is made unique before it goes to the database, so a payment that is sent again is a new one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_MODULE: Final = "bank/payments/sending.py"
_KEPT: Final = '"key": asked.key,'
_LOST: Final = '"key": f"{asked.key[:200]}-{__import__(\'secrets\').token_hex(8)}",'


class NothingToTakeOut(AssertionError):
    """The application keeps payments apart otherwise than this knows; the mistake would not be one."""


def take_out(package: Path) -> None:
    """Spoil the copy of the application below `package`, the folder that holds `bank/`; never the working tree.

    Raises:
        NothingToTakeOut: the place is not there.
    """
    if package.resolve() == Path(__file__).resolve().parents[2]:
        raise NothingToTakeOut("this is the working tree")
    module = package / _MODULE
    text = module.read_text()
    if text.count(_KEPT) != 1:
        raise NothingToTakeOut(f"{_MODULE} has {text.count(_KEPT)} places like {_KEPT}")
    module.write_text(text.replace(_KEPT, _LOST))
