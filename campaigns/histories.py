"""Let many processes and threads use one file at once, and judge what each of them saw.

    python -m campaigns.histories --rounds 400

Each round lets six processes with one to four threads each do one thing to one file: create it,
migrate it, count, move amounts, use it as registers, write and look in turns, write as fast as
they can, wait for one that holds a transaction. In half of them there are backups and maintenance
meanwhile. What they saw and what is left must fit together exactly.

The same seed gives the same rounds, but processes and threads take other turns each time: to see a
problem again, a round is run several times.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from campaigns.broken import controls_of
from campaigns.common import (
    Campaign,
    Problem,
    Result,
    Stopwatch,
    arguments,
    conduct,
    scratch_folder,
    show,
)
from campaigns.crew import Crew, CrewError
from campaigns.freshness import freshness
from campaigns.model import Fault
from campaigns.opening import creation, migration
from campaigns.registers import registers
from campaigns.rounds import Report, Task
from campaigns.updates import counters, transfers
from campaigns.waiting import busy, fairness

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns.common import Progress

NAME = "histories"

PROCESSES = 6

ROUNDS: dict[str, Callable[[Crew, Task], Report]] = {
    each.__name__: each
    for each in (
        creation,
        migration,
        counters,
        transfers,
        registers,
        freshness,
        busy,
        fairness,
    )
}

_QUICK = ("creation", "migration", "counters", "transfers", "registers", "freshness")

CYCLE = (*ROUNDS, *_QUICK, *_QUICK)
"""The kinds of round, in turns; those that mostly wait come less often."""

TRIED_ON = {
    "deferred begin": ("counters",),
    "stale cache": ("registers", "freshness"),
    "lost update": ("counters", "transfers"),
    "unfair wait": ("fairness",),
}
"""Broken store -> the kinds of round each of which must flag it."""

ATTEMPTS = 20
"""So many rounds at most are played until one of them shows a problem that there is."""


def play(
    crew: Crew, seed: int, number: int, *, control: str | None = None, seconds: float = 5.0
) -> Report:
    """Play one round in a folder of its own, in memory or on a disk."""
    random = Random(f"{seed}/{number}")
    round_ = ROUNDS[kind_of(number)]
    options: dict[str, Any] = random.choice(
        ({}, {}, {}, {"checksums": True}, {"journal": "truncate"})
    )
    where = random.choice((scratch_folder(), None))
    with TemporaryDirectory(prefix="omega-persistence-", dir=where) as folder:
        task = Task(
            seed=seed,
            number=number,
            path=os.path.join(folder, "store.db"),
            threads=random.randint(1, 4),
            length=random.randint(10, 50),
            upkeep=random.random() < 0.5,
            control=control,
            options={} if round_ is migration else options,
            seconds=seconds,
        )
        try:
            return round_(crew, task)
        except CrewError as error:
            return Report(faults=[Fault("error", str(error))])


def kind_of(number: int) -> str:
    """Which kind of round it is."""
    return CYCLE[number % len(CYCLE)]


def flag(crew: Crew, seed: int, control: str) -> list[str]:
    """As what a broken store is flagged; empty if a kind of round that should does not flag it."""
    found = [flag_by(crew, seed, control, kind) for kind in TRIED_ON[control]]
    return sorted(set[str]().union(*found)) if all(found) else []


def flag_by(crew: Crew, seed: int, control: str, kind: str) -> set[str]:
    """As what rounds of a kind flag a broken store; empty if they do not."""
    first = CYCLE.index(kind)
    for number in range(first, first + ATTEMPTS * len(CYCLE), len(CYCLE)):
        faults = play(crew, seed, number, control=control, seconds=1.0).faults
        if faults:
            return {fault.kind for fault in faults}
    return set()


def again(crew: Crew, seed: int, number: int, control: str | None = None) -> list[Fault]:
    """Play a round until it shows a problem."""
    for _ in range(ATTEMPTS):
        faults = play(crew, seed, number, control=control).faults
        if faults:
            return faults
    return []


def run(seed: int, size: int, progress: Progress, *, processes: int = PROCESSES) -> Result:
    """Play so many rounds, and make sure that broken stores are flagged."""
    watch = Stopwatch()
    command = f"python -m campaigns.{NAME} --seed {seed}"
    if processes != PROCESSES:
        command += f" --processes {processes}"
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    with Crew(processes) as crew:
        for number in range(size):
            kind, report = kind_of(number), play(crew, seed, number)
            counts["calls"] += report.calls
            counts[f"{kind}_calls"] += report.calls
            counts["backups"] += report.copies
            worst = {
                f"{kind}_worst_ms": report.worst // 1_000_000,
                "busiest_to_laziest_percent": report.ratio,
            }
            counts |= Counter(worst)  # which keeps the greater of each
            repeat = f"{command} --repeat {number}"
            problems += [
                Problem(kind=fault.kind, detail=fault.detail, repeat=repeat)
                for fault in report.faults
            ]
            progress(number + 1, size)
        controls = {each.name: flag(crew, seed, each.name) for each in controls_of(NAME)}
    return watch.result(
        NAME,
        f"{command} --rounds {size}",
        seed=seed,
        counts={"rounds": size, **counts},
        problems=problems,
        controls=controls,
    )


CAMPAIGN = Campaign(
    name=NAME,
    promise="Processes and threads that share a file never get into each other's way.",
    unit="rounds",
    full=1_000,
    quick=len(ROUNDS),
    run=run,
)


def main() -> int:
    """Run from the command line."""
    parser = arguments(CAMPAIGN)
    parser.add_argument(
        "--processes", type=int, default=PROCESSES, help=f"how many (default: {PROCESSES})"
    )
    parser.add_argument(
        "--repeat", type=int, metavar="ROUND", help="play this round until it shows a problem"
    )
    parser.add_argument("--control", choices=sorted(TRIED_ON), help="with --repeat: a broken store")
    given = parser.parse_args()
    if given.repeat is not None:
        with Crew(given.processes) as crew:
            faults = again(crew, given.seed, given.repeat, given.control)
        return show(faults)
    return conduct(CAMPAIGN, given, processes=given.processes)


if __name__ == "__main__":
    sys.exit(main())
