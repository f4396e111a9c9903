"""Things done at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable


def beside(*acts: Callable[[], object]) -> None:
    """Do things at the same time; the first that fails is raised when all are over."""
    failed: list[BaseException] = []

    def run(act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as problem:  # noqa: BLE001  # raised again below
            failed.append(problem)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
