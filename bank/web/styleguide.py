"""The style guide: every component in every state, and the tokens they are made of; for developers, not in production."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from flask import Blueprint, abort, current_app, render_template
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, SelectField

from bank.ledger.model import Side
from bank.money import Money
from bank.web.access import PUBLIC, open_to
from bank.web.current import settings
from bank.web.fields import AmountField, DayField, PageForm, SecretField, TextField, choices, one_of, required

styleguide = Blueprint("styleguide", __name__)

_TOKEN: Final = re.compile(r"^ {4}--([a-z0-9-]+): (.+);$", re.MULTILINE)
_DAY: Final = date(2026, 3, 31)
_MOMENT: Final = datetime(2026, 3, 31, 14, 5, tzinfo=UTC)


class SampleForm(PageForm):
    """A field of each kind."""

    name = TextField(_("Name"), validators=[required(_("Enter a name."))])
    amount = AmountField(_("Amount"), validators=[required(_("Enter an amount."))])
    day = DayField(_("Day"), validators=[required(_("Enter a day."))])
    password = SecretField(_("Password"), validators=[required(_("Enter your password."))])
    status = one_of(_("Status"), [("open", _("Open")), ("closed", _("Closed"))], _("Choose a status."))
    role = SelectField(
        _("Role"), choices=choices([("teller", _("Teller")), ("cashier", _("Cashier"))]), default="teller"
    )
    sure = BooleanField(_("Yes"), validators=[required(_("Tick the box."))])


@styleguide.get("/styleguide")
@open_to(PUBLIC)
def show() -> str:
    """Every component, drawn by the same macros as the pages."""
    if settings().production:
        abort(404)
    # Nothing here is sent, so nothing here needs a token.
    wrong = SampleForm(meta={"csrf": False})
    wrong.validate()
    return render_template(
        "styleguide.html",
        plain=SampleForm(prefix="plain-", meta={"csrf": False}),
        wrong=wrong,
        tokens=tokens(),
        received=_money(1_250_00),
        paid=_money(-42_50),
        day=_DAY,
        moment_shown=_MOMENT,
        accounts=[
            SimpleNamespace(ledger=SimpleNamespace(status=status))
            for status in ("open", "debits_frozen", "frozen", "closed")
        ],
        movements=[_movement("transfer", Side.CREDIT, 1_250_00, "Rent"), _movement("fee", Side.DEBIT, 2_50, "")],
        records=[
            SimpleNamespace(
                at=_MOMENT, who="staff:1", action="customer.edited", subject="customer:1", reason="Moved house",
                details={"city": ["Bangor", "Portland"]},
            )
        ],
    )  # fmt: skip


def tokens() -> dict[str, list[tuple[str, str]]]:
    """The names and values of the style sheet's tokens, read from it: colours, sizes of text, space."""
    found = _TOKEN.findall((Path(current_app.static_folder or "") / "bank.css").read_text())
    return {
        "colours": [(name, value) for name, value in found if value.startswith("light-dark(")],
        "text": [(name, value) for name, value in found if name.startswith("text")],
        "space": [(name, value) for name, value in found if name.startswith("gap")],
    }


def _money(minor_units: int) -> Money:
    return Money(minor_units, settings().currency)


def _movement(kind: str, side: Side, minor_units: int, narrative: str) -> Any:
    amount = _money(minor_units)
    return SimpleNamespace(
        entry_id=1, kind=kind, narrative=narrative, booking_date=_DAY, booked_at=_MOMENT, amount=amount,
        signed=amount if side is Side.CREDIT else -amount, balance_after=_money(1_300_00),
    )  # fmt: skip
