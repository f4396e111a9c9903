"""How a line of the log is written; free of everything else, for gunicorn's own process loads it too."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """A log record as one line of JSON; whatever is in it cannot begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "event": _event(record),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = list(_places(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=True)


class Lines(logging.Handler):
    """Puts each record on standard error by one write, which the system keeps whole.

    So threads need no lock: those that a commit has answered together would wait for each other at it.
    """

    def createLock(self) -> None:  # noqa: N802  # its name in the library
        """There is nothing to lock."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write it; a log that cannot be written must not stop the bank."""
        try:
            os.write(sys.stderr.fileno(), f"{self.format(record)}\n".encode())
        except Exception:  # noqa: BLE001  # as the library's own handlers do
            self.handleError(record)


def _event(record: logging.LogRecord) -> str:
    """What happened; of others' records, not what they repeat of a request: addresses carry account numbers."""
    if record.name == "bank":
        return record.getMessage()
    if record.exc_info:
        return str(record.msg)
    text = record.getMessage()
    return text.partition(": ")[0] if text.startswith("Invalid request") else text


def _places(error: BaseException | None) -> Iterator[str]:
    """Each error of the chain by type, number and place. Never its message: a database's repeats the row."""
    while error is not None:
        kind = type(error)
        # PyMySQL has few kinds of errors; its first argument is the server's number.
        number = f" {error.args[0]}" if kind.__module__.startswith("pymysql") and error.args else ""
        yield f"{kind.__module__}.{kind.__qualname__}{number}"
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            yield f"{frame.filename}:{frame.lineno} {frame.name}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
