"""The arithmetic of recall: from what is known of the candidates to their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from omega_persistence.recall.weights import Weights

BEST_OF_SESSION = 4
"""How many memories of a session tell what the session is worth ..."""

DECAY = 0.6
"""... and how much each counts next to the one before it."""


class Parts(Struct, frozen=True, kw_only=True, gc=False):
    """What a score consists of; they add up to it.

    Attributes:
        words: From the words and phrases of the memory itself.
        vector: From its closest vector.
        neighbours: From the memories before and after it in its session.
        session: From the best of its session.
        importance: From its importance.
        recency: From its age.
    """

    words: float
    vector: float
    neighbours: float
    session: float
    importance: float
    recency: float

    @property
    def score(self) -> float:
        """Their sum."""
        own = self.words + self.vector + self.neighbours
        return own + self.session + self.importance + self.recency


class Candidate(Struct, gc=False):
    """A memory that may be an answer, or lies next to one.

    Attributes:
        id: Of the memory.
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
        self._pool = pool
        self.weights = weights
        self._now = now
        self._own = _own(pool, weights)
        base = {id: words + cosine for id, (words, cosine) in self._own.items()}
        self._neighbours = _from_neighbours(pool, base, weights)
        near = {id: score + self._neighbours[id] for id, score in base.items()}
        self._sessions = _from_sessions(pool, near, weights)
        self.order = [id for _, id in sorted((-self.parts(id).score, id) for id in pool)]

    def parts(self, id: str) -> Parts:
        """What the score of a candidate consists of."""
        each, weights = self._pool[id], self.weights
        half_lives = max(0, self._now - each.created_at) / weights.half_life
        return Parts(
            words=self._own[id][0],
            vector=self._own[id][1],
            neighbours=self._neighbours[id],
            session=self._sessions.get(each.session, 0.0),
            importance=weights.importance * each.importance,
            recency=weights.recency * 0.5 ** min(1000.0, half_lives),
        )


def _own(pool: Mapping[str, Candidate], weights: Weights) -> dict[str, tuple[float, float]]:
    """What each has from its own words and its own vector."""
    texts = _texts(pool.values(), weights)
    most = max(texts.values(), default=0.0)
    closest = max((each.cosine for each in pool.values()), default=0.0)
    by_vector = (weights.vector if most > 0 else 1.0) if closest > 0 else 0.0
    most, closest = most or 1.0, closest if closest > 0 else 1.0  # of nothing, any part is nothing
    return {
        id: ((1 - by_vector) * (texts[id] / most), by_vector * (max(0.0, each.cosine) / closest))
        for id, each in pool.items()
    }


def _texts(pool: Iterable[Candidate], weights: Weights) -> dict[str, float]:
    """BM25 with half the reward for short texts that FTS5 gives.

    FTS5 fixes b at 0.75, which lets a word alone in a short remark outdo several in a whole
    sentence. For a word that stands once this is BM25 with b = 0.375, but for the average
    length: that of the candidates.
    """
    pool = list(pool)
    lengths = [each.length for each in pool if each.words > 0]
    average = sum(lengths) / len(lengths) if lengths else 0.0
    found: dict[str, float] = {}
    for each in pool:
        length = each.length / average if average else 1.0
        # k1 * (1 - b + b * length) + 1 with k1 = 1.2: of b = 0.75 and of half of that.
        longer = (1.3 + 0.9 * length) / (1.75 + 0.45 * length)
        found[each.id] = longer * (each.words + weights.phrases * each.phrases)
    return found


def _from_neighbours(
    pool: Mapping[str, Candidate], base: Mapping[str, float], weights: Weights
) -> dict[str, float]:
    """What each gets of the scores of the memories next to it."""
    found = dict.fromkeys(pool, 0.0)
    for id, each in pool.items():
        # Links are known from one end at least, and followed from one end only.
        before, after = pool.get(each.before or ""), pool.get(each.after or "")
        if before is not None and before.after != id:
            _pass(found, base, weights, before, each)
        if after is not None:
            _pass(found, base, weights, each, after)
    return found


def _pass(
    found: dict[str, float],
    base: Mapping[str, float],
    weights: Weights,
    before: Candidate,
    after: Candidate,
) -> None:
    asked = weights.after_question if before.asks else weights.after
    found[after.id] += asked * base[before.id]
    found[before.id] += weights.before * base[after.id]


def _from_sessions(
    pool: Mapping[str, Candidate], scores: Mapping[str, float], weights: Weights
) -> dict[str | None, float]:
    """What the memories of each session get of its best."""
    inside: dict[str, list[float]] = {}
    for id, each in pool.items():
        if each.session is not None:
            inside.setdefault(each.session, []).append(scores[id])
    best = {session: max(found) for session, found in inside.items()}
    more = {
        session: sum(
            score * DECAY**place
            for place, score in enumerate(sorted(found, reverse=True)[:BEST_OF_SESSION])
        )
        for session, found in inside.items()
    }
    most = max(more.values(), default=0.0) or 1.0
    return {
        session: weights.session_best * best[session] + weights.session_more * more[session] / most
        for session in inside
    }
