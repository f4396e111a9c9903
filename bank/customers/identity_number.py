"""Identity numbers (SSN and the like): text, sealed at rest, found by a keyed digest, shown masked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bank.errors import Invalid, Unavailable
from bank.language import gettext as _

_SEPARATORS = re.compile(r"[\s./-]")


class InvalidIdentityNumber(Invalid):
    """An identity number that cannot be one."""

    code = "invalid_identity_number"


class KeyLost(Unavailable):
    """The key of an identity number is not among IDENTITY_KEYS."""

    code = "key_lost"

    def __init__(self) -> None:
        super().__init__(
            _(
                "An identity number was sealed under a key that is not among IDENTITY_KEYS. Add that key behind the newest."
            )
        )


@dataclass(frozen=True, slots=True)
class SealedIdentity:
    """An identity number as it is stored: Fernet ciphertext, and the digest by which it is found."""

    sealed: str
    digest: str


def read_identity_number(text: str) -> str:
    """The number without blanks, hyphens, points and slashes, in capitals; leading zeros stay.

    >>> read_identity_number(" 012-34-5678 ")
    '012345678'

    Raises:
        InvalidIdentityNumber: fewer than 4 or more than 20 letters and digits.
    """
    number = _SEPARATORS.sub("", text).upper()
    if not re.fullmatch(r"[0-9A-Z]{4,20}", number):
        raise InvalidIdentityNumber(
            _("Enter the identity number as on the document: 4 to 20 digits or letters A to Z.")
        )
    return number


class IdentityNumbers:
    """Seals and finds identity numbers by IDENTITY_KEYS: the first key seals, the others still open."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._digest_keys = [base64.urlsafe_b64decode(key) for key in keys]

    def seal(self, number: str) -> SealedIdentity:
        """Encrypt a number under the newest key."""
        return SealedIdentity(self._fernet.encrypt(number.encode()).decode(), self.digests(number)[0])

    def digests(self, number: str) -> list[str]:
        """The digests a stored number may have, the newest key's first."""
        return [
            hmac.digest(key, b"identity number:" + number.encode(), hashlib.sha256).hex() for key in self._digest_keys
        ]

    def masked(self, sealed: str | None) -> str:
        """The last two characters behind dots, for a page."""
        if sealed is None:
            return _("unknown")
        try:
            number = self.open(sealed)
        except KeyLost:
            return _("unreadable, its key is missing")
        return "•" * (len(number) - 2) + number[-2:]

    def open(self, sealed: str) -> str:
        """The number in clear. Never for a page, a log or an audit record.

        Raises:
            KeyLost: it was sealed under none of the keys.
        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise KeyLost from error
