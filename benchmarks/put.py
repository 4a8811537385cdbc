"""What does it cost to store one memory, durable on return?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import raw
from corpus import SEED, memories
from measure import Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, clock, times

if TYPE_CHECKING:
    from workshop import Workshop

FILLED = 10_000


def run(workshop: Workshop) -> Report:
    puts, rounds = workshop.scaled(1_000), workshop.rounds(11)
    fresh = list(memories(puts * (rounds + 1), seed=SEED + 1))
    rows = raw.rows(fresh)
    mine, theirs = iter(fresh), iter(rows)
    connection = raw.connect(workshop.new_store(FILLED))
    with OmegaStore(workshop.new_store(FILLED)) as store:

        def ours() -> Cost:
            records = [next(mine) for _ in range(puts)]

            def put() -> None:
                for record in records:
                    store.memories.put(record)

            return cost(put)

        def by_hand() -> Cost:
            rows = [next(theirs) for _ in range(puts)]

            def put() -> None:
                for row in rows:
                    connection.execute(raw.INSERT, row)

            return cost(put)

        found = compare(ours, by_hand, rounds)
        assert store.memories.count() == FILLED + len(fresh)
    connection.close()
    return Report(
        f"Storing one new memory, durable on return, into a store of {FILLED:,} that grows.",
        [times("put", found, puts, at_most=1.3)],
        [
            clock("One put", found, puts),
            "Both wait for the disk once per memory (WAL, synchronous FULL). Raw is an INSERT in",
            "autocommit mode, unchecked.",
        ],
    )
