"""Damaged and hostile files: no crash, no hang, nothing but results and the library's own errors.

Each file is one of the bases (`hostile_bases`), changed in one to three ways (`hostile_mutations`,
`hostile_sql`), on which every public call is made (`hostile_exercise`) in a process that is
watched (`hostile_workers`). The number of a file and the seed make the file again.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from campaigns.common import (
    Campaign,
    Meter,
    Problem,
    Result,
    Stopwatch,
    arguments,
    scratch_folder,
)
from campaigns.hostile_bases import Image, build, read_image, write_image
from campaigns.hostile_exercise import Exercise, Finding, prepare
from campaigns.hostile_mutations import BYTE_MUTATIONS, UnfitError, change_journal, change_log
from campaigns.hostile_sql import SQL_MUTATIONS, through_sql
from campaigns.hostile_workers import Death, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from campaigns.common import Progress

LIMIT = 5.0
"""Seconds within which every call on a file must be over, all of them together."""

_WEIGHTS = {"store": 4, "wal": 4, "journal": 3, "backup": 2, "reference": 2, "quarantine": 1}


class Outcome(Struct, frozen=True):
    """What came of one file."""

    number: int
    what: str
    opened: bool
    whole: bool
    outcomes: dict[str, int]
    findings: list[Finding]
    seconds: float
    call: str


def mutate(
    seed: int, number: int, bases: Mapping[str, Image], scratch: Path
) -> tuple[Image, str, set[str]]:
    """A hostile file; how it was made, in words; and the names of the mutations."""
    random = Random(f"hostile files {seed} {number}")
    base = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    image = {side: bytearray(content) for side, content in bases[base].items()}
    wanted = random.choice((1, 1, 1, 2, 3))
    from_sql = sum(random.random() < 0.4 for _ in range(wanted))
    own = {"wal": (change_log,) * 8, "journal": (change_journal,) * 8}.get(base, ())
    names: list[str] = []
    while len(names) < wanted:
        # SQL first, while SQLite can still open it.
        try:
            if len(names) < from_sql:
                change = random.choice(SQL_MUTATIONS)
                through_sql(change, random, image, scratch)
            else:
                from_sql = 0
                change = random.choice((*BYTE_MUTATIONS, *own))
                change(random, image, bases)
        except UnfitError:
            from_sql -= random.randrange(2)
            continue
        names.append(change.__name__)
    return image, f"{base}: {', '.join(names)}", set(names)


def run(
    seed: int,
    size: int,
    progress: Progress,
    *,
    jobs: int | None = None,
    keep: Path | None = None,
    first: int = 0,
) -> Result:
    """Make and try ``size`` files; those that show a problem are kept in a folder if one is given."""
    watch = Stopwatch()
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    slowest = (0.0, "")
    folder = Path(tempfile.mkdtemp(prefix="hostile-", dir=scratch_folder()))
    try:
        bases = folder / "bases"
        bases.mkdir()
        for name, image in build(folder).items():
            write_image(image, bases / name)
        make = partial(_worker, seed, bases)
        tasks = range(first, first + size)
        jobs = jobs or os.cpu_count() or 1
        for done, outcome in enumerate(watched(tasks, make, folder, jobs=jobs, limit=LIMIT), 1):
            found = _problems(seed, outcome)
            problems += found
            _count(counts, outcome)
            if isinstance(outcome, Outcome):
                slowest = max(slowest, (outcome.seconds, outcome.call))
            if found and keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                number = outcome.number if isinstance(outcome, Outcome) else outcome.task
                write_image(_again(seed, number, bases, folder), keep / f"{seed}-{number}.db")
            progress(done, size)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    counts["slowest_call_ms"] = round(1000 * slowest[0])
    return watch.result(
        "hostile_files",
        f"python -m campaigns.hostile_files --seed {seed} --files {size}",
        seed=seed,
        counts=dict(counts),
        problems=problems,
        controls={},
    )


def _worker(seed: int, bases: Path, folder: Path) -> Callable[[int], Outcome]:
    """What a worker does with the number of a file."""
    images = {name: read_image(bases / name) for name in _WEIGHTS}
    good = prepare(folder, images["backup"])

    def work(number: int) -> Outcome:
        image, what, _ = mutate(seed, number, images, folder / "made.db")
        exercise = Exercise(image, folder, good)
        exercise.run()
        return Outcome(
            number,
            what,
            exercise.opened,
            exercise.whole,
            dict(exercise.outcomes),
            exercise.findings,
            *exercise.slowest,
        )

    return work


def _again(seed: int, number: int, bases: Path, folder: Path) -> Image:
    images = {name: read_image(bases / name) for name in _WEIGHTS}
    return mutate(seed, number, images, folder / "made.db")[0]


def _count(counts: Counter[str], outcome: Outcome | Death) -> None:
    counts["files"] += 1
    if isinstance(outcome, Death):
        counts["hung" if outcome.hung else "crashed"] += 1
        return
    counts["opened"] += outcome.opened
    counts["whole"] += outcome.whole
    counts["calls"] += sum(outcome.outcomes.values())
    counts.update(outcome.outcomes)


def _problems(seed: int, outcome: Outcome | Death) -> list[Problem]:
    if isinstance(outcome, Death):
        repeat = _repeat(seed, outcome.task)
        return [Problem(kind="hang" if outcome.hung else "crash", detail=outcome.detail, repeat=repeat)]
    repeat = _repeat(seed, outcome.number)
    return [
        Problem(kind=each.call, detail=f"{outcome.what}\n{each.text}", repeat=repeat)
        for each in outcome.findings
    ]


def _repeat(seed: int, number: int) -> str:
    return f"python -m campaigns.hostile_files --seed {seed} --first {number} --files 1"


CAMPAIGN = Campaign(
    name="hostile_files",
    promise="A damaged or hostile file never crashes, hangs or misleads.",
    unit="files",
    full=100_000,
    quick=300,
    run=run,
)


def main() -> int:
    """Run the campaign with the options given; returns the exit status."""
    parser = arguments(CAMPAIGN)
    parser.add_argument("--first", type=int, default=0, help="the number of the first file")
    parser.add_argument("--jobs", type=int, help="processes (default: one for each processor)")
    parser.add_argument("--keep", type=Path, help="a folder for the files that show a problem")
    given = parser.parse_args()
    meter = Meter(CAMPAIGN.name, CAMPAIGN.unit)
    result = run(
        given.seed, given.size, meter, jobs=given.jobs, keep=given.keep, first=given.first
    )
    meter.end()
    print(result)
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
