"""From a checked question to its answer, within one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega_persistence.errors import CorruptionError
from omega_persistence.recall.hits import Explanation, Hit
from omega_persistence.recall.pool import gather, read
from omega_persistence.recall.ranking import Ranking

if TYPE_CHECKING:
    from omega_persistence.backends import Session
    from omega_persistence.recall.pool import Query
    from omega_persistence.recall.weights import Weights


def answer(
    session: Session, namespace: str, query: Query, weights: Weights, *, explain: bool
) -> list[Hit] | Explanation:
    """The best of the pool, and if asked for, why they are."""
    pool = gather(session, namespace, query)
    ranking = Ranking(pool, weights, session.now)
    admitted = [id for id in ranking.order if pool[id].admitted]
    chosen = admitted[: query.limit]
    memories = read(session, namespace, chosen)
    if len(memories) != len(chosen):
        message = "a memory that was found cannot be read by its id"
        raise CorruptionError(message, hint="See check().")
    hits = [
        Hit(memory, parts.score, parts, None if query.vector is None else pool[memory.id].cosine)
        for memory, parts in zip(memories, map(ranking.parts, chosen), strict=True)
    ]
    if not explain:
        return hits
    from omega_persistence.recall.explaining import (  # noqa: PLC0415 - seldom asked for
        explain_hits,
        near_misses,
    )

    return Explanation(
        hits=explain_hits(session, query, pool, hits),
        near_misses=near_misses(session, namespace, query, ranking, admitted),
        words=query.question.words,
        space=query.space if query.vector is not None else None,
    )
