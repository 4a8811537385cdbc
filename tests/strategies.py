"""One Hypothesis strategy per record; everything it makes can be stored."""

from __future__ import annotations

import json
import struct
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
from hypothesis import strategies as st

import samples
from omega_persistence import (
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
)
from omega_persistence.entities import Collections

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega_persistence.entities.base import Collection

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
names = texts.filter(bool)
ids = names
times = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
units = st.floats(0, 1).map(lambda number: number + 0.0)  # no -0.0, which comes back as 0.0
finite = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


json_texts = _json.map(_as_text)
json_objects = st.dictionaries(texts, _json, max_size=3).map(_as_text)
json_arrays = st.lists(_json, max_size=3).map(_as_text)
metadata = st.none() | json_objects

memories = st.builds(
    StoredMemory,
    id=ids,
    content=texts,
    tier=st.integers(1, 12),
    importance=units,
    embedding_blob=st.none() | st.binary(max_size=20),
    created_at=times,
    last_accessed=times,
    session=st.none() | names,
    keywords=texts,
    metadata_json=metadata,
    expires_at=st.none() | st.integers(2**40, 2**63 - 1),
    access_count=counts,
)

skills = st.builds(
    StoredSkill,
    id=ids,
    name=names,
    description=texts,
    trigger_pattern=texts,
    success_count=counts,
    last_used=st.none() | times,
    created_at=times,
    failure_count=counts,
    metadata_json=metadata,
)

architectures = st.builds(
    StoredArchitecture,
    id=ids,
    name=names,
    paradigm=texts,
    substrate=texts,
    fitness_json=json_objects,
    lineage_json=json_objects,
    created_at=times,
    metadata_json=metadata,
)


def intelligences(arch_ids: st.SearchStrategy[str] = ids) -> st.SearchStrategy[StoredIntelligence]:
    """Intelligences of some architectures."""
    return st.builds(
        StoredIntelligence,
        id=ids,
        name=names,
        arch_id=arch_ids,
        maturity=units,
        capabilities_json=json_arrays | json_objects,
        memories_json=json_arrays,
        state_json=json_texts,
        created_at=times,
        updated_at=times,
        metadata_json=metadata,
    )


def vectors(memory_ids: st.SearchStrategy[str] = ids) -> st.SearchStrategy[StoredVector]:
    """Vectors of some memories: of any length in the unnamed space, or of three in another."""
    number = st.floats(allow_nan=False, allow_infinity=False, width=32)
    unnamed = st.tuples(st.just(""), st.lists(number, min_size=1, max_size=20))
    named = st.tuples(st.just("three"), st.lists(number, min_size=3, max_size=3))
    return st.builds(_vector, ids, memory_ids, unnamed | named)


def _vector(id: str, memory_id: str, content: tuple[str, list[float]]) -> StoredVector:
    space, numbers = content
    return StoredVector(
        id=id,
        memory_id=memory_id,
        dimensions=len(numbers),
        data_blob=struct.pack(f"<{len(numbers)}f", *numbers),
        space=space,
    )


def reflexion_episodes(
    memory_ids: st.SearchStrategy[str] = ids,
) -> st.SearchStrategy[StoredReflexionEpisode]:
    """Episodes about some memories."""
    return st.builds(
        StoredReflexionEpisode,
        id=ids,
        memory_id=memory_ids,
        trigger=texts,
        context=texts,
        action=texts,
        outcome=texts,
        created_at=times,
        reward=st.none() | finite,
        metadata_json=metadata,
    )


def causal_edges(memory_ids: st.SearchStrategy[str] = ids) -> st.SearchStrategy[StoredCausalEdge]:
    """Edges between some memories."""
    return st.builds(
        StoredCausalEdge,
        id=ids,
        from_memory=memory_ids,
        to_memory=memory_ids,
        weight=finite,
        edge_type=texts,
        created_at=times,
        evidence_count=counts,
        metadata_json=metadata,
    )


class Family(NamedTuple):
    """How to make records of one type, and what must be stored before any of them."""

    records: st.SearchStrategy[Any]
    example: Any
    parents: tuple[Any, ...] = ()


ONE, TWO = "parent one", "parent two"
_parents = st.sampled_from((ONE, TWO))
_memories = (samples.memory(ONE), samples.memory(TWO))
_architectures = (samples.architecture(ONE), samples.architecture(TWO))

# A new entity needs one line here; the tests of every collection then cover it.
FAMILIES: dict[type[Any], Family] = {
    StoredMemory: Family(memories, samples.memory()),
    StoredSkill: Family(skills, samples.skill()),
    StoredArchitecture: Family(architectures, samples.architecture()),
    StoredIntelligence: Family(
        intelligences(_parents), samples.intelligence("i", ONE), _architectures
    ),
    StoredVector: Family(vectors(_parents), samples.vector("v", ONE), _memories),
    StoredReflexionEpisode: Family(
        reflexion_episodes(_parents), samples.episode("e", ONE), _memories
    ),
    StoredCausalEdge: Family(causal_edges(_parents), samples.edge("e", ONE, TWO), _memories),
}


_EVERYTHING = Collections(cast("Any", None), "")  # asked for its tables only
ENTITIES: tuple[type[Any], ...] = tuple(collection.table.entity for collection in _EVERYTHING.all())


def type_of(record: Any) -> type[Any]:
    """The type of a record, for a type checker."""
    return cast("type[Any]", type(record))


def collection_of(collections: Collections, entity: type[Any]) -> Collection[Any]:
    """The collection of a type of record."""
    return next(each for each in collections.all() if each.table.entity is entity)


def put_parents(collections: Collections, entity: type[Any]) -> None:
    """Store what the records of `FAMILIES` refer to."""
    for parent in FAMILIES[entity].parents:
        collection_of(collections, type_of(parent)).put(parent)


def batches(entity: type[Any], *, min_size: int = 0, max_size: int = 4) -> st.SearchStrategy[Any]:
    """Lists of records that can all be stored: no id and no unique field twice."""
    fields = ("id", *collection_of(_EVERYTHING, entity).table.unique)
    unique: tuple[Callable[[Any], Any], ...] = tuple(attrgetter(field) for field in fields)
    return st.lists(
        FAMILIES[entity].records, unique_by=unique, min_size=min_size, max_size=max_size
    )


def series(entity: type[Any], count: int) -> list[Any]:
    """Records that differ in id and unique fields alone, in the order of their ids."""
    unique = collection_of(_EVERYTHING, entity).table.unique
    return [
        msgspec.structs.replace(
            FAMILIES[entity].example, id=f"id {i:05}", **dict.fromkeys(unique, f"{i}")
        )
        for i in range(count)
    ]


# The rules of storing again, spelt out apart from the library.
_KEEP_GREATER = ("success_count", "failure_count", "access_count", "evidence_count")
_KEEP_TIME = ("last_used", "last_accessed", "updated_at")


def merged(old: Any, new: Any) -> Any:
    """What the store must hold after ``old`` was there and ``new`` was put under its id."""
    changes: dict[str, Any] = {}
    for field in filter(partial(hasattr, new), (*_KEEP_GREATER, *_KEEP_TIME)):
        known = [value for value in (getattr(old, field), getattr(new, field)) if value is not None]
        changes[field] = max(known, default=None)
    if hasattr(new, "created_at"):
        changes["created_at"] = min(old.created_at, new.created_at)
    return msgspec.structs.replace(new, **changes)
