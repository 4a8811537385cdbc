"""The campaign of failing calls in a small size, and the broken stores that it must flag."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from campaigns import faults
from campaigns.broken import CONTROLS, controls_of
from campaigns.failing import Failure
from campaigns.faults import PLANS, Task, attempt, failures_in
from campaigns.model import Fault
from campaigns.trials import Trials
from omega_persistence import OmegaStore

if TYPE_CHECKING:
    from pathlib import Path

    from campaigns.broken import Control
    from campaigns.operations import Opener

SEED = 2

NUMBERS = pytest.mark.parametrize("number", range(len(PLANS)), ids=[plan.name for plan in PLANS])


@NUMBERS
def test_no_call_that_fails_loses_or_ends_anything(number: int) -> None:
    failures = list(failures_in(attempt(Task(seed=SEED, number=number)).calls))
    chosen = tuple(Random(SEED).sample(failures, 10))
    report = attempt(Task(seed=SEED, number=number, failures=chosen))
    assert report.problems == []
    assert report.failures == 10
    if PLANS[number].threads == 1:  # else the calls are not the same each time
        assert report.hits == 10


@pytest.mark.parametrize("name", [control.name for control in controls_of("faults")])
def test_a_broken_store_is_flagged_for_what_is_wrong_with_it(name: str) -> None:
    kinds = faults.flag(Task(seed=SEED, number=0, control=name))
    assert kinds
    assert set(kinds) <= CONTROLS[name].kinds


def test_a_problem_names_the_command_that_shows_it_again() -> None:
    number = PLANS.index(faults.RECORDS)
    calls = attempt(Task(seed=SEED, number=number)).calls
    writes = [each for each in failures_in(calls) if each.call == "write" and each.sticky]
    task = Task(
        seed=SEED,
        number=number,
        failures=tuple(writes),
        control="swallow errors",
        until_problem=True,
    )
    problem = attempt(task).problems[0]
    found = re.search(r"--seed (\d+) --control '(.+)' --repeat (\S+)", problem.repeat)
    assert found is not None
    seed, control, where = found.groups()
    again = faults.again(int(seed), where, control=control)
    assert [each.detail for each in again] == [problem.detail]
    assert faults.again(int(seed), where) == []


def test_a_file_that_stays_open_is_noticed(tmp_path: Path) -> None:
    kept: list[apsw.Connection] = []

    def opener(path: str, **options: Any) -> OmegaStore:
        kept.append(apsw.Connection(path))
        return OmegaStore(path, **options)

    fault = fault_of(opener, tmp_path)
    for connection in kept:
        connection.close()
    assert fault == Fault("unusable", f"{tmp_path / 'store.db'} is still open")


def test_a_file_that_is_left_is_noticed(tmp_path: Path) -> None:
    def opener(path: str, **options: Any) -> OmegaStore:
        (tmp_path / "copy.db.1-2.partial").touch()
        return OmegaStore(path, **options)

    fault = fault_of(opener, tmp_path)
    assert fault == Fault("copy", "copy.db.1-2.partial was left")


def fault_of(opener: Opener, folder: Path) -> Fault | None:
    trials = Trials(faults.RECORDS, "seed", str(folder), opener)
    return trials.run(Failure("write", 0, "EIO", sticky=False)).fault


def test_every_call_can_fail_in_every_way_once_and_for_longer() -> None:
    found = [str(failure) for failure in failures_in({"os.fsync": 1, "read": 2})]
    assert found == [
        *("os.fsync/0/EIO/once", "os.fsync/0/EIO/sticky"),
        *("os.fsync/0/ENOSPC/once", "os.fsync/0/ENOSPC/sticky"),
        *("read/0/EIO/once", "read/0/EIO/sticky"),
        *("read/0/ETIMEDOUT/once", "read/0/ETIMEDOUT/sticky"),
        *("read/0/short/once", "read/0/short/sticky"),
        *("read/1/EIO/once", "read/1/EIO/sticky"),
        *("read/1/ETIMEDOUT/once", "read/1/ETIMEDOUT/sticky"),
        "read/1/short/once",
    ]


def test_a_choice_of_failures_comes_from_every_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def controls_of(_campaign: str) -> list[Control]:
        return []  # a test of their own runs them

    monkeypatch.setattr(faults, "controls_of", controls_of)
    seen: list[tuple[int, int]] = []
    result = faults.run(SEED, 20, lambda done, total: seen.append((done, total)), jobs=1)
    assert result.passed
    assert result.counts["failures"] >= 20
    assert result.counts["runs"] == len(PLANS)
    assert result.counts["clean_errors"] > 0
    assert seen[-1] == (20, 20)
    assert result.command == "python -m campaigns.faults --seed 2 --failures 20"
