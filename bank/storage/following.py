"""Connections that follow a login file: to where it says, as whom it says, and to no primary of another term."""

from __future__ import annotations

import logging
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DisconnectionError

from bank.settings import LoginFile
from bank.storage import login_file, term
from bank.storage.dialects.base import Dialect
from bank.storage.login_file import LEADS_TO_PLACE, LoginFileRefused, Place
from bank.storage.term import WrongTerm

#: What a connection's `info` keeps: the place that the file named when it was made.
_PLACE: Final = "place"
_NOWHERE: Final = Place()

_logger: Final = logging.getLogger(__name__)


def follow(engine: sa.Engine, file: LoginFile, dialect: Dialect) -> None:
    """Let each new connection of the engine log in as the file says at that moment, and where it says.

    An open one goes on being used after the login has changed, and no more when the place or the term has. A file that
    cannot be used, and a database of another term, are to the rest of the bank what one is that cannot be reached.
    """
    follower = _Follower(engine.url, file, dialect)
    sa.event.listen(engine, "do_connect", follower.connect)
    sa.event.listen(engine, "checkout", follower.look)


class _Follower:
    def __init__(self, url: sa.URL, file: LoginFile, dialect: Dialect) -> None:
        self._url = url
        self._file = file
        self._dialect = dialect
        #: Which file was last read to see where its primary is, and what it said; one value, since threads share it.
        self._known: tuple[tuple[int, int, int], Place] | None = None
        self._complained = ""

    def connect(self, dialect: Any, record: Any, arguments: list[Any], parameters: dict[str, Any]) -> Any:
        """Make a connection."""
        try:
            login = login_file.read(self._file.path)
            place = self._of_interest(login.place)
            _, told = dialect.create_connect_args(place.on(self._url))
        except LoginFileRefused as problem:
            raise dialect.loaded_dbapi.OperationalError(str(problem)) from None
        other = {name: value for name, value in parameters.items() if name not in LEADS_TO_PLACE}
        where = {name: value for name, value in told.items() if name in LEADS_TO_PLACE}
        who = {"user": login.username, "password": login.password}
        connection = dialect.connect(*arguments, **{**other, **where, **who})
        try:
            self._check(connection, place)
        except BaseException as problem:
            connection.close()
            if isinstance(problem, WrongTerm):
                raise dialect.loaded_dbapi.OperationalError(str(problem)) from None
            raise
        record.info[_PLACE] = place
        return connection

    def _of_interest(self, place: Place) -> Place:
        return Place(term=place.term) if self._file.of_replica else place

    def _check(self, connection: Any, place: Place) -> None:
        if place.term is None:
            return
        self._dialect.commit_each(connection)
        found = term.of_raw(connection)
        # A copy may be a little behind its file in what it shows, and never in which primary it follows.
        if found == place.term or (self._file.of_replica and found > place.term):
            self._complained = ""
            return
        wrong = WrongTerm(found, place.term, str(self._file.path))
        if str(wrong) != self._complained:
            # Once: whoever waits for the right one asks again and again.
            self._complained = str(wrong)
            _logger.error("%s", wrong)
        raise wrong

    def look(self, _connection: Any, record: Any, _holder: Any) -> None:
        """Hand out no connection to another place, or another term, than the file says now. Costs a system call."""
        place = self._place_now()
        if place is not None and record.info.get(_PLACE, _NOWHERE) != place:
            raise DisconnectionError

    def _place_now(self) -> Place | None:
        """None: not known, since there has been no usable file yet."""
        known = self._known
        try:
            status = self._file.path.stat()
        except OSError:
            return known[1] if known else None
        mark = (status.st_mtime_ns, status.st_ino, status.st_size)
        if known and known[0] == mark:
            return known[1]
        try:
            place = self._of_interest(login_file.read(self._file.path).place)
        except LoginFileRefused:
            # Who is connected already can do without.
            return known[1] if known else None
        self._known = (mark, place)
        return place
