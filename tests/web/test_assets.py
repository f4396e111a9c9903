"""What pages are served with: kept for ever under a name made of its content, ours, licensed, and small."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.web.conftest import BrowseAs

STATIC = Path(__file__).parents[2] / "bank/web/static"
VENDOR = STATIC / "vendor"
TEMPLATES = STATIC.parent / "templates"


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "file", sorted(file for file in STATIC.rglob("*") if file.is_file()), ids=lambda file: file.name
)
def test_a_file_is_kept_for_ever_by_its_hash_and_asked_for_again_without(file: Path, browse_as: BrowseAs):
    name = file.relative_to(STATIC)
    browser = browse_as(None)

    kept = browser.get(f"/static/{name}?v={digest(file)[:12]}").response
    asked_again = browser.get(f"/static/{name}").response

    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert kept.get_data() == file.read_bytes()
    assert asked_again.headers["Cache-Control"] == "no-cache"
    assert "Set-Cookie" not in kept.headers


def test_the_style_sheet_names_its_files_by_their_content():
    css = (STATIC / "bank.css").read_text()
    found = re.findall(r'url\("([^"?]+)\?v=([0-9a-f]+)"\)', css)

    assert [(name, digest(STATIC / name)[:12]) for name, _ in found] == found
    assert len(found) == css.count("url(") >= 1


def test_a_page_names_every_file_by_its_content(browse_as: BrowseAs):
    html = browse_as("alice").get("/home").html
    found = re.findall(r'"/static/([^"?]+)\?v=([0-9a-f]+)(?:#[^"]*)?"', html)

    assert {name: digest(STATIC / name)[:12] for name, _ in found} == dict(found)
    assert html.count("/static/") == len(found) > 4


def test_what_others_made_is_as_it_was_fetched_and_its_licence_is_beside_it():
    sums = dict(reversed(line.split()) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    files = {file.name for file in VENDOR.iterdir()} - {"SHA256SUMS"}

    assert sums == {name: digest(VENDOR / name) for name in files}
    made_by = {name.partition("-")[0].replace("icons", "lucide") for name in files if not name.startswith("LICENSE")}
    assert {f"LICENSE-{name}" for name in made_by} == {name for name in files if name.startswith("LICENSE")}


def test_every_icon_that_a_template_or_a_macro_names_is_there():
    [icons] = VENDOR.glob("icons-*.svg")
    drawn = {symbol.get("id") for symbol in ET.parse(icons).getroot()}
    named = {
        name
        for template in TEMPLATES.rglob("*.html")
        for name in re.findall(r'\bicon\("([a-z0-9-]+)"\)', template.read_text())
    }

    assert named - drawn == set()
    assert len(named) > 5


def test_no_icon_is_served_that_no_template_names():
    [icons] = VENDOR.glob("icons-*.svg")
    drawn = {symbol.get("id") for symbol in ET.parse(icons).getroot()}
    named = [*TEMPLATES.rglob("*.html"), STATIC.parent / "customer/lines.py"]
    quoted = {name for file in named for name in re.findall(r'"([a-z0-9-]+)"', file.read_text())}

    assert drawn - quoted == set()


def test_nothing_is_loaded_from_elsewhere_nor_written_into_the_page():
    """The content security policy would refuse it; here it is told without a browser."""
    for template in TEMPLATES.rglob("*.html"):
        source = template.read_text()
        # A plain link may lead to another site; nothing may come from one.
        assert re.findall(r'(?:src|action)="https?:|<link[^>]+href="https?:|\bdata:[a-z]+/', source) == [], template
        assert re.findall(r"<style|\sstyle=|\son[a-z]+=\"|<script(?![^>]*\ssrc=)", source) == [], template
