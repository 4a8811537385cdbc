"""`remember` and `remember_many`, on a store and on a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from omega_persistence.entities.base import SHARED
from omega_persistence.entities.memories import Tier
from omega_persistence.errors import StorageError
from omega_persistence.recall.recalling import Recalling

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from omega_persistence.entities.memories import StoredMemory
    from omega_persistence.remembering.drafts import Prepared

OnDuplicate = Literal["keep", "skip", "merge"]
"""What `remember` does when the store has the same memory: keep both, keep the store's, or one."""

THRESHOLD = 0.95
"""The cosine from which on `remember` takes two memories for the same, unless told otherwise."""


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
        from omega_persistence.remembering.drafts import Draft, prepare  # noqa: PLC0415

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
        from omega_persistence.remembering.drafts import draft_of, prepare  # noqa: PLC0415

        drafts = [draft_of(item, index) for index, item in enumerate(items)]
        return self._remember(prepare(drafts, self._embedder, batch=True))

    def _remember(self, prepared: Sequence[Prepared]) -> list[StoredMemory]:
        # Not loaded before it is needed: it would be a thirtieth of a start.
        from omega_persistence.remembering.writing import Writing  # noqa: PLC0415

        if not prepared:
            return []
        looks = any(each.draft.on_duplicate != "keep" for each in prepared)
        with self._scope.atomic(alone=looks or len(prepared) > SHARED) as session:
            return Writing(session, self.namespace).write(prepared)
