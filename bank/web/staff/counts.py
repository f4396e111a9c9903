"""Counting a till, and the reports of counts."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from flask import g, render_template, request, url_for
from flask.typing import ResponseReturnValue as View
from flask_babel import lazy_gettext as _
from wtforms import HiddenField
from wtforms.validators import Optional, Regexp

from bank.cases import store as case_store
from bank.errors import Invalid
from bank.identity import staff as staff_members
from bank.identity.staff import Role
from bank.language import gettext
from bank.ledger import store as ledger_store
from bank.money import Money, parse_amount
from bank.payments import counting, till_days
from bank.payments.counting import PIECES, Count, NoSuchCount, TillMoved
from bank.payments.till_days import KindSum
from bank.payments.vault import NoSuchTill
from bank.web.access import ANY_STAFF, TILL, open_to
from bank.web.current import author, bank, staff_member
from bank.web.fields import OperationForm, ReadField, TextField, at_most
from bank.web.money import settle
from bank.web.paging import read_place
from bank.web.staff import staff
from bank.web.staff.till import own_till, till_of

_PAGE_LINES: Final = 50
_MOST_PIECES: Final = 1_000_000


class CountForm(OperationForm):
    """A till as counted: a field for each note and coin of its currency, or one for the sum."""

    seen = HiddenField(validators=[Regexp(r"[0-9]{1,18}\Z", message=_("Reload the page and send the form again."))])
    reason = TextField(_("Reason, if it is not what was expected"), validators=[Optional(), at_most(500)])

    @property
    def counted_fields(self) -> list[tuple[int, ReadField]]:
        """Each piece's minor units and its field; of a sum, 0."""
        return [(int(field.name.split("_")[1]), field) for field in self if field.name.startswith("piece_")]

    @property
    def pieces(self) -> dict[int, int]:
        """How many of each piece there are, where any are."""
        return {piece: field.value for piece, field in self.counted_fields if piece and field.value}

    def counted(self, currency: str) -> Money:
        """What is in the till."""
        [(first, field), *_rest] = self.counted_fields
        return counting.total(self.pieces, currency) if first else field.value

    def validate(self, extra_validators: Any = None) -> bool:
        """Something was counted, if only that there is nothing."""
        valid = bool(super().validate(extra_validators))
        if valid and all(field.value is None for _piece, field in self.counted_fields):
            self.counted_fields[0][1].errors = [gettext("Enter what you counted; 0 if the till is empty.")]
            return False
        return valid


def _count_form(currency: str) -> CountForm:
    """The form with the fields of a currency."""
    fields: dict[str, ReadField] = {
        f"piece_{piece}": ReadField(str(Money(piece, currency)), read=_read_many, validators=[Optional()])
        for piece in PIECES.get(currency, ())
    }
    if not fields:
        read = partial(_read_sum, currency=currency)
        fields = {"piece_0": ReadField(_("Sum of all notes and coins"), read=read, validators=[Optional()])}
    kind: type[CountForm] = type("CountForm", (CountForm,), fields)
    return kind()


def _read_many(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and int(text) <= _MOST_PIECES):
        raise Invalid(gettext("Enter how many there are, as a whole number."))
    return int(text)


def _read_sum(text: str, *, currency: str) -> Money:
    """An amount, or 0 for nothing."""
    return Money(0, currency) if re.fullmatch(r"0+([.,]0*)?", text, re.ASCII) else parse_amount(text, currency)


@staff.route("/till/count", methods=["GET", "POST"])
@open_to(*TILL)
def count_till() -> View:
    """Count the till; a difference is booked with its reason and put before an executive."""
    till = own_till()
    form = _count_form(till.currency)
    if not form.is_submitted():
        form.seen.data = str(till.version)
        form.counted_fields[0][1].render_kw = {"autofocus": True}

    def act() -> str:
        try:
            count_id = bank().run(
                counting.count,
                till.id,
                form.counted(till.currency),
                form.pieces,
                seen=int(form.seen.data or 0),
                reason=form.reason.text,
                key=form.key,
                by=author(),
            )
        except TillMoved as moved:
            g.till = moved.till
            form.seen.data = str(moved.till.version)
            raise
        return url_for(".show_count", count_id=count_id)

    return settle(form, act, "staff/till_count.html")


@staff.get("/counts/<id:count_id>")
@open_to(*ANY_STAFF)
def show_count(count_id: int) -> View:
    """The report of a count: the day up to it, what was expected and found; one's own, or any for an executive."""
    with bank().reader() as reader:
        count = counting.by_id(reader, count_id)
        if count is None or not _may_see(count):
            raise NoSuchCount
        till = ledger_store.account(reader, count.till_account_id)
        currency = count.counted.currency
        kinds = till_days.sums(reader, count.till_account_id, count.business_date, currency, up_to=count.seq)
        names = staff_members.names(reader, [count.counted_by])
        case = case_store.difference_of(reader, count.entry_id) if count.entry_id else None
    assert till is not None
    return render_template(
        "staff/till_report.html",
        count=count,
        till=till,
        kinds=kinds,
        opening=_opening(count, kinds),
        counted_by=names.get(count.counted_by, count.counted_by),
        case=case,
        own=count.till_account_id == staff_member().till_account_id,
    )


def _opening(count: Count, kinds: list[KindSum]) -> Money:
    """What was in the till when the day began: what was expected, less all that the day brought."""
    moved = sum((kind.received - kind.paid for kind in kinds), Money(0, count.counted.currency))
    return count.expected - moved


@staff.get("/tills/<number>/counts")
@open_to(*ANY_STAFF)
def list_counts(number: str) -> View:
    """The counts of a till, newest first; one's own, or any for an executive."""
    before = read_place(request.args.get("before"))
    till = till_of(number)
    if staff_member().role is not Role.EXECUTIVE and till.id != staff_member().till_account_id:
        raise NoSuchTill
    with bank().reader() as reader:
        found = counting.page_before(reader, till.id, before=before, limit=_PAGE_LINES + 1)
    older = found[_PAGE_LINES - 1].id if len(found) > _PAGE_LINES else None
    return render_template("staff/till_counts.html", till=till, counts=found[:_PAGE_LINES], before=before, older=older)


def _may_see(count: Count) -> bool:
    me = staff_member()
    return me.role is Role.EXECUTIVE or str(me) == count.counted_by or me.till_account_id == count.till_account_id
