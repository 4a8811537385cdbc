"""Some records of every kind, and every public call that can be made on a store that holds them."""

from __future__ import annotations

from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from campaigns.model import TABLES, Model
from campaigns.records import ENTITIES, Records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega_persistence import OmegaStore, Snapshot

Arguments = dict[str, Any]


def _content() -> dict[str, list[Any]]:
    records, model = Records(Random("content")), Model()
    made: dict[str, list[Any]] = {}
    for entity in ENTITIES:  # parents before children
        made[TABLES[entity]] = records.batch(entity, model, "default", 4)
        for record in made[TABLES[entity]]:
            model.put("default", record)
    made["memories"].append(replace(made["memories"][0], id="expired", expires_at=5))
    made["skills"].append(replace(made["skills"][0], id="evil", name="evil", trigger_pattern=EVIL))
    return made


def _lengths(texts: Sequence[str]) -> list[list[float]]:
    return [[1.0, float(len(text))] for text in texts]


EVIL = "(a+)+$"

CONTENT = _content()
"""Table -> records that can be stored one table after the other."""


def _new(table: str, record: Any) -> Any:
    named = {"name": "new"} if table == "skills" else {}
    return replace(record, id="new", **named)


NEW: dict[str, Any] = {table: _new(table, records[0]) for table, records in CONTENT.items()}
"""Table -> a record that a filled store does not hold yet, and can."""


def fill(store: OmegaStore) -> None:
    """Store the content in two namespaces."""
    for place in (store, store.in_namespace("other")):
        for table, records in CONTENT.items():
            getattr(place, table).put_many(records)


def call(place: OmegaStore | Snapshot, name: str, arguments: Arguments) -> Any:
    """Make a call, named as ``memories.get``, on a store, a snapshot or a transaction."""
    return attrgetter(name)(place)(**arguments)


_FIRST: dict[str, Any] = {table: records[0] for table, records in CONTENT.items()}
_MEMORY, _SKILL, _ARCHITECTURE = (_FIRST[t] for t in ("memories", "skills", "architectures"))
_EDGE, _VECTOR = _FIRST["causal_edges"], _FIRST["vectors"]
_ALL = {"limit": None}

_READS_OF_ANY: dict[str, Arguments] = {
    f"{table}.{name}": arguments
    for table, record in _FIRST.items()
    for name, arguments in {
        "get": {"id": record.id},
        "get_many": {"ids": [record.id, "nothing"]},
        "count": {},
        "scan": {"after": "", **_ALL},
    }.items()
}

READS: dict[str, Arguments] = {
    **_READS_OF_ANY,
    "memories.by_tier": {"tier": _MEMORY.tier, **_ALL},
    "memories.by_session": {"session": "talk", **_ALL},
    "memories.by_importance": {"at_least": 0.3, **_ALL},
    "memories.by_created_at": {"before": _MEMORY.created_at + 9, **_ALL},
    "memories.by_last_accessed": {"before": _MEMORY.created_at + 9, **_ALL},
    "memories.search": {"text": "amber Prärie 雪山", "limit": 5},
    "memories.expired": _ALL,
    "memories.count_expired": {},
    "memories.per_tier": {},
    "skills.by_name": {"name": _SKILL.name},
    "skills.by_pattern": {"text": "a", **_ALL},
    "skills.triggered_by": {"text": "amber aaaaaaaa", **_ALL},
    "skills.top": _ALL,
    "architectures.by_paradigm": {"paradigm": "neural", **_ALL},
    "architectures.by_substrate": {"substrate": "tensor", **_ALL},
    "intelligences.by_architecture": {"arch_id": _ARCHITECTURE.id, **_ALL},
    "vectors.by_memory": {"memory_id": _MEMORY.id, **_ALL},
    "vectors.first_by_memory": {"memory_id": _MEMORY.id},
    "vectors.nearest": {"query": _VECTOR.array, "space": _VECTOR.space},
    "vectors.serving_space": {},
    "recall": {"text": "amber Prärie 雪山", "vector": _VECTOR.array, "space": _VECTOR.space},
    "reflexion_episodes.by_memory": {"memory_id": _MEMORY.id, **_ALL},
    "reflexion_episodes.by_trigger": {"trigger": "amber", **_ALL},
    "causal_edges.outgoing": {"memory_id": _EDGE.from_memory, **_ALL},
    "causal_edges.incoming": {"memory_id": _EDGE.to_memory, **_ALL},
    "causal_edges.between": {
        "from_memory": _EDGE.from_memory,
        "to_memory": _EDGE.to_memory,
        **_ALL,
    },
    "causal_edges.by_type": {"edge_type": "causes", **_ALL},
}
"""What a store, a snapshot and a transaction can be asked, with arguments that are right."""

LOOKS: dict[str, Arguments] = {
    "statistics": {},
    "namespaces": {},
    "quarantine": _ALL,
    "in_namespace": {"namespace": "other"},
    "recall": {"text": "amber Prärie 雪山", "limit": 5, "explain": True},
}
"""What a store is asked as a whole."""

_WRITES_OF_ANY: dict[str, Arguments] = {
    f"{table}.{name}": arguments
    for table, record in NEW.items()
    for name, arguments in {
        "put": {"record": record},
        "put_many": {"records": [record, *CONTENT[table]]},
    }.items()
}

_DELETIONS: dict[str, Arguments] = {
    f"{table}.{name}": arguments
    for table in reversed(CONTENT)
    for name, arguments in {
        "delete": {"id": CONTENT[table][-1].id},
        "delete_many": {"ids": [CONTENT[table][-2].id, "nothing"]},
    }.items()
}

WRITES: dict[str, Arguments] = {
    **_WRITES_OF_ANY,
    "memories.touch": {"id": _MEMORY.id, "at": 9},
    "memories.touch_many": {"ids": [_MEMORY.id, "nothing"], "at": 9},
    "memories.purge_expired": {},
    "skills.record_success": {"id": _SKILL.id, "at": 9},
    "skills.record_failure": {"id": _SKILL.id, "at": 9},
    "remember": {"content": _MEMORY.content, "on_duplicate": "merge"},
    "remember_many": {"items": [{"content": "amber", "vector": [1.0, 2.0], "space": "own"}]},
    "vectors.serve": {"space": "own"},
    "vectors.reembed": {"from_space": "own", "to_space": "new", "embedder": _lengths},
    "reindex": {},
    **_DELETIONS,
    "delete_quarantined": {"numbers": [1]},
    "delete_namespace": {"namespace": "other"},
}
"""What changes a store."""

FLAT: dict[str, Arguments] = {
    "store_memory": {"memory": NEW["memories"]},
    "get_memory": {"id": _MEMORY.id},
    "query_memories_by_tier": {"tier": _MEMORY.tier},
    "update_memory_access": {"id": _MEMORY.id, "timestamp": 9},
    "store_skill": {"skill": NEW["skills"]},
    "get_skill": {"id": _SKILL.id},
    "get_skills_by_pattern": {"pattern": "a"},
    "increment_skill_success": {"id": _SKILL.id, "timestamp": 9},
    "store_architecture": {"architecture": NEW["architectures"]},
    "get_architecture": {"id": _ARCHITECTURE.id},
    "get_architectures_by_paradigm": {"paradigm": "neural"},
    "store_intelligence": {"intelligence": NEW["intelligences"]},
    "get_intelligence": {"id": _FIRST["intelligences"].id},
    "get_intelligences_by_arch": {"arch_id": _ARCHITECTURE.id},
    "store_vector": {"vector": NEW["vectors"]},
    "get_vector_by_memory": {"memory_id": _MEMORY.id},
    "store_reflexion": {"episode": NEW["reflexion_episodes"]},
    "get_reflexions_by_memory": {"memory_id": _MEMORY.id},
    "store_causal_edge": {"edge": NEW["causal_edges"]},
    "get_causal_edges_from": {"memory_id": _EDGE.from_memory},
    "get_causal_edges_to": {"memory_id": _EDGE.to_memory},
    "get_statistics": {},
}
"""The flat names for some of these."""
