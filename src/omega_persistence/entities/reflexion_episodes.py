"""Reflexion episodes: what was tried, what came of it, and what it taught."""

from __future__ import annotations

from msgspec import field

from omega_persistence.backends.table import Table
from omega_persistence.entities.base import Children
from omega_persistence.entities.record import (
    ABSENT,
    Finite,
    Id,
    OptionalJSONText,
    RecordWithMetadata,
    Time,
    now,
)


class StoredReflexionEpisode(RecordWithMetadata, frozen=True, kw_only=True, gc=False):
    """One learning episode.

    Attributes:
        id: Unique in its namespace; a time-ordered UUID by default.
        memory_id: The memory it is about, which must be stored and never changes.
        trigger: What set it off.
        context: What was known.
        action: What was done.
        outcome: What came of it.
        created_at: Unix seconds; now by default.
        reward: How good that was: any finite number, or None.
        metadata_json: A JSON object; give it as text or as a dict, read it as ``metadata``.
    """

    memory_id: Id
    trigger: str
    context: str
    action: str
    outcome: str
    created_at: Time = field(default_factory=now)
    reward: Finite | None = None
    metadata_json: OptionalJSONText = ABSENT


_BY_MEMORY = """
    AND memory_id = :memory_id
    ORDER BY created_at DESC, id
    LIMIT :limit"""

_BY_TRIGGER = """
    AND trigger = :trigger
    ORDER BY created_at DESC, id
    LIMIT :limit"""


class ReflexionEpisodes(Children[StoredReflexionEpisode]):
    """The reflexion episodes of a namespace."""

    table = Table(
        "reflexion_episodes", StoredReflexionEpisode, references={"memory_id": "memories"}
    )

    def by_memory(self, memory_id: str, *, limit: int | None = 100) -> list[StoredReflexionEpisode]:
        """Episodes about a memory, newest first, ties by id."""
        return self._select(_BY_MEMORY, limit, memory_id=memory_id)

    def by_trigger(self, trigger: str, *, limit: int | None = 100) -> list[StoredReflexionEpisode]:
        """Episodes set off by exactly this, newest first, ties by id."""
        return self._select(_BY_TRIGGER, limit, trigger=trigger)
