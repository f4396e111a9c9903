"""How many calls a token may make, and how many wrong tokens an address may try: token buckets of this process.

Each process counts for itself: with several, a program that reaches all of them gets as many times the rate. What
protects the whole bank stands in front of it; this keeps one program from crowding out the others.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from typing import Final

from bank.errors import Unavailable
from bank.language import gettext as _

_SECONDS: Final = 60
_FAILURES: Final = 30
#: So many tokens, and so many addresses, are kept in mind; the ones not seen for longest are forgotten.
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a rate of `most` a minute, and in how many seconds it is whole again."""

    policy: str
    most: int
    left: int
    seconds: int

    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers)."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.most};w={_SECONDS}',
            "RateLimit": f'"{self.policy}";r={self.left};t={self.seconds}',
        }


class TooManyCalls(Unavailable):
    """The token made more calls, or the network address tried more wrong tokens, than the rate allows."""

    code = "too_many_calls"
    status = 429

    def __init__(self, allowance: Allowance, wait_seconds: int) -> None:
        super().__init__(_("Too many calls for now. Wait as long as Retry-After says; nothing was done."))
        self.allowance = allowance
        self.wait_seconds = wait_seconds


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float
    #: The last day on which a use of the token was stored.
    noted_on: date | None = None


@dataclass(slots=True)
class _Buckets:
    """A bucket for each key, full at first, that fills again within a minute."""

    policy: str
    most: int
    now: Callable[[], float]
    kept: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def find(self, key: str) -> _Bucket | None:
        found = self.kept.get(key)
        if found is not None:
            self.kept.move_to_end(key)
            now = self.now()
            found.level = min(self.most, found.level + (now - found.at) * self.most / _SECONDS)
            found.at = now
        return found

    def begin(self, key: str) -> _Bucket:
        found = self.find(key)
        if found is None:
            found = self.kept[key] = _Bucket(self.most, self.now())
            if len(self.kept) > _MOST:
                self.kept.popitem(last=False)
        return found

    def allowance(self, bucket: _Bucket) -> Allowance:
        until_whole = math.ceil((self.most - bucket.level) * _SECONDS / self.most)
        return Allowance(self.policy, self.most, int(bucket.level), until_whole)

    def require(self, bucket: _Bucket) -> None:
        if bucket.level < 1:
            wait = math.ceil((1 - bucket.level) * _SECONDS / self.most)
            raise TooManyCalls(self.allowance(bucket), wait)


class Limits:
    """The rates of this process: `admit` before a token is looked up, then `welcome` or `turn_away`."""

    def __init__(self, calls_per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._lock = Lock()
        self._calls = _Buckets("calls", calls_per_minute, now)
        self._failures = _Buckets("failures", _FAILURES, now)

    def admit(self, digest: str, address: str) -> Allowance:
        """Take a call of a token that was good before; let one that is not known try, if its address may.

        So nobody can shut out a good token by trying wrong ones from its address.

        Raises:
            TooManyCalls: before anything was asked of the database.
        """
        with self._lock:
            if (known := self._calls.find(digest)) is not None:
                self._calls.require(known)
                known.level -= 1
                return self._calls.allowance(known)
            if (failed := self._failures.find(address)) is not None:
                self._failures.require(failed)
            return Allowance("calls", self._calls.most, self._calls.most - 1, 1)

    def admit_known(self, digest: str) -> Allowance | None:
        """Take a call of a token that was good before; None if there was none such, or it must wait."""
        with self._lock:
            known = self._calls.find(digest)
            if known is None or known.level < 1:
                return None
            known.level -= 1
            return self._calls.allowance(known)

    def welcome(self, digest: str) -> None:
        """The token was good: its calls count from here on."""
        with self._lock:
            if self._calls.find(digest) is None:
                self._calls.begin(digest).level -= 1

    def turn_away(self, digest: str | None, address: str) -> Allowance:
        """There was no token, or not a good one."""
        with self._lock:
            if digest is not None:
                self._calls.kept.pop(digest, None)
            failed = self._failures.begin(address)
            failed.level = max(0.0, failed.level - 1)
            return self._failures.allowance(failed)

    def first_use_on(self, digest: str, day: date) -> bool:
        """Is this the token's first use on this day that this process hears of?"""
        with self._lock:
            found = self._calls.find(digest)
            if found is None or found.noted_on == day:
                return False
            found.noted_on = day
            return True
