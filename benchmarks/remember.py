"""What does a vector add to the cost of remembering, durable on return?"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from corpus import memories
from embeddings import DIMENSIONS, Embeddings
from measure import Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, clock, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from workshop import Workshop

FILLED = 10_000


def run(workshop: Workshop) -> Report:
    each, rounds = workshop.scaled(500), workshop.rounds(11)
    texts = (memory.content for memory in memories(2 * each * (rounds + 1)))
    vectors = Embeddings().rows(each)
    with OmegaStore(workshop.new_store(FILLED)) as store:

        def remember(given: Sequence[NDArray[np.float32] | None]) -> Cost:
            contents = list(islice(texts, each))

            def work() -> None:
                for content, vector in zip(contents, given, strict=True):
                    store.remember(content, vector=vector)

            return cost(work)

        found = compare(lambda: remember([*vectors]), lambda: remember([None] * each), rounds)
    return Report(
        f"Remembering a text with a vector of {DIMENSIONS} numbers; raw: without one.",
        [times("remember", found, each, at_most=1.6)],
        [
            clock("One remember", found, each),
            "Each is on disk on return (WAL, synchronous FULL). With a vector the transaction also",
            "writes its numbers, their code for the search, three indexes and the change log.",
        ],
    )
