"""Timing two ways of doing the same work, in turn, so that noise meets both alike."""

from __future__ import annotations

import gc
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Cost(NamedTuple):
    """Seconds: of the processor in this process, and of the clock on the wall."""

    cpu: float
    wall: float


class Comparison(NamedTuple):
    """Medians over the rounds. A ratio is ours to raw within one round: above 1, ours is slower."""

    ours: Cost
    raw: Cost
    ratio: Cost


def cost(work: Callable[[], object]) -> Cost:
    """What it takes to do it once."""
    gc.collect()
    wall, cpu = perf_counter(), process_time()
    work()
    return Cost(process_time() - cpu, perf_counter() - wall)


def compare(ours: Callable[[], Cost], raw: Callable[[], Cost], rounds: int) -> Comparison:
    """Measure both in each round; who goes first alternates. A first round is thrown away."""
    pairs: list[tuple[Cost, Cost]] = []
    for number in range(rounds + 1):
        if number % 2:
            pairs.append((ours(), raw()))
        else:
            other = raw()
            pairs.append((ours(), other))
    del pairs[0]
    ratios = [Cost(mine.cpu / other.cpu, mine.wall / other.wall) for mine, other in pairs]
    return Comparison(
        _median([mine for mine, _ in pairs]),
        _median([other for _, other in pairs]),
        _median(ratios),
    )


def _median(costs: list[Cost]) -> Cost:
    return Cost(median(each.cpu for each in costs), median(each.wall for each in costs))
