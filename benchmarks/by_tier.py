"""What does it cost to read a whole tier?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import raw
from corpus import TIERS
from measure import Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, clock, times

if TYPE_CHECKING:
    from workshop import Workshop


def run(workshop: Workshop) -> Report:
    size = workshop.scaled(100_000)
    path = workshop.shared_store(size)
    with OmegaStore(path) as store:
        connection = raw.connect(path)
        rows = len(store.query_memories_by_tier(TIERS))
        assert rows == size // TIERS

        def ours() -> Cost:
            return cost(lambda: store.query_memories_by_tier(TIERS))

        def by_hand() -> Cost:
            return cost(lambda: connection.execute(raw.BY_TIER, (raw.NAMESPACE, TIERS)).fetchall())

        found = compare(ours, by_hand, workshop.rounds(25))
        connection.close()
    return Report(
        f"Reading a tier of {rows:,} memories out of {size:,}, most important first.",
        [times("query_memories_by_tier", found, rows, at_most=1.4)],
        [
            clock("The whole tier", found),
            "Columns give the cost of one memory. Both fetch everything: ours a list of",
            "StoredMemory, raw a list of tuples.",
        ],
    )
