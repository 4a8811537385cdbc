"""Records of all seven kinds, made from a seed; every one of them can be stored."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from campaigns.model import TABLES, table_of
from omega_persistence import (
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
)

if TYPE_CHECKING:
    from random import Random

    from campaigns.model import Model

ENTITIES: tuple[type[Any], ...] = tuple(TABLES)

_ENTITY = {table: entity for entity, table in TABLES.items()}

_PARENT: dict[type[Any], type[Any]] = {
    StoredIntelligence: StoredArchitecture,
    StoredVector: StoredMemory,
    StoredReflexionEpisode: StoredMemory,
    StoredCausalEdge: StoredMemory,
}

_WORDS = (
    *("amber", "brook", "cedar", "delta", "ember", "fjord", "grove", "harbour", "island", "jetty"),
    *("kelp", "lagoon", "marsh", "nectar", "oasis", "Prärie", "quarry", "reef", "summit", "tundra"),
    *("Überlauf", "valley", "willow", "ксенон", "ячмень", "雪山", "🌋", "zephyr"),
)

_MISSING = "nobody"


class Records:
    """Makes records that are new or, now and then, replace one that a namespace has."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._number = 0
        self._now = 1_700_000_000

    def time(self) -> int:
        """A time, mostly later than the last."""
        self._now += self._random.randint(-5, 60)
        return self._now

    def entity(self, model: Model, namespace: str) -> type[Any]:
        """A kind of record whose parents the namespace has; every other one is a memory."""
        entity = StoredMemory if self._random.random() < 0.4 else self._random.choice(ENTITIES)
        parent = _PARENT.get(entity)
        if parent is None or model.rows(namespace, TABLES[parent]):
            return entity
        return parent

    def batch(self, entity: type[Any], model: Model, namespace: str, size: int) -> list[Any]:
        """Different records of one kind."""
        made = [self.make(entity, model, namespace) for _ in range(size)]
        return list({record.id: record for record in made}.values())

    def orphan(self, like: Any) -> Any | None:
        """A record of the same kind whose parent is missing; None for a kind without parents."""
        entity = _ENTITY[table_of(like)]
        if entity not in _PARENT:
            return None
        return self._fill(entity, self._new_id(entity), _MISSING, _MISSING)

    def make(self, entity: type[Any], model: Model, namespace: str) -> Any:
        """A record whose parents the namespace has; one in three replaces another."""
        rows = model.rows(namespace, TABLES[entity])
        old = self._random.choice(list(rows.values())) if rows else None
        if old is None or self._random.random() > 0.35:
            old = None
            id = self._new_id(entity)
        else:
            id = old.id
        parent = _PARENT.get(entity)
        parents = list(model.rows(namespace, TABLES[parent])) if parent else [""]
        one, two = self._random.choice(parents), self._random.choice(parents)
        # A child keeps its memory for ever; another architecture is allowed.
        if isinstance(old, StoredVector | StoredReflexionEpisode):
            one = old.memory_id
        elif isinstance(old, StoredCausalEdge):
            one, two = old.from_memory, old.to_memory
        return self._fill(entity, id, one, two)

    def _fill(self, entity: type[Any], id: str, one: str, two: str) -> Any:
        random, time = self._random, self.time()
        if entity is StoredMemory:
            record = StoredMemory(
                id=id,
                content=self._text(),
                tier=random.randint(1, 12),
                importance=random.random(),
                embedding_blob=random.choice((None, random.randbytes(random.randint(0, 400)))),
                created_at=time,
                last_accessed=time,
                session=random.choice((None, "talk", "task")),
                keywords=random.choice(_WORDS),
                metadata_json=self._object(),
                expires_at=random.choice((None, 2**60)),
                access_count=random.randint(0, 9),
            )
        elif entity is StoredSkill:
            record = StoredSkill(
                id=id,
                name=f"skill {id}",
                description=self._text(),
                trigger_pattern="|".join(random.choices(_WORDS, k=3)),
                success_count=random.randint(0, 9),
                last_used=random.choice((None, time)),
                created_at=time,
                failure_count=random.randint(0, 9),
            )
        elif entity is StoredArchitecture:
            record = StoredArchitecture(
                id=id,
                name=random.choice(_WORDS),
                paradigm=random.choice(("neural", "symbolic")),
                substrate="tensor",
                fitness_json=self._object(),
                lineage_json=self._object(),
                created_at=time,
            )
        elif entity is StoredIntelligence:
            record = StoredIntelligence(
                id=id,
                name=random.choice(_WORDS),
                arch_id=one,
                maturity=random.random(),
                capabilities_json=random.choices(_WORDS, k=3),
                memories_json=[],
                state_json=self._object(),
                created_at=time,
                updated_at=time,
            )
        elif entity is StoredVector:
            named = random.random() < 0.5  # a named space has one length
            count = 3 if named else random.randint(1, 64)
            numbers = struct.pack(f"<{count}f", *(random.uniform(-1, 1) for _ in range(count)))
            record = StoredVector(
                id=id,
                memory_id=one,
                dimensions=count,
                data_blob=numbers,
                space="three" if named else "",
            )
        elif entity is StoredReflexionEpisode:
            record = StoredReflexionEpisode(
                id=id,
                memory_id=one,
                trigger=random.choice(_WORDS),
                context=self._text(),
                action=random.choice(_WORDS),
                outcome=random.choice(_WORDS),
                created_at=time,
                reward=random.choice((None, random.random())),
            )
        else:
            record = StoredCausalEdge(
                id=id,
                from_memory=one,
                to_memory=two,
                weight=random.random(),
                edge_type=random.choice(("causes", "prevents")),
                created_at=time,
                evidence_count=random.randint(0, 9),
            )
        return record

    def _new_id(self, entity: type[Any]) -> str:
        self._number += 1
        return f"{TABLES[entity][:3]}-{self._random.getrandbits(24):06x}-{self._number}"

    def _text(self) -> str:
        # One in eight does not fit a page.
        words = 1500 if self._random.random() < 0.125 else self._random.randint(0, 20)
        return " ".join(self._random.choices(_WORDS, k=words))

    def _object(self) -> dict[str, Any]:
        return {self._random.choice(_WORDS): self._random.random()}
