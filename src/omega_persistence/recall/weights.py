"""How much each sign that a memory answers counts."""

from __future__ import annotations

import math

from msgspec import Struct

from omega_persistence.errors import InvalidDataError


class Weights(Struct, frozen=True, kw_only=True):
    """The weights of `recall`; the defaults are measured, see the page about recall.

    Words and vectors each give the best candidate 1 and the others their share of that. What
    comes from neighbours and session is on the same scale.

    Attributes:
        vector: The part of the vectors, from 0 to 1; the rest is for the words. Without a vector
            all is for the words, without a word that is found all for the vectors.
        phrases: How much two words of the question count as a phrase, besides counting by
            themselves.
        after_question: What a memory gets of the score of the one before it in its session, if
            that holds a question mark: an answer seldom repeats what was asked.
        after: The same, if the one before is no question.
        before: What it gets of the score of the one after it.
        session_best: What it gets of the best score in its session.
        session_more: What its session's best four scores together count, next to those of the
            best session.
        importance: What the importance of a memory counts; a tie-breaker.
        recency: What being new counts: 1 at ``created_at``, half after each half-life.
        half_life: In seconds.
    """

    vector: float = 0.5
    phrases: float = 0.5
    after_question: float = 0.5
    after: float = 0.1
    before: float = 0.1
    session_best: float = 0.3
    session_more: float = 0.2
    importance: float = 0.05
    recency: float = 0.02
    half_life: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        """Refuse what is no weight."""
        for name in self.__struct_fields__:
            value: object = getattr(self, name)
            if type(value) not in {int, float} or not 0 <= value < math.inf:  # pyright: ignore[reportOperatorIssue]
                message = f"Weights: {name} must be a finite number from 0: {value!r:.80}"
                raise InvalidDataError(message, kind="Weights", field=name)
        if self.vector > 1 or not self.half_life:
            field = "half_life" if self.vector <= 1 else "vector"
            rule = "above 0" if field == "half_life" else "at most 1"
            message = f"Weights: {field} must be {rule}: {getattr(self, field)!r}"
            raise InvalidDataError(message, kind="Weights", field=field)
