"""What do page checksums cost?"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from corpus import SEED, memories
from measure import Comparison, Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, times

if TYPE_CHECKING:
    from collections.abc import Callable

    from workshop import Workshop

CACHED = 2_000  # KiB; SQLite's default


def run(workshop: Workshop) -> Report:
    size, puts = workshop.scaled(50_000), workshop.scaled(500)
    paths = [_filled(workshop, size, checksums=checksums) for checksums in (True, False)]
    batch = workshop.scaled(5_000)
    putting, storing, reading = (
        _compare(workshop, paths, work) for work in (_put(puts), _put_many(batch), _read)
    )
    return Report(
        f"A store of {size:,} memories with page checksums, against one without.",
        [
            times("put, durable", putting, puts),
            times("put_many", storing, batch),
            times("read all", reading, size),
        ],
        [
            "Both are the library. Reading all takes every page from the system's cache, since a",
            f"connection itself keeps {CACHED:,} KiB.",
        ],
        head=("figure", "target", "CPU", "wall", "verdict", "with, CPU", "without, CPU"),
    )


def _filled(workshop: Workshop, size: int, *, checksums: bool) -> str:
    path = workshop.new_path()
    with OmegaStore(path, checksums=checksums) as store:
        store.memories.put_many(memories(size))
    return path


def _compare(
    workshop: Workshop, paths: list[str], work: Callable[[OmegaStore, int], None]
) -> Comparison:
    stores = [OmegaStore(path) for path in paths]
    rounds = [0, 0]

    def measured(which: int) -> Callable[[], Cost]:
        def once() -> Cost:
            rounds[which] += 1
            return cost(lambda: work(stores[which], rounds[which]))

        return once

    found = compare(measured(0), measured(1), workshop.rounds(11))
    for store in stores:
        store.close()
    return found


def _put(count: int) -> Callable[[OmegaStore, int], None]:
    def work(store: OmegaStore, number: int) -> None:
        for record in islice(memories(count, seed=SEED + number), count):
            store.memories.put(record)

    return work


def _put_many(count: int) -> Callable[[OmegaStore, int], None]:
    def work(store: OmegaStore, number: int) -> None:
        store.memories.put_many(memories(count, seed=SEED + 1000 + number))

    return work


def _read(store: OmegaStore, _number: int) -> None:
    for _ in store.memories:
        pass
