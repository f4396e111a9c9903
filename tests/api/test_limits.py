"""Rates: so many calls a minute for each token, and so many wrong tokens for each address; told on every answer."""

from __future__ import annotations

import threading

import pytest

from bank.api import limits as limits_module
from bank.api.limits import Limits, TooManyCalls
from tests.api.conftest import Program, code, program


class Time:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_bucket_empties_and_fills_again(time):
    limits = Limits(60, time)
    limits.admit("a", "here")
    limits.welcome("a")
    left = [limits.admit("a", "here").left for _ in range(59)]
    assert left == list(range(58, -1, -1))
    with pytest.raises(TooManyCalls) as refused:
        limits.admit("a", "here")
    assert (refused.value.wait_seconds, refused.value.allowance.left, refused.value.allowance.seconds) == (1, 0, 60)

    time.at += 2
    assert limits.admit("a", "here").left == 1
    assert limits.admit("b", "here").left == 59
    time.at += 3600
    assert limits.admit("a", "here").left == 59


def test_wrong_tokens_close_an_address_to_what_is_not_known_and_to_nothing_else(time):
    limits = Limits(60, time)
    limits.admit("good", "here")
    limits.welcome("good")
    for number in range(30):
        limits.admit(f"wrong{number}", "here")
        limits.turn_away(f"wrong{number}", "here")
    with pytest.raises(TooManyCalls):
        limits.admit("wrong30", "here")
    with pytest.raises(TooManyCalls):
        limits.admit("never seen, and good", "here")

    assert limits.admit("good", "here").left == 58
    assert limits.admit("wrong30", "elsewhere")
    time.at += 2
    assert limits.admit("wrong30", "here")


def test_a_token_that_counts_no_more_is_forgotten(time):
    limits = Limits(60, time)
    limits.admit("a", "here")
    limits.welcome("a")
    for _ in range(31):
        limits.turn_away("a", "here")

    with pytest.raises(TooManyCalls):
        limits.admit("a", "here")


def test_strangers_cannot_fill_the_memory(time, monkeypatch):
    monkeypatch.setattr(limits_module, "_MOST", 50)
    limits = Limits(60, time)
    for number in range(500):
        limits.welcome(f"token{number}")
        limits.turn_away(None, f"address{number}")

    assert (len(limits._calls.kept), len(limits._failures.kept)) == (50, 50)
    assert limits.admit("token499", "here").left == 58


def test_many_at_once_get_no_more_than_the_rate(time):
    limits = Limits(100, time)
    limits.welcome("a")
    admitted = []

    def ask() -> None:
        for _ in range(50):
            try:
                limits.admit("a", "here")
            except TooManyCalls:
                continue
            admitted.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(admitted) == 99


def test_every_answer_to_a_token_tells_what_is_left(office):
    asking = program(office, "alice")
    answers = [asking.get(path) for path in ("/accounts", "/accounts/1", "/accounts?x=1")]

    assert [answer.status_code for answer in answers] == [200, 404, 422]
    for answer, left in zip(answers, (599, 598, 597), strict=True):
        assert answer.headers["RateLimit-Policy"] == '"calls";q=600;w=60'
        assert answer.headers["RateLimit"].startswith(f'"calls";r={left};t=')


def test_whoever_calls_too_often_waits_and_nothing_is_asked_of_the_database(serve_slowly):
    office = serve_slowly
    asking, other = program(office, "alice"), program(office, "bob")
    assert [asking.get("/accounts").status_code for _ in range(10)] == [200] * 10
    asked = []
    import sqlalchemy as sa

    sa.event.listen(office.branch.bank.engine, "before_cursor_execute", lambda *how: asked.append(how[2]))

    refused = asking.get("/accounts")

    assert (refused.status_code, code(refused), asked) == (429, "too_many_calls", [])
    assert 1 <= int(refused.headers["Retry-After"]) <= 6
    assert refused.headers["RateLimit"].startswith('"calls";r=0;')
    assert other.get("/accounts").status_code == 200


@pytest.fixture
def serve_slowly(make_database):
    from tests.web.conftest import served

    with served(make_database("sqlite").app, api_calls_per_minute=10) as office:
        yield office


def test_guessing_is_slowed_down_by_address_while_good_tokens_go_on(office):
    good = Program(office.app, office.branch.token_of("alice")[1], "198.51.100.4")
    assert good.get("/accounts").status_code == 200
    wrong = Program(office.app, "bank_c" + "w" * 43, "198.51.100.4")

    said = [wrong.get("/accounts").status_code for _ in range(40)]

    assert said == [401] * 30 + [429] * 10
    assert good.get("/accounts").status_code == 200
    assert Program(office.app, None, "198.51.100.5").get("/accounts").status_code == 401
    first = Program(office.app, "bank_c" + "v" * 43, "198.51.100.5").get("/accounts")
    assert first.headers["RateLimit-Policy"] == '"failures";q=30;w=60'
