"""`remember` and `remember_many`, on a store and on a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from omega_persistence.backends.scopes import Joined
from omega_persistence.entities import spaces
from omega_persistence.entities.base import SHARED
from omega_persistence.entities.embedding import text_to_embed
from omega_persistence.entities.memories import Memories, Tier
from omega_persistence.entities.vectors import Vectors
from omega_persistence.errors import StorageError
from omega_persistence.recall.recalling import Recalling
from omega_persistence.remembering import duplicates
from omega_persistence.remembering.drafts import THRESHOLD, Draft, draft_of, prepare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from omega_persistence.backends import Session
    from omega_persistence.entities.memories import StoredMemory
    from omega_persistence.remembering.drafts import OnDuplicate, Prepared


class Remembering(Recalling):
    """The part of a store and of a transaction that takes memories in the words of an agent."""

    def remember(
        self,
        content: str,
        *,
        tier: int = Tier.EPISODIC,
        importance: float = 0.5,
        session: str | None = None,
        speaker: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        vector: ArrayLike | None = None,
        space: str | None = None,
        at: int | None = None,
        expires_at: int | None = None,
        id: str | None = None,
        on_duplicate: OnDuplicate = "keep",
        duplicate_threshold: float | None = THRESHOLD,
    ) -> StoredMemory:
        """Store a memory with its vector and its words, all in one transaction.

        With an embedder the memory is embedded first, as "speaker: content", before any lock is
        taken; in a transaction the lock is held already. A memory that is remembered again under
        its ``id`` is updated as `Collection.put` does, and a new vector replaces the old one of
        that space; if its content or speaker is another, no vector of the old one is kept.

        Args:
            content: The text.
            tier: A `Tier`.
            importance: 0 to 1.
            session: The conversation or task it belongs to.
            speaker: Who said it. Kept in ``metadata`` and, to be found by, in ``keywords``.
            tags: What it is about; kept in both, too.
            metadata: Anything that can be written as JSON.
            vector: Its embedding, finite numbers of shape (dimensions,); None to have it made by
                the store's embedder, or to have none if there is no embedder.
            space: The space of a ``vector`` that is given; the embedder's by default, or the
                unnamed one.
            at: When it happened, in Unix seconds; now by default. The date goes into
                ``keywords`` in words, such as "8 May, 2023" (UTC).
            expires_at: Unix seconds from which on no read sees it.
            id: Its id; a new one by default.
            on_duplicate: What to do if the namespace has the same memory already: the same words
                of the same speaker, or a vector of that speaker's so near that
                ``duplicate_threshold`` is reached. ``"keep"`` does not look, and stores both.
                ``"skip"`` stores nothing. ``"merge"`` makes one of the two: it has the id of the
                older one and what hangs on it, the new content, vector and tier, the metadata,
                tags and keywords of both, the greater importance, the earlier time, and the later
                expiry. Looking is part of the transaction, so no other thread or process can
                store the same in between.
            duplicate_threshold: The cosine from which on two memories are the same, above 0 to 1;
                None to compare words only.

        Returns:
            The memory as it is stored now: with ``"skip"`` the one that was there.

        Raises:
            InvalidDataError: an argument breaks a rule, or the embedder returned something else
                than vectors; nothing reached the file.
            ConflictError: the space has vectors of another length, or the namespace is served
                from another space than the embedder's.
        """
        draft = Draft(
            content=content,
            tier=tier,
            importance=importance,
            session=session,
            speaker=speaker,
            tags=tags,
            metadata=metadata,
            vector=vector,
            space=space,
            at=at,
            expires_at=expires_at,
            id=id,
            on_duplicate=on_duplicate,
            duplicate_threshold=duplicate_threshold,
        )
        try:
            return self._remember(prepare([draft], self._embedder, batch=False))[0]
        except StorageError as error:
            error.index = None  # there is no batch
            raise

    def remember_many(self, items: Iterable[Mapping[str, Any]]) -> list[StoredMemory]:
        """Remember all of them in one transaction, or none; returns the memories in their order.

        ``store.remember_many([{"content": "Hello", "speaker": "Ann"}, ...])``: each item names
        arguments of `remember`. All are checked, then those without a vector are embedded in
        batches, and then the lock is taken. All are held in memory. Errors about one of them
        carry its position as ``index``, from 0.
        """
        drafts = [draft_of(item, index) for index, item in enumerate(items)]
        return self._remember(prepare(drafts, self._embedder, batch=True))

    def _remember(self, prepared: Sequence[Prepared]) -> list[StoredMemory]:
        if not prepared:
            return []
        looks = any(each.draft.on_duplicate != "keep" for each in prepared)
        with self._scope.atomic(alone=looks or len(prepared) > SHARED) as session:
            return _Writing(session, self.namespace).write(prepared)


# Also if it has expired: putting it again renews it.
_KNOWN = "SELECT content, metadata_json FROM memories WHERE namespace = :namespace AND id = :id"

_FORGET_VECTORS = "DELETE FROM vectors WHERE namespace = :namespace AND memory_id = :memory_id"

_VECTOR_IN_SPACE = """
    SELECT id FROM vectors
    WHERE namespace = :namespace AND memory_id = :memory_id AND space = :space
    ORDER BY id LIMIT 1
"""


class _Writing:
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
        implied = {
            each.vector.space: index
            for index, each in enumerate(prepared)
            if each.vector is not None and each.draft.space is None
        }
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
        return self._put_again(one)

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
