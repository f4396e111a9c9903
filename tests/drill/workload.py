"""What customers want and when: the same for the same seed, whatever the bank answers."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

#: Of a hundred wishes: payments, pages, totals.
_MIX: Final = {"pay": 70, "page": 20, "total": 10}
#: Of payments and of pages, how many are a browser's.
_BY_BROWSER: Final = {"pay": 0.15, "page": 0.5, "total": 0.0}
_MOST_MINOR: Final = 5_00
#: Pages a second before the run.
_WARM_UP_RATE: Final = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody wants something, so many seconds after the load begins; amounts in minor units."""

    at: float
    f: str
    customer: int
    by_browser: bool
    value: dict[str, Any]


def wishes(plan: dict[str, Any]) -> Iterator[Wish]:
    """`rate` wishes a second on average for `seconds`, each at its own moment: nobody waits for anybody's answer."""
    rng = random.Random(plan["seed"])
    customers = plan["customers"]
    browsers = [number for number, each in enumerate(customers) if each["browses"]]
    at = 0.0
    while (at := at + rng.expovariate(plan["rate"])) < plan["seconds"]:
        [f] = rng.choices(list(_MIX), list(_MIX.values()))
        by_browser = rng.random() < _BY_BROWSER[f]
        number = rng.choice(browsers) if by_browser else rng.randrange(len(customers))
        yield Wish(round(at, 4), f, number, by_browser, _value(rng, f, customers[number]))


def warm_up(plan: dict[str, Any], seconds: float) -> Iterator[Wish]:
    """Pages that are opened before the run: servers and browsers that have just been started are not what is measured."""
    rng = random.Random(f"{plan['seed']} warm")
    browsers = [number for number, each in enumerate(plan["customers"]) if each["browses"]]
    for number in range(round(_WARM_UP_RATE * seconds)):
        who = browsers[number % len(browsers)] if number % 2 else rng.randrange(len(plan["customers"]))
        value = {"account": plan["customers"][who]["account"]}
        yield Wish(number / _WARM_UP_RATE, "page", who, bool(number % 2), value)


def _value(rng: random.Random, f: str, customer: dict[str, Any]) -> dict[str, Any]:
    if f == "total":
        return {}
    if f == "page":
        return {"account": customer["account"]}
    key = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    minor = rng.randint(1, _MOST_MINOR)
    return {"key": key, "payer": customer["account"], "payee": rng.choice(customer["pays"]), "minor": minor}
