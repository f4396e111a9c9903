"""Passwords: argon2id in a bounded pool, and the rules for new ones."""

from __future__ import annotations

import unicodedata
from typing import Final

import argon2
import bcrypt
from zxcvbn import zxcvbn

from bank.errors import Invalid, Unavailable
from bank.language import gettext as _
from bank.turns import Turns

LEAST_CHARACTERS: Final = 15
MOST_CHARACTERS: Final = 128
_LEGACY: Final = "legacy-bcrypt:"
# zxcvbn's time grows steeply with what looks like l33t (2 s for 72 characters); a password whose first 32 are good is good.
_ZXCVBN_CHARACTERS: Final = 32
_LEAST_SCORE: Final = 3
_LEAST_WORD: Final = 3
_PATIENCE_SECONDS: Final = 5


class WeakPassword(Invalid):
    """A new password that is too short, too long or too easy to guess."""

    code = "weak_password"


class TooBusy(Unavailable):
    """Too many people are logging in at this moment."""

    code = "too_busy"

    def __init__(self) -> None:
        super().__init__(_("Many people are logging in at the moment. Try again in a few seconds."))


class Passwords:
    """Hashes and checks passwords, a few at a time: each takes its own memory (RFC 9106)."""

    def __init__(self, *, memory_kib: int, at_once: int) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=3, memory_cost=memory_kib, parallelism=4)
        self._turns = Turns(at_once, patience_seconds=_PATIENCE_SECONDS, busy=TooBusy)
        # Checked when there is no such person, so that the answer takes as long.
        self._nobody = self._hasher.hash("nobody's password")

    def hash(self, password: str) -> str:
        """The hash to store.

        Raises:
            TooBusy: nobody else's turn ended in time.
        """
        with self._turns.taken():
            return self._hasher.hash(normalised(password))

    def check(self, stored: str | None, password: str) -> bool:
        """Is it the password? `stored` None (no such person) takes as long and is never right.

        Raises:
            TooBusy: nobody else's turn ended in time.
        """
        with self._turns.taken():
            if stored is not None and stored.startswith(_LEGACY):
                return _check_legacy(stored.removeprefix(_LEGACY), password)
            try:
                self._hasher.verify(stored or self._nobody, normalised(password)[:1024])
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False
            return stored is not None

    def outdated(self, stored: str) -> bool:
        """Should it be hashed again at this log-in, because our parameters have changed?"""
        return not stored.startswith(_LEGACY) and self._hasher.check_needs_rehash(stored)


def legacy_hash(bcrypt_hash: str) -> str:
    """What to store for a person whose password the older app hashed: it opens the door once."""
    return _LEGACY + bcrypt_hash


def _check_legacy(stored: str, password: str) -> bool:
    # bcrypt reads 72 bytes; newer versions of the library refuse more instead of cutting.
    try:
        return bcrypt.checkpw(password.encode()[:72], stored.encode())
    except ValueError:
        return False


def normalised(password: str) -> str:
    """The password in one form however the keyboard composed it (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def require_strong(password: str, *, about: list[str]) -> None:
    """Refuse a new password that is short or easy to guess; no other rules of composition (NIST SP 800-63B-4, 3.1.1.2).

    `about` holds words it must not be made of: the bank's name, the person's name and number.

    Raises:
        WeakPassword: with what to do instead.
    """
    length = len(normalised(password))
    if length < LEAST_CHARACTERS:
        raise WeakPassword(
            _(
                "Use at least %(least)s characters. A sentence of a few words is easy to remember.",
                least=LEAST_CHARACTERS,
            )
        )
    if length > MOST_CHARACTERS:
        raise WeakPassword(_("Use at most %(most)s characters.", most=MOST_CHARACTERS))
    words = [part for text in about for part in (text, *text.split()) if part]
    judged = _essence(normalised(password), words)[:_ZXCVBN_CHARACTERS]
    if not judged or zxcvbn(judged, user_inputs=words)["score"] < _LEAST_SCORE:
        raise WeakPassword(_("This password is easy to guess. Use a sentence of words that do not belong together."))


def _essence(password: str, about: list[str]) -> str:
    """What is left to guess: the password without the words it is `about`, every other word once.

    >>> _essence("Harbour savings, harbour!", ["Harbour Savings", "Harbour", "Savings"])
    ', !'
    >>> _essence("password Password", ["Harbour Savings"])
    'password'
    """
    left = password.casefold()
    for word in sorted({word.casefold() for word in about if len(word) >= _LEAST_WORD}, key=len, reverse=True):
        left = left.replace(word, " ")
    return " ".join(dict.fromkeys(left.split()))
