"""Kill writers at random moments, and look at what is left of the store.

    python -m campaigns.kills --kills 2000

Writers are processes, one or three at a file, with one or several threads each. They run random
operations and note each one, when it has returned, in memory that outlives them. One of them is
killed as by ``kill -9``: while it opens, makes or migrates the file, writes, checkpoints, compacts,
backs up or restores. Then another process opens the store and compares it with a model: all that
was acknowledged is there, nothing is there in part, nothing is damaged, a new write works. Where
there are three, the other two must go on without an error.

The same seed gives the same operations, but no seed decides what a process is just doing when it
is killed: to see a problem again, repeat its store until it shows, or keep it with ``--keep``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from campaigns.broken import CONTROLS, controls_of, flagged
from campaigns.common import Campaign, Result, Stopwatch, arguments, conduct, kinds_of, show
from campaigns.lives import SETTINGS, Task, live
from campaigns.stores import try_stores

if TYPE_CHECKING:
    from campaigns.common import Progress

NAME = "kills"

LIVES = 20
"""So many kills the writers of one store suffer at most."""


def flag(task: Task) -> list[str]:
    """As what a broken store is flagged; empty if it is not, in fifty stores."""
    for attempt in range(50):
        problems = live(replace(task, number=attempt * len(SETTINGS))).problems
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
    """Kill so many writers, and make sure that broken stores are flagged."""
    watch = Stopwatch()

    def task(number: int, lives: int) -> Task:
        return Task(seed=seed, number=number, lives=lives, keep=keep)

    found = try_stores(
        live,
        task,
        unit="kills",
        size=size,
        kinds=len(SETTINGS),
        most=LIVES,
        progress=progress,
        jobs=jobs,
    )
    tasks = [replace(task(0, LIVES), control=control.name) for control in controls_of(NAME)]
    return watch.result(
        NAME,
        f"python -m campaigns.{NAME} --seed {seed} --kills {size}",
        seed=seed,
        counts={**found.counts, "slowest_opening_ms": round(found.slowest * 1000)},
        problems=found.problems,
        controls=flagged(flag, tasks, jobs=jobs),
    )


CAMPAIGN = Campaign(
    name=NAME,
    promise="What was acknowledged survives kill -9, nothing is there in part, and others go on.",
    unit="kills",
    full=2_000,
    quick=48,
    run=run,
)


def main() -> int:
    """Run from the command line."""
    parser = arguments(CAMPAIGN)
    parser.add_argument(
        "--jobs", type=int, help="how many stores at once (default: one a processor)"
    )
    parser.add_argument("--keep", metavar="FOLDER", help="keep stores that have a problem there")
    parser.add_argument("--repeat", type=int, metavar="STORE", help="kill the writers of one again")
    parser.add_argument("--control", choices=list(CONTROLS), help="with --repeat: a broken store")
    given = parser.parse_args()
    if given.repeat is not None:
        task = Task(
            seed=given.seed,
            number=given.repeat,
            lives=min(given.size, LIVES),
            control=given.control,
            keep=given.keep,
        )
        problems = live(task).problems
        return show(problems)
    return conduct(CAMPAIGN, given, jobs=given.jobs, keep=given.keep)


if __name__ == "__main__":
    sys.exit(main())
