"""What recall returns."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import astuple

from omega_persistence.entities.memories import StoredMemory

Reason = Literal["limit", "filter", "expiry"]


class Parts(Struct, frozen=True, gc=False):
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
        return sum(astuple(self))


class Hit(Struct, frozen=True):
    """A memory that answers.

    The score compares within one answer only; ``parts`` add up to it. ``cosine`` compares from
    question to question: that of the memory's closest vector with the question's, 0 if it has
    none, None if the question had none. ``why`` says the same in words, if an explanation was
    asked for.
    """

    memory: StoredMemory
    score: float
    parts: Parts
    cosine: float | None
    why: tuple[str, ...] = ()


class NearMiss(Struct, frozen=True):
    """A memory that would have been among the answers, and what kept it out.

    ``"limit"``: it comes next. ``"filter"``: it does not pass. ``"expiry"``: it has expired. For
    the last two the score is that of the same question without a filter and without expiry.
    """

    memory: StoredMemory
    score: float
    parts: Parts
    kept_out: Reason


class Explanation(Struct, frozen=True):
    """An answer and how it came about.

    Attributes:
        hits: What `recall` returns without an explanation, each with ``why``.
        near_misses: What nearly was among them, best first.
        words: The words that were looked for.
        space: The space of the vectors that were compared; None if there was no vector, or there
            are none to compare it with.
    """

    hits: list[Hit]
    near_misses: list[NearMiss]
    words: tuple[str, ...]
    space: str | None
