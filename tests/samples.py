"""One plain record of each type; a test names the fields that matter to it."""

from __future__ import annotations

import struct
from typing import Any

from msgspec.structs import replace

from omega_persistence import (
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
)


def memory(id: str = "memory", /, **changes: Any) -> StoredMemory:
    plain = StoredMemory(
        id=id, content="content", tier=4, importance=0.5, created_at=100, last_accessed=100
    )
    return replace(plain, **changes)


def skill(id: str = "skill", /, **changes: Any) -> StoredSkill:
    plain = StoredSkill(
        id=id, name=f"name of {id}", description="", trigger_pattern="pattern", created_at=100
    )
    return replace(plain, **changes)


def architecture(id: str = "architecture", /, **changes: Any) -> StoredArchitecture:
    plain = StoredArchitecture(
        id=id,
        name="name",
        paradigm="neural",
        substrate="pytorch",
        fitness_json="{}",
        lineage_json="{}",
        created_at=100,
    )
    return replace(plain, **changes)


def intelligence(
    id: str = "intelligence", arch_id: str = "architecture", /, **changes: Any
) -> StoredIntelligence:
    plain = StoredIntelligence(
        id=id,
        name="name",
        arch_id=arch_id,
        maturity=0.5,
        capabilities_json="[]",
        memories_json="[]",
        state_json="{}",
        created_at=100,
        updated_at=100,
    )
    return replace(plain, **changes)


def vector(
    id: str = "vector", memory_id: str = "memory", /, *numbers: float, **changes: Any
) -> StoredVector:
    numbers = numbers or (1.0, 2.0)
    plain = StoredVector(
        id=id,
        memory_id=memory_id,
        dimensions=len(numbers),
        data_blob=struct.pack(f"<{len(numbers)}f", *numbers),
    )
    return replace(plain, **changes)


def episode(
    id: str = "episode", memory_id: str = "memory", /, **changes: Any
) -> StoredReflexionEpisode:
    plain = StoredReflexionEpisode(
        id=id,
        memory_id=memory_id,
        trigger="trigger",
        context="context",
        action="action",
        outcome="outcome",
        created_at=100,
    )
    return replace(plain, **changes)


def edge(
    id: str = "edge", from_memory: str = "memory", to_memory: str = "effect", /, **changes: Any
) -> StoredCausalEdge:
    plain = StoredCausalEdge(
        id=id,
        from_memory=from_memory,
        to_memory=to_memory,
        weight=0.5,
        edge_type="causes",
        created_at=100,
    )
    return replace(plain, **changes)
