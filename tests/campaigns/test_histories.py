"""The concurrency campaign in a small size, and the broken stores that it must flag."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from operator import attrgetter, methodcaller

import msgspec
import pytest

from campaigns import crew as machinery
from campaigns import histories
from campaigns.broken import CONTROLS, Control, controls_of
from campaigns.common import Result
from campaigns.crew import Crew, CrewError
from campaigns.histories import ATTEMPTS, CYCLE, ROUNDS, TRIED_ON, play

SEED = 1


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    """Fewer processes than the campaign has: starting them is most of the work."""
    with Crew(3) as crew:
        yield crew


@pytest.mark.parametrize("kind", [kind for kind in ROUNDS if kind != "fairness"])
def test_processes_that_share_a_file_do_not_get_into_each_others_way(kind: str, crew: Crew) -> None:
    report = play(crew, SEED, CYCLE.index(kind))
    assert report.faults == []
    assert report.calls > 0


def test_all_processes_get_their_turn(crew: Crew) -> None:
    for _ in range(ATTEMPTS):  # the machine may be busy with something else
        report = play(crew, SEED, CYCLE.index("fairness"), seconds=0.3)
        assert {fault.kind for fault in report.faults} <= {"unfair"}
        if not report.faults:
            return
    pytest.fail("some processes wrote much more than others")


@pytest.mark.parametrize(
    ("control", "kind"), [(name, kind) for name, kinds in TRIED_ON.items() for kind in kinds]
)
def test_a_broken_store_is_flagged_for_what_is_wrong_with_it(
    control: str, kind: str, crew: Crew
) -> None:
    kinds = histories.flag_by(crew, SEED, control, kind)
    assert kinds
    assert kinds <= CONTROLS[control].kinds


def test_every_broken_store_of_the_campaign_is_tried() -> None:
    assert TRIED_ON.keys() == {control.name for control in controls_of("histories")}


def test_the_result_is_one_line_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def controls_of(_campaign: str) -> list[Control]:
        return []  # a test of their own runs them

    monkeypatch.setattr(histories, "controls_of", controls_of)
    seen: list[tuple[int, int]] = []
    result = histories.run(SEED, 1, lambda done, total: seen.append((done, total)), processes=2)
    assert result.passed
    assert result.counts["rounds"] == 1
    assert result.counts["calls"] == result.counts["creation_calls"] > 0
    assert seen == [(1, 1)]
    assert result.command == "python -m campaigns.histories --seed 1 --processes 2 --rounds 1"
    assert msgspec.json.decode(str(result), type=Result) == result


def test_a_round_can_be_repeated_until_it_shows_the_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    number = f"{CYCLE.index('counters')}"
    words = ["--processes", "3", "--repeat", number, "--control", "lost update"]
    monkeypatch.setattr(sys, "argv", ["histories", *words])
    assert histories.main() == 1
    assert "inexact: ('" in capsys.readouterr().out


def test_a_process_that_fails_ends_or_hangs_is_noticed_and_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Crew(2) as crew:
        place, hear = attrgetter("place"), methodcaller("hear")
        assert crew.run(place, None) == [0, 1]
        with pytest.raises(CrewError, match="AttributeError"):
            crew.run(attrgetter("no such thing"), None)
        crew.begin(hear, None)
        crew._processes[1].kill()
        crew.say(0, "well")
        assert crew.hear(0) == "well"
        with pytest.raises(CrewError, match="process 1 is gone"):
            crew.hear(1)
        monkeypatch.setattr(machinery, "PATIENCE", 0.2)
        with pytest.raises(CrewError, match="process 0 has said nothing"):
            crew.run(hear, None)
        monkeypatch.undo()
        assert crew.run(place, None) == [0, 1]
