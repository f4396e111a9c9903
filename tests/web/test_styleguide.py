"""The style guide shows every component there is, and is not open to customers."""

from __future__ import annotations

import re
from pathlib import Path

from bank.web import styleguide
from tests.web.conftest import BrowseAs, Serve, Served

TEMPLATES = Path(styleguide.__file__).parent / "templates"

#: Drawn by other macros only.
PARTS = {"notes"}


def test_every_macro_of_the_components_is_drawn_by_the_style_guide():
    macros = set(re.findall(r"{% macro (\w+)\(", (TEMPLATES / "components.html").read_text()))
    guide = (TEMPLATES / "styleguide.html").read_text()
    names = {name: alias or name for name, alias in re.findall(r"(\w+)(?: as (\w+))?[,%]", _imported(guide))}

    drawn = {name for name, alias in names.items() if re.search(rf"(?<!\w){alias}\(", guide)}

    assert macros - PARTS - drawn == set()


def _imported(source: str) -> str:
    """What the template takes from the components, each name before a comma or the end."""
    found = re.search(r'from "components.html" import ([^%]+?)\s*%}', source)
    assert found
    return found[1] + ","


def test_every_token_is_shown_with_its_value(browse_as: BrowseAs, office: Served):
    css = (TEMPLATES.parent / "static/bank.css").read_text()
    page = browse_as(None).get("/styleguide")

    named = re.findall(r"^ {4}(--(?!sans|mono|shadow|round|touch|wide)[\w-]+):", css, re.MULTILINE)
    assert len(named) > 30
    assert [name for name in named if f"<code>{name}</code>" not in page.html] == []


def test_in_production_there_is_no_style_guide(serve: Serve):
    assert serve(bank_env="production").browse_as(None).get("/styleguide").status == 404
