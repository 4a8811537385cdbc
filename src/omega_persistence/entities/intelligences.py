"""Intelligences: instances of an architecture, with what they can do and the state they are in."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import field

from omega_persistence.backends.table import Table
from omega_persistence.entities.base import Collection
from omega_persistence.entities.record import (
    ABSENT,
    METADATA,
    Id,
    JSONShapes,
    JSONText,
    Name,
    OptionalJSONText,
    RecordWithMetadata,
    Time,
    Unit,
    decode_json,
    now,
)


class StoredIntelligence(RecordWithMetadata, frozen=True, kw_only=True, gc=False):
    """One instance of an architecture.

    Attributes:
        id: Unique in its namespace; a time-ordered UUID by default.
        name: What people call it; need not be unique.
        arch_id: The architecture it is an instance of, which must be stored.
        maturity: 0 to 1.
        capabilities_json: A JSON array or object; read it as ``capabilities``.
        memories_json: A JSON array of memory ids; read it as ``memories``.
        state_json: Any JSON; read it as ``state``.
        created_at: Unix seconds; now by default.
        updated_at: Unix seconds; now by default.
        metadata_json: A JSON object; read it as ``metadata``.

    Each ``*_json`` field is given as JSON text or as a Python list or dict.
    """

    json_shapes: ClassVar[JSONShapes] = {
        "capabilities_json": (list, dict),
        "memories_json": (list,),
        "state_json": (),
        **METADATA,
    }

    name: Name
    arch_id: Id
    maturity: Unit
    capabilities_json: JSONText
    memories_json: JSONText
    state_json: JSONText
    created_at: Time = field(default_factory=now)
    updated_at: Time = field(default_factory=now)
    metadata_json: OptionalJSONText = ABSENT

    @property
    def capabilities(self) -> Any:
        """``capabilities_json`` decoded."""
        return decode_json(self.capabilities_json, list, dict)

    @property
    def memories(self) -> list[Any]:
        """``memories_json`` decoded."""
        return decode_json(self.memories_json, list)

    @property
    def state(self) -> Any:
        """``state_json`` decoded."""
        return decode_json(self.state_json)


_BY_ARCHITECTURE = """
    AND arch_id = :arch_id
    ORDER BY maturity DESC, id
    LIMIT :limit"""


class Intelligences(Collection[StoredIntelligence]):
    """The intelligences of a namespace."""

    table = Table("intelligences", StoredIntelligence, references={"arch_id": "architectures"})

    def by_architecture(self, arch_id: str, *, limit: int | None = 100) -> list[StoredIntelligence]:
        """Instances of an architecture, most mature first, ties by id."""
        return self._select(_BY_ARCHITECTURE, limit, arch_id=arch_id)
