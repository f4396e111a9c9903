"""How the drill's process is ended: in order, whoever asks, and not while it cleans up."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interruptions:
    """SIGTERM ends this process as Ctrl-C does, through every `finally`; and neither does while it cleans up."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}

    def turn(self) -> None:
        """Let SIGTERM be an exception in the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            signal.signal(signal.SIGTERM, _end)

    def hold(self) -> None:
        """Clean up to the end, however impatient somebody is."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def give_back(self) -> None:
        """Let signals do what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
