"""Read a folder's CSV files line by line; a damaged file is refused, a bad line is named."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from bank.realdata.errors import FolderUnreadable
from bank.realdata.model import BadRow

MOST_ROWS: Final = 2_000_000
_LONGEST_LINE: Final = 10_000


@dataclass(slots=True)
class CsvFile:
    """One file of the folder: yields its rows as dictionaries, and collects what is bad."""

    path: Path
    columns: tuple[str, ...]
    most_rows: int = MOST_ROWS
    bad_rows: list[BadRow] = field(default_factory=list)
    _line: int = 0

    @property
    def name(self) -> str:
        """How reports call it."""
        return self.path.name

    def refuse(self, line: int, reason: str) -> None:
        """Note that the row on `line` cannot be loaded."""
        self.bad_rows.append(BadRow(self.name, line, reason))

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Each row with its line number; the header is line 1.

        Raises:
            FolderUnreadable: there is no such file, a column is missing, it is damaged, or has too many rows.
        """
        with _opened(self.path) as file:
            lines = self._lines(file)
            header = self._header(lines)
            for count, (number, line) in enumerate(lines, start=1):
                if count > self.most_rows:
                    raise FolderUnreadable(f"{self.name} has more than {self.most_rows:,} rows. Load it in parts.")
                if values := self._values(number, line, len(header)):
                    yield number, dict(zip(header, values, strict=True))

    def _lines(self, file: IO[bytes]) -> Iterator[tuple[int, str]]:
        """The lines that are text."""
        while True:
            self._line += 1
            try:
                raw = file.readline(_LONGEST_LINE + 1)
            except EOFError:
                # What came before is whole: the compressed stream carries no half lines.
                self.refuse(self._line, "the file ends here, before its end: it was cut off")
                return
            except (zlib.error, OSError) as error:
                raise FolderUnreadable(f"{self.name} is damaged at line {self._line}: {error}.") from error
            if not raw:
                return
            if len(raw) > _LONGEST_LINE:
                raise FolderUnreadable(f"{self.name} is no CSV file: line {self._line} is over {_LONGEST_LINE} bytes.")
            try:
                yield self._line, raw.decode("utf-8-sig" if self._line == 1 else "utf-8")
            except UnicodeDecodeError:
                self.refuse(self._line, "not UTF-8 text")

    def _header(self, lines: Iterator[tuple[int, str]]) -> list[str]:
        _, line = next(lines, (1, ""))
        header = [name.strip() for name in next(csv.reader([line]), [])]
        missing = [column for column in self.columns if column not in header]
        if missing or len(set(header)) != len(header):
            problem = f"has no column {missing[0]}" if missing else "has a column twice"
            raise FolderUnreadable(f"{self.name}:1: the header {problem}.")
        return header

    def _values(self, number: int, line: str, width: int) -> list[str] | None:
        if not line.strip():
            return None
        try:
            [values] = csv.reader([line], strict=True)
        except (csv.Error, ValueError) as error:
            self.refuse(number, f"not a row of CSV: {error}")
            return None
        if len(values) != width:
            self.refuse(number, f"{len(values)} fields in place of {width}")
            return None
        return values


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            if path.suffix == ".gz":
                with gzip.open(file) as unpacked:
                    yield io.BufferedReader(unpacked)
            else:
                yield file
    except OSError as error:
        raise FolderUnreadable(f"{path.name} cannot be read: {error.strerror or error}.") from error


def find(folder: Path, name: str) -> Path:
    """The file of this name in the folder, compressed or not.

    Raises:
        FolderUnreadable: there is neither.
    """
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise FolderUnreadable(f"There is no {name} (or {name}.gz) in {folder}.")
