"""What a movement is for, by the rules: its kind, whose it is, and words in English and Spanish."""

from __future__ import annotations

import pytest

from bank.language import folded, read_in
from bank.spending.rules import CATEGORIES, WORDS, Told, category_name, category_of


def out(narrative: str, **told: object) -> Told:
    return Told("transfer_out", received=False, narrative=narrative, **told)


@pytest.mark.parametrize(
    ("narrative", "category"),
    [
        ("Casco Property, rent", "housing"), ("ALQUILER marzo", "housing"), ("Home insurance", "housing"),
        ("Harbor Market", "groceries"), ("Panadería La Espiga", "groceries"), ("supermercado", "groceries"),
        ("CAFÉ COLÓN", "eating_out"), ("Cena con Zoë", "eating_out"), ("Barber", "other"),
        ("Gas station 24", "transport"), ("Billete de autobús", "transport"), ("Car insurance", "transport"),
        ("Congress Street Pharmacy", "health"), ("Clínica dental", "health"), ("Health insurance", "health"),
        ("Gas", "bills"), ("Factura de la luz", "bills"), ("Teléfono móvil", "bills"),
        ("Cine Doré", "leisure"), ("Concert tickets", "leisure"), ("Plant fair", "leisure"),
        ("", "other"), ("李小龙", "other"), ("100%_\\", "other"),
    ],
)  # fmt: skip
def test_words_tell_what_was_paid_for(narrative: str, category: str):
    assert category_of(out(narrative)) == category


@pytest.mark.parametrize(
    ("told", "category"),
    [
        (Told("transfer_in", True, "Northwind, salary"), "income"),
        (Told("transfer_in", True, "Nómina de marzo"), "income"),
        (Told("transfer_in", True, "Harbor Market"), "income"),
        (Told("transfer", True, "Rent", "李小龙", to_account=True), "people"),
        (Told("transfer", True, "Salary", "Acme", to_account=True), "income"),
        (Told("transfer", False, "Salary of the gardener", "Samuel", to_account=True), "people"),
        (Told("transfer", False, "Rent", "Samuel", to_account=True), "housing"),
        (Told("transfer", False, "Rent", to_account=True, own=True), "own"),
        (Told("transfer", True, "Salary", to_account=True, own=True), "own"),
        (Told("deposit", True, "Salary in cash"), "cash"),
        (Told("withdrawal", False, "For the market"), "cash"),
        (Told("card_withdrawal", False, "Card withdrawal"), "cash"),
        (Told("fee", False, "Account fee"), "fees"),
        (Told("interest", True, "Interest"), "fees"),
        (Told("some_kind_to_come", False, "What"), "other"),
    ],
)
def test_the_kind_and_the_other_side_come_before_words(told: Told, category: str):
    assert category_of(told) == category


@pytest.mark.parametrize("kind", ["transfer", "deposit", "fee"])
def test_a_customers_own_rule_comes_before_every_other(kind: str):
    told = Told(kind, False, "Rent", "Samuel Adeyemi", to_account=True)

    assert category_of(told, {"samuel adeyemi": "leisure"}) == "leisure"
    assert category_of(told, {"samuel": "leisure", "rent": "leisure"}) != "leisure"


def test_a_rule_goes_by_the_name_or_else_by_what_was_written_without_case_and_accents():
    assert out("  CAFÉ   Colón ").words == "cafe colon"
    assert out("Rent", person="Zoë O’Brien").words == "zoe o'brien"
    assert len(out("ß" * 200).words) <= 200


def test_every_word_is_written_as_it_is_looked_for_and_stands_once():
    phrases = [phrase.strip() for words in WORDS.values() for phrase in words.split(";")]

    assert [phrase for phrase in phrases if phrase != folded(phrase) or not phrase] == []
    assert len(phrases) == len(set(phrases))
    assert set(WORDS) <= set(CATEGORIES)


def test_every_category_has_a_name_in_each_language():
    for language in ("en", "es"):
        with read_in(language):
            assert all(category_name(code) for code in CATEGORIES)
