"""Damaged and hostile files: no crash, no hang, nothing but results and the library's own errors.

Each file is one of some bases, changed in one to three ways: in its bytes, or through SQL. Calls
are made on it in a process that is watched. The seed and the number of a file make it again.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec import Struct

from campaigns.broken import CONTROLS, controls_of
from campaigns.common import (
    Campaign,
    Problem,
    Result,
    Stopwatch,
    arguments,
    by_kind,
    conduct,
    kinds_of,
    show,
)
from campaigns.hostile.bases import Image, build, lay_out
from campaigns.hostile.exercise import Exercise, Finding
from campaigns.hostile.mutations import BESIDE, MUTATIONS, UnfitError, seal_pages
from campaigns.hostile.schema import through_sql
from campaigns.hostile.workers import Death, watched
from omega_persistence import OmegaStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns.common import Progress

NAME = "hostile_files"

LIMIT = 5.0
"""Seconds within which all calls on a file together must be over."""

WITHIN = 2_000
"""A broken store must be flagged within so many files."""

WEIGHTS = {
    "store": 3,
    "small pages": 3,
    "checksums": 2,
    "log": 4,
    "journal": 3,
    "crate": 1,
    "adopted": 1,
}


class Report(Struct, frozen=True):
    """What came of one file."""

    number: int
    base: str
    counts: dict[str, int]
    findings: list[Finding]
    seconds: float


def mutate(random: Random, bases: dict[str, Image], folder: str) -> tuple[str, Image]:
    """A hostile file, and the name of its base."""
    base = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    image = {name: bytearray(content) for name, content in bases[base].items()}
    changes = (*MUTATIONS, *(BESIDE if len(image) > 1 else ()))
    while image == bases[base]:
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            with suppress(UnfitError):
                if random.random() < 0.35:
                    through_sql(random, image, folder)
                else:
                    random.choice(changes)(random, image)
    if base == "checksums" and random.random() < 0.6:
        seal_pages(image, bases[base])  # else nothing but the checksums would be tried
    return base, image


def examine(seed: int, control: str | None, folder: str) -> Callable[[int], Report]:
    """What examines a file, given its number; called once in a process."""
    bases = build(folder)
    opener = CONTROLS[control].opener if control else OmegaStore

    def work(number: int) -> Report:
        started = perf_counter()
        random = Random(f"{NAME} {seed} {number}")
        base, image = mutate(random, bases, folder)
        exercise = Exercise(image, bases["store"], folder, opener, random)
        exercise.run()
        seconds = perf_counter() - started
        return Report(number, base, dict(exercise.counts), exercise.findings, seconds)

    return work


def run(
    seed: int, size: int, progress: Progress, *, jobs: int | None = None, keep: str | None = None
) -> Result:
    """Make and try so many files, and make sure that broken stores are flagged."""
    watch = Stopwatch()
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    slowest = 0.0
    outcomes = watched(partial(examine, seed, None), range(size), limit=LIMIT, jobs=jobs)
    for done, outcome in enumerate(outcomes, 1):
        counts["files"] += 1
        if isinstance(outcome, Report):
            counts.update(outcome.counts)
            slowest = max(slowest, outcome.seconds)
        found = _problems(seed, outcome)
        problems += found
        if found and keep is not None:
            write(seed, outcome.number, keep)
        progress(done, size)
    counts["slowest_ms"] = round(1000 * slowest)
    return watch.result(
        NAME,
        f"python -m campaigns.{NAME} --seed {seed} --files {size}",
        seed=seed,
        counts=dict(counts) | by_kind(problems, "crash", "hang", "escaped", "misleading"),
        problems=problems,
        controls={control.name: flag(control.name, seed) for control in controls_of(NAME)},
    )


def flag(control: str, seed: int) -> list[str]:
    """As what a broken store is flagged first; empty if it is not."""
    make = partial(examine, seed, control)
    for outcome in watched(make, range(WITHIN), limit=1.0, jobs=1):
        if found := _problems(seed, outcome):
            return kinds_of(found)
    return []


def again(seed: int, number: int, control: str | None) -> list[Problem]:
    """Make and try one file once more."""
    (outcome,) = watched(partial(examine, seed, control), [number], limit=LIMIT, jobs=1)
    return _problems(seed, outcome)


def write(seed: int, number: int, folder: str) -> None:
    """Make a file again, into a folder of a folder."""
    with TemporaryDirectory() as scratch:
        _, image = mutate(Random(f"{NAME} {seed} {number}"), build(scratch), scratch)
    os.makedirs(inner := os.path.join(folder, f"{seed}-{number}"), exist_ok=True)
    lay_out(image, inner)


def _problems(seed: int, outcome: Report | Death) -> list[Problem]:
    repeat = f"python -m campaigns.{NAME} --seed {seed} --repeat {outcome.number}"
    if isinstance(outcome, Death):
        return [Problem(kind=outcome.kind, detail=outcome.detail, repeat=repeat)]
    return [
        Problem(kind=each.kind, detail=f"{outcome.base}: {each.detail}", repeat=repeat)
        for each in outcome.findings
    ]


CAMPAIGN = Campaign(
    name=NAME,
    promise="A damaged or hostile file never crashes, hangs or misleads.",
    unit="files",
    full=100_000,
    quick=500,
    run=run,
)


def main() -> int:
    """Run from the command line."""
    parser = arguments(CAMPAIGN)
    parser.add_argument("--jobs", type=int, help="how many processes (default: one a processor)")
    parser.add_argument("--keep", metavar="FOLDER", help="keep files that have a problem there")
    parser.add_argument("--repeat", type=int, metavar="FILE", help="try one file again")
    parser.add_argument("--control", choices=list(CONTROLS), help="with --repeat: a broken store")
    given = parser.parse_args()
    if given.repeat is not None:
        problems = again(given.seed, given.repeat, given.control)
        if given.keep:
            write(given.seed, given.repeat, given.keep)
        return show(problems)
    return conduct(CAMPAIGN, given, jobs=given.jobs, keep=given.keep)


if __name__ == "__main__":
    sys.exit(main())
