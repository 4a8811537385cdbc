"""Trying one store after the other, spread over processes, until enough has been done."""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from campaigns.common import Problem, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns.common import Progress


class Report(Struct, frozen=True, kw_only=True):
    """What one store showed; ``slowest`` is in seconds, of what the campaign times."""

    counts: Counter[str]
    slowest: float
    problems: list[Problem]


T = TypeVar("T")


def try_stores(
    work: Callable[[T], Report],
    task: Callable[[int, int], T],
    *,
    unit: str,
    size: int,
    kinds: int,
    most: int,
    progress: Progress,
    jobs: int | None,
) -> Report:
    """Work on stores until ``size`` of a unit are counted, or a problem was found.

    Args:
        work: What is done with a store.
        task: The task for the store of a number, in which so many of the unit are wanted.
        unit: The name of the unit in the counts; stores are counted as well.
        size: How many of it are wanted in all.
        kinds: How many kinds of stores there are; each is tried if ``size`` suffices.
        most: So many of the unit are wanted of one store at most.
        progress: Told of the units.
        jobs: How many processes.
    """
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    slowest = 0.0
    while (missing := size - counts[unit]) > 0 and not problems:
        each = min(most, ceil(missing / kinds))
        numbers = range(counts["stores"], counts["stores"] + ceil(missing / each))
        counts["stores"] += len(numbers)
        for report in spread(work, [task(number, each) for number in numbers], jobs=jobs):
            counts += report.counts
            slowest = max(slowest, report.slowest)
            problems += report.problems
            progress(min(counts[unit], size), size)
    return Report(counts=counts, slowest=slowest, problems=problems)
