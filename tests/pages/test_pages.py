"""Every page, for every role: valid, accessible in both themes, no wider than the narrowest window, light, and quiet."""

from __future__ import annotations

import pytest

from bank.app import create_app
from bank.web.access import PUBLIC, open_to
from tests.builders import settings_for
from tests.pages.places import NOBODY, Place, places
from tests.pages.visits import Visitors

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("place", places(), ids=str)
def test_a_page_is_sound_for_whoever_may_open_it(place: Place, visitors: Visitors):
    visit = visitors.visit(place.role)
    path = visitors.furnished.address(place)

    found = {"as opened": visit.open(path, expected=place.status)}
    older = visit.next_page()
    if visit.can_be_wrong():
        found["sent empty"] = visit.send_nothing()
    if older:
        found["next page"] = visit.open(older)

    tell(f"{place.role} at {path}", found)


def test_a_form_without_its_token_is_refused_on_a_sound_page(visitors: Visitors):
    visit = visitors.visit(NOBODY)
    visit.window.open("/login")
    visit.window.page.evaluate("() => document.querySelector('main [name=csrf_token]').remove()")

    tell("form too old", {"400": visit.send_nothing(expected={400})})


@pytest.mark.parametrize("status", [500, 503])
def test_the_page_of_a_problem_with_the_service_is_sound(status: int, visitors: Visitors):
    # Drawn by an application whose database is away and one of whose views fails; the rest comes from the server.
    app = create_app(settings_for("postgresql://nobody@127.0.0.1:9/nothing"))
    app.view_functions["public.forgotten"] = open_to(PUBLIC)(lambda: 1 / 0)
    client = app.test_client()
    if status == 503:
        client.set_cookie("bank-session", "x" * 43)
    drawn = client.get("/home" if status == 503 else "/forgotten")
    assert drawn.status_code == status
    visit = visitors.visit(NOBODY)
    visit.window.page.route(
        "**/trouble",
        lambda route: route.fulfill(status=drawn.status_code, body=drawn.text, headers=dict(drawn.headers)),
    )

    tell("trouble", {"as opened": visit.open("/trouble", expected=status)})


def tell(what: str, found: dict[str, list[str]]) -> None:
    """Fail with every finding in each state, a line each."""
    told = [f"{state}: {finding}" for state, findings in found.items() for finding in findings]
    if told:
        pytest.fail("\n".join([what, *told]), pytrace=False)
