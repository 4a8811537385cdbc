"""Architectures: blueprints of minds, with their fitness and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import field

from omega_persistence.backends.table import Table
from omega_persistence.entities.base import Collection
from omega_persistence.entities.record import (
    ABSENT,
    METADATA,
    JSONShapes,
    JSONText,
    Name,
    OptionalJSONText,
    RecordWithMetadata,
    Time,
    decode_json,
    now,
)
from omega_persistence.errors import ConflictError

if TYPE_CHECKING:
    from omega_persistence.backends import Session


class StoredArchitecture(RecordWithMetadata, frozen=True, kw_only=True, gc=False):
    """One blueprint.

    Attributes:
        id: Unique in its namespace; a time-ordered UUID by default.
        name: What people call it; need not be unique.
        paradigm: Such as ``"neural"``.
        substrate: Such as ``"pytorch"``.
        fitness_json: A JSON object of figures; read it as ``fitness``.
        lineage_json: A JSON object that names its ``"parent"`` by id, or None; read it as
            ``lineage``.
        created_at: Unix seconds; now by default.
        metadata_json: A JSON object; read it as ``metadata``.

    Each ``*_json`` field is given as JSON text or as a dict.
    """

    json_shapes: ClassVar[JSONShapes] = {
        "fitness_json": (dict,),
        "lineage_json": (dict,),
        **METADATA,
    }

    name: Name
    paradigm: str
    substrate: str
    fitness_json: JSONText
    lineage_json: JSONText
    created_at: Time = field(default_factory=now)
    metadata_json: OptionalJSONText = ABSENT

    @property
    def fitness(self) -> dict[str, Any]:
        """``fitness_json`` decoded."""
        return decode_json(self.fitness_json, dict)

    @property
    def lineage(self) -> dict[str, Any]:
        """``lineage_json`` decoded."""
        return decode_json(self.lineage_json, dict)


_BY_PARADIGM = """
    AND paradigm = :paradigm
    ORDER BY created_at DESC, id
    LIMIT :limit"""

_BY_SUBSTRATE = """
    AND substrate = :substrate
    ORDER BY created_at DESC, id
    LIMIT :limit"""

_COUNT_INTELLIGENCES = """
    SELECT count(*) FROM intelligences WHERE namespace = :namespace AND arch_id = :id"""


class Architectures(Collection[StoredArchitecture]):
    """The architectures of a namespace."""

    table = Table("architectures", StoredArchitecture)

    def by_paradigm(self, paradigm: str, *, limit: int | None = 100) -> list[StoredArchitecture]:
        """Architectures of a paradigm, newest first, ties by id."""
        return self._select(_BY_PARADIGM, limit, paradigm=paradigm)

    def by_substrate(self, substrate: str, *, limit: int | None = 100) -> list[StoredArchitecture]:
        """Architectures on a substrate, newest first, ties by id."""
        return self._select(_BY_SUBSTRATE, limit, substrate=substrate)

    def _delete(self, session: Session, id: str) -> bool:
        try:
            return super()._delete(session, id)
        except ConflictError as error:
            row = session.row(_COUNT_INTELLIGENCES, namespace=self._namespace, id=id)
            count = row[0] if row else 0
            message = f"StoredArchitecture {id!r} has {count} intelligence{'s' * (count != 1)}"
            hint = "Delete them first, or store them again under another arch_id."
            raise ConflictError(message, hint=hint, kind="StoredArchitecture", id=id) from error
