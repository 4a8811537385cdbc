"""What the demonstration adds to the store: always the same records."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from omega_persistence import (
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
    Tier,
)

if TYPE_CHECKING:
    from omega_persistence import Transaction

AT = 1_767_225_600
"""The first second of 2026, UTC."""

CAUSE, EFFECT, LESSON, REQUEST = "demo-cause", "demo-effect", "demo-lesson", "demo-request"
SKILL, ARCHITECTURE, INTELLIGENCE = "demo-skill", "demo-architecture", "demo-intelligence"
TRIGGER = "disk_full"
SPACE = "demo-model"


class Additions(Struct, frozen=True, kw_only=True):
    """Records of every kind that belong together, in the order in which they can be stored."""

    memories: list[StoredMemory]
    skills: list[StoredSkill]
    architectures: list[StoredArchitecture]
    intelligences: list[StoredIntelligence]
    vectors: list[StoredVector]
    reflexion_episodes: list[StoredReflexionEpisode]
    causal_edges: list[StoredCausalEdge]

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {kind: len(getattr(self, kind)) for kind in self.__struct_fields__}

    def put(self, tx: Transaction) -> None:
        """Store all of them."""
        for collection in tx.all():
            collection.put_many(getattr(self, collection.table.name))


def _memory(id: str, tier: Tier, importance: float, content: str) -> StoredMemory:
    return StoredMemory(
        id=id,
        content=content,
        tier=tier,
        importance=importance,
        created_at=AT,
        last_accessed=AT,
        session="demo",
        metadata_json={"source": "demo"},
    )


def additions(ancestor: StoredArchitecture) -> Additions:
    """A failure, what came of it and what was learnt; a new architecture descends from another."""
    generation = int(ancestor.lineage.get("generation", 0)) + 1
    return Additions(
        memories=[
            _memory(CAUSE, Tier.EPISODIC, 0.9, "The price import stopped: the disk was full."),
            _memory(EFFECT, Tier.EPISODIC, 0.8, "Until noon customers saw yesterday's prices."),
            _memory(LESSON, Tier.SEMANTIC, 0.9, "Check free disk space before a long import."),
            _memory(REQUEST, Tier.SESSION, 1.0, "Ines asked for a report about the import."),
        ],
        skills=[
            StoredSkill(
                id=SKILL,
                name="free_disk_space",
                description="Find what fills the disk, and delete what may go.",
                trigger_pattern=r"disk\b.*\bfull|no space left",
                success_count=3,
                created_at=AT,
            )
        ],
        architectures=[
            StoredArchitecture(
                id=ARCHITECTURE,
                name="Foresight",
                paradigm=ancestor.paradigm,
                substrate=ancestor.substrate,
                fitness_json={"overall": 0.91, "efficiency": 0.88},
                lineage_json={"generation": generation, "parent": ancestor.id},
                created_at=AT,
            )
        ],
        intelligences=[
            StoredIntelligence(
                id=INTELLIGENCE,
                name="Argus",
                arch_id=ancestor.id,
                maturity=1.0,
                capabilities_json=["planning", "monitoring"],
                memories_json=[CAUSE, LESSON],
                state_json={"status": "active"},
                created_at=AT,
                updated_at=AT,
            )
        ],
        vectors=[
            StoredVector.from_array(
                memory, [math.cos(turn * step) for step in range(8)], space=SPACE, id=f"{memory}-v"
            )
            for turn, memory in enumerate((CAUSE, LESSON), start=1)
        ],
        reflexion_episodes=[
            StoredReflexionEpisode(
                id="demo-episode",
                memory_id=CAUSE,
                trigger=TRIGGER,
                context="The import writes each table twice.",
                action="Deleted old logs and started it again.",
                outcome="Solved",
                created_at=AT,
                reward=1.0,
            )
        ],
        causal_edges=[
            _edge("demo-edge-1", EFFECT, 0.9, "causal"),
            _edge("demo-edge-2", LESSON, 0.7, "improvement"),
        ],
    )


def _edge(id: str, effect: str, weight: float, edge_type: str) -> StoredCausalEdge:
    return StoredCausalEdge(
        id=id,
        from_memory=CAUSE,
        to_memory=effect,
        weight=weight,
        edge_type=edge_type,
        created_at=AT,
    )
