"""The campaign with hostile input in a small size, and the broken stores that it must flag."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns import hostile_input
from campaigns.broken import CONTROLS, controls_of

SEED = 1


def test_no_hostile_input_is_half_done_or_inexact(tmp_path: Path) -> None:
    work = hostile_input.examine(SEED, 300, None, str(tmp_path))
    reports = [work(number) for number in range(3)]
    assert [report.findings for report in reports if report.findings] == []
    assert sum(report.inputs for report in reports) == 300
    assert all(report.counts["done"] > 0 for report in reports)
    assert all(report.counts["InvalidDataError"] > 0 for report in reports)


@pytest.mark.parametrize("name", [control.name for control in controls_of("hostile_input")])
def test_a_broken_store_is_flagged_for_what_is_wrong_with_it(name: str) -> None:
    kinds = hostile_input.flag(name, SEED)
    assert kinds
    assert set(kinds) <= CONTROLS[name].kinds


def test_a_round_can_be_repeated() -> None:
    problems = hostile_input.again(SEED, 0, "records unchecked")
    assert problems
    assert all(problem.repeat.endswith(f"--seed {SEED} --repeat 0") for problem in problems)
