"""Let every call to the operating system fail, one at a time, and see that the store goes on.

    python -m campaigns.faults --failures 24000

Runs of several kinds are carried out once to count the calls of each kind. Then they are carried
out again for each call and each way in which it can fail: that call alone, or it and all that
follow until the caller has seen an error and tried a few more things. Meanwhile only errors of the
library's own types may come out, and what does not raise must be right. As soon as nothing fails
any more, the same open store must hold what was acknowledged and nothing in part, take what had
failed once more, and go on; so must the file when it is opened again, and every backup be whole.

The same seed gives the same failures, except that the threads of the run that has several take
other turns each time.
"""

from __future__ import annotations

import sys
from math import ceil
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec import Struct
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
    scratch_folder,
    show,
    spread,
)
from campaigns.failing import ABOVE, BELOW, SHORT, Failure, failure_of
from campaigns.plans import Plan
from campaigns.trials import Trials
from omega_persistence import OmegaStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.common import Progress

NAME = "faults"

RECORDS = Plan(name="records", length=3)

PLANS = (
    Plan(name="creation", start="nothing", length=2),
    RECORDS,
    Plan(name="threads", length=3, threads=4, options={"busy_timeout": 60.0}),
    Plan(name="checkpoints", length=4, checkpoint=12),
    Plan(name="backups", start="nothing", length=4, extras=("backup", "restore"), every=2),
    Plan(name="maintenance", length=4, extras=("optimize", "compact"), every=2),
    Plan(name="truncate", start="nothing", length=3, options={"journal": "truncate"}),
    Plan(name="crate", start="crate", length=1, rows=2),
    Plan(name="older schema", start="older", length=1),
    Plan(name="page checksums", length=3, options={"checksums": True}),
)
"""Shorter than those of `campaigns.plans`: each is carried out thousands of times."""

AT_ONCE = 100
"""So many failures a process tries before it reports."""


class Task(Struct, frozen=True, kw_only=True):
    """Some failures to try.

    Attributes:
        seed: The seed of the campaign.
        number: The number of the run; it also chooses the plan.
        failures: Which; none, only to count the calls.
        control: The broken store to use instead of a real one.
        until_problem: Stop at the first problem.
    """

    seed: int
    number: int
    failures: tuple[Failure, ...] = ()
    control: str | None = None
    until_problem: bool = False


class Report(Struct, kw_only=True):
    """What became of them; for the counts see `campaigns.trials.Outcome`."""

    calls: dict[str, int] = {}
    failures: int = 0
    hits: int = 0
    errors: int = 0
    applied: int = 0
    slowest: float = 0.0
    problems: list[Problem] = []


def attempt(task: Task) -> Report:
    """Try the failures of a task one after the other, or count the calls if it has none."""
    report = Report(problems=[])
    plan = PLANS[task.number % len(PLANS)]
    opener = CONTROLS[task.control].opener if task.control else OmegaStore
    with TemporaryDirectory(prefix="omega-persistence-", dir=scratch_folder()) as folder:
        trials = Trials(plan, f"{task.seed} {task.number}", folder, opener)
        if not task.failures:
            report.calls = trials.census()
        for failure in task.failures:
            outcome = trials.run(failure)
            report.failures += 1
            report.hits += outcome.hits > 0
            report.errors += outcome.errors
            report.applied += outcome.applied
            report.slowest = max(report.slowest, outcome.seconds)
            if outcome.fault is not None:
                detail = f"run {task.number} ({plan.name}), {failure}: {outcome.fault.detail}"
                problem = Problem(
                    kind=outcome.fault.kind, detail=detail, repeat=_command(task, failure)
                )
                report.problems.append(problem)
            if report.problems and task.until_problem:
                break
    return report


def failures_in(calls: dict[str, int]) -> Iterator[Failure]:
    """Every way in which every one of so many calls can fail."""
    for call, count in calls.items():
        for number in range(count):
            for error in (BELOW | ABOVE)[call]:
                yield Failure(call, number, error, sticky=False)
                # If every call is short, it does not matter since when.
                if error != SHORT or number == 0:
                    yield Failure(call, number, error, sticky=True)


def flag(task: Task) -> list[str]:
    """As what a broken store is flagged when a read fails; empty if it is not, in three runs.

    Not with EIO, which SQLite takes for damage, and then refuses by itself to go on.
    """
    for attempted in range(3):
        number = attempted * len(PLANS) + PLANS.index(RECORDS)
        plain = replace(task, number=number)
        reads = range(attempt(plain).calls["read"])
        failures = [Failure("read", each, "ETIMEDOUT", sticky=False) for each in reads]
        Random(f"{task.seed} {number}").shuffle(failures)
        report = attempt(replace(plain, failures=tuple(failures), until_problem=True))
        if report.problems:
            return kinds_of(report.problems)
    return []


def run(seed: int, size: int, progress: Progress, *, jobs: int | None = None) -> Result:
    """Try so many failures, and make sure that broken stores are flagged.

    Each round has one run of every plan and tries every failure of each, unless fewer than half
    of them are missing; then a choice.
    """
    watch = Stopwatch()
    total = Report(problems=[])
    runs = 0
    while total.failures < size:
        for report in spread(attempt, _round(seed, runs, size - total.failures, jobs), jobs=jobs):
            _add(total, report)
            progress(min(total.failures, size), size)
        runs += len(PLANS)
    tasks = [Task(seed=seed, number=0, control=control.name) for control in controls_of(NAME)]
    return watch.result(
        NAME,
        f"python -m campaigns.{NAME} --seed {seed} --failures {size}",
        seed=seed,
        counts={
            "runs": runs,
            "failures": total.failures,
            "hit": total.hits,
            "clean_errors": total.errors,
            "applied_though_raised": total.applied,
            "slowest_ms": round(total.slowest * 1000),
            **by_kind(total.problems, "unclean", "lost", "torn", "damaged", "unusable", "copy"),
        },
        problems=total.problems,
        controls=flagged(flag, tasks, jobs=jobs),
    )


def again(seed: int, where: str, *, control: str | None = None) -> list[Problem]:
    """Try once more what ``repeat`` of a problem names: run, call, number, error, and how."""
    number, _, failure = where.partition("/")
    failures = (failure_of(failure),)
    return attempt(Task(seed=seed, number=int(number), failures=failures, control=control)).problems


def _round(seed: int, first: int, missing: int, jobs: int | None) -> list[Task]:
    numbers = range(first, first + len(PLANS))
    plain = [Task(seed=seed, number=number) for number in numbers]
    found = [list(failures_in(report.calls)) for report in spread(attempt, plain, jobs=jobs)]
    everything = sum(map(len, found))
    tasks: list[Task] = []
    for number, failures in zip(numbers, found, strict=True):
        chosen = failures
        if missing < everything / 2:
            share = ceil(missing * len(failures) / everything)
            chosen = Random(f"{seed} {number}").sample(failures, share)
        tasks += [
            Task(seed=seed, number=number, failures=tuple(chosen[at : at + AT_ONCE]))
            for at in range(0, len(chosen), AT_ONCE)
        ]
    return tasks


def _add(total: Report, report: Report) -> None:
    total.failures += report.failures
    total.hits += report.hits
    total.errors += report.errors
    total.applied += report.applied
    total.slowest = max(total.slowest, report.slowest)
    total.problems += report.problems


def _command(task: Task, failure: Failure) -> str:
    control = f" --control {task.control!r}" if task.control else ""
    where = f"--repeat {task.number}/{failure}"
    return f"python -m campaigns.{NAME} --seed {task.seed}{control} {where}"


CAMPAIGN = Campaign(
    name=NAME,
    promise="A call to the operating system that fails loses nothing and ends nothing.",
    unit="failures",
    full=24_000,
    quick=500,
    run=run,
)


def main() -> int:
    """Run from the command line."""
    parser = arguments(CAMPAIGN)
    parser.add_argument("--jobs", type=int, help="how many processes (default: one a processor)")
    parser.add_argument("--repeat", metavar="RUN/CALL/NUMBER/ERROR/HOW", help="one failure again")
    parser.add_argument("--control", choices=list(CONTROLS), help="with --repeat: a broken store")
    given = parser.parse_args()
    if given.repeat:
        problems = again(given.seed, given.repeat, control=given.control)
        return show(problems)
    return conduct(CAMPAIGN, given, jobs=given.jobs)


if __name__ == "__main__":
    sys.exit(main())
