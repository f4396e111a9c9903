"""Bring the catalogues up to date with the sentences in the code: new ones are added untranslated, old ones go."""

import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from bank.language import CATALOGUES, LANGUAGES

ROOT = Path(__file__).parents[1]
METHODS = [("templates/**.html", "jinja2"), ("**/templates/**.html", "jinja2"), ("**.py", "python")]
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "marked": None,
    "ngettext": (1, 2),
}


def sentences() -> Catalog:
    """Every marked sentence of the code, without a translation."""
    found = Catalog(project="retail-bank", charset="utf-8")
    options = {"templates/**.html": {"trimmed": "true"}, "**/templates/**.html": {"trimmed": "true"}}
    for file, _, sentence, comments, context in extract_from_dir(
        str(ROOT / "bank"), METHODS, options_map=options, keywords=KEYWORDS, comment_tags=("i18n:",)
    ):
        found.add(sentence, None, [(f"bank/{file}", 0)], auto_comments=comments, context=context)
    return found


def updated(language: str) -> bytes:
    """The language's catalogue as it should be: the code's sentences, with the translations that there are."""
    path = CATALOGUES / f"{language}.po"
    catalogue = Catalog(locale=language)
    if path.exists():
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language)
    catalogue.header_comment = (
        f"# The bank in {LANGUAGES[language]}. docs/how-to/translate.md says how this file is kept."
    )
    catalogue.fuzzy = False
    # A guess from a similar sentence would be shown to nobody and look finished: no guessing.
    catalogue.update(sentences(), no_fuzzy_matching=True)
    written = BytesIO()
    write_po(
        written, catalogue, width=120, omit_header=False, sort_by_file=True, ignore_obsolete=True, include_lineno=False
    )
    lines = written.getvalue().decode().splitlines(keepends=True)
    # Dates and tools' versions would change the file each time and tell nothing.
    idle = (
        '"POT-Creation-Date',
        '"PO-Revision-Date',
        '"Generated-By',
        '"Last-Translator',
        '"Language-Team',
        '"Report-Msgid',
        '"Project-Id-Version',
    )
    return "".join(line for line in lines if not line.startswith(idle)).encode()


if __name__ == "__main__":
    for language in LANGUAGES:
        if language != "en":
            (CATALOGUES / f"{language}.po").write_bytes(updated(language))
            with (CATALOGUES / f"{language}.po").open("rb") as file:
                left = [message.id for message in read_po(file) if message.id and not message.string]
            print(f"{language}: {len(left)} sentences are not translated", file=sys.stderr)
