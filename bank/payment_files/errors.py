"""Why a file of payments is not taken."""

from __future__ import annotations

from collections.abc import Sequence

from bank.errors import Forbidden, Invalid, Missing
from bank.language import gettext as _
from bank.language import ngettext
from bank.payment_files.model import Problem


class OwnFile(Forbidden):
    """Nobody has a file of the branch paid that they sent themselves."""

    code = "own_file"

    def __init__(self) -> None:
        super().__init__(_("You sent this file yourself. Another executive must confirm it."))


class PaymentFileUnusable(Invalid):
    """The file of payments has problems; nothing of it was kept or paid."""

    code = "payment_file_unusable"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(
            ngettext(
                "The file has %(n)s problem. Nothing of it was paid: mend it and send it again.",
                "The file has %(n)s problems. Nothing of it was paid: mend them and send it again.",
                len(problems),
            )
        )
        self.problems = tuple(problems)


class NoSuchPaymentFile(Missing):
    """There is no such file of payments, or none that this person may see."""

    code = "no_such_payment_file"

    def __init__(self) -> None:
        super().__init__(_("There is no such file of payments. One that nobody confirms is forgotten after a week."))
