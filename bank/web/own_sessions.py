"""Where whoever is signed in is logged in elsewhere, and ending that; alike for customers and staff."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask.typing import ResponseReturnValue as View

from bank.identity import sessions
from bank.identity.sessions import Place
from bank.web.current import Visitor, author, bank, settings, visitor
from bank.web.fields import ConfirmForm
from bank.web.money import settle


def places() -> list[Place]:
    """Where the visitor is logged in, here among them."""
    me = _me()
    begun_after = bank().clock.now() - timedelta(seconds=settings().session_absolute_seconds)
    with bank().reader() as reader:
        return sessions.places(reader, me.session.kind, me.person.id, begun_after=begun_after)


def last_log_in() -> datetime | None:
    """When the visitor had logged in before this time."""
    me = _me()
    with bank().reader() as reader:
        return sessions.log_in_before(reader, me.session.kind, me.person.id, me.session.id)


def end(session_id: int, *, back: str, layout: str) -> View:
    """Ask, and then end one of the visitor's sessions; others' do not exist."""
    me = _me()
    with bank().reader() as reader:
        place = sessions.own_place(reader, me.session.kind, me.person.id, session_id)

    def act() -> str:
        bank().run(sessions.revoke_own, me.session.kind, me.person.id, session_id, by=author())
        return back

    return settle(ConfirmForm(), act, "session_end.html", elsewhere=place, back=back, layout=layout)


def end_others(*, back: str, layout: str) -> View:
    """Ask, and then end all of the visitor's sessions but this one."""
    me = _me()

    def act() -> str:
        bank().run(sessions.revoke_others, me.session.kind, me.person.id, but=me.session.id, by=author())
        return back

    return settle(ConfirmForm(), act, "session_end.html", elsewhere=None, back=back, layout=layout)


def _me() -> Visitor:
    me = visitor()
    assert me is not None
    return me
