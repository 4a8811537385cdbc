"""What does it cost to get a memory by its id?"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import raw
from corpus import SEED
from measure import Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, clock, times

if TYPE_CHECKING:
    from workshop import Workshop


def run(workshop: Workshop) -> Report:
    size, gets = workshop.scaled(100_000), workshop.scaled(20_000)
    path = workshop.shared_store(size)
    with OmegaStore(path) as store:
        connection = raw.connect(path)
        known = [id for (id,) in connection.execute("SELECT id FROM memories ORDER BY id")]
        ids = Random(SEED).choices(known, k=gets)

        def ours() -> Cost:
            def get() -> None:
                for id in ids:
                    store.memories.get(id)

            return cost(get)

        def by_hand() -> Cost:
            def get() -> None:
                for id in ids:
                    connection.execute(raw.GET, (raw.NAMESPACE, id)).fetchone()

            return cost(get)

        found = compare(ours, by_hand, workshop.rounds(15))
        connection.close()
    return Report(
        f"Getting one of {size:,} memories by id, against execute and fetchone.",
        [times("get", found, gets, at_most=1.6)],
        [
            clock("One get", found, gets),
            "Random ids that exist. Ours gives a StoredMemory, raw a tuple.",
        ],
    )
