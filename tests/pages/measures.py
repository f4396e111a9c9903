"""What is measured on a page that a real browser has drawn: each answers with findings, and an empty list is good."""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page

from tests.pages.tools import Validator, tool

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
NARROW = {"width": 320, "height": 640}  # WCAG 2.2, 1.4.10

MOST_BYTES = 80_000
MOST_SCRIPT_BYTES = 20_000

STATIC = Path(__file__).parents[2] / "bank/web/static"

_STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_ALL = {"type": "tag", "values": _STANDARDS}
_EYES_AND_FINGERS = {"type": "rule", "values": ["color-contrast", "target-size"]}

_RUN_AXE = """
async (runOnly) => {
  const { violations } = await axe.run(document, { runOnly, resultTypes: ["violations"] });
  return violations.map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.map(n => n.target.join(" ") + " " + n.html.slice(0, 160)).slice(0, 4).join(" | ")}`);
}
"""

# Amounts that stand out of the window, measured by their text: a box may be narrower than what it holds.
_OUT_OF_SIGHT = """
() => {
  const isOut = text => {
    const range = document.createRange();
    range.selectNodeContents(text);
    return [...range.getClientRects()].some(r => r.width > 1 && (r.left < -0.5 || r.right > innerWidth + 0.5));
  };
  const texts = e => {
    const walker = document.createTreeWalker(e, NodeFilter.SHOW_TEXT), found = [];
    while (walker.nextNode()) found.push(walker.currentNode);
    return found.filter(t => t.data.trim() && !t.parentElement.closest(".unseen"));
  };
  return [...document.querySelectorAll("main :is(.number, .money, .balance, .amount, dd)")]
    .filter(e => e.checkVisibility({ contentVisibilityAuto: true }) && texts(e).some(isOut))
    .map(e => e.outerHTML.slice(0, 160));
}
"""


def html_findings(html: str, validator: Validator) -> list[str]:
    """What html-validate says of the page as it was sent."""
    return [f"html: {finding}" for finding in validator.findings(html)]


def accessibility_findings(page: Page) -> list[str]:
    """axe's whole list on a desk in light; what depends on colours and sizes again in each other theme and width."""
    # Evaluated, not added as a script: our policy would refuse that, as it should.
    page.evaluate(axe_source())
    found = [f"axe: {finding}" for finding in page.evaluate(_RUN_AXE, _ALL)]
    for scheme, size, where in (("dark", DESK, "dark"), ("dark", PHONE, "dark phone"), ("light", PHONE, "phone")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size(size)  # type: ignore[arg-type]
        found += [f"axe, {where}: {finding}" for finding in page.evaluate(_RUN_AXE, _EYES_AND_FINGERS)]
    return found


def width_findings(page: Page) -> list[str]:
    """Does the narrowest window show all without scrolling sideways, read from the left and from the right?"""
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    kept, found = page.evaluate("document.documentElement.dir"), []
    for direction in ("ltr", "rtl"):
        page.evaluate("direction => { document.documentElement.dir = direction }", direction)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > NARROW["width"]:
            found.append(f"{direction}: {width} px wide")
        found += [f"{direction}: out of sight: {html}" for html in page.evaluate(_OUT_OF_SIGHT)]
    page.evaluate("direction => { document.documentElement.dir = direction }", kept)
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")
    return found


def asset_findings(addresses: set[str]) -> list[str]:
    """Is all that a page loaded ours, small enough together, and named by its content so that it is kept for ever?"""
    found, total, scripts = [], 0, 0
    for address in sorted(addresses):
        parts = urlsplit(address)
        file = STATIC / parts.path.removeprefix("/static/")
        if not parts.path.startswith("/static/") or not file.is_file():
            found.append(f"asset: {address} is no file of ours")
            continue
        if parse_qs(parts.query).get("v") != [digest(file)]:
            found.append(f"asset: {address} is not named by its content, {digest(file)}")
        total += gzipped(file)
        scripts += gzipped(file) if file.suffix == ".js" else 0
    if total > MOST_BYTES:
        found.append(f"asset: {total} bytes gzipped together, more than {MOST_BYTES}")
    if scripts > MOST_SCRIPT_BYTES:
        found.append(f"asset: {scripts} bytes of scripts gzipped, more than {MOST_SCRIPT_BYTES}")
    return found


@lru_cache
def axe_source() -> str:
    return tool("axe-core/axe.min.js").read_text()


@lru_cache
def digest(file: Path) -> str:
    """What stands in the address of a static file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


@lru_cache
def gzipped(file: Path) -> int:
    """Bytes on the wire; a typeface is compressed already."""
    content = file.read_bytes()
    return len(content) if file.suffix == ".woff2" else len(gzip.compress(content, 9))
