"""The backup campaign in a small size, and the broken store that it must flag."""

from __future__ import annotations

import msgspec

from campaigns.broken import CONTROLS, controls_of
from campaigns.common import Result
from campaigns.model import History, State
from campaigns.moments import Moments, judge_moment
from sqlite.support import module

SEED = 1


def test_every_backup_under_load_is_whole_and_a_live_copy_is_flagged() -> None:
    status, output = module("campaigns.backups", "--seed", SEED, "--backups", 10, "--jobs", 1)
    result = msgspec.json.decode(output, type=Result)
    assert result.problems == []
    assert result.counts["backups"] >= 10
    assert result.counts["begun_meanwhile"] > 0
    assert result.command == f"python -m campaigns.backups --seed {SEED} --backups 10"
    assert result.controls.keys() == {control.name for control in controls_of("backups")}
    for name, kinds in result.controls.items():
        assert kinds
        assert set(kinds) <= CONTROLS[name].kinds
    assert status == 0


def test_the_command_of_a_problem_shows_it_again() -> None:
    arguments = ("--repeat", 1, "--control", "live copy as backup")
    status, output = module("campaigns.backups", "--seed", SEED, *arguments)
    assert status == 1
    assert "store 1 (small), backup " in output


def state(name: str, number: int) -> State:
    """What an actor's namespace holds after so many operations."""
    return {(name, "memories"): {"id": number}} if number else {}


def test_operations_that_cannot_be_there_without_others_give_a_torn_copy_away() -> None:
    histories = [History([name], [state(name, n) for n in range(3)]) for name in "ab"]
    moments = Moments(2, 2)
    for actor in (0, 0, 1, 1):  # all of a, then all of b
        moments.begin(actor)
        moments.done(actor)
    assert [moments.known(1, number) for number in range(2)] == [[2, 0], [2, 1]]
    spans = [(0, 2), (0, 2)]

    def faults(a: int, b: int) -> list[str]:
        found = state("a", a) | state("b", b)
        return [fault.detail for fault in judge_moment(found, histories, spans, moments)]

    assert faults(2, 0) == faults(2, 1) == faults(1, 0) == faults(0, 0) == []
    (detail,) = faults(1, 1)
    assert detail.startswith("operation 1 of actor 1 is there, but not 2 of actor 0")


def test_operations_that_change_nothing_accuse_nobody() -> None:
    histories = [
        History(["a"], [state("a", n) for n in (0, 1, 1)]),
        History(["b"], [state("b", n) for n in (0, 0, 1)]),
    ]
    moments = Moments(2, 2)
    for actor in (0, 1, 0, 1):
        moments.begin(actor)
        moments.done(actor)
    spans = [(0, 2), (0, 2)]
    assert judge_moment(state("a", 1) | state("b", 1), histories, spans, moments) == []
    assert judge_moment({}, histories, spans, moments) == []
