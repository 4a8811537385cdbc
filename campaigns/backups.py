"""Back a store up while processes write into it, and look at each copy.

    python -m campaigns.backups --backups 2000

Three processes with two threads each run random operations without a pause and note each one when
it begins and when it has returned. Another process makes backups, verified and not, under new
names and in the place of old ones, and restores some of them into a store that is open. Each copy
is opened and compared with a model: it is whole and of one moment, and has all that was
acknowledged before the backup began.

The same seed gives the same operations, but no seed decides what the writers are just doing when a
backup is made: to see a problem again, repeat its store until it shows.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from campaigns.broken import CONTROLS, controls_of, flagged
from campaigns.common import Campaign, Result, Stopwatch, arguments, conduct, kinds_of, show
from campaigns.load import SETTINGS, Task, copy_under_load
from campaigns.stores import try_stores

if TYPE_CHECKING:
    from campaigns.common import Progress

NAME = "backups"

BACKUPS = 25
"""So many copies are made of one store at most."""


def flag(task: Task) -> list[str]:
    """As what a broken store is flagged; empty if it is not, in ten stores."""
    for attempt in range(10):
        problems = copy_under_load(replace(task, number=attempt)).problems
        if problems:
            return kinds_of(problems)
    return []


def run(seed: int, size: int, progress: Progress, *, jobs: int | None = None) -> Result:
    """Make so many backups, and make sure that broken stores are flagged."""
    watch = Stopwatch()

    def task(number: int, backups: int) -> Task:
        return Task(seed=seed, number=number, backups=backups)

    found = try_stores(
        copy_under_load,
        task,
        unit="backups",
        size=size,
        kinds=len(SETTINGS),
        most=BACKUPS,
        progress=progress,
        jobs=jobs,
    )
    tasks = [replace(task(0, BACKUPS), control=control.name) for control in controls_of(NAME)]
    return watch.result(
        NAME,
        f"python -m campaigns.{NAME} --seed {seed} --backups {size}",
        seed=seed,
        counts={**found.counts, "slowest_backup_ms": round(found.slowest * 1000)},
        problems=found.problems,
        controls=flagged(flag, tasks, jobs=jobs),
    )


CAMPAIGN = Campaign(
    name=NAME,
    promise="A backup made under load is whole and has all that was acknowledged before it began.",
    unit="backups",
    full=1_000,
    quick=50,
    run=run,
)


def main() -> int:
    """Run from the command line."""
    parser = arguments(CAMPAIGN)
    parser.add_argument("--jobs", type=int, help="how many stores at once (default: one a core)")
    parser.add_argument("--repeat", type=int, metavar="STORE", help="copy one store again")
    parser.add_argument("--control", choices=list(CONTROLS), help="with --repeat: a broken store")
    given = parser.parse_args()
    if given.repeat is not None:
        backups = min(given.size, BACKUPS)
        task = Task(seed=given.seed, number=given.repeat, backups=backups, control=given.control)
        problems = copy_under_load(task).problems
        return show(problems)
    return conduct(CAMPAIGN, given, jobs=given.jobs)


if __name__ == "__main__":
    sys.exit(main())
