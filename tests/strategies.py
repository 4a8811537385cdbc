"""One Hypothesis strategy per record; everything it makes can be stored."""

from __future__ import annotations

import json
import struct
from typing import Any

from hypothesis import strategies as st

from omega_persistence import (
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
)

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
    """Vectors of some memories, all in the unnamed space."""
    numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1)
    return st.builds(
        lambda id, memory_id, numbers: StoredVector(
            id=id,
            memory_id=memory_id,
            dimensions=len(numbers),
            data_blob=struct.pack(f"<{len(numbers)}f", *numbers),
        ),
        ids,
        memory_ids,
        numbers,
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
