"""So many at once: for work that would take the whole machine if everybody asked for it together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bank.errors import Unavailable


class Turns:
    """A number of places, in this process; whoever gets none within the patience (seconds) is told to come again."""

    def __init__(self, places: int, *, patience_seconds: float, busy: type[Unavailable]) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._patience_seconds = patience_seconds
        self._busy = busy

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take a place while the block runs.

        Raises:
            Unavailable: none came free in time; of the kind that was given.
        """
        if not self._places.acquire(timeout=self._patience_seconds):
            raise self._busy
        try:
            yield
        finally:
            self._places.release()
