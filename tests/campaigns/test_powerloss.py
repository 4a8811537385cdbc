"""The power-loss campaign in a small size, and the broken stores that it must flag."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import msgspec
import pytest

from campaigns import powerloss, run
from campaigns.broken import CONTROLS, Control, controls_of
from campaigns.common import Result, Stopwatch
from campaigns.examination import Task, examine
from campaigns.plans import PLANS

SEED = 1


@pytest.mark.parametrize("number", range(len(PLANS)), ids=[plan.name for plan in PLANS])
def test_no_power_failure_undoes_tears_or_damages_anything(number: int) -> None:
    states = round(30 * PLANS[number].share)
    report = examine(Task(seed=SEED, number=number, states=states))
    assert report.problems == []
    assert len(report.states) == states
    assert report.operations > 0


@pytest.mark.parametrize("name", [control.name for control in controls_of("powerloss")])
def test_a_broken_store_is_flagged_for_what_is_wrong_with_it(name: str) -> None:
    kinds = powerloss.flag(Task(seed=SEED, number=0, states=60, control=name))
    assert kinds
    assert set(kinds) <= CONTROLS[name].kinds


def test_a_problem_names_the_command_that_shows_it_again(tmp_path: Path) -> None:
    report = examine(Task(seed=SEED, number=1, states=60, control="batch in pieces"))
    problem = report.problems[0]
    found = re.search(r"--seed (\d+) --control '(.+)' --repeat '(.+)'", problem.repeat)
    assert found is not None
    seed, control, where = found.groups()
    again = powerloss.again(int(seed), where, control=control, keep=str(tmp_path))
    assert problem.detail in {each.detail for each in again}
    assert list(tmp_path.glob("1-*/store.db"))


def test_a_second_cut_can_be_repeated_alone() -> None:
    assert powerloss.again(SEED, "1/40/all/3/none") == []


def test_the_result_is_one_line_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def controls_of(_campaign: str) -> list[Control]:
        return []  # a test of their own runs them

    monkeypatch.setattr(powerloss, "controls_of", controls_of)
    seen: list[tuple[int, int]] = []
    result = powerloss.run(SEED, 20, lambda done, total: seen.append((done, total)), jobs=1)
    assert result.passed
    assert result.counts["states"] >= 20
    assert seen[-1] == (20, 20)
    line = str(result)
    assert "\n" not in line
    assert msgspec.json.decode(line, type=Result) == result
    assert result.command == "python -m campaigns.powerloss --seed 1 --states 20"


def test_the_summary_names_broken_stores_that_were_missed() -> None:
    assert "powerloss" in run.discover()
    finished = partial(
        Stopwatch().result, "some", "command", seed=SEED, counts={"states": 1}, problems=[]
    )
    good, bad = finished(controls={"flaw": ["lost"]}), finished(controls={"flaw": []})
    assert good.passed
    assert not bad.passed
    found = msgspec.json.decode(run.summary([good, bad]))
    assert (found["passed"], found["broken_stores_missed"]) == (False, ["some: flaw"])
