"""The customers, as one process: `python -m tests.drill.load PLAN.json HISTORY.jsonl`.

An open loop: each wish comes at its moment, however the bank does. Customers ask the region that DNS names; when it
fails them at once they ask it again, when it keeps them waiting they ask the other, and then in turn. They do not wait
out `Retry-After`: the drill measures how soon the bank serves again, not how patient people are.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.drill import acts
from tests.drill.acts import Act, Again, Done, Outcome, Refused, Visitor
from tests.drill.history import Event, Writer
from tests.drill.http_client import Answer, Client, NoAnswer
from tests.drill.route53 import Names
from tests.drill.workload import Wish, warm_up, wishes

#: How long an attempt waits: two of them fit into the two seconds that are aimed for.
TIMEOUTS: Final = (0.9, 0.9, 1.5, 2.0, 3.0)
GIVE_UP_SECONDS: Final = 25.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
#: So long after the last answer customers look what became of what they gave up on.
_SETTLE_SECONDS: Final = 3.0
#: Before anything is written down.
_WARM_UP_SECONDS: Final = 3.0


def other(region: str) -> str:
    """The other of the two."""
    return "west" if region == "east" else "east"


def next_region(attempt: int, last: str, named: str, *, waited: bool) -> str:
    """Where the attempt of this number goes, the last one having gone to `last`: it `waited` in vain, or failed at once."""
    if attempt == 2 and not waited:
        return named
    return other(last)


def pause(attempt: int, rng: random.Random) -> float:
    """Seconds before the next attempt, after so many."""
    return float(min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE) * rng.uniform(0.5, 1.5))


@dataclass(slots=True)
class Crowd:
    """Who is idle; somebody who is busy opens another browser or program, which knows nothing of what the first saw."""

    plan: dict[str, Any]
    _idle: dict[tuple[bool, int], list[Visitor]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def for_wish(self, wish: Wish) -> Visitor:
        """Somebody idle for it; totals are the auditor's."""
        if wish.f == "total":
            return self._take((False, -1), self._auditor)
        return self._take((wish.by_browser, wish.customer), lambda: self.new(wish.customer, by_browser=wish.by_browser))

    def back(self, wish: Wish, visitor: Visitor) -> None:
        """They are idle again."""
        key = (False, -1) if wish.f == "total" else (wish.by_browser, wish.customer)
        self._idle.setdefault(key, []).append(visitor)

    def new(self, customer: int, *, by_browser: bool) -> Visitor:
        """A browser or program of this customer's, fresh."""
        who = self.plan["customers"][customer]
        if by_browser:
            return Visitor(next(self._numbers), who["home"], cookies={"bank-session": who["session"]})
        return Visitor(next(self._numbers), who["home"], token=who["token"])

    def _auditor(self) -> Visitor:
        number = next(self._numbers)
        tokens = self.plan["auditor"]
        return Visitor(number, ("east", "west")[number % 2], token=tokens[number % len(tokens)])

    def _take(self, key: tuple[bool, int], make: Callable[[], Visitor]) -> Visitor:
        idle = self._idle.get(key)
        return idle.pop() if idle else make()


class Load:
    """The run; `now` are seconds since the plan's epoch on the monotonic clock, which all processes share."""

    def __init__(self, plan: dict[str, Any], writer: Writer) -> None:
        self.plan = plan
        self.writer = writer
        self.crowd = Crowd(plan)
        addresses = {region: (host, int(port)) for region, (host, port) in plan["addresses"].items()}
        self.client = Client(addresses)
        self.names = Names(Path(plan["names"]) if plan.get("names") else None, plan.get("ttl_seconds", 0.0))
        self.epoch = plan.get("epoch") or time.monotonic()
        self.given_up: list[tuple[Wish, Visitor]] = []
        self.latest_ms = 0.0
        self.rng = random.Random(plan["seed"] + 1)

    def now(self) -> float:
        return round(time.monotonic() - self.epoch, 4)

    async def run(self) -> None:
        """All wishes, and then what became of those that were given up."""
        await self._each(warm_up(self.plan, self.plan.get("warm_up_seconds", _WARM_UP_SECONDS)), self._open)
        self.latest_ms = 0.0
        await self._each(wishes(self.plan), self._fulfil)
        if self.given_up:
            await asyncio.sleep(_SETTLE_SECONDS)
            await asyncio.gather(*(self._look_up(*each) for each in self.given_up))
        self.client.close()

    async def _each(self, some: Iterable[Wish], fulfil: Callable[[Wish], Coroutine[Any, Any, None]]) -> None:
        """Every wish at its moment, until the last one is answered."""
        began = time.monotonic()
        busy: set[asyncio.Task[None]] = set()
        for wish in some:
            await asyncio.sleep(max(began + wish.at - time.monotonic(), 0))
            self.latest_ms = max(self.latest_ms, (time.monotonic() - began - wish.at) * 1000)
            task = asyncio.create_task(fulfil(wish))
            busy.add(task)
            task.add_done_callback(busy.discard)
        while busy:
            await asyncio.gather(*busy)

    async def _open(self, wish: Wish) -> None:
        """A page that nobody writes down."""
        visitor = self.crowd.for_wish(wish)
        await self._attempt(visitor, _act(wish), visitor.home, TIMEOUTS[-1])
        self.crowd.back(wish, visitor)

    async def _fulfil(self, wish: Wish) -> None:
        visitor = self.crowd.for_wish(wish)
        if wish.f == "pay" and wish.by_browser and not visitor.form_token:
            # A form stands on a page: who has none yet opens one first.
            await self._ask(visitor, "page", {"account": wish.value["payer"]}, acts.AccountPage(wish.value["payer"]))
            if not visitor.form_token:
                return
        if await self._ask(visitor, wish.f, wish.value, _act(wish)) == "info":
            # Nobody knows what that one has seen or done: the customer goes on with another.
            self.given_up.append((wish, visitor))
        else:
            self.crowd.back(wish, visitor)

    async def _look_up(self, wish: Wish, before: Visitor) -> None:
        """Half of the customers send it again by the same key; the others only look."""
        visitor = self.crowd.new(wish.customer, by_browser=wish.by_browser)
        visitor.form_token, visitor.cookies = before.form_token, {**before.cookies, **visitor.cookies}
        key = wish.value["key"]
        if int(key[0], 16) % 2:
            value = {"key": key, "by": "sending"}
            act: Act = acts.Payment(wish.value, form=wish.by_browser)
        else:
            value = {"key": key, "by": "reading"}
            act = acts.BecameOf(key) if wish.by_browser else acts.Listed(wish.value["payer"], key)
        await self._ask(visitor, "look_up", value, act)

    async def _ask(self, visitor: Visitor, f: str, value: dict[str, Any], act: Act) -> str:
        """Ask until there is an answer or patience ends; write it down; answers the type of the completion."""
        self.writer.write(Event(self.now(), visitor.process, "invoke", f, value, home=visitor.home))
        began, tries = time.monotonic(), []
        attempt, region = 1, self.names.answer(visitor.home)
        while True:
            asked = time.monotonic()
            left = began + GIVE_UP_SECONDS - asked
            outcome, status = await self._attempt(
                visitor, act, region, min(TIMEOUTS[min(attempt, len(TIMEOUTS)) - 1], left)
            )
            ended = time.monotonic()
            tries.append([round(asked - self.epoch, 4), region, status, round((ended - asked) * 1000, 1)])
            waited = status == "timeout"
            rest = 0.0 if waited else pause(attempt, self.rng)
            if not isinstance(outcome, Again) or ended + rest >= began + GIVE_UP_SECONDS:
                break
            await asyncio.sleep(rest)
            attempt += 1
            region = next_region(attempt, region, self.names.answer(visitor.home), waited=waited)
        kind, told = _completion(f, value, outcome)
        latency = round((ended - began) * 1000, 1)
        self.writer.write(
            Event(self.now(), visitor.process, kind, f, told, visitor.home, region, attempt, latency, status, tries)
        )
        return kind

    async def _attempt(self, visitor: Visitor, act: Act, region: str, seconds: float) -> tuple[Outcome, int | str]:
        try:
            answer: Answer = await self.client.ask(region, act.request(visitor), max(seconds, 0.01))
        except NoAnswer as none:
            return Again(none.why), none.why
        outcome = act.read(answer)
        if isinstance(outcome, Done) and (as_of := answer.header("bank-as-of")):
            outcome = Done({**outcome.value, "as_of": as_of})
        visitor.keep(answer)
        return outcome, answer.status


def _act(wish: Wish) -> Act:
    match wish.f:
        case "pay":
            return acts.Payment(wish.value, form=wish.by_browser)
        case "page" if wish.by_browser:
            return acts.AccountPage(wish.value["account"])
        case "page":
            return acts.NewestPosting(wish.value["account"])
        case _:
            return acts.Totals()


def _completion(f: str, value: dict[str, Any], outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """The type of the event that ends the operation, and what it says."""
    match outcome:
        case Done(told):
            became = {"became": "done"} if f == "look_up" else {}
            return "ok", {**value, **became, **told}
        case Refused(code):
            if f == "look_up" and code in acts.RIGHTLY:
                return "ok", {**value, "became": "refused", "code": code}
            return "fail", {**value, "code": code}
        case Again(why):
            # What only reads did nothing, answered or not.
            return ("info" if f == "pay" else "fail"), {**value, "gave_up": why}


def main(plan_path: str, history_path: str) -> None:
    """Run the plan; the last line of stdout says how late the load itself was, in milliseconds."""
    plan = json.loads(Path(plan_path).read_text())
    with Path(history_path).open("a") as file:
        load = Load(plan, Writer(file))
        asyncio.run(load.run())
    sys.stdout.write(json.dumps({"late_ms_max": round(load.latest_ms, 1), "given_up": len(load.given_up)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
