"""Hostile input: every public call with any value is exact or refused, and never half done.

Inputs are drawn at random, so many on one store, which is watched: what is refused has changed
nothing, what is stored comes back as it was put, nothing takes long, and the store stays whole.
"""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from math import ceil
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec import Struct

from campaigns.broken import CONTROLS, controls_of
from campaigns.common import (
    Campaign,
    Problem,
    Result,
    Stopwatch,
    arguments,
    conduct,
    kinds_of,
    show,
)
from campaigns.hostile.exercise import Finding
from campaigns.hostile.inputs import KINDS
from campaigns.hostile.trial import Trial
from campaigns.hostile.workers import Death, watched
from omega_persistence import OmegaStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns.common import Progress

NAME = "hostile_input"

A_ROUND = 100
"""So many inputs are tried on one store."""

LIMIT = 60.0
"""Seconds within which they must be over, all together."""

WITHIN = 50
"""A broken store must be flagged within so many rounds."""


class Report(Struct, frozen=True):
    """What came of one round."""

    number: int
    inputs: int
    counts: dict[str, int]
    findings: list[Finding]


def examine(seed: int, inputs: int, control: str | None, folder: str) -> Callable[[int], Report]:
    """What tries a round, given its number; called once in a process."""
    opener = CONTROLS[control].opener if control else OmegaStore

    def work(number: int) -> Report:
        random = Random(f"{NAME} {seed} {number}")
        size = min(A_ROUND, inputs - number * A_ROUND)
        with TemporaryDirectory(dir=folder) as inner:
            trial = Trial(inner, opener)
            for _ in range(size):
                random.choice(KINDS)(trial, random)
            trial.end()
        return Report(number, size, dict(trial.counts), trial.findings)

    return work


def run(seed: int, size: int, progress: Progress, *, jobs: int | None = None) -> Result:
    """Try so many inputs, and make sure that broken stores are flagged."""
    watch = Stopwatch()
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    rounds = range(ceil(size / A_ROUND))
    for outcome in watched(partial(examine, seed, size, None), rounds, limit=LIMIT, jobs=jobs):
        if isinstance(outcome, Report):
            counts.update(outcome.counts)
            counts["inputs"] += outcome.inputs
        problems += _problems(seed, outcome)
        progress(counts["inputs"], size)
    return watch.result(
        NAME,
        f"python -m campaigns.{NAME} --seed {seed} --inputs {size}",
        seed=seed,
        counts=dict(counts),
        problems=problems,
        controls={control.name: flag(control.name, seed) for control in controls_of(NAME)},
    )


def flag(control: str, seed: int) -> list[str]:
    """As what a broken store is flagged first; empty if it is not."""
    make = partial(examine, seed, WITHIN * A_ROUND, control)
    for outcome in watched(make, range(WITHIN), limit=3.0, jobs=1):
        if found := _problems(seed, outcome):
            return kinds_of(found)
    return []


def again(seed: int, number: int, control: str | None) -> list[Problem]:
    """Try one round once more."""
    make = partial(examine, seed, (number + 1) * A_ROUND, control)
    (outcome,) = watched(make, [number], limit=LIMIT, jobs=1)
    return _problems(seed, outcome)


def _problems(seed: int, outcome: Report | Death) -> list[Problem]:
    repeat = f"python -m campaigns.{NAME} --seed {seed} --repeat {outcome.number}"
    found = [outcome] if isinstance(outcome, Death) else outcome.findings
    return [Problem(kind=each.kind, detail=each.detail, repeat=repeat) for each in found]


CAMPAIGN = Campaign(
    name=NAME,
    promise="Every call with hostile input is exact or refused, and never half done.",
    unit="inputs",
    full=50_000,
    quick=500,
    run=run,
)


def main() -> int:
    """Run from the command line."""
    parser = arguments(CAMPAIGN)
    parser.add_argument("--jobs", type=int, help="how many processes (default: one a processor)")
    parser.add_argument("--repeat", type=int, metavar="ROUND", help="try one round again")
    parser.add_argument("--control", choices=list(CONTROLS), help="with --repeat: a broken store")
    given = parser.parse_args()
    if given.repeat is not None:
        problems = again(given.seed, given.repeat, given.control)
        return show(problems)
    return conduct(CAMPAIGN, given, jobs=given.jobs)


if __name__ == "__main__":
    sys.exit(main())
