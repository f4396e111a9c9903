"""What a movement is for: categories, and the rules by which a movement falls into one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from bank.language import folded, gettext
from bank.language import marked as _

CATEGORIES: Final = {
    "income": _("Income"),
    "housing": _("Housing"),
    "groceries": _("Groceries"),
    "eating_out": _("Eating out"),
    "transport": _("Transport"),
    "health": _("Health"),
    "bills": _("Bills"),
    "leisure": _("Leisure"),
    "people": _("People"),
    "cash": _("Cash"),
    "fees": _("Fees and interest"),
    "own": _("Own transfers and savings"),
    "other": _("Other"),
}

#: Words and phrases, English and Spanish, without accents: the first category that has one of them wins.
WORDS: Final = {
    "income": """salary; wages; payroll; pension; dividend; scholarship; paycheck; invoice paid;
        nomina; sueldo; salario; dividendo; beca; paga""",
    "housing": """rent; mortgage; landlord; lease; condo fee; home insurance; property tax;
        alquiler; renta; hipoteca; casero; comunidad; seguro de hogar; arriendo""",
    "groceries": """grocery; groceries; supermarket; market; bakery; butcher; greengrocer; food store; apples; honey;
        supermercado; mercado; panaderia; carniceria; fruteria; abarrotes; comestibles""",
    "eating_out": """restaurant; cafe; coffee; lunch; dinner; breakfast; brunch; pizza; pizzeria; burger; sushi; bar; pub;
        diner; takeaway; takeout; noodle;
        restaurante; cafeteria; almuerzo; cena; desayuno; comida; tapas; cerveceria; hamburgueseria""",
    "transport": """bus; train; metro; subway; taxi; cab; fuel; petrol; gas station; parking; toll; ferry; transit; railway;
        airline; flight; bike share; car insurance; garage;
        autobus; tren; gasolina; gasolinera; aparcamiento; estacionamiento; peaje; vuelo; aerolinea; taller""",
    "health": """pharmacy; doctor; dentist; clinic; hospital; optician; physio; health insurance; gym; yoga;
        farmacia; medico; dentista; clinica; optica; fisioterapia; seguro medico; gimnasio""",
    "bills": """electricity; power; water; gas; internet; broadband; phone; mobile; utility; utilities; insurance; tax; council;
        electric; energy; heating;
        electricidad; luz; agua; telefono; movil; seguro; impuesto; impuestos; calefaccion; factura""",
    "leisure": """cinema; concert; tickets; theatre; theater; museum; book; books; bookshop; bookstore; music; streaming; hotel;
        holiday; guitar; game; games; sport; plant; fair; club;
        cine; concierto; entradas; teatro; museo; libro; libros; libreria; musica; viaje; vacaciones; juego; deporte""",
}

_BY_KIND: Final = {
    "deposit": "cash",
    "withdrawal": "cash",
    "card_withdrawal": "cash",
    "closing_payout": "cash",
    "interest": "fees",
    "penalty_interest": "fees",
    "fee": "fees",
    "opening": "other",
    "adjustment": "other",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What the rules look at: an entry's kind and narrative, and who is on the other side.

    `person` is their name as the customer may see it; `to_account`: it is an account of this bank, `own`: the customer's.
    """

    kind: str
    received: bool
    narrative: str
    person: str = ""
    to_account: bool = False
    own: bool = False

    @property
    def words(self) -> str:
        """What a customer's own rule goes by: the name of the other side, or else what was written."""
        return folded(self.person or self.narrative)[:200].strip()


def category_name(category: str) -> str:
    """The category as people read it; one that the bank no longer has is other.

    >>> category_name("eating_out"), category_name("dragons")
    ('Eating out', 'Other')
    """
    return gettext(CATEGORIES.get(category, CATEGORIES["other"]))


def category_of(movement: Told, own_rules: Mapping[str, str] | None = None) -> str:
    """The movement's category: by the customer's own rule, else by its kind, whose it is, and the words it has.

    Money that came in is income, or from people: a tenant's "Rent" is no cost of housing.

    >>> category_of(Told("transfer_out", received=False, narrative="Café Colón, Lunch"))
    'eating_out'
    """
    if own_rules and (chosen := own_rules.get(movement.words)):
        return chosen
    if movement.own:
        return "own"
    if by_kind := _BY_KIND.get(movement.kind):
        return by_kind
    found = _by_words(f"{movement.narrative} {movement.person}")
    if movement.received:
        return "income" if found == "income" or movement.kind == "transfer_in" or not movement.to_account else "people"
    if found and found != "income":
        return found
    return "people" if movement.to_account else "other"


@lru_cache(maxsize=4096)
def _by_words(text: str) -> str:
    words = " ".join(re.findall(r"[^\W_]+", folded(text)))
    spaced = f" {words} "
    return next((category for category, pattern in _patterns().items() if pattern.search(spaced)), "")


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {
        category: re.compile(f" (?:{'|'.join(phrase.strip() for phrase in phrases.split(';'))}) ")
        for category, phrases in WORDS.items()
    }
