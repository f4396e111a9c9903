"""Lists that staff sort by their columns, page through, and take away as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa
from flask import Response, make_response, request, url_for

from bank.errors import Invalid, Missing
from bank.language import gettext, whole
from bank.spreadsheets import Cell, as_csv, as_xlsx
from bank.web.current import bank
from bank.web.pages import today
from bank.web.paging import InvalidPlace

T = TypeVar("T")

_PAGE_LINES: Final = 50
#: More than this is a report, which the database's own tools make; a page must not hold a server up.
MOST_ROWS: Final = 20_000
# A whole number that every database stores.
_WHOLE: Final = 2**63

#: The formats of files, with their content types.
FILES: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class TooManyRows(Invalid):
    """A list that is too long for one file."""

    code = "too_many_rows"

    def __init__(self) -> None:
        super().__init__(
            gettext("A file holds at most %(most)s rows. Choose a part of the list first.", most=whole(MOST_ROWS))
        )


class NoSuchFile(Missing):
    """Lists do not come in this format."""

    code = "no_such_file"

    def __init__(self) -> None:
        super().__init__(gettext("Lists come as csv or xlsx."))


@dataclass(frozen=True)
class Column(Generic[T]):
    """What stands in one column: its name in the address, its marked heading, its value in a file, what sorts it.

    What sorts is never NULL: databases disagree on where that belongs.
    """

    name: str
    words: str
    value: Callable[[T], Cell]
    order: sa.ColumnElement[Any] | None = None


@dataclass(frozen=True)
class Shown(Generic[T]):
    """One page of a list as the address asks for it; `more` is the place where the next one begins."""

    rows: Sequence[T]
    columns: Sequence[Column[T]]
    sort: str
    usual: str
    more: str | None
    filters: dict[str, str | None]

    def address(self, **changed: str | None) -> str:
        """This list with something else asked of it, from its beginning."""
        assert request.endpoint is not None
        sort = self.sort if self.sort != self.usual else None
        kept = {**(request.view_args or {}), **self.filters, "sort": sort, **changed}
        return url_for(request.endpoint, **{name: value for name, value in kept.items() if value})

    @property
    def next(self) -> str | None:
        """Where the list goes on."""
        return self.address(after=self.more) if self.more else None

    @property
    def first(self) -> str | None:
        """The list's beginning, for whoever is further on."""
        return self.address() if request.args.get("after") else None

    def heading(self, name: str) -> dict[str, str | None]:
        """A column's words, how it is sorted, and the address that sorts by it, or the other way round."""
        column = next(column for column in self.columns if column.name == name)
        by_it = self.sort.removeprefix("-") == name
        order = ("descending" if self.sort.startswith("-") else "ascending") if by_it else None
        turned = f"-{name}" if order == "ascending" else name
        return {
            "words": gettext(column.words),
            "order": order,
            "address": self.address(sort=turned) if column.order is not None else None,
        }


@dataclass(frozen=True)
class List(Generic[T]):
    """A list: its file's name, its columns, its usual order (`-at`: by `at`, descending), the unique column that
    settles ties, and how a row is read.
    """

    name: str
    columns: Sequence[Column[T]]
    usual: str
    key: sa.Column[Any]
    read: Callable[[Any], T]

    def show(self, query: sa.Select[Any], **filters: str | None) -> Shown[T] | Response:
        """A page of what `query` finds, or all of it as a file (`as=csv`, `as=xlsx`); `filters` stay in addresses.

        Raises:
            InvalidPlace: the address names a place that this list cannot have.
            TooManyRows: it does not fit into a file.
            NoSuchFile: there is no such format.
        """
        wanted = request.args.get("as")
        if wanted in FILES:
            return download(f"{self.name}-{today().isoformat()}", self.columns, self._all(query), wanted)
        if wanted not in (None, "json"):
            raise NoSuchFile
        sort, order, descending = self._sorting()
        rows = self._rows(_after(query, order, self.key, descending, request.args.get("after")), _PAGE_LINES + 1)
        more = None
        if len(rows) > _PAGE_LINES:
            last = rows[_PAGE_LINES - 1]
            more = json.dumps([_told(last[-2]), _told(last[-1])], ensure_ascii=False)
        shown = [self.read(row[:-2]) for row in rows[:_PAGE_LINES]]
        return Shown(shown, self.columns, sort, self.usual, more, filters)

    def _all(self, query: sa.Select[Any]) -> list[T]:
        rows = self._rows(query, MOST_ROWS + 1)
        if len(rows) > MOST_ROWS:
            raise TooManyRows
        return [self.read(row[:-2]) for row in rows]

    def _rows(self, query: sa.Select[Any], limit: int) -> Sequence[Any]:
        """What is found, in order, each row with what it was sorted by and its key at its end."""
        _, order, descending = self._sorting()
        by = [order] if order is self.key else [order, self.key]
        ordered = query.add_columns(order.label("sorted_by"), self.key.label("sorted_key"))
        with bank().reader(patiently=True) as reader:
            return reader.execute(ordered.order_by(*(sa.desc(c) if descending else c for c in by)).limit(limit)).all()

    def _sorting(self) -> tuple[str, sa.ColumnElement[Any], bool]:
        """The sorting that the address asks for; one that there is not is the usual one."""
        asked = request.args.get("sort", "")
        found = {column.name: column.order for column in self.columns if column.order is not None}
        if asked.removeprefix("-") not in found:
            asked = self.usual
        return asked, found[asked.removeprefix("-")], asked.startswith("-")


def _after(
    query: sa.Select[Any], order: sa.ColumnElement[Any], key: sa.Column[Any], descending: bool, place: str | None
) -> sa.Select[Any]:
    """Only what comes after a place: the value that was sorted by, and the key among those that share it."""
    if not place:
        return query
    try:
        value, number = json.loads(place)
        at, last = _read(value, order), _read(number, key)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidPlace from error
    if order is key:
        return query.where(key < last if descending else key > last)
    # The first condition alone lets an index be used from there on.
    if descending:
        return query.where(order <= at, sa.or_(order < at, key < last))
    return query.where(order >= at, sa.or_(order > at, key > last))


def _told(value: Any) -> str | int:
    return value.isoformat() if isinstance(value, date) else value if isinstance(value, int) else str(value)


def _read(told: Any, column: sa.ColumnElement[Any]) -> Any:
    """A value of the column as an address tells it.

    Raises:
        ValueError: it cannot be one.
    """
    stored = column.type
    kind = (stored.impl_instance if isinstance(stored, sa.types.TypeDecorator) else stored).python_type
    if kind is int:
        if isinstance(told, bool) or not isinstance(told, int) or abs(told) >= _WHOLE:
            raise ValueError(told)
        return told
    if not isinstance(told, str) or "\0" in told:
        raise ValueError(told)
    told.encode()
    if kind is datetime:
        return datetime.fromisoformat(told).astimezone(UTC)
    return date.fromisoformat(told) if kind is date else told


def download(name: str, columns: Sequence[Column[Any]], rows: Iterable[Any], wanted: str) -> Response:
    """A file of these rows, as `csv` or `xlsx`, headed in the reader's language.

    Raises:
        NoSuchFile: there is no such format.
    """
    if wanted not in FILES:
        raise NoSuchFile
    heading = [gettext(column.words) for column in columns]
    table: list[list[Cell]] = [[column.value(row) for column in columns] for row in rows]
    response = make_response(as_csv([heading, *table]) if wanted == "csv" else as_xlsx(heading, table))
    response.headers["Content-Type"] = FILES[wanted]
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{wanted}"'
    return response
