"""What of the drill needs no root: what there is to break, and what the command says of it."""

from __future__ import annotations

import pytest

from tests.drill import __main__ as command
from tests.drill import runner, topology
from tests.drill.faults_of_regions import term_in
from tests.drill.runner import Options
from tests.drill.scenarios import SCENARIOS, SMOKE, Scenario
from tests.drill.scene import DidNotBite, Scene

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))


def a_scene() -> Scene:
    """One of which only the clock and the notes are used."""
    nothing: object = None
    return Scene(nothing, nothing, 0.0)  # type: ignore[arg-type]


@every_scenario
def test_every_scenario_says_what_it_does_and_names_what_proves_it(scenario: Scenario) -> None:
    assert scenario.about.endswith(".")
    assert scenario.proofs
    assert len(set(scenario.proofs)) == len(scenario.proofs)


@every_scenario
def test_every_scenario_gives_the_bank_time_to_heal(scenario: Scenario) -> None:
    assert scenario.least_seconds >= 20


def test_what_must_be_broken_is_told_apart_from_what_may() -> None:
    spoilt = {name for name, scenario in SCENARIOS.items() if scenario.must_break}

    assert spoilt == {"region-lost-unsecured", "without-idempotency"}
    assert not any(scenario.must_break & scenario.may_break for scenario in SCENARIOS.values())
    forgiven = {
        name: scenario.may_break for name, scenario in SCENARIOS.items() if name not in spoilt and scenario.may_break
    }
    # What was read on the lost primary, and not what was confirmed.
    assert forgiven == {"region-lost": {"stale", "unreal"}}


def test_a_fault_that_cannot_be_seen_fails_the_run() -> None:
    with pytest.raises(DidNotBite, match="no proof that it bit"):
        a_scene().prove("it bit", lambda: False)


def test_a_proof_is_waited_for_and_kept_in_its_own_words() -> None:
    scene, looks = a_scene(), iter([False, "three times"])

    scene.prove("it bit", lambda: next(looks), within=5)

    assert scene.says == {"it bit": "it bit: three times"}
    assert [mark.kind for mark in scene.marks] == ["proof"]


def test_what_cannot_be_asked_is_no_proof() -> None:
    def away() -> bool:
        raise ConnectionRefusedError

    with pytest.raises(DidNotBite):
        a_scene().prove("it bit", away)


def test_the_first_fault_and_the_last_healing_are_what_counts() -> None:
    scene = a_scene()
    for act in (scene.fault, scene.healed, scene.fault, scene.healed):
        act("again")
    first, *_, last = scene.marks

    assert scene.instant("fault") == first.at
    assert scene.instant("healed", last=True) == last.at
    assert scene.instant("proof") is None


def test_what_fails_beside_something_else_is_not_lost() -> None:
    def fail() -> None:
        raise ValueError("one of two")

    with pytest.raises(ValueError, match="one of two"):
        a_scene().beside(lambda: None, fail)


def test_the_term_is_read_from_what_the_operator_is_told() -> None:
    assert term_in('{"host": "10.2.0.20", "port": 5432, "term": 12}') == 12
    with pytest.raises(AssertionError, match="no term"):
        term_in("This database already takes writes.")


def test_the_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0

    named = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert named == list(SCENARIOS)
    assert set(SMOKE) <= set(named)


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"]])
def test_help_tells_the_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)

    assert ended.value.code == 0
    assert "--seed" in capsys.readouterr().out or words == ["--help"]


def test_an_unknown_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["run", "earthquake"])

    assert ended.value.code == 2
    assert "earthquake" in capsys.readouterr().err


def test_a_machine_without_what_it_takes_skips_aloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(topology, "missing", lambda _engine: "the drill needs root, for network namespaces")

    assert command.main(["smoke"]) == 77
    assert capsys.readouterr().err == "SKIPPED: the drill needs root, for network namespaces.\n"


def test_a_report_says_how_to_run_it_again() -> None:
    scenario = SCENARIOS["link-cut-90"]

    said = runner.command(scenario, Options(seed=7, seconds=30, engine="mysql", secured=True, real_dns=True))

    assert said == "python -m tests.drill run link-cut-90 --seed 7 --seconds 115 --engine mysql --secured --real-dns"
