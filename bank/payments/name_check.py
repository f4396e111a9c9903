"""Is the account that somebody wants to pay held by whom they mean? A rule on names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import permutations
from typing import Final

from bank.language import folded

MATCH: Final = "match"
CLOSE: Final = "close"
NONE: Final = "none"

#: Said before or after a name, and no part of it.
_TITLES: Final = frozenset("mr mrs ms miss mx dr prof sr sra srta don dona d jr".split())
#: Words as alike as this are one word with a slip: "Smtih", "Jon" for John, but neither "Bob" for Rob nor "Eva" for Ana.
_ALIKE: Final = 0.75
#: More words than this are not tried in every order.
_FEW_WORDS: Final = 5


@dataclass(frozen=True, slots=True)
class NameCheck:
    """`match`, `close` or `none`; `holder` is the holder's name, and None where it is not for the payer to know."""

    result: str
    holder: str | None = None


def check(name: str, holders: Iterable[str]) -> NameCheck:
    """Compare a typed name with those of an account's owners, of whom any will do; case, accents and titles do not count.

    * `match`: the same letters in any order of the words ("Lima Ana", "O Brien", 小龙李), or fewer words than the
      holder has, but the first one and another in full: middle names and second surnames may be left out or be
      initials ("Ana M. Lima").
    * `close`: two words that are the holder's, one of them perhaps an initial or with a slip of the fingers (three
      letters of four are the same), and nothing else, or one word more beside the first one. The holder's name is told.
    * `none`: anything else, a surname alone too. Nothing is told.

    >>> check("Lima, Ana", ["Ana María Lima Ruiz"]).result
    'match'
    >>> check("Anna Lima", ["Ana Lima"])
    NameCheck(result='close', holder='Ana Lima')
    >>> check("Lima", ["Ana Lima"])
    NameCheck(result='none', holder=None)
    """
    found = {holder: _compare(_words(name), _words(holder)) for holder in holders}
    for result in (MATCH, CLOSE):
        if holder := next((holder for holder, compared in found.items() if compared == result), None):
            return NameCheck(result, holder)
    return NameCheck(NONE)


def same_name(one: str, other: str) -> bool:
    """Are these one name, but for case, accents and punctuation?"""
    return _words(one) == _words(other)


def _words(name: str) -> list[str]:
    """The name's words, without titles and punctuation: an apostrophe joins, everything else parts."""
    words = re.sub(r"[\W_]+", " ", folded(name).replace("'", "")).split()
    return [word for word in words if word not in _TITLES] or words


def _compare(typed: list[str], held: list[str]) -> str:
    if not typed or not held:
        return NONE
    if _same_letters(typed, held):
        return MATCH
    pairs = _pairs(typed, held)
    exact = [word for word, other in pairs if word == other]
    slips = [word for word, other in pairs if word != other and len(word) > 1]
    if len(pairs) == len(typed) and not slips and len(exact) >= 2 and held[0] in exact:
        return MATCH
    others = len(typed) - len(pairs)
    # Surnames with another first name are a relative's: whose, is not told.
    if len(pairs) >= 2 and exact + slips and (others == 0 or (others == 1 and held[0] in dict(pairs).values())):
        return CLOSE
    return NONE


def _same_letters(typed: list[str], held: list[str]) -> bool:
    """Is it the holder's name, its words in another order, or parted elsewhere, as names without blanks are?"""
    if sorted(typed) == sorted(held):
        return True
    return any(
        "".join(order) == "".join(other)
        for words, other in ((typed, held), (held, typed))
        if len(words) <= _FEW_WORDS
        for order in permutations(words)
    )


def _pairs(typed: list[str], held: list[str]) -> list[tuple[str, str]]:
    """Each typed word with a word of the holder's that it stands for; the same words first, then initials, then slips."""
    pairs, left, free = [], list(typed), list(held)
    for alike in (str.__eq__, _is_initial, _is_slip):
        for word in list(left):
            if other := next((other for other in free if alike(word, other)), None):
                pairs.append((word, other))
                left.remove(word)
                free.remove(other)
    return pairs


def _is_initial(word: str, other: str) -> bool:
    return len(word) == 1 and other.startswith(word)


def _is_slip(word: str, other: str) -> bool:
    return len(word) > 1 and SequenceMatcher(None, word, other, autojunk=False).ratio() >= _ALIKE
