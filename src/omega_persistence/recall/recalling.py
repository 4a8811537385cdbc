"""`recall`, as a store, a snapshot and a transaction have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from omega_persistence.backends.questions import Question
from omega_persistence.entities import Collections, spaces
from omega_persistence.entities.arrays import float32
from omega_persistence.entities.base import checked_limit, require_kind
from omega_persistence.entities.filters import checked_filter
from omega_persistence.entities.words import question
from omega_persistence.errors import InvalidDataError
from omega_persistence.recall.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from omega_persistence.backends import Scope, Session
    from omega_persistence.backends.filters import Filter
    from omega_persistence.entities.embedding import Embedder
    from omega_persistence.entities.filters import Where
    from omega_persistence.recall.hits import Explanation, Hit
    from omega_persistence.recall.pool import Query

DEFAULT = Weights()


class Recalling(Collections):
    """Collections of a namespace that can be asked all at once."""

    def __init__(self, scope: Scope, namespace: str, embedder: Embedder | None) -> None:
        """Bind the collections to a scope."""
        super().__init__(scope, namespace)
        self._scope = scope
        self._embedder = embedder
        self.namespace = namespace

    @overload
    def recall(
        self,
        text: str | None = None,
        *,
        vector: ArrayLike | None = None,
        space: str | None = None,
        limit: int | None = 10,
        tiers: Iterable[int] | None = None,
        session: str | None = None,
        since: int | None = None,
        until: int | None = None,
        min_importance: float | None = None,
        where: Where | None = None,
        weights: Weights = DEFAULT,
        explain: Literal[False] = False,
        touch: bool = False,
    ) -> list[Hit]: ...

    @overload
    def recall(
        self,
        text: str | None = None,
        *,
        vector: ArrayLike | None = None,
        space: str | None = None,
        limit: int | None = 10,
        tiers: Iterable[int] | None = None,
        session: str | None = None,
        since: int | None = None,
        until: int | None = None,
        min_importance: float | None = None,
        where: Where | None = None,
        weights: Weights = DEFAULT,
        explain: Literal[True],
        touch: bool = False,
    ) -> Explanation: ...

    def recall(
        self,
        text: str | None = None,
        *,
        vector: ArrayLike | None = None,
        space: str | None = None,
        limit: int | None = 10,
        tiers: Iterable[int] | None = None,
        session: str | None = None,
        since: int | None = None,
        until: int | None = None,
        min_importance: float | None = None,
        where: Where | None = None,
        weights: Weights = DEFAULT,
        explain: bool = False,
        touch: bool = False,
    ) -> list[Hit] | Explanation:
        """The memories that answer a question, best first, ties by id.

        Asked in words, with the embedding of the question, or both. Candidates are the best by
        words (BM25) and the best by vector (cosine), and what lies next to them in their
        sessions; each is scored by its words and its vector, by its neighbours and by the best of
        its session, whichever way it was found. Everything is read in one snapshot, and memories
        that have expired take no part. See the page about recall for how well it works.

        Args:
            text: The question. Any text is one; its first 64 different words are looked for.
            vector: Its embedding, from the model that embedded the memories; by default made by
                the store's embedder, if it has one, before the snapshot is taken.
            space: The name of that model: the embedder's, for what it makes itself. For a vector
                that is given by default the one that was chosen with `Vectors.serve`, or the only
                one with vectors of that length.
            limit: How many memories at most; None for all that are found.
            tiers: Only memories of these tiers. Memories that do not pass a filter are never
                returned, but as neighbours they still speak for those that do.
            session: Only those of this conversation or task.
            since: Only those made at this Unix time or later.
            until: Only those made before this Unix time.
            min_importance: Only those of at least this importance.
            where: Only those with such metadata: ``{"speaker": "Ann", "score": {">=": 3}}``;
                dots in a key lead into objects.
            weights: What counts how much.
            explain: Return an `Explanation` instead, which takes two or three times as long.
            touch: Record the access to what is returned, in a transaction of its own.

        Raises:
            InvalidDataError: neither text nor vector is given, an argument makes no sense, a
                space is named that there is no vector for, or no space or several have vectors of
                that length.
            ConflictError: the namespace is served from another space than the embedder's.
        """
        if text is None and vector is None:
            raise InvalidDataError("recall needs a text or a vector", field="text")
        for name, value in (("text", text), ("space", space)):
            if value is not None:
                require_kind(name, value)
        if type(weights) is not Weights:
            message = f"weights must be Weights(...): {weights!r:.80}"
            raise InvalidDataError(message, field="weights")
        wanted = checked_limit(limit)
        filter = checked_filter(
            tiers=tiers,
            session=session,
            since=since,
            until=until,
            min_importance=min_importance,
            where=where,
        )
        asked = Question(words=()) if text is None else question(text)
        model = self._model(text, space) if vector is None else None
        if model is not None and text is not None:
            vector, space = model.question(text), model.space
        numbers = None if vector is None else float32(vector, 1)
        from omega_persistence.recall.answering import answer  # noqa: PLC0415 - not at the start

        with self._scope.snapshot() as snapshot:
            if model is not None:
                spaces.require_serving(snapshot, self.namespace, model.space)
            query = self._query(snapshot, asked, numbers, space, filter, wanted)
            found = answer(snapshot, self.namespace, query, weights, explain=explain)
        hits = found if isinstance(found, list) else found.hits
        if touch and hits:
            self.memories.touch_many(hit.memory.id for hit in hits)
        return found

    def _model(self, text: str | None, space: str | None) -> Embedder | None:
        """What embeds a question that comes without a vector, if anything does."""
        model = self._embedder
        if space is not None and (model is None or model.space != space):
            message = f"space names where a vector is looked for, and there is none: {space!r:.80}"
            raise InvalidDataError(message, field="space")
        return model if text and not text.isspace() else None

    def _query(
        self,
        session: Session,
        asked: Question,
        numbers: NDArray[np.float32] | None,
        space: str | None,
        filter: Filter,
        limit: int,
    ) -> Query:
        from omega_persistence.recall.pool import Query  # noqa: PLC0415 - not at the start

        blob = None
        if numbers is not None:
            space = spaces.searched(session, self.namespace, numbers.size, space)
            blob = numbers.tobytes() if space is not None else None
        return Query(
            question=asked,
            vector=blob,
            space=space if blob is not None and space is not None else "",
            filter=filter,
            limit=limit,
        )
