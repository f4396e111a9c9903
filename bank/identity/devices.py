"""What a browser says of itself, in words that its owner knows: enough to recognise one's own phone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bank.language import gettext

# The first that is found counts: most browsers also name those they descend from.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
_HANDHELD: Final = ("iPhone", "iPad", "Android")


@dataclass(frozen=True, slots=True)
class Device:
    """A browser and the system it runs on, as far as it tells; empty: it does not."""

    browser: str
    system: str

    @property
    def handheld(self) -> bool:
        """Is it held in a hand?"""
        return self.system in _HANDHELD

    def __str__(self) -> str:
        """The device in the reader's language.

        >>> str(Device("Firefox", "Linux")), str(Device("", ""))
        ('Firefox on Linux', 'Unknown device')
        """
        if self.browser and self.system:
            return gettext("%(browser)s on %(system)s", browser=self.browser, system=self.system)
        return self.browser or self.system or gettext("Unknown device")


def read_device(user_agent: str) -> Device:
    """The device that a User-Agent header tells of (RFC 9110, 10.1.5); whatever it tells may be untrue.

    >>> read_device("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    Device(browser='Firefox', system='Linux')
    >>> read_device("curl/8.5.0")
    Device(browser='', system='')
    """
    return Device(_first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent))


def _first(known: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for mark, name in known if mark in text), "")
