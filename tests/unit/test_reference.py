"""Documents cannot drift: what is made from the code is compared with it, what is written by hand is looked through."""

import re
import runpy
from pathlib import Path

import pytest

from bank.settings import Settings

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts/write_reference.py"))


@pytest.mark.parametrize("name", ["access.md", "cli.md", "errors.md"])
def test_a_page_made_from_the_code_is_up_to_date(name):
    written = (ROOT / "docs/reference" / name).read_text()

    assert written == SCRIPT["pages"]()[name], "run `make reference`"


def test_no_two_errors_share_a_code():
    codes = [error.code for error in SCRIPT["concrete_errors"]()]

    assert len(codes) == len(set(codes))


def test_every_setting_is_documented_and_no_other():
    page = (ROOT / "docs/reference/settings.md").read_text()
    rows = set(re.findall(r"^\| `([A-Z_]+)`", page, re.MULTILINE))

    assert rows == set(Settings.from_env({}).shown())


def test_every_link_in_the_documents_leads_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]

    assert links
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []
