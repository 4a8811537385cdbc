"""The arithmetic of recall: from what is known of the candidates to their scores."""

from __future__ import annotations

from operator import mul
from typing import TYPE_CHECKING

from msgspec import Struct

from omega_persistence.recall.hits import Parts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from omega_persistence.recall.weights import Weights

BEST_OF_SESSION = (1.0, 0.6, 0.36, 0.216)
"""How much each of the best memories of a session counts for what the session is worth."""


class Candidate(Struct, array_like=True, gc=False):
    """A memory that may be an answer, or lies next to one.

    Attributes:
        id: Of the memory.
        seq: Its number in the order of arrival.
        session: Its session.
        created_at: In Unix seconds.
        importance: From 0 to 1.
        asks: Whether it holds a question mark; truth as SQL tells it.
        length: The bytes of its content and keywords.
        before: The id of the memory before it in its session, by ``created_at`` and id.
        after: The id of the memory after it.
        admitted: Whether it may be returned.
        words: BM25 of the words of the question.
        phrases: BM25 of its phrases.
        cosine: Of its closest vector with the question's.
    """

    id: str
    seq: int
    session: str | None
    created_at: int
    importance: float
    asks: int
    length: int
    before: str | None = None
    after: str | None = None
    admitted: bool = True
    words: float = 0.0
    phrases: float = 0.0
    cosine: float = 0.0


class Ranking:
    """A pool in order.

    Attributes:
        order: The ids of all of it, best first, ties by id.
        weights: By which.
    """

    def __init__(self, pool: Mapping[str, Candidate], weights: Weights, now: int) -> None:
        self.weights = weights
        half_life = weights.half_life
        own = _own(pool, weights)
        base = {id: words + cosine for id, (words, cosine) in own.items()}
        neighbours = _from_neighbours(pool, base, weights)
        sessions = _from_sessions(pool, base, neighbours, weights)
        self._terms = {
            id: (
                *own[id],
                neighbours[id],
                sessions.get(each.session, 0.0),
                weights.importance * each.importance,
                weights.recency * 0.5 ** min(1000.0, max(0, now - each.created_at) / half_life),
            )
            for id, each in pool.items()
        }
        self.order = [id for _, id in sorted((-sum(each), id) for id, each in self._terms.items())]

    def parts(self, id: str) -> Parts:
        """What the score of a candidate consists of."""
        return Parts(*self._terms[id])


def _own(pool: Mapping[str, Candidate], weights: Weights) -> dict[str, tuple[float, float]]:
    """What each has from its own words and its own vector."""
    texts = _texts(pool.values(), weights)
    cosines = [each.cosine if each.cosine > 0 else 0.0 for each in pool.values()]
    most, closest = max(texts, default=0.0), max(cosines, default=0.0)
    by_vector = (weights.vector if most else 1.0) if closest else 0.0
    most, closest = most or 1.0, closest or 1.0  # of nothing, any part is nothing
    return {
        id: ((1 - by_vector) * (text / most), by_vector * (cosine / closest))
        for id, text, cosine in zip(pool, texts, cosines, strict=True)
    }


def _texts(pool: Collection[Candidate], weights: Weights) -> list[float]:
    """BM25 with half the reward for short texts that FTS5 gives.

    FTS5 fixes b at 0.75, which lets a word alone in a short remark outdo several in a whole
    sentence. For a word that stands once this is BM25 with b = 0.375, but for the average
    length: that of the candidates.
    """
    lengths = [each.length for each in pool if each.words > 0]
    average = sum(lengths) / len(lengths) if lengths else 0.0
    if not average:
        return [0.0] * len(pool)
    # k1 * (1 - b + b * length) + 1 with k1 = 1.2: of b = 0.75 and of half of that.
    return [
        (1.3 + 0.9 * (length := each.length / average))
        / (1.75 + 0.45 * length)
        * (each.words + weights.phrases * each.phrases)
        for each in pool
    ]


def _from_neighbours(
    pool: Mapping[str, Candidate], base: Mapping[str, float], weights: Weights
) -> dict[str, float]:
    """What each gets of the scores of the memories next to it."""
    found = dict.fromkeys(pool, 0.0)
    for id, each in pool.items():
        # Links are known from one end at least, and followed from one end only.
        links = [(each, pool.get(each.after or ""))]
        before = pool.get(each.before or "")
        if before is not None and before.after != id:
            links.append((before, each))
        for first, second in links:
            if second is not None:
                asked = weights.after_question if first.asks else weights.after
                found[second.id] += asked * base[first.id]
                found[first.id] += weights.before * base[second.id]
    return found


def _from_sessions(
    pool: Mapping[str, Candidate],
    base: Mapping[str, float],
    neighbours: Mapping[str, float],
    weights: Weights,
) -> dict[str | None, float]:
    """What the memories of each session get of its best."""
    inside: dict[str, list[float]] = {}
    for id, each in pool.items():
        if each.session is not None:
            inside.setdefault(each.session, []).append(base[id] + neighbours[id])
    worth: dict[str | None, float] = {}
    for session, scores in inside.items():
        scores.sort(reverse=True)
        worth[session] = sum(map(mul, scores, BEST_OF_SESSION))
    most = max(worth.values(), default=0.0) or 1.0
    return {
        session: weights.session_best * inside[session][0]
        + weights.session_more * worth[session] / most
        for session in inside
    }
