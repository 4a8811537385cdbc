"""Causal edges: which memory led to which, how strongly, on how much evidence."""

from __future__ import annotations

from msgspec import field

from omega_persistence.backends.table import Table
from omega_persistence.entities.base import Children
from omega_persistence.entities.record import (
    ABSENT,
    Count,
    Finite,
    Id,
    OptionalJSONText,
    RecordWithMetadata,
    Time,
    now,
)


class StoredCausalEdge(RecordWithMetadata, frozen=True, kw_only=True, gc=False):
    """One cause and one effect.

    Attributes:
        id: Unique in its namespace; a time-ordered UUID by default.
        from_memory: The cause: a memory, which must be stored and never changes.
        to_memory: The effect: a memory, likewise.
        weight: How strongly; any finite number.
        edge_type: Such as ``"improvement"``.
        created_at: Unix seconds; now by default.
        evidence_count: How many observations it rests on.
        metadata_json: A JSON object; give it as text or as a dict, read it as ``metadata``.
    """

    from_memory: Id
    to_memory: Id
    weight: Finite
    edge_type: str
    created_at: Time = field(default_factory=now)
    evidence_count: Count = 1
    metadata_json: OptionalJSONText = ABSENT


_OUTGOING = """
    AND from_memory = :memory_id
    ORDER BY weight DESC, id
    LIMIT :limit"""

_INCOMING = """
    AND to_memory = :memory_id
    ORDER BY weight DESC, id
    LIMIT :limit"""

_BETWEEN = """
    AND from_memory = :from_memory AND to_memory = :to_memory
    ORDER BY weight DESC, id
    LIMIT :limit"""

_BY_TYPE = """
    AND edge_type = :edge_type
    ORDER BY weight DESC, id
    LIMIT :limit"""


class CausalEdges(Children[StoredCausalEdge]):
    """The causal edges of a namespace. Loops, cycles and parallel edges are allowed."""

    table = Table(
        "causal_edges",
        StoredCausalEdge,
        references={"from_memory": "memories", "to_memory": "memories"},
    )

    def outgoing(self, memory_id: str, *, limit: int | None = 100) -> list[StoredCausalEdge]:
        """Edges to the effects of a memory, strongest first, ties by id."""
        return self._select(_OUTGOING, limit, memory_id=memory_id)

    def incoming(self, memory_id: str, *, limit: int | None = 100) -> list[StoredCausalEdge]:
        """Edges from the causes of a memory, strongest first, ties by id."""
        return self._select(_INCOMING, limit, memory_id=memory_id)

    def between(
        self, from_memory: str, to_memory: str, *, limit: int | None = 100
    ) -> list[StoredCausalEdge]:
        """Edges from one memory to another, strongest first, ties by id."""
        return self._select(_BETWEEN, limit, from_memory=from_memory, to_memory=to_memory)

    def by_type(self, edge_type: str, *, limit: int | None = 100) -> list[StoredCausalEdge]:
        """Edges of a type, strongest first, ties by id."""
        return self._select(_BY_TYPE, limit, edge_type=edge_type)
