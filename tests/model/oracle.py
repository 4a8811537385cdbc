"""A store in plain Python: dictionaries, and the rules as a person would say them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from omega_persistence import (
    ConflictError,
    NotFoundError,
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
)
from strategies import ENTITIES, merged, type_of

if TYPE_CHECKING:
    from collections.abc import Iterable

PARENTS: dict[type[Any], dict[str, type[Any]]] = {
    StoredIntelligence: {"arch_id": StoredArchitecture},
    StoredVector: {"memory_id": StoredMemory},
    StoredReflexionEpisode: {"memory_id": StoredMemory},
    StoredCausalEdge: {"from_memory": StoredMemory, "to_memory": StoredMemory},
}


class Namespace:
    """The records of one namespace, at a time that stands still."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.tables: dict[type[Any], dict[str, Any]] = {entity: {} for entity in ENTITIES}

    def copy(self) -> Namespace:
        other = Namespace(self.now)
        other.tables = {entity: dict(table) for entity, table in self.tables.items()}
        return other

    # Reading

    def expired(self, record: Any) -> bool:
        until = getattr(record, "expires_at", None)
        return until is not None and until <= self.now

    def visible(self, entity: type[Any]) -> list[Any]:
        """What a scan finds: not expired, in the order of ids."""
        found = [each for each in self.tables[entity].values() if not self.expired(each)]
        return sorted(found, key=lambda each: each.id)

    def where(self, entity: type[Any], descending: str | None = None, **wanted: Any) -> list[Any]:
        """What a query finds: greatest first in one column, ties by id."""
        found = [
            each
            for each in self.visible(entity)
            if all(getattr(each, field) == value for field, value in wanted.items())
        ]
        if descending is not None:
            found.sort(key=lambda each: -getattr(each, descending))
        return found

    # Writing

    def put(self, record: Any) -> None:
        entity = type_of(record)
        table = self.tables[entity]
        old = table.get(record.id)
        for field, parents in PARENTS.get(entity, {}).items():
            parent = self.tables[parents].get(getattr(record, field))
            if parent is None:
                raise ConflictError("no such parent")
            if self.expired(parent) and old is None:
                raise ConflictError("the parent has expired")
            if parents is StoredMemory and old and getattr(old, field) != getattr(record, field):
                raise ConflictError("a child never moves")
        others = [each for each in table.values() if each.id != record.id]
        if entity is StoredSkill and any(each.name == record.name for each in others):
            raise ConflictError("the name is taken")
        if entity is StoredVector and record.space:
            inside = {each.dimensions for each in others if each.space == record.space}
            if inside - {record.dimensions}:
                raise ConflictError("the space has another length")
        table[record.id] = merged(old, record) if old else record

    def delete(self, entity: type[Any], id: str) -> bool:
        if entity is StoredArchitecture and self.where(StoredIntelligence, arch_id=id):
            raise ConflictError("it has intelligences")
        there = self.tables[entity].pop(id, None) is not None
        if entity is StoredMemory and there:
            for children, parents in PARENTS.items():
                for child in list(self.tables[children].values()):
                    fields = [f for f, parent in parents.items() if parent is StoredMemory]
                    if any(getattr(child, field) == id for field in fields):
                        del self.tables[children][child.id]
        return there

    def put_many(self, records: Iterable[Any]) -> int:
        records = list(records)
        for record in records:
            self.put(record)
        return len(records)

    def delete_many(self, entity: type[Any], ids: Iterable[str]) -> int:
        return sum([self.delete(entity, id) for id in dict.fromkeys(ids)])

    def touch(self, id: str, at: int) -> None:
        known = self.tables[StoredMemory].get(id)
        if known is None or self.expired(known):
            raise NotFoundError("no such memory")
        self.tables[StoredMemory][id] = replace(
            known,
            access_count=known.access_count + 1,
            last_accessed=max(at, known.last_accessed),
        )

    def record_success(self, id: str, at: int) -> None:
        known = self.tables[StoredSkill].get(id)
        if known is None:
            raise NotFoundError("no such skill")
        last = at if known.last_used is None else max(at, known.last_used)
        self.tables[StoredSkill][id] = replace(
            known, success_count=known.success_count + 1, last_used=last
        )

    def purge_expired(self) -> int:
        gone = [each.id for each in self.tables[StoredMemory].values() if self.expired(each)]
        return self.delete_many(StoredMemory, gone)
