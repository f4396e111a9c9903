"""The measures find what they are there for: each planted defect is told, and only on the page that has it."""

from __future__ import annotations

import pytest

from tests.pages import measures
from tests.pages.measures import accessibility_findings, asset_findings, html_findings, width_findings
from tests.pages.places import CUSTOMER, NOBODY, Furnished, Place, places
from tests.pages.tools import Validator
from tests.pages.visits import Visitors

pytestmark = pytest.mark.slow


def rules(css: str) -> str:
    """A script that adds a style sheet in the one way that our policy leaves to scripts of the page itself."""
    return f"const sheet = new CSSStyleSheet(); sheet.replaceSync('{css}'); document.adoptedStyleSheets = [sheet];"


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        ("document.querySelector('label[for=user]').remove()", "axe: label:"),
        ("document.querySelector('h1').outerHTML = '<h4>Log in</h4>'", "axe: page-has-heading-one:"),
        ("document.documentElement.removeAttribute('lang')", "axe: html-has-lang:"),
        ("document.querySelector('.hint').style.color = '#aaa'", "axe: color-contrast:"),
        ("document.querySelector('#user').setAttribute('role', 'buttn')", "axe: aria-roles:"),
        # Seen in one theme or at one width alone.
        (rules("@media (prefers-color-scheme: dark) { h1 { color: #333 } }"), "axe, dark: color-contrast:"),
        (
            rules(
                "@media (max-width: 400px) { .foot form { gap: 0; line-height: 0 }"
                " .foot form > * { min-height: 0; height: 9px; padding: 0; flex-basis: 100% } }"
            ),
            "axe, phone: target-size:",
        ),
    ],
)
def test_axe_finds_a_planted_defect(spoil: str, rule: str, visitors: Visitors):
    page = visitors.visit(NOBODY).window.open("/login")
    page.evaluate(f"() => {{ {spoil} }}")

    assert [finding for finding in accessibility_findings(page) if finding.startswith(rule)]


@pytest.mark.parametrize(
    ("sound", "spoilt", "rule"),
    [
        ('<main id="main"', '<main id="preferred-theme"', "no-dup-id"),
        ("</main>", "</section></main>", "close-order"),
        ("<h1>", '<h1 align="center">', "no-deprecated-attr"),
        ("<h1>", "<button><a href='/'>both</a></button><h1>", "element-permitted-content"),
        ('for="user"', 'for="nobody"', "no-missing-references"),
    ],
)
def test_html_validate_finds_a_planted_defect(
    sound: str, spoilt: str, rule: str, visitors: Visitors, validator: Validator
):
    html = visitors.visit(NOBODY).window.open("/login").context.request.get(visitors.address + "/login").text()
    assert sound in html

    found = html_findings(html.replace(sound, spoilt, 1), validator)

    assert html_findings(html, validator) == []
    assert any(rule in finding for finding in found), found


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("document.querySelector('h1').style.width = '400px'", "ltr: 4"),
        # Wide and cut off: no scrolling betrays it.
        (
            "document.body.style.overflow = 'hidden'; document.querySelector('.balance').style.marginInlineStart = '280px'",
            "ltr: out of sight",
        ),
        ("document.querySelector('h1').style.cssText = 'position: absolute; right: 300px; width: 90px'", "rtl: "),
    ],
)
def test_what_a_narrow_window_does_not_show_is_found(spoil: str, told: str, visitors: Visitors):
    page = visitors.visit(CUSTOMER).window.open("/home")
    assert width_findings(page) == []

    page.evaluate(f"() => {{ {spoil} }}")

    assert [finding for finding in width_findings(page) if finding.startswith(told)]


def test_a_file_that_is_not_ours_or_not_named_by_its_content_is_found():
    css = measures.digest(measures.STATIC / "bank.css")

    assert asset_findings({f"/static/bank.css?v={css}"}) == []
    assert len(asset_findings({"/static/bank.css?v=0", "/static/bank.js", "https://cdn.example.org/x.js"})) == 3


def test_too_much_to_load_is_found(monkeypatch: pytest.MonkeyPatch):
    script = f"/static/bank.js?v={measures.digest(measures.STATIC / 'bank.js')}"
    monkeypatch.setattr(measures, "MOST_BYTES", 100)
    monkeypatch.setattr(measures, "MOST_SCRIPT_BYTES", 100)

    assert len(asset_findings({script})) == 2


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("console.error('broken')", "console: broken"),
        ("setTimeout(() => { throw new Error('broken') })", "page error: "),
        ("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')", "console: Applying inline style"),
        ("fetch('/nothing-here')", "404 for "),
    ],
)
def test_what_the_browser_complains_of_is_kept(act: str, told: str, visitors: Visitors):
    window = visitors.visit(NOBODY).window
    window.expected = {200}
    page = window.open("/login")
    # What was asked for is answered before the page is left, which would break it off.
    page.evaluate(f"async () => {{ await ({act}); await new Promise(done => setTimeout(done, 200)) }}")
    page.reload()

    assert [complaint for complaint in window.complaints if complaint.startswith(told)], window.complaints


def test_a_route_whose_parameter_has_no_value_is_told(furnished: Furnished):
    with pytest.raises(KeyError, match="unheard_of"):
        furnished.address(Place(CUSTOMER, "/things/<id:unheard_of>"))


def test_every_role_has_pages_of_its_own():
    found = {
        role: {place.path for place in places() if place.role == role} for role in ("customer", "teller", "executive")
    }

    assert "/home" in found["customer"]
    assert "/staff/people" in found["executive"] - found["customer"]
    assert all(len(paths) > 15 for paths in found.values())
