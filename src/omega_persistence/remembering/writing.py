"""The part of `remember` and `remember_many` under the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from omega_persistence.backends.scopes import Joined
from omega_persistence.entities import spaces
from omega_persistence.entities.embedding import text_to_embed
from omega_persistence.entities.memories import Memories
from omega_persistence.entities.vectors import Vectors
from omega_persistence.errors import StorageError
from omega_persistence.remembering import duplicates
from omega_persistence.remembering.drafts import keywords_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega_persistence.backends import Session
    from omega_persistence.entities.memories import StoredMemory
    from omega_persistence.remembering.drafts import Prepared

# Also if it has expired: putting it again renews it.
_KNOWN = "SELECT content, metadata_json FROM memories WHERE namespace = :namespace AND id = :id"

_DATE = "SELECT created_at FROM memories WHERE namespace = :namespace AND id = :id"

_FORGET_VECTORS = "DELETE FROM vectors WHERE namespace = :namespace AND memory_id = :memory_id"

_VECTOR_IN_SPACE = """
    SELECT id FROM vectors
    WHERE namespace = :namespace AND memory_id = :memory_id AND space = :space
    ORDER BY id LIMIT 1
"""


class Writing:
    """The part of remembering under the lock."""

    def __init__(self, session: Session, namespace: str) -> None:
        scope = Joined(session, writable=True)
        self._memories = Memories(scope, namespace)
        self._vectors = Vectors(scope, namespace)
        self._session = session
        self._namespace = namespace

    def write(self, prepared: Sequence[Prepared]) -> list[StoredMemory]:
        """Write all of them; each sees what those before it did."""
        self._admit(prepared)
        if all(each.draft.on_duplicate == "keep" and each.draft.id is None for each in prepared):
            self._put(prepared)
            return [each.memory for each in prepared]
        stored: list[StoredMemory] = []
        for index, each in enumerate(prepared):
            try:
                stored.append(self._write_one(each))
            except StorageError as error:
                error.index = index
                raise
        return stored

    def _admit(self, prepared: Sequence[Prepared]) -> None:
        """Refuse vectors whose space nobody named, if a search would not look there."""
        implied: dict[str, int] = {}
        for index, each in enumerate(prepared):
            if each.vector is not None and each.draft.space is None:
                implied.setdefault(each.vector.space, index)
        for space, index in implied.items():
            try:
                spaces.require_serving(self._session, self._namespace, space)
            except StorageError as error:
                error.index = index
                raise

    def _put(self, prepared: Sequence[Prepared]) -> None:
        """Write records that nothing in the store is like."""
        self._memories.write(self._session, [each.memory for each in prepared])
        places = [index for index, each in enumerate(prepared) if each.vector is not None]
        vectors = [each.vector for each in prepared if each.vector is not None]
        try:
            if vectors:
                self._vectors.write(self._session, vectors)
        except StorageError as error:
            if error.index is not None:
                error.index = places[error.index]
            raise

    def _write_one(self, one: Prepared) -> StoredMemory:
        policy = one.draft.on_duplicate
        if policy != "keep":
            known = duplicates.find(self._session, self._namespace, self._memories, one)
            if known is not None:
                return known if policy == "skip" else self._merge(known, one)
        if one.draft.id is None:
            self._put([one])
            return one.memory
        return self._put_again(self._dated(one))

    def _dated(self, one: Prepared) -> Prepared:
        """With the words of the earlier date that a memory of that id keeps."""
        memory = one.memory
        row = self._session.row(_DATE, namespace=self._namespace, id=memory.id)
        if row is None or type(row[0]) is not int or row[0] >= memory.created_at:
            return one
        return replace(one, memory=replace(memory, keywords=keywords_of(memory.metadata, row[0])))

    def _merge(self, known: StoredMemory, one: Prepared) -> StoredMemory:
        vector = one.vector and replace(one.vector, memory_id=known.id)
        memory = duplicates.merged(known, one.memory)
        return self._put_again(replace(one, memory=memory, vector=vector))

    def _put_again(self, one: Prepared) -> StoredMemory:
        """Write over a memory of that id, if there is one, so that its vectors still fit."""
        memory, vector = one.memory, one.vector
        if self._says_other(memory):
            self._session.run(_FORGET_VECTORS, namespace=self._namespace, memory_id=memory.id)
        elif vector is not None:
            before = self._session.row(
                _VECTOR_IN_SPACE,
                namespace=self._namespace,
                memory_id=memory.id,
                space=vector.space,
            )
            vector = replace(vector, id=before[0]) if before else vector
        self._put([replace(one, vector=vector)])
        # Not what was given: counters and times that the store had may stay. One that has expired
        # already is not seen.
        stored = self._memories.get_many([memory.id])
        return stored[0] if stored else memory

    def _says_other(self, memory: StoredMemory) -> bool:
        """Whether the store has something else under this id, which its vectors embed."""
        before = self._session.row(_KNOWN, namespace=self._namespace, id=memory.id)
        return before is not None and text_to_embed(*before) != text_to_embed(
            memory.content, memory.metadata_json
        )
