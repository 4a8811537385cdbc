"""What does it cost to store many memories at once, and how much of that is full-text indexing?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import raw
from corpus import memories
from measure import Comparison, Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, clock, duration, rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from workshop import Workshop


def run(workshop: Workshop) -> Report:
    size, rounds = workshop.scaled(100_000), workshop.rounds(5)
    records = list(memories(size))
    rows = raw.rows(records)

    def with_new_store(work: Callable[[str], Cost], *, indexed: bool) -> Cost:
        path = workshop.new_store()
        if not indexed:
            connection = raw.connect(path)
            connection.execute(raw.DROP_FULL_TEXT_TRIGGERS)
            connection.close()
        try:
            return work(path)
        finally:
            workshop.remove(path)

    def ours(path: str) -> Cost:
        with OmegaStore(path) as store:
            found = cost(lambda: store.memories.put_many(records))
            assert store.memories.count() == size
        return found

    def by_hand(path: str) -> Cost:
        connection = raw.connect(path)

        def insert() -> None:
            # Not `with connection`, whose savepoint keeps the old content of every page.
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(raw.INSERT, rows)
            connection.execute("COMMIT")

        found = cost(insert)
        connection.close()
        return found

    def both(*, indexed: bool) -> Comparison:
        return compare(
            lambda: with_new_store(ours, indexed=indexed),
            lambda: with_new_store(by_hand, indexed=indexed),
            rounds,
        )

    full, bare = both(indexed=True), both(indexed=False)
    indexing = (full.raw.cpu - bare.raw.cpu) / size
    return Report(
        f"Storing {size:,} memories with put_many, as part of the rate of executemany.",
        [
            rate("put_many", full, size, at_least=0.7),
            rate("the same without full-text triggers", bare, size),
        ],
        [
            clock("One memory", full, size),
            f"Full-text indexing costs {duration(indexing)} of CPU per memory: raw apsw with its",
            f"triggers does {full.raw.cpu / bare.raw.cpu:.1f} times the work of raw apsw without.",
            "A new file each time; one transaction; random ids; every index of the schema.",
            "Raw is executemany of a plain INSERT over ready tuples, unchecked. Ours checks every",
            "field first, and the statement is an upsert.",
        ],
    )
