"""Memories: what the agent remembers, in twelve tiers."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import force_setattr

from omega_persistence.backends.table import Table
from omega_persistence.entities.base import SHARED, Collection, checked_limit, require_kind, several
from omega_persistence.entities.filters import checked_filter
from omega_persistence.entities.record import (
    ABSENT,
    Count,
    Expiry,
    OptionalJSONText,
    RecordWithMetadata,
    Time,
    Unit,
    checked_time,
    now,
)
from omega_persistence.entities.words import (
    checked_weight,
    places,
    question,
    search_terms,
)
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from omega_persistence.backends import Session
    from omega_persistence.entities.filters import Where


class Tier(IntEnum):
    """How long-lived and how general a memory is, from the moment to the whole."""

    INSTANT = 1
    SESSION = 2
    EPISODIC = 3
    SEMANTIC = 4
    COLLECTIVE = 5
    EVOLUTIONARY = 6
    ARCHITECTURAL = 7
    SUBSTRATE = 8
    CIVILIZATIONAL = 9
    TEMPORAL = 10
    PHYSICAL = 11
    OMEGA = 12


class StoredMemory(RecordWithMetadata, frozen=True, kw_only=True, gc=False):
    """One remembered thing.

    Attributes:
        id: Unique in its namespace; a time-ordered UUID by default.
        content: The text. It is what full-text search looks through.
        tier: 1 to 12, see `Tier`.
        importance: 0 to 1.
        embedding_blob: Opaque bytes of the caller's; kept, never looked into.
        created_at: Unix seconds; now by default.
        last_accessed: Unix seconds; now by default.
        session: The conversation or task it belongs to.
        keywords: More words to be found by: speaker, tags, the date in words.
        metadata_json: A JSON object; give it as text or as a dict, read it as ``metadata``.
        expires_at: Unix seconds from which on no read sees it; None for never.
        access_count: How often it was touched.
    """

    content: str
    tier: Annotated[int, Meta(ge=1, le=12)]
    importance: Unit
    embedding_blob: bytes | None = None
    created_at: Time = field(default_factory=now)
    last_accessed: Time = field(default_factory=now)
    session: Annotated[str, Meta(min_length=1)] | None = None
    keywords: str = ""
    metadata_json: OptionalJSONText = ABSENT
    expires_at: Expiry | None = None
    access_count: Count = 0

    def __post_init__(self) -> None:
        """Hold plain values: the int of a `Tier`, the JSON text of a dict."""
        # Spelt out, since this runs for every row that is read.
        if self.metadata_json is not None and type(self.metadata_json) is not str:
            super().__post_init__()
        if type(self.tier) is Tier:
            force_setattr(self, "tier", int(self.tier))


class SearchHit(Struct, frozen=True):
    """A memory found by its words.

    The score is BM25, higher is better, and compares within one answer only. The snippet is the
    part of the content where the words stand, each between ``**``.
    """

    memory: StoredMemory
    score: float
    snippet: str


_BY_TIER = """
    AND tier = :tier
    ORDER BY importance DESC, id
    LIMIT :limit"""

_BY_SESSION = """
    AND session = :session
    ORDER BY created_at, id
    LIMIT :limit"""

_BY_IMPORTANCE = """
    AND importance >= :at_least
    ORDER BY importance DESC, id
    LIMIT :limit"""

_BY_CREATED_AT = """
    AND created_at < :before
    ORDER BY created_at, id
    LIMIT :limit"""

_BY_LAST_ACCESSED = """
    AND last_accessed < :before
    ORDER BY last_accessed, id
    LIMIT :limit"""

_TOUCH = """
    UPDATE memories
    SET last_accessed = CASE WHEN :at > last_accessed THEN :at ELSE last_accessed END,
        access_count = access_count + CASE WHEN access_count < 9223372036854775807 THEN 1 ELSE 0 END
    WHERE namespace = :namespace AND id = :id AND (expires_at IS NULL OR expires_at > :now)
"""

_EXPIRED = """
    WHERE namespace = :namespace AND expires_at <= :now
    ORDER BY expires_at, id
    LIMIT :limit"""

_PURGE_EXPIRED = "DELETE FROM memories WHERE namespace = :namespace AND expires_at <= :now"

_PER_TIER = """
    SELECT tier, count(*) FROM memories WHERE namespace = :namespace GROUP BY tier"""

_EXPIRED_PER_TIER = """
    SELECT tier, count(*) FROM memories
    WHERE namespace = :namespace AND expires_at <= :now
    GROUP BY tier"""  # sorts the few expired rows


def _snippet(session: Session, memory: StoredMemory, words: AbstractSet[str]) -> str:
    """The part of the content with most of the words, as the index knows them, in ``**``."""
    from omega_persistence.entities.snippets import LOOKED_AT, snippet  # noqa: PLC0415 - not at the start

    content: object = memory.content
    if type(content) is not str:
        raise CorruptionError("the content of a memory is not text", hint="See check().")
    beginning = content[:LOOKED_AT]
    found = {place for place in places(beginning, session.tokens) if place[2] in words}
    return snippet(content, sorted(found))


class Memories(Collection[StoredMemory]):
    """The memories of a namespace. An expired memory is invisible to every method but two."""

    table = Table("memories", StoredMemory, derived={"search_terms": search_terms})

    def by_tier(self, tier: int, *, limit: int | None = 100) -> list[StoredMemory]:
        """Memories of a tier, most important first, ties by id."""
        return self._select(_BY_TIER, limit, tier=tier)

    def by_session(self, session: str, *, limit: int | None = 100) -> list[StoredMemory]:
        """Memories of a conversation or task, oldest first, ties by id."""
        return self._select(_BY_SESSION, limit, session=session)

    def by_importance(self, at_least: float, *, limit: int | None = 100) -> list[StoredMemory]:
        """Memories of at least this importance, most important first, ties by id."""
        return self._select(_BY_IMPORTANCE, limit, at_least=at_least)

    def by_created_at(self, *, before: int, limit: int | None = 100) -> list[StoredMemory]:
        """Memories made before a Unix time, oldest first, ties by id."""
        return self._select(_BY_CREATED_AT, limit, before=before)

    def by_last_accessed(self, *, before: int, limit: int | None = 100) -> list[StoredMemory]:
        """Memories not accessed since before a Unix time, longest ago first, ties by id."""
        return self._select(_BY_LAST_ACCESSED, limit, before=before)

    def search(
        self,
        text: str,
        *,
        limit: int = 10,
        tiers: Iterable[int] | None = None,
        session: str | None = None,
        since: int | None = None,
        until: int | None = None,
        min_importance: float | None = None,
        where: Where | None = None,
        content_weight: float = 1.0,
        keywords_weight: float = 1.0,
    ) -> list[SearchHit]:
        """Memories that hold any word of a text, best first, ties by id.

        Any text is a query, never syntax. Its first 64 different words are looked for in content
        and keywords, by their English stems and without regard to case or accents; Chinese,
        Japanese and Korean characters count as words. English words that say nothing, such as
        "what" and "the", are left out unless there are no others. Rarer words weigh more (BM25,
        whose statistics are those of the whole file).

        Reads one snapshot. Cost: every memory with one of the words is met, and those that could
        have a place in the answer are ranked. If the session and time, or the tiers and
        importance, leave no more than 1,000 memories, about linear in the text of these.

        Args:
            text: The question; its first 20,000 characters are looked at.
            limit: How many at most.
            tiers: Only memories of these tiers.
            session: Only those of this conversation or task.
            since: Only those made at this Unix time or later.
            until: Only those made before this Unix time.
            min_importance: Only those of at least this importance.
            where: Only those with such metadata: ``{"speaker": "Ann", "score": {">=": 3}}``;
                dots in a key lead into objects.
            content_weight: How much a word in the content weighs, above 0.
            keywords_weight: How much a word in the keywords weighs, above 0.
        """
        wanted = checked_limit(limit)
        require_kind("text", text)
        admitted = checked_filter(
            tiers=tiers,
            session=session,
            since=since,
            until=until,
            min_importance=min_importance,
            where=where,
        )
        asked = question(
            text,
            content=checked_weight("content_weight", content_weight),
            keywords=checked_weight("keywords_weight", keywords_weight),
        )
        if not asked.words:
            return []
        with self._scope.snapshot() as snapshot:
            hits = snapshot.search(self._namespace, asked).best(wanted, admitted)
            memories = self._get_among(snapshot, [id for id, _ in hits])
            if len(memories) != len(hits):
                message = "a memory that the full-text index names cannot be found by its id"
                raise CorruptionError(message, hint="See check().")
            wanted_words = {token for word in asked.words for *_, token in snapshot.tokens(word)}
            return [
                SearchHit(memory, score, _snippet(snapshot, memory, wanted_words))
                for memory, (_, score) in zip(memories, hits, strict=True)
            ]

    def touch(self, id: str, at: int | None = None) -> None:
        """Record an access at a Unix time, now by default; an earlier one than known only counts.

        Raises:
            NotFoundError: there is no such memory.
        """
        self._update(_TOUCH, id, at=checked_time(at))

    def touch_many(self, ids: Iterable[str], at: int | None = None) -> int:
        """Record an access to each of these in one transaction; returns how many there were."""
        moment, touched = checked_time(at), several(ids)
        with self._scope.atomic(alone=len(touched) > SHARED) as session:
            return sum(
                session.run(_TOUCH, namespace=self._namespace, id=id, at=moment) for id in touched
            )

    def expired(self, *, limit: int | None = 100) -> list[StoredMemory]:
        """Memories that have expired and wait to be purged, longest ago first."""
        columns = self.table.select.partition(" WHERE ")[0]
        with self._scope.read() as session:
            rows = session.rows(
                columns + _EXPIRED, namespace=self._namespace, limit=checked_limit(limit)
            )
        return self.table.load(rows)

    def purge_expired(self) -> int:
        """Delete the expired memories and what hangs on them; returns how many memories."""
        with self._scope.atomic(alone=True) as session:
            return session.run(_PURGE_EXPIRED, namespace=self._namespace)

    def count_expired(self) -> int:
        """How many memories have expired and wait to be purged."""
        with self._scope.read() as session:
            row = session.row(self.table.count_expired, namespace=self._namespace)
        return row[0] if row else 0

    def per_tier(self) -> dict[int, int]:
        """How many memories each tier holds; tiers without any are left out."""
        with self._scope.snapshot() as session:
            return self._per_tier(session)

    def _per_tier(self, session: Session) -> dict[int, int]:
        counts = dict(session.rows(_PER_TIER, namespace=self._namespace))
        for tier, expired in session.rows(_EXPIRED_PER_TIER, namespace=self._namespace):
            counts[tier] = counts.get(tier, 0) - expired  # there is none if an index is damaged
        return {tier: count for tier, count in counts.items() if count}
