"""Take the README's pictures of the demonstration: `make screenshots`. For looking at the whole, into any directory:

    .venv/bin/python -m scripts.screenshots --all DIR

takes every page for every role, in both themes and both widths.
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from bank.demo import service as demo
from bank.demo.story import CUSTOMERS, STAFF
from bank.storage import migrate
from bank.storage.transaction import Bank
from tests.browser.windows import FLAGS, find_chromium
from tests.builders import a_bank
from tests.gunicorn_server import GunicornServer
from tests.pages.places import NOBODY, Furnished, places

PICTURES = Path(__file__).parents[1] / "docs/pictures"
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}
CUSTOMER = ("1102000005", CUSTOMERS[0].password)
TELLER = (STAFF[2].user_id, STAFF[2].password)

#: File, who looks, at what, window, colours, and what to scroll to.
FOR_README: tuple[tuple[str, tuple[str, str | None], str, Any, str, str], ...] = (
    ("home", CUSTOMER, "/home", DESK, "light", "body"),
    ("feed", CUSTOMER, "/accounts/3602000006", PHONE, "dark", "#feed"),
    ("spending", CUSTOMER, "/spending", DESK, "light", "body"),
    ("branch", TELLER, "/staff/accounts/3602000006", DESK, "light", "body"),
)


def main() -> None:
    """Take the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", metavar="DIR", type=Path, help="every page × role × theme × width, into DIR")
    directory = parser.parse_args().all
    with sync_playwright() as playwright, new_bank() as bank:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        if directory:
            take_all(browser, bank, directory)
        else:
            take_for_readme(browser, bank)
        browser.close()


@contextmanager
def new_bank() -> Iterator[Bank]:
    """An empty bank on SQLite, gone afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/bank.sqlite"
        migrate.upgrade(url)
        bank = a_bank(url)
        yield bank
        bank.engine.dispose()


@contextmanager
def served(bank: Bank) -> Iterator[str]:
    """The address at which gunicorn serves the bank."""
    with tempfile.TemporaryDirectory() as directory:
        url = bank.settings.database_url
        with GunicornServer(url, Path(directory), workers=1, BANK_NAME="Harbor Bank") as server:
            yield server.address


def take_for_readme(browser: Browser, bank: Bank) -> None:
    """The few pictures that show the bank at its best, as people find it after `make run`."""
    demo.load(bank)
    PICTURES.mkdir(exist_ok=True)
    with served(bank) as address:
        for name, (user, password), path, size, theme, scrolled_to in FOR_README:
            page = window(browser, size, theme)
            page.goto(address + ("/staff/login" if path.startswith("/staff") else "/login"))
            page.locator("#user").fill(user)
            page.locator("#password").fill(str(password))
            page.locator("main button").click()
            page.goto(address + path)
            page.locator(scrolled_to).evaluate("element => scrollTo(0, element.getBoundingClientRect().top)")
            save(page.screenshot(), PICTURES / f"{name}.png")
            page.context.close()


def take_all(browser: Browser, bank: Bank, directory: Path) -> None:
    """Every page there is, whole, for looking at."""
    directory.mkdir(parents=True, exist_ok=True)
    furnished = Furnished(bank)
    with served(bank) as address:
        for place in places():
            for theme in ("light", "dark"):
                page = window(browser, DESK, theme)
                if place.role != NOBODY:
                    cookie = {"name": "bank-session", "value": furnished.session_of(place.role), "url": address}
                    page.context.add_cookies([cookie])  # type: ignore[list-item]
                page.goto(address + furnished.address(place))
                for size, where in ((DESK, "desk"), (PHONE, "phone")):
                    page.set_viewport_size(size)  # type: ignore[arg-type]
                    name = re.sub(r"\W+", "-", f"{place} {where} {theme}")[:120]
                    page.screenshot(path=directory / f"{name}.png", full_page=True)
                page.context.close()


def window(browser: Browser, size: Any, theme: Any) -> Page:
    """A new window of this size, in these colours."""
    context = browser.new_context(
        locale="en-US", reduced_motion="reduce", viewport=size, color_scheme=theme, device_scale_factor=2
    )
    return context.new_page()


def save(picture: bytes, path: Path) -> None:
    """Keep a picture in 256 colours, which is all that flat surfaces need, and a third of the size."""
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(Path.cwd())}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
