"""What does a vector add to the cost of remembering, durable on return?"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from corpus import memories
from embeddings import DIMENSIONS, Embeddings
from measure import Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, clock, times

if TYPE_CHECKING:
    from workshop import Workshop

FILLED = 10_000


def run(workshop: Workshop) -> Report:
    each, rounds = workshop.scaled(500), workshop.rounds(11)
    texts = (memory.content for memory in memories(2 * each * (rounds + 1)))
    vectors = Embeddings().rows(each)
    number = count()
    with OmegaStore(workshop.new_store(FILLED)) as store:

        def with_vectors() -> Cost:
            contents = [f"{next(texts)} {next(number)}" for _ in range(each)]

            def work() -> None:
                for content, vector in zip(contents, vectors, strict=True):
                    store.remember(content, vector=vector)

            return cost(work)

        def without() -> Cost:
            contents = [f"{next(texts)} {next(number)}" for _ in range(each)]

            def work() -> None:
                for content in contents:
                    store.remember(content)

            return cost(work)

        found = compare(with_vectors, without, rounds)
    return Report(
        f"Remembering a text with a vector of {DIMENSIONS} numbers; raw: without one.",
        [times("remember", found, each, at_most=1.6)],
        [
            clock("One remember", found, each),
            "Each is on disk on return (WAL, synchronous FULL). With a vector the transaction also",
            "writes its numbers, their code for the search, three indexes and the change log.",
        ],
    )
