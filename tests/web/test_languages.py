"""Each reader's language and colours: chosen, kept, and never lost on the way."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import date, timedelta

import openpyxl
import pypdf
import pytest

from bank import language
from bank.identity.passwords import TooBusy
from bank.identity.staff import LastExecutive
from bank.storage.errors import DatabaseAway, OutcomeUnknown
from bank.web import pages
from bank.web.access import PUBLIC
from bank.web.signed_in import WrongRole
from tests.web.browsing import Browser, Page
from tests.web.conftest import PASSWORD, Served


@pytest.fixture(autouse=True)
def nothing_stays_behind():
    """A request's language ends with it: whoever is served next by this thread has not chosen yet."""
    yield
    assert language.current() == "en"


def in_spanish(browser: Browser) -> Browser:
    browser.client.set_cookie("bank-language", "es")
    return browser


def spoken(page: Page) -> str:
    """The language that a page says it is in."""
    return page.html.split('<html lang="')[1].split('"')[0]


# Which language


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ("es", "es"), ("es-MX", "es"), ("es-419,es;q=0.9,en;q=0.8", "es"), ("de,es;q=0.5,en;q=0.4", "es"), ("ES", "es"),
        ("en-GB,en;q=0.9,es;q=0.8", "en"), ("fr,de;q=0.7", "en"), ("", "en"), ("*", "en"), ("es;q=0", "en"), ("\x01;;,q=", "en"),
    ],
)  # fmt: skip
def test_without_a_choice_the_first_language_of_the_browser_that_the_bank_speaks_is_read(office, asked, read):
    page = office.browse_as(None).get("/login", headers={"Accept-Language": asked})

    assert (spoken(page), page.title.split(" – ")[0]) == (read, {"en": "Log in", "es": "Iniciar sesión"}[read])


def test_a_choice_wins_over_the_browsers_own_language(office):
    browser = office.browse_as(None)
    browser.client.set_cookie("bank-language", "en")

    assert spoken(browser.get("/login", headers={"Accept-Language": "es"})) == "en"


@pytest.mark.parametrize("kept", ["fr", "xx", "es-MX", "../es", "", "a" * 3000])
def test_a_cookie_with_another_language_counts_for_nothing(office, kept):
    browser = office.browse_as(None)
    browser.client.set_cookie("bank-language", kept)

    assert spoken(browser.get("/login")) == "en"
    assert spoken(browser.get("/login", headers={"Accept-Language": "es"})) == "es"


def test_a_page_says_its_language_and_the_side_it_is_written_from(office, monkeypatch):
    monkeypatch.setitem(language.LANGUAGES, "ar", "العربية")
    browser = office.browse_as("alice")
    for code, direction in (("en", "ltr"), ("es", "ltr"), ("ar", "rtl")):
        browser.client.set_cookie("bank-language", code)
        assert f'<html lang="{code}" dir="{direction}">' in browser.get("/home").html


def test_figures_and_masked_numbers_keep_their_own_direction_in_any_text(office):
    account = office.branch.number("alice_current")
    customer, teller = office.browse_as("alice"), office.browse_as("teller")
    home = customer.get("/home").html
    pages = [home, customer.get(f"/accounts/{account}").html]
    pages += [teller.get(path).html for path in ("/staff/", "/staff/till", f"/staff/accounts/{account}")]
    stand_out = [found for html in pages for found in re.findall(r'class="(?:balance|till-total)"[^>]*>.{0,400}', html)]

    assert len(stand_out) >= len(pages)
    assert [found for found in stand_out if '<bdi class="money">' not in found] == []
    assert f"\u200e•••• {account[-4:]}" in home
    assert '<bdi dir="ltr">•••' in teller.get(f"/staff/customers/{office.branch.customer('alice').number}").html


def test_two_readers_of_one_server_each_have_their_language(office):
    ana, bob = in_spanish(office.browse_as("alice")), office.browse_as("bob")

    for _ in range(2):
        assert (spoken(ana.get("/home")), spoken(bob.get("/home"))) == ("es", "en")


# What it changes


def test_an_amount_is_typed_and_shown_as_spanish_writes_it(office):
    branch, teller = office.branch, in_spanish(office.browse_as("teller"))
    path = f"/staff/accounts/{branch.number('alice_current')}/deposit"

    wrong = teller.send(path, amount="1,250.50")
    receipt = teller.done(path, amount="1.250,50")

    assert (wrong.status, wrong.form.values["amount"]) == (422, "1,250.50")
    assert "1.250,00" in wrong.problems[0]
    assert branch.balance("alice_current") == 100_00 + 1_250_50
    assert "1.250,50" in receipt.text
    assert "1.350,50" in in_spanish(office.browse_as("alice")).get("/home").text
    assert "1,350.50" in office.browse_as("alice").get("/home").text


def test_what_is_kept_in_the_database_is_the_same_whoever_wrote_it(office):
    branch, number = office.branch, office.branch.number("alice_current")
    spanish, english = in_spanish(office.browse_as("teller")), office.browse_as("teller")
    for browser, amount in ((spanish, "5,00"), (english, "5.00")):
        browser.done(f"/staff/accounts/{number}/deposit", amount=amount)

    [first, second] = [row[2:] for row in sorted(branch.dump()["journal_entries"])[-2:]]

    assert [value for value in first if value in ("deposit", "Cash deposit")] == ["deposit", "Cash deposit"]
    assert {value for value in first if isinstance(value, str) and len(value) < 36} == {
        value for value in second if isinstance(value, str) and len(value) < 36
    }
    words = " ".join(str(row) for rows in branch.dump().values() for row in rows)
    assert "Depósito" not in words
    assert "Depósito en efectivo" in in_spanish(office.browse_as("alice")).get(f"/accounts/{number}/statement").text


def test_a_spanish_readers_pdf_is_spanish(office):
    alice, number = in_spanish(office.browse_as("alice")), office.branch.number("alice_current")
    answer = alice.get(f"/accounts/{number}/statement?last=20&as=pdf").response

    read = pypdf.PdfReader(io.BytesIO(answer.get_data()))
    text = " ".join(page.extract_text() for page in read.pages)

    assert read.root_object["/Lang"] == "es"
    assert read.metadata.title.startswith("Estado de cuenta")
    for words in ("Estado de cuenta", "Saldo inicial", "Depósito en efectivo", "100,00", "Página 1 de 1"):
        assert words in text
    for words in ("Opening", "Balance", "Cash deposit", "Page", "Account"):
        assert words not in text
    assert 'filename="statement-' in answer.headers["Content-Disposition"]


def test_a_spanish_readers_spreadsheets_have_spanish_words_and_figures_for_programs(office):
    alice, number = in_spanish(office.browse_as("alice")), office.branch.number("alice_current")

    table = alice.get(f"/accounts/{number}/statement?as=csv").response.get_data().decode("utf-8-sig")
    book = alice.get(f"/accounts/{number}/statement?as=xlsx").response.get_data()

    assert '"Saldo final",100.00' in table
    assert '"Fecha de registro","Fecha valor"' in table
    sheet = openpyxl.load_workbook(io.BytesIO(book)).active
    assert sheet.title == "Estado de cuenta"
    assert ("Saldo final", 100) in {row[:2] for row in sheet.values}


@pytest.mark.parametrize("path", ["/staff/accounts/status?as=json", "/staff/records?as=json", "/readyz"])
def test_a_programs_answer_is_the_same_in_every_language(office, path):
    spanish, english = in_spanish(office.browse_as("executive")), office.browse_as("executive")

    assert spanish.get(path).response.get_data() == english.get(path).response.get_data() != b""


# Nowhere lost


def test_the_language_is_the_same_before_and_after_the_log_in_and_after_the_log_out(office):
    number = office.give_password("alice")
    browser = in_spanish(office.browse_as(None))

    refused = browser.send("/login", user=number, password="not the password")
    home = browser.done("/login", user=number, password=PASSWORD)
    gone = browser.follow(browser.post("/logout"))

    assert [spoken(page) for page in (refused, home, gone)] == ["es"] * 3
    assert refused.problems == [
        "El número o la contraseña no es correcto, o se intentó demasiadas veces. Revise ambos o espere unos minutos."
    ]
    assert refused.title.startswith("Error: Iniciar sesión")


def failing(error: Callable[[], Exception]) -> Callable[[], str]:
    """A view that ends with an error."""

    def view() -> str:
        raise error()

    view.open_to = (PUBLIC,)  # type: ignore[attr-defined]
    return view


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (lambda: ZeroDivisionError("in English"), 500, "Hay un problema con el servicio"),
        (DatabaseAway, 503, "Hay un problema con el servicio"),
        (OutcomeUnknown, 503, "Hay un problema con el servicio"),
        (TooBusy, 503, "El banco está ocupado"),
        (LastExecutive, 409, "Esto cambió entretanto"),
        (WrongRole, 403, "Usted no puede hacer esto"),
    ],
)
def test_an_error_is_told_in_the_readers_language(office, monkeypatch, error, status, title):
    monkeypatch.setitem(office.app.view_functions, "public.forgotten", failing(error))

    page = in_spanish(office.browse_as("alice")).get("/forgotten")

    assert (page.status, spoken(page), page.title) == (status, "es", f"{title} – Our Bank")
    assert "Referencia" in page.text
    assert not {"the", "The", "your", "again"} & set(page.text.split())


def test_a_page_that_is_not_there_a_wrong_method_and_a_form_that_is_too_old_are_told_in_spanish(office):
    browser = in_spanish(office.browse_as("alice"))

    pages = [
        browser.get("/nothing-here"),
        browser.get("/logout"),
        browser.post("/login", {"csrf_token": "old"}),
        browser.post("/login", {"user": "x" * 70_000}),
        browser.post("/login", {"user": "1"}, headers={"Sec-Fetch-Site": "cross-site"}),
        browser.post("/pay", {"amount": "x"}),
        browser.get("/home?a=%00"),
    ]

    assert [page.status for page in pages] == [404, 405, 400, 413, 403, 422, 400]
    assert [spoken(page) for page in pages] == ["es"] * 7
    assert [page.title.split(" – ")[0] for page in pages[:5]] == [
        "Página no encontrada",
        "Esto no se puede abrir así",
        "Este formulario es demasiado antiguo",
        "Esto es demasiado para enviarlo de una vez",
        "Usted no puede hacer esto",
    ]


# The form in the footer


def choose(browser: Browser, page: str = "/login", **chosen: str) -> Page:
    """Send the form that stands on every page, with what is chosen in it."""
    [form] = [form for form in browser.get(page).forms if form.action == "/preferences"]
    return browser.post("/preferences", {**form.values, **chosen})


@pytest.mark.parametrize("visitor", [None, "alice", "teller"])
def test_language_and_colours_are_chosen_on_any_page_which_then_comes_back(office, visitor):
    browser = office.browse_as(visitor)
    page = "/staff/?x=1" if visitor == "teller" else "/enrol?x=1"

    answer = choose(browser, page, language="es", theme="dark")
    back = browser.follow(answer)

    assert (answer.status, answer.location) == (303, page)
    assert spoken(back) == "es"
    assert 'data-theme="dark"' in back.html
    assert '<meta name="color-scheme" content="dark">' in back.html
    assert back.forms[-1].values | {"csrf_token": ""} == {
        "csrf_token": "",
        "next": page,
        "language": "es",
        "theme": "dark",
    }


def test_what_was_chosen_is_kept_for_a_year_by_the_browser_alone(serve):
    answer = choose(serve(bank_env="production").browse_as(None), language="es", theme="light").response
    cookies = [
        cookie for cookie in answer.headers.getlist("Set-Cookie") if cookie.startswith(("bank-language", "bank-theme"))
    ]

    assert [cookie.split(";")[0] for cookie in cookies] == ["bank-language=es", "bank-theme=light"]
    for cookie in cookies:
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=31622400"} <= set(cookie.split("; "))


def test_choosing_the_devices_own_colours_ends_the_choice(office):
    browser = office.browse_as(None)
    choose(browser, theme="dark")
    choose(browser, theme="system")

    page = browser.get("/login")

    assert "data-theme" not in page.html
    assert '<meta name="color-scheme" content="light dark">' in page.html


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"language": "fr", "theme": "pink"},
        {"language": "", "theme": ""},
        {"language": "es\r\nSet-Cookie: a=b", "theme": "<b>"},
    ],
)
def test_a_choice_that_is_not_on_offer_changes_nothing(office, sent):
    browser = office.browse_as(None)
    choose(browser, language="es", theme="dark")

    answer = browser.post("/preferences", sent)

    assert answer.status == 303
    assert not [
        cookie for cookie in answer.response.headers.getlist("Set-Cookie") if "language" in cookie or "theme" in cookie
    ]
    page = browser.get("/login")
    assert (spoken(page), 'data-theme="dark"' in page.html) == ("es", True)


@pytest.mark.parametrize("kept", ["pink", "", '"><script>', "system"])
def test_a_cookie_with_other_colours_counts_for_nothing(office, kept):
    browser = office.browse_as(None)
    browser.client.set_cookie("bank-theme", kept)

    assert "data-theme" not in browser.get("/login").html


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/a\r\nX: y",
        "/" + "a" * 600,
        "",
    ],
)
def test_choosing_never_leads_to_another_host(office: Served, elsewhere):
    answer = choose(office.browse_as(None), next=elsewhere, language="es")

    assert (answer.status, answer.response.headers["Location"]) == (303, "/")


def test_a_day_that_heads_a_list_begins_with_a_capital_also_where_days_do_not(office):
    with office.app.test_request_context(), language.read_in("es"):
        assert pages.day_of_week(date(2026, 3, 5)) == "Jueves, 5 de marzo de 2026"
        assert pages.day_of_week(pages.today()) == "Hoy"
        assert pages.day_of_week(pages.today() - timedelta(days=1)) == "Ayer"


# What is drawn once for all who read a language


def test_parts_that_are_kept_for_everybody_are_in_each_ones_language_and_say_nothing_of_anybody(office):
    alice, bob = in_spanish(office.browse_as("alice")), office.browse_as("bob")
    accounts = {
        who: f"/accounts/{office.branch.number(f'{name}_current')}" for who, name in ((alice, "alice"), (bob, "bob"))
    }

    for _ in range(2):
        for who, account in accounts.items():
            for path in ("/home", account, "/pay"):
                page = who.get(path)
                assert spoken(page) == ("es" if who is alice else "en")
                assert ("Cerrar sesión" in page.text, "Log out" in page.text) == (who is alice, who is bob)
                assert not any(word in page.text for word in ({alice: ("Nakamura",), bob: ("Moreau",)}[who]))

    assert "coffee" in bob.get(f"{accounts[bob]}?q=coffee").html
    assert "coffee" not in alice.get(accounts[alice]).html
    assert "coffee" not in bob.get(accounts[bob]).html
