"""Moving a namespace to the vectors of another model, batch by batch, while it is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from omega_persistence.entities import spaces
from omega_persistence.entities.base import json_array
from omega_persistence.entities.embedding import text_to_embed
from omega_persistence.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from omega_persistence.backends import Progress, Row, Scope, Session, Value
    from omega_persistence.entities.embedding import Embedder

    Write = Callable[[Session, Sequence[tuple[str, NDArray[np.float32]]]], None]
    """Writes vectors, each as (id of its memory, numbers), into an open transaction."""

# What shall have a vector in the new space and has none: every memory, or those of the old space.
# CAST, so that a memory's few vectors are found by the memory and not by the space, which is large.
_MISSING = """
    FROM memories
    WHERE namespace = :namespace AND id > :after
      AND (expires_at IS NULL OR expires_at > :now)
      AND (CAST(:from_space AS TEXT) IS NULL OR EXISTS (
          SELECT 1 FROM vectors
          WHERE vectors.namespace = :namespace AND vectors.memory_id = memories.id
            AND CAST(vectors.space AS TEXT) = :from_space))
      AND NOT EXISTS (
          SELECT 1 FROM vectors
          WHERE vectors.namespace = :namespace AND vectors.memory_id = memories.id
            AND CAST(vectors.space AS TEXT) = :to_space)
"""

_COUNT: LiteralString = f"SELECT count(*) {_MISSING}"

_PAGE: LiteralString = f"SELECT id, content, metadata_json {_MISSING} ORDER BY id LIMIT :limit"

_AMONG: LiteralString = f"SELECT id, content, metadata_json {_MISSING} AND id "

# Only those that have a successor.
_REMOVE_OLD = """
    DELETE FROM vectors WHERE namespace = :namespace AND id IN (
        SELECT old.id FROM vectors AS old
        WHERE old.namespace = :namespace AND old.space = :from_space AND EXISTS (
            SELECT 1 FROM vectors AS new
            WHERE new.namespace = :namespace AND new.memory_id = old.memory_id
              AND CAST(new.space AS TEXT) = :to_space)
        LIMIT :limit)
"""

REMOVED = 1000
"""How many old vectors are removed in one transaction."""


class Reembedding:
    """One run: pages of memories without a vector in the new space, until there are none."""

    def __init__(
        self,
        scope: Scope,
        namespace: str,
        from_space: str | None,
        embedder: Embedder,
        write: Write,
    ) -> None:
        self._scope = scope
        self._embedder = embedder
        self._write = write
        self._spaces: dict[str, Value] = {
            "namespace": namespace,
            "from_space": from_space,
            "to_space": embedder.space,
        }
        self._namespace = namespace
        self._from_space = from_space

    def run(self, progress: Progress | None) -> int:
        """Embed what is missing and switch; returns how many memories were embedded."""
        total, done = self._begin(), 0
        while True:
            for page in self._pages():
                done += self._embed(page)
                if progress is not None:
                    progress(done, max(done, total))
            if self._switch():
                return done

    def remove_old(self) -> None:
        """Delete the vectors of the old space that have a successor, in short transactions."""
        removed = REMOVED
        while removed == REMOVED:
            with self._scope.write() as session:
                removed = session.run(_REMOVE_OLD, limit=REMOVED, **self._spaces)

    def _begin(self) -> int:
        """Have the old space searched until the switch; returns how many memories are missing."""
        with self._scope.atomic(alone=True) as session:
            self._require_old(session)
            serving = spaces.serving_or_only(session, self._namespace) or self._from_space
            if serving is not None:
                # Else there would soon be two spaces, and no rule which of them is searched.
                spaces.serve(session, self._namespace, serving)
        with self._scope.read() as session:
            row = session.row(_COUNT, after="", **self._spaces)
        return row[0] if row else 0

    def _require_old(self, session: Session) -> None:
        """Refuse a name that was never a space: the switch would leave nothing to be found."""
        if self._from_space is None or spaces.holds(session, self._namespace, self._from_space):
            return
        if spaces.serving(session, self._namespace) != self._embedder.space:
            where = f"namespace {self._namespace!r:.80}"
            message = f"{where} has no vectors in space {self._from_space!r:.80}"
            hint = "Name the space of the vectors that shall be replaced, or None for all memories."
            raise NotFoundError(message, hint=hint, kind="StoredVector", field="from_space")

    def _pages(self) -> Iterator[list[Row]]:
        after, limit = "", self._embedder.batch
        while True:
            with self._scope.read() as session:
                page = session.rows(_PAGE, after=after, limit=limit, **self._spaces)
            if not page:
                return
            yield page
            after = page[-1][0]

    def _embed(self, page: list[Row]) -> int:
        """Give the memories of a page their vectors; returns how many got one.

        The lock is taken when the embedder has done. What another wrote, changed or deleted
        meanwhile is left to the next pass.
        """
        texts = {id: text_to_embed(content, metadata) for id, content, metadata in page}
        (matrix,) = self._embedder.batches(list(texts.values()))
        with self._scope.atomic(alone=True) as session:
            sql = _AMONG + session.among
            rows = session.rows(sql, after="", ids=json_array(texts), **self._spaces)
            same = {id for id, *text in rows if text_to_embed(*text) == texts[id]}
            fresh = [(id, row) for id, row in zip(texts, matrix, strict=True) if id in same]
            if fresh:
                self._write(session, fresh)
        return len(fresh)

    def _switch(self) -> bool:
        """Search the new space from now on, unless something is missing that was just written."""
        with self._scope.atomic(alone=True) as session:
            if session.row(_PAGE, after="", limit=1, **self._spaces):
                return False
            spaces.serve(session, self._namespace, self._embedder.space)
        return True
