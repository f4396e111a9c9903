"""Words for what a font cannot show: a reader must see a sentence, never boxes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from functools import cache
from typing import Final

from babel import Locale

from bank import language
from bank.language import gettext
from bank.language import marked as _

#: Scripts whose Unicode name is not what readers call them.
_COMMON_NAMES: Final = {
    "CJK": _("Chinese characters"),
    "HANGUL": _("Korean letters"),
    "HIRAGANA": _("Japanese characters"),
    "KATAKANA": _("Japanese characters"),
}

_NAMELESS: Final = _("characters without a name")
_WORDS: Final = frozenset((*_COMMON_NAMES.values(), _("emoji"), _("symbols"), _("accents"), _NAMELESS))

# `DEVANAGARI LETTER KA`, `OLD PERSIAN SIGN A`, `THAI CHARACTER KO KAI`: the script is what comes before the noun.
_SCRIPT: Final = re.compile(
    r"(.+?) (?:CAPITAL|SMALL|LETTER|SYLLABLE|CHARACTER|VOWEL|CONSONANT|SIGN|DIGIT|MARK|NUMBER)\b"
)


#: What is said for a name, and for any other text.
NAME: Final = _("name in %(letters)s")
TEXT: Final = _("text in %(letters)s")


def showable(text: str, letters: Container[int], told: str) -> str:
    """`text` with each stretch that the font lacks replaced by its script's name.

    `letters` are the code points that the font has; `told` is `NAME` or `TEXT`.

    >>> showable("Rent 王小明 March", range(128), TEXT)
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
            shown += [_bracketed(missing, told), character]
            missing = ""
        elif unicodedata.category(character) != "Cf":  # a lone format character shows nothing anyway
            missing += character
    return "".join([*shown, _bracketed(missing, told)]).rstrip()


def _joins(character: str) -> bool:
    return character == " " or unicodedata.category(character) in ("Cf", "Mn", "Mc", "Me")


def _bracketed(missing: str, told: str) -> str:
    if not missing:
        return ""
    return f"[{_named(missing, told)}]" + (" " if missing.endswith(" ") else "")


def _named(missing: str, told: str) -> str:
    """What is missing, with its scripts in order of appearance."""
    found = list(dict.fromkeys(script for character in missing if (script := _script(character))))
    if "Japanese characters" in found and "Chinese characters" in found:
        found.remove("Chinese characters")  # Japanese is written with both.
    if found in (["emoji"], ["symbols"]):
        return gettext(found[0])
    named = [_in_words(script) for script in found or [_NAMELESS]]
    return gettext(told, letters=language.together(named))


def _in_words(script: str) -> str:
    """A script in the reader's language, as far as CLDR knows it."""
    if script in _WORDS:
        return gettext(script)
    code = _codes().get(script.casefold())
    return gettext("%(script)s letters", script=(language.locale().scripts.get(code) if code else None) or script)


@cache
def _codes() -> dict[str, str]:
    """ISO 15924's codes by the scripts' English names."""
    return {name.casefold(): code for code, name in Locale("en").scripts.items()}


def _script(character: str) -> str | None:
    """The script of one character, in English; None for what belongs to none, such as a blank."""
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
    return (match[1] if match else name.split()[0]).title()
