"""Report, take, give back and answer a case."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.cases import store
from bank.cases.model import PROBLEM, Case, kinds_for
from bank.cases.store import cases
from bank.customers import store as customer_store
from bank.errors import Conflict, Forbidden, Missing, Refused
from bank.identity.staff import Role, Staff
from bank.language import gettext as _
from bank.ledger import store as ledger_store
from bank.ledger.errors import KeyReused
from bank.storage.metadata import generated_id


class NoSuchCase(Missing):
    """There is no such case, or none this person may see."""

    code = "no_such_case"

    def __init__(self) -> None:
        super().__init__(_("There is no such case."))


class AlreadyReported(Conflict):
    """The customer's earlier report of the same movement waits for its answer."""

    code = "already_reported"

    def __init__(self, case_id: int) -> None:
        super().__init__(
            _("You have reported this movement already; the branch is on it. Nothing was added: see your reports.")
        )
        self.case_id = case_id


class CaseTaken(Conflict):
    """Somebody else works on the case."""

    code = "case_taken"

    def __init__(self, case: Case) -> None:
        super().__init__(_("%(name)s has taken this case meanwhile.", name=case.worker_name))


class CaseClosed(Conflict):
    """The case was answered before."""

    code = "case_closed"

    def __init__(self) -> None:
        super().__init__(_("This case has been answered and closed."))


class CaseNotTaken(Refused):
    """Whoever answers a case has taken it first."""

    code = "case_not_taken"

    def __init__(self) -> None:
        super().__init__(_("Take the case before you answer it."))


class OwnBooking(Forbidden):
    """Nobody answers a report of what they booked themselves."""

    code = "own_booking"

    def __init__(self) -> None:
        super().__init__(_("You booked this movement yourself. Somebody else looks into the report."))


class OwnDifference(Forbidden):
    """Nobody looks into the difference of a till that they counted themselves."""

    code = "own_difference"

    def __init__(self) -> None:
        super().__init__(_("You counted this till yourself. Another executive looks into the difference."))


def report(tx: sa.Connection, customer_id: int, entry_id: int, told: str, *, operation: str, by: Author) -> int:
    """Open a customer's case about a movement of theirs; answers its id. That it is theirs is the caller's to check.

    Raises:
        AlreadyReported: an earlier one about the same movement is still open.
        KeyReused: the operation came before with something else.
    """
    # One report of a customer at a time, so that two at once cannot both be the first.
    customer_store.lock(tx, customer_id)
    if before := store.by_operation(tx, _operation(by, operation)):
        if (before.entry_id, before.told) != (entry_id, told):
            raise KeyReused
        return before.id
    last = store.about_entry(tx, customer_id, entry_id)
    if last and last.state != "closed":
        raise AlreadyReported(last.id)
    return open_case(tx, PROBLEM, told, customer_id=customer_id, entry_id=entry_id, operation=operation, by=by)


def open_case(
    tx: sa.Connection,
    kind: str,
    told: str,
    *,
    operation: str,
    by: Author,
    customer_id: int | None = None,
    account_id: int | None = None,
    entry_id: int | None = None,
) -> int:
    """Put something before the branch; answers the case's id."""
    row = {
        "operation": _operation(by, operation),
        "kind": kind,
        "customer_id": customer_id,
        "account_id": account_id,
        "entry_id": entry_id,
        "told": told,
        "opened_by": by.who,
        "opened_at": by.at,
    }
    case_id = generated_id(tx.execute(cases.insert(), row))
    audit.record(tx, "case.opened", f"case:{case_id}", by=by, details={"kind": kind, "entry": entry_id})
    return case_id


def take(tx: sa.Connection, case_id: int, *, person: Staff, by: Author) -> None:
    """Work on the case from now on; again is no other taking.

    Raises:
        NoSuchCase: there is none, or none for this role.
        OwnDifference: it is about a till that this person counted.
        OwnBooking: it is about what this person booked.
        CaseTaken: somebody else was first.
        CaseClosed: it was answered before.
    """
    case = _locked(tx, case_id, person)
    if case.taken_by == by.who:
        return
    if case.taken_by:
        raise CaseTaken(case)
    _change(tx, case, "case.taken", by, taken_by=by.who, taken_at=by.at)


def give_back(tx: sa.Connection, case_id: int, *, person: Staff, by: Author) -> None:
    """Let somebody else take the case; an executive also gives back what a colleague took.

    Raises:
        NoSuchCase: there is none, or none for this role.
        CaseTaken: it is somebody else's.
        CaseClosed: it was answered before.
    """
    case = _locked(tx, case_id, person)
    if case.taken_by is None:
        return
    if case.taken_by != by.who and person.role is not Role.EXECUTIVE:
        raise CaseTaken(case)
    _change(tx, case, "case.given_back", by, taken_by=None, taken_at=None)


def answer(tx: sa.Connection, case_id: int, text: str, *, person: Staff, by: Author) -> None:
    """Answer and close the case; the same answer again changes nothing.

    Raises:
        NoSuchCase: there is none, or none for this role.
        CaseNotTaken: nobody works on it.
        CaseTaken: somebody else works on it.
        CaseClosed: it was answered before.
    """
    case = store.lock(tx, case_id)
    if case and case.closed_by == by.who and case.answer == text:
        return
    case = _locked(tx, case_id, person)
    if case.taken_by is None:
        raise CaseNotTaken
    if case.taken_by != by.who:
        raise CaseTaken(case)
    _change(tx, case, "case.closed", by, answer=text, closed_by=by.who, closed_at=by.at)


def require_may_work_on(case: Case | None, person: Staff) -> Case:
    """The case, if somebody of this role works on its kind.

    Raises:
        NoSuchCase: there is none, or it is for others.
    """
    if case is None or case.kind not in kinds_for(person.role.value):
        raise NoSuchCase
    return case


def _locked(tx: sa.Connection, case_id: int, person: Staff) -> Case:
    case = require_may_work_on(store.lock(tx, case_id), person)
    if case.opened_by == str(person):
        raise OwnDifference
    entry = ledger_store.entry(tx, case.entry_id) if case.entry_id else None
    if entry and entry.caller == str(person):
        raise OwnBooking
    if case.closed_at:
        raise CaseClosed
    return case


def _change(tx: sa.Connection, case: Case, action: str, by: Author, **values: Any) -> None:
    tx.execute(cases.update().where(cases.c.id == case.id).values(**values))
    audit.record(tx, action, str(case), by=by)


def _operation(by: Author, operation: str) -> str:
    """Operations belong to whoever asked."""
    return f"{by.who}:{operation}"
