"""The catalogues: every sentence of the code, each translated whole, with the same places for what is put into it."""

from __future__ import annotations

import ast
import re
import runpy
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from bank import language
from bank.language import CATALOGUES, LANGUAGES

ROOT = Path(__file__).parents[2]
OTHERS = [code for code in LANGUAGES if code != "en"]
#: What these refuse is told by the `bank` command, in English.
FOR_OPERATORS = {"cli", "demo", "legacy", "realdata", "settings.py", "storage"}


@cache
def marked() -> Catalog:
    """Every sentence that the code marks."""
    found = runpy.run_path(str(ROOT / "scripts/translations.py"))["sentences"]()
    assert isinstance(found, Catalog)
    return found


@cache
def catalogue(code: str) -> Catalog:
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


def forms(text: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """A sentence, or each of its plural forms."""
    return (text,) if isinstance(text, str) else tuple(text)


def messages(found: Catalog) -> dict[tuple[str, ...], Message]:
    return {forms(message.id): message for message in found if message.id}


def wrong_in(message: Message, found: Catalog) -> str | None:
    """What is wrong with one translation."""
    said, told = forms(message.id), forms(message.string)
    if message.fuzzy:
        return "is only guessed"
    if len(told) != (found.num_plurals if len(said) > 1 else 1) or not all(told):
        return "is not translated"
    for text in told:
        if places(text) != places(said[-1]) and not (len(said) > 1 and places(text) == places(said[0])):
            return f"has other places: {text!r}"
        if blanks(text) != blanks(said[-1]):
            return f"begins or ends with other blanks: {text!r}"
        if re.sub(r"%\(\w+\)[sd]|%%", "", text).count("%") and places(text):
            return f"has a stray percent sign: {text!r}"
    return None


def places(text: str) -> list[str]:
    """The named places of a sentence."""
    return sorted(re.findall(r"%\(\w+\)[a-z]", text))


def blanks(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


@pytest.mark.parametrize("code", OTHERS)
def test_a_catalogue_has_the_sentences_of_the_code_and_no_others(code):
    listed, said = set(messages(catalogue(code))), set(messages(marked()))

    assert (sorted(said - listed), sorted(listed - said)) == ([], []), "run `make translations`, and translate"


@pytest.mark.parametrize("code", OTHERS)
def test_every_sentence_is_translated_whole(code):
    found = catalogue(code)
    wrong = [f"{said[0]!r} {fault}" for said, message in messages(found).items() if (fault := wrong_in(message, found))]

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("code", OTHERS)
def test_a_catalogue_says_its_language_and_how_it_counts(code):
    found = catalogue(code)

    assert (str(found.locale), found.num_plurals, found.plural_expr) == (code, 2, "(n != 1)")


def test_every_language_but_english_has_a_catalogue_and_no_other_file_lies_there():
    assert sorted(path.name for path in CATALOGUES.iterdir()) == [f"{code}.po" for code in sorted(OTHERS)]


def test_the_code_marks_sentences_with_named_places_only():
    unnamed = [said for said in messages(marked()) if any(re.search(r"%[sd]|\{", text) for text in said)]

    assert unnamed == []
    assert len(messages(marked())) > 200


def test_what_a_refusal_says_to_customers_and_staff_is_marked():
    """A page may never have been drawn with it, so it is looked for where it is written."""
    unmarked = [
        f"{module.relative_to(ROOT)}:{call.lineno}"
        for module in sorted((ROOT / "bank").rglob("*.py"))
        if module.relative_to(ROOT / "bank").parts[0] not in FOR_OPERATORS
        for call in ast.walk(ast.parse(module.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__"
        for said in call.args
        if isinstance(said, ast.JoinedStr) or (isinstance(said, ast.Constant) and " " in str(said.value))
    ]

    assert unmarked == []


@pytest.mark.parametrize(
    ("said", "told", "fault"),
    [
        ("Pay %(name)s", "Pagar a %(name)s", None),
        ("Pay %(name)s", "Pagar", "other places"),
        ("Pay %(name)s", "Pagar a %(nombre)s", "other places"),
        ("Pay %(name)s", "", "not translated"),
        ("Pay", "Pagar ", "other blanks"),
        (("%(n)s day", "%(n)s days"), ("%(n)s día", ""), "not translated"),
        (("%(n)s day", "%(n)s days"), ("%(n)s día",), "not translated"),
        (("One day", "%(n)s days"), ("Un día", "%(n)s días"), None),
    ],
)
def test_a_fault_in_a_translation_is_found(said, told, fault):
    found = wrong_in(Message(said, told), Catalog(locale="es"))

    assert (found is None) == (fault is None)
    assert fault is None or fault in str(found)


@pytest.mark.parametrize("code", OTHERS)
def test_what_is_read_from_the_file_is_what_stands_in_it(code):
    read = language.translations(code)
    for said, message in messages(catalogue(code)).items():
        if all(forms(message.string)):
            found = [read.ugettext(said[0])] if len(said) == 1 else [read.ungettext(*said, n) for n in (1, 2)]
            assert found == list(forms(message.string))
