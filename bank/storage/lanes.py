"""How much of a process writes may take up, so that pages are served while commits hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bank.errors import Unavailable
from bank.language import gettext as _

#: How many threads of a process may be paying at once; gunicorn has more, and those are for pages.
PAYMENTS_AT_ONCE: Final = 16
#: A lane in which nobody has come to an end for so long is blocked: waiting behind it would only take threads away.
_BLOCKED_SECONDS: Final = 0.25


class QueueFull(Unavailable):
    """More is being written than the database takes in good time; nothing has moved."""

    code = "queue_full"

    def __init__(self) -> None:
        super().__init__(_("The bank is very busy. Nothing has moved; try again in a moment."))


class Lane:
    """A bounded number of places. While it moves, others wait for one; while it is blocked, they are turned away."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._moved_at = time.monotonic()
        self._changed = threading.Condition()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Have one of the places within the body.

        Raises:
            QueueFull: all are taken, and by those who do not come on.
        """
        with self._changed:
            while not self._free:
                left = self._moved_at + _BLOCKED_SECONDS - time.monotonic()
                if left <= 0:
                    raise QueueFull
                self._changed.wait(left)
            self._free -= 1
            if not self._free:
                self._moved_at = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._moved_at = time.monotonic()
                self._changed.notify()
