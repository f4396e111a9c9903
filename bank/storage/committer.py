"""Group commit: messages that arrive while one commit is running leave together in the next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from bank.errors import Unavailable
from bank.storage import near, secured
from bank.storage.dialects.base import Answer, Message
from bank.storage.errors import OutcomeUnknown
from bank.storage.lanes import QueueFull

#: How many batches may wait, so that a stalled database makes callers come again and not queue for ever.
_MOST_BATCHES_WAITING: Final = 16


class _Caller:
    """One message, and the place where its answer is waited for."""

    __slots__ = ("_woken", "answer", "error", "message", "place", "position")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.position: str | None = None
        self.place: str | None = None
        self._woken = threading.Lock()
        self._woken.acquire()

    def wait(self) -> None:
        """Wait to be answered, or to be the one who commits for all that wait."""
        self._woken.acquire()

    def wake(self) -> None:
        self._woken.release()


class Committer:
    """One commit at a time in this process, for up to `most` messages; whoever waits longest runs the next one.

    `send` puts a batch through the database and answers when it is durable. Of a batch that the database cannot
    take, each message is sent by itself: so one that is broken harms no other.
    """

    def __init__(self, send: Callable[[list[Message]], list[Answer]], *, most: int) -> None:
        self._send = send
        self._most = most
        self._guard = threading.Lock()
        self._waiting: deque[_Caller] = deque()
        self._committing = False

    def submit(self, message: Message) -> Answer:
        """Send one message with whatever else is waiting; answers when it is durable.

        Raises:
            QueueFull: too many are waiting already; nothing was sent.
            BaseException: whatever `send` raised about this message.
        """
        mine = _Caller(message)
        with self._guard:
            if len(self._waiting) >= self._most * _MOST_BATCHES_WAITING:
                raise QueueFull
            self._waiting.append(mine)
            leads, self._committing = not self._committing, True
        if not leads:
            mine.wait()
        if mine.answer is None and mine.error is None:
            self._commit()
        if mine.error is not None:
            raise mine.error
        assert mine.answer is not None
        # Whoever committed was told where it lies; the others' requests have written there as well.
        near.wrote(mine.position)
        secured.committed(mine.place)
        return mine.answer

    def _commit(self) -> None:
        """Send what waits, the caller's own message first, and let whoever waits next commit then."""
        with self._guard:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            self._answer(batch)
        finally:
            for caller in batch:
                # The process is ending: nobody may wait for what never comes.
                if caller.answer is None and caller.error is None:
                    caller.error = OutcomeUnknown()
            with self._guard:
                following = self._waiting[0] if self._waiting else None
                self._committing = following is not None
            for caller in batch[1:]:
                caller.wake()
            if following:
                following.wake()

    def _answer(self, batch: list[_Caller]) -> None:
        try:
            answers = self._send([caller.message for caller in batch])
            position, place = near.written(), secured.place()
            for caller, answer in zip(batch, answers, strict=True):
                caller.answer, caller.position, caller.place = answer, position, place
        except Unavailable as error:
            for caller in batch:
                caller.error = error
        except Exception as error:  # noqa: BLE001  # it is raised where it belongs
            if len(batch) == 1:
                batch[0].error = error
            else:
                for caller in batch:
                    self._answer([caller])
