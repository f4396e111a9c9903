"""Words for what a font cannot show: a reader must see a sentence, never boxes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from typing import Final

#: Scripts whose Unicode name is not what readers call them.
_COMMON_NAMES: Final = {
    "CJK": "Chinese characters",
    "HANGUL": "Korean letters",
    "HIRAGANA": "Japanese characters",
    "KATAKANA": "Japanese characters",
}

# `DEVANAGARI LETTER KA`, `OLD PERSIAN SIGN A`, `THAI CHARACTER KO KAI`: the script is what comes before the noun.
_SCRIPT: Final = re.compile(
    r"(.+?) (?:CAPITAL|SMALL|LETTER|SYLLABLE|CHARACTER|VOWEL|CONSONANT|SIGN|DIGIT|MARK|NUMBER)\b"
)


def showable(text: str, letters: Container[int], what: str) -> str:
    """`text` with each stretch that the font lacks replaced by its script's name.

    `letters` are the code points that the font has; `what` is what the text is, a name or any text.

    >>> showable("Rent 王小明 March", range(128), "text")
    'Rent [text in Chinese characters] March'
    """
    shown: list[str] = []
    missing = ""
    for character in text:
        has_it = ord(character) in letters
        # Blanks, joiners and accents between missing letters belong to them.
        if missing and _joins(character):
            missing += character
        elif has_it:
            shown += [_bracketed(missing, what), character]
            missing = ""
        elif unicodedata.category(character) != "Cf":  # a lone format character shows nothing anyway
            missing += character
    return "".join([*shown, _bracketed(missing, what)]).rstrip()


def _joins(character: str) -> bool:
    return character == " " or unicodedata.category(character) in ("Cf", "Mn", "Mc", "Me")


def _bracketed(missing: str, what: str) -> str:
    if not missing:
        return ""
    return f"[{_named(missing, what)}]" + (" " if missing.endswith(" ") else "")


def _named(missing: str, what: str) -> str:
    """What is missing, with its scripts in order of appearance."""
    found = list(dict.fromkeys(script for character in missing if (script := _script(character))))
    if "Japanese characters" in found and "Chinese characters" in found:
        found.remove("Chinese characters")  # Japanese is written with both.
    if found in (["emoji"], ["symbols"]):
        return found[0]
    return f"{what} in {' and '.join(found) or 'characters without a name'}"


def _script(character: str) -> str | None:
    """The script of one character; None for what belongs to none, such as a blank."""
    name = unicodedata.name(character, "")
    category = unicodedata.category(character)
    if category.startswith("S"):
        return "emoji" if ord(character) >= 0x1F000 else "symbols"
    if name.startswith("COMBINING "):
        return "accents"
    if not name or category[0] not in "LN":
        return None
    for word in name.replace("-", " ").split():
        if word in _COMMON_NAMES:
            return _COMMON_NAMES[word]
    match = _SCRIPT.match(name)
    return f"{(match[1] if match else name.split()[0]).title()} letters"
