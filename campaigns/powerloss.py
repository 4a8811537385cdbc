"""Cut the power at every point of recorded runs, in many ways, and look at what is left.

    python -m campaigns.powerloss --states 100000

Each run is recorded once, write by write. Then, for every point between two events, the disks that
a power failure may leave are built, and the store on each is opened and compared with a model: all
that was acknowledged is there, nothing is there in part, nothing is damaged. Some are recorded
again while the store recovers, and cut a second time.

The same seed gives the same runs and the same disks, except that the threads of the runs that have
several take other turns each time: to see such a problem again, keep its disk with ``--keep``.
"""

from __future__ import annotations

import sys
from collections import Counter
from math import ceil
from typing import TYPE_CHECKING

from msgspec.structs import replace

from campaigns.broken import CONTROLS, controls_of, flagged
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
    spread,
)
from campaigns.examination import Task, examine
from campaigns.plans import ON_RECORDS, PLANS

if TYPE_CHECKING:
    from campaigns.common import Progress

NAME = "powerloss"

A_ROUND = 18_000
"""About so many different disks the runs of all plans leave."""


def flag(task: Task) -> list[str]:
    """As what a broken store is flagged; empty if it is not, in ten runs."""
    for attempt in range(10):
        number = attempt * len(PLANS) + PLANS.index(ON_RECORDS)
        problems = examine(replace(task, number=number)).problems
        if problems:
            return kinds_of(problems)
    return []


def run(
    seed: int,
    size: int,
    progress: Progress,
    *,
    jobs: int | None = None,
    keep: str | None = None,
) -> Result:
    """Look at so many different states, and make sure that broken stores are flagged.

    Each round runs every plan once. Rounds look at every disk until few are missing; the last one
    looks at a choice.
    """
    watch = Stopwatch()
    states: set[bytes] = set()
    second_states: set[bytes] = set()
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    while (missing := size - len(states)) > 0:
        tasks = _round(seed, counts["runs"], missing, keep)
        counts["runs"] += len(tasks)
        for report in spread(examine, tasks, jobs=jobs):
            states |= report.states
            second_states |= report.second_states
            counts["events"] += report.events
            counts["operations"] += report.operations
            counts["went_on"] += report.went_on
            problems += report.problems
            progress(min(len(states), size), size)
    tasks = [
        Task(seed=seed, number=0, states=150, control=control.name) for control in controls_of(NAME)
    ]
    counts.update(states=len(states), second_cuts=len(second_states))
    return watch.result(
        NAME,
        f"python -m campaigns.{NAME} --seed {seed} --states {size}",
        seed=seed,
        counts=dict(counts) | by_kind(problems, "lost", "torn", "damaged", "unusable", "copy"),
        problems=problems,
        controls=flagged(flag, tasks, jobs=jobs),
    )


def again(
    seed: int, where: str, *, control: str | None = None, keep: str | None = None
) -> list[Problem]:
    """Look once more at what ``repeat`` of a problem names: run, events, way, and perhaps more."""
    number, *rest = where.split("/")
    only = tuple((int(at), way) for at, way in zip(rest[::2], rest[1::2], strict=True))
    task = Task(seed=seed, number=int(number), control=control, only=only, keep=keep)
    return examine(task).problems


def _round(seed: int, first: int, missing: int, keep: str | None) -> list[Task]:
    """A run of each plan, those that take longest first."""
    weight = sum(plan.share for plan in PLANS)
    tasks: list[Task] = []
    for number, plan in enumerate(PLANS, first):
        states = None if missing >= A_ROUND else ceil(missing * plan.share / weight)
        tasks.append(Task(seed=seed, number=number, states=states, keep=keep))
    return tasks[::-1]


CAMPAIGN = Campaign(
    name=NAME,
    promise="What was acknowledged survives a power failure, and nothing is there in part.",
    unit="states",
    full=100_000,
    quick=2_000,
    run=run,
)


def main() -> int:
    """Run from the command line."""
    parser = arguments(CAMPAIGN)
    parser.add_argument("--jobs", type=int, help="how many processes (default: one a processor)")
    parser.add_argument("--keep", metavar="FOLDER", help="keep disks that have a problem there")
    parser.add_argument("--repeat", metavar="RUN/EVENTS/WAY", help="look at one state again")
    parser.add_argument("--control", choices=list(CONTROLS), help="with --repeat: a broken store")
    given = parser.parse_args()
    if given.repeat:
        problems = again(given.seed, given.repeat, control=given.control, keep=given.keep)
        return show(problems)
    return conduct(CAMPAIGN, given, jobs=given.jobs, keep=given.keep)


if __name__ == "__main__":
    sys.exit(main())
