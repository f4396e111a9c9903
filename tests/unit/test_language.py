"""The reader's language: sentences, figures, days and lists."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest

from bank import language
from bank.identity.passwords import TooBusy
from bank.language import choose, current, gettext, ngettext, read_in
from bank.ledger.errors import InsufficientFunds, KeyReused
from bank.money import Money, parse_amount
from bank.payments.model import KINDS, told
from bank.statements.model import Days, Latest
from bank.turns import Turns

DAY = date(2026, 3, 5)


@pytest.fixture(autouse=True)
def english_again():
    yield
    assert current() == "en", "a test left its language behind"


@pytest.fixture
def spanish():
    with read_in("es"):
        yield


def test_without_a_choice_everything_is_english():
    assert (current(), gettext("Balance"), language.symbols()) == ("en", "Balance", (".", ","))


@pytest.mark.parametrize("asked", ["", "fr", "ES", "es-MX", "../es", "en\x00"])
def test_a_language_that_is_not_complete_is_english(asked):
    with read_in("es"):
        choose(asked)
        assert current() == "en"


def test_a_language_lasts_for_the_block_and_ends_with_an_error_too():
    with read_in("es"):
        with pytest.raises(ZeroDivisionError), read_in("en"):
            raise ZeroDivisionError
        assert current() == "es"
    assert current() == "en"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (language.long_day, {"en": "5 March 2026", "es": "5 de marzo de 2026"}),
        (language.short_day, {"en": "5 Mar 2026", "es": "5 mar 2026"}),
        (language.day_of_week, {"en": "Thursday 5 March 2026", "es": "jueves, 5 de marzo de 2026"}),
        (language.month, {"en": "March 2026", "es": "marzo de 2026"}),
    ],
)
def test_days_are_written_as_each_language_writes_them(wanted, said):
    for code, words in said.items():
        with read_in(code):
            assert wanted(DAY) == words


def test_an_instant_names_its_zone_in_every_language():
    moment = datetime(2026, 3, 5, 14, 5, tzinfo=UTC)
    assert (language.minute(moment), language.long_minute(moment)) == (
        "5 Mar 2026, 14:05 UTC",
        "5 March 2026, 14:05 UTC",
    )
    with read_in("es"):
        assert language.long_minute(moment) == "5 de marzo de 2026, 14:05 UTC"


def test_lists_and_numbers_follow_the_language():
    names = ["Ana", "Zoë", "Isabel"]
    with read_in("es"):
        # Spanish says "e" before an i, which a glued " y " would not.
        assert (language.together(names[:2]), language.whole(39333)) == ("Ana y Zoë", "39.333")
    assert (language.together(names[:2]), language.whole(39333)) == ("Ana and Zoë", "39,333")


@pytest.mark.parametrize("code", language.LANGUAGES)
def test_every_language_separates_figures_so_that_they_can_be_typed_again(code):
    with read_in(code):
        for units in (1, 99, 100, 123456, 10**15):
            money = Money(units, "USD")
            assert parse_amount(money.figure, "USD") == money


def test_a_figure_for_machines_is_the_same_in_every_language(spanish):
    assert (Money(125050, "USD").plain, str(Money(-125050, "USD"))) == ("1250.50", "-1.250,50 USD")


def test_plurals_count_whole_numbers_as_the_language_groups_them(spanish):
    many, one = Latest(1000), Latest(1)

    assert "1.000" in str(many)
    assert str(one) != str(many).replace("1.000", "1")
    assert ngettext("%(n)s nameless thing", "%(n)s nameless things", 2000) == "2.000 nameless things"


def test_an_error_is_told_in_the_language_in_which_it_was_raised(spanish):
    refused = InsufficientFunds({"available": 10_00, "needed": 1250_00, "currency": "USD"})
    with read_in("en"):
        assert "1.250,00 USD" in str(refused)
        assert str(refused).startswith("Ingrese 10,00 USD")
        assert str(KeyReused()).startswith("This operation")


def test_each_thread_reads_in_its_own_language():
    both = threading.Barrier(2, timeout=10)

    def read(code: str) -> str:
        with read_in(code):
            both.wait()
            words = str(Days(DAY, DAY))
            both.wait()
            return words

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(read, ["es", "en"])) == [
            "del 5 de marzo de 2026 al 5 de marzo de 2026",
            "5 March 2026 to 5 March 2026",
        ]


def test_whoever_finds_no_turn_is_told_so_in_their_language(spanish):
    turns = Turns(1, patience_seconds=0, busy=TooBusy)

    with turns.taken(), pytest.raises(TooBusy) as refused, turns.taken():
        pytest.fail("a second had a place")
    assert str(refused.value) == gettext("Many people are logging in at the moment. Try again in a few seconds.")
    assert not str(refused.value).startswith("Many")


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_bank_wrote_itself_is_told_in_the_readers_language(kind, spanish):
    assert told(KINDS[kind], kind, received=True) == told("", kind, received=True)
    assert told(f"Reversal: {KINDS[kind]}", "reversal", received=True) == f"Anulación: {gettext(KINDS[kind])}"


def test_what_people_wrote_is_left_as_they_wrote_it(spanish):
    assert told("Rent", "transfer", received=True) == "Rent"
    assert told("Cash deposit", "transfer", received=True) == "Cash deposit"
    assert told("Reversal: Rent", "reversal", received=True) == "Anulación: Rent"
    assert told("Reversal: Rent", "transfer", received=True) == "Reversal: Rent"


def test_a_word_is_looked_for_without_case_accents_or_odd_blanks():
    assert language.folded("  ZOË\u00a0 O’Brien") == language.folded("zoe o'brien")
