"""What every campaign shares: what it reports, how it is started, how it uses every processor."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import apsw
import msgspec
from msgspec import Struct

import omega_persistence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from campaigns.model import Fault

    Progress = Callable[[int, int], None]
    """Called with (done, total), in the unit of the campaign's size."""

T = TypeVar("T")
U = TypeVar("U")

LISTED = 20
"""A result lists so many problems; all are counted."""


class Problem(Struct, frozen=True, kw_only=True):
    """A promise that was broken, and the command that shows it again."""

    kind: str
    detail: str
    repeat: str


class Result(Struct, frozen=True, kw_only=True):
    """What a campaign found. It prints as one line of JSON.

    Attributes:
        campaign: Its name.
        command: How to run it again.
        seed: The same seed gives the same campaign.
        counts: What was done, and how many problems there were.
        problems: The first of them.
        controls: Deliberately broken stores -> the kinds of problem they were flagged for.
        seconds: How long it took.
        cpu_seconds: How long the processors worked on it, child processes included.
        versions: Of Python, SQLite, apsw and the library.
        machine: What it ran on.
    """

    campaign: str
    command: str
    seed: int
    counts: dict[str, int]
    problems: list[Problem]
    controls: dict[str, list[str]]
    seconds: float
    cpu_seconds: float
    versions: dict[str, str]
    machine: str

    @property
    def passed(self) -> bool:
        """Whether no promise was broken and every broken store was flagged."""
        return not self.problems and all(self.controls.values())

    def __str__(self) -> str:
        """One line of JSON."""
        return msgspec.json.encode(self).decode()


class Campaign(Struct, frozen=True, kw_only=True):
    """A module of this package offers one as ``CAMPAIGN``.

    Attributes:
        name: The name of the module.
        promise: What it tries to refute, in a sentence.
        unit: What its size counts; also the option that sets the size.
        full: The size that is published.
        quick: A size of some seconds.
        run: The campaign: from a seed, a size and where to report `Progress`; it may have options
            of its own.
    """

    name: str
    promise: str
    unit: str
    full: int
    quick: int
    run: Callable[..., Result]


class Stopwatch:
    """Time on the clock and on the processors since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = perf_counter(), _cpu()

    def result(
        self,
        campaign: str,
        command: str,
        *,
        seed: int,
        counts: dict[str, int],
        problems: list[Problem],
        controls: dict[str, list[str]],
    ) -> Result:
        """The result of a campaign whose child processes have ended."""
        return Result(
            campaign=campaign,
            command=command,
            seed=seed,
            counts={**counts, "problems": len(problems)},
            problems=_different(problems)[:LISTED],
            controls=controls,
            seconds=round(perf_counter() - self._wall, 1),
            cpu_seconds=round(_cpu() - self._cpu, 1),
            versions={
                "omega-persistence": omega_persistence.__version__,
                "python": platform.python_version(),
                "sqlite": apsw.sqlite_lib_version(),
                "apsw": apsw.apsw_version(),
            },
            machine=_machine(),
        )


class Meter:
    """Shows progress on the standard error stream, with the time that is left."""

    def __init__(self, name: str, unit: str) -> None:
        self._name, self._unit = name, unit
        self._start = perf_counter()
        self._shown = 0.0
        self._width = 0

    def __call__(self, done: int, total: int) -> None:
        """Show it, unless it was shown a moment ago."""
        now = perf_counter()
        live = sys.stderr.isatty()
        if now - self._shown < (0.2 if live else 10) and done < total:
            return
        self._shown = now
        passed = now - self._start
        left = f", {passed * (total - done) / done:.0f} s left" if 0 < done < total else ""
        text = f"{self._name}: {done:,} of {total:,} {self._unit} in {passed:.0f} s{left}"
        sys.stderr.write(f"\r{text.ljust(self._width)}" if live else f"{text}\n")
        self._width = len(text)
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if sys.stderr.isatty():
            sys.stderr.write("\n")


def arguments(campaign: Campaign) -> argparse.ArgumentParser:
    """The options that every campaign has."""
    parser = argparse.ArgumentParser(
        prog=f"python -m campaigns.{campaign.name}",
        description=f"{campaign.promise} Progress goes to the standard error stream, the result,"
        " one line of JSON, to the standard output. The exit status is 1 if a promise was broken"
        " or a broken store was not noticed.",
    )
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument(
        f"--{campaign.unit}",
        dest="size",
        type=int,
        default=campaign.full,
        help=f"how many (default: {campaign.full:,})",
    )
    parser.add_argument(
        "--quick",
        dest="size",
        action="store_const",
        const=campaign.quick,
        help=f"the same as --{campaign.unit} {campaign.quick}",
    )
    return parser


def conduct(campaign: Campaign, given: argparse.Namespace, **options: Any) -> int:
    """Run a campaign as asked on the command line; returns the exit status."""
    meter = Meter(campaign.name, campaign.unit)
    result = campaign.run(given.seed, given.size, meter, **options)
    meter.end()
    print(result)
    return 0 if result.passed else 1


def main(campaign: Campaign) -> int:
    """Run a campaign that has no options of its own; returns the exit status."""
    return conduct(campaign, arguments(campaign).parse_args())


def show(found: Sequence[Problem | Fault]) -> int:
    """Print what a repetition found; returns the exit status."""
    for each in found:
        print(f"{each.kind}: {each.detail}")
    return 1 if found else 0


def by_kind(problems: list[Problem], *kinds: str) -> dict[str, int]:
    """How many there are of each kind, also of those of which there are none."""
    found = Counter(problem.kind for problem in problems)
    return {kind: found[kind] for kind in kinds}


def kinds_of(problems: list[Problem]) -> list[str]:
    """The kinds of some problems, in the order of the alphabet."""
    return sorted({problem.kind for problem in problems})


def spread(function: Callable[[T], U], tasks: Iterable[T], *, jobs: int | None) -> Iterator[U]:
    """The function's results in the order of the tasks, worked out by several processes.

    They are started afresh, not forked, so that they inherit neither locks nor open files.
    """
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        yield from map(function, tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, tasks)


def scratch_folder() -> str | None:
    """Where to make files that nobody needs: in memory if the system offers that."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - made safely there


def _different(problems: list[Problem]) -> list[Problem]:
    """The first of each kind for each case that shows it: one case may show many alike."""
    first = {(each.kind, each.repeat): each for each in reversed(problems)}
    return [each for each in problems if each is first[each.kind, each.repeat]]


def _cpu() -> float:
    mine, theirs = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def _machine() -> str:
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    processor = line.partition(":")[2].strip()
                    break
    except OSError:
        pass
    return f"{processor}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
