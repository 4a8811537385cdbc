"""What does it cost to go through all memories?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import raw
from measure import Comparison, Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, clock, times

if TYPE_CHECKING:
    from corpus import Ids
    from workshop import Workshop


def run(workshop: Workshop) -> Report:
    size = workshop.scaled(100_000)
    random, ordered = (_compare(workshop, size, ids) for ids in ("random", "ordered"))
    return Report(
        f"Iterating over {size:,} memories in the order of their ids.",
        [
            times("random ids", random, size, at_most=1.4),
            times("time-ordered ids", ordered, size, at_most=1.4),
        ],
        [
            clock("All, random ids", random),
            clock("All, time-ordered ids", ordered),
            "Columns give the cost of one memory. Ours reads pages by id, so that no cursor stays",
            "open; raw is one SELECT .. WHERE namespace = ? ORDER BY id, fetched to the end.",
        ],
    )


def _compare(workshop: Workshop, size: int, ids: Ids) -> Comparison:
    path = workshop.shared_store(size, ids)
    with OmegaStore(path) as store:
        connection = raw.connect(path)

        def ours() -> Cost:
            def iterate() -> None:
                for _ in store.memories:
                    pass

            return cost(iterate)

        def by_hand() -> Cost:
            def iterate() -> None:
                for _ in connection.execute(raw.ALL, (raw.NAMESPACE,)):
                    pass

            return cost(iterate)

        found = compare(ours, by_hand, workshop.rounds(9))
        connection.close()
    return found
