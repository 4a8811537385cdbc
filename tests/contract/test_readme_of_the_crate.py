"""Every example of the Rust crate's README, translated, and what it says comes out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from omega_persistence import (
    OmegaStore,
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredSkill,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_quick_start(capsys: pytest.CaptureFixture[str]):
    now = int(time.time())
    with OmegaStore("omega.db") as store:
        memory = StoredMemory(
            id="mem-001",
            content="Important discovery about neural architectures",
            tier=4,
            importance=0.95,
            embedding_blob=None,
            created_at=now,
            last_accessed=now,
        )
        store.store_memory(memory)
        retrieved = store.get_memory("mem-001")
        print(f"Retrieved: {retrieved.content}")
        semantic_memories = store.query_memories_by_tier(4)
        print(f"Found {len(semantic_memories)} semantic memories")
    assert capsys.readouterr().out == (
        "Retrieved: Important discovery about neural architectures\nFound 1 semantic memories\n"
    )


def test_memory_management():
    now = int(time.time())
    with OmegaStore("memory.db") as store:
        for tier in range(1, 13):
            store.store_memory(
                StoredMemory(
                    id=f"mem-tier-{tier}",
                    content=f"Memory at tier {tier}",
                    tier=tier,
                    importance=0.5 + tier * 0.04,
                    embedding_blob=None,
                    created_at=now,
                    last_accessed=now,
                )
            )
        (important,) = store.query_memories_by_tier(4)
        assert (important.importance, important.content) == (0.66, "Memory at tier 4")


def test_skill_tracking():
    with OmegaStore("skills.db") as store:
        skill = StoredSkill(
            id="skill-001",
            name="code_review",
            description="Perform thorough code review with best practices",
            trigger_pattern="review.*code|code.*review",
            success_count=0,
            last_used=None,
            created_at=int(time.time()),
        )
        store.store_skill(skill)
        store.increment_skill_success("skill-001", int(time.time()))
        (found,) = store.get_skills_by_pattern("code")
        assert found.success_count == 1
        assert found.last_used is not None


def test_architecture_evolution():
    now = int(time.time())
    with OmegaStore("architectures.db") as store:
        base = StoredArchitecture(
            id="arch-gen-0",
            name="Transformer",
            paradigm="neural",
            substrate="pytorch",
            fitness_json='{"overall": 0.75, "capability": 0.80}',
            lineage_json='{"generation": 0, "parent": null}',
            created_at=now,
        )
        store.store_architecture(base)
        evolved = StoredArchitecture(
            id="arch-gen-1",
            name="Transformer-v2",
            paradigm="neural",
            substrate="pytorch",
            fitness_json='{"overall": 0.85, "capability": 0.90}',
            lineage_json='{"generation": 1, "parent": "arch-gen-0"}',
            created_at=now + 3600,
        )
        store.store_architecture(evolved)
        assert store.get_architectures_by_paradigm("neural") == [evolved, base]
        assert evolved.fitness["overall"] > base.fitness["overall"]
        assert evolved.lineage["parent"] == base.id


def test_causal_graph_construction():
    now = int(time.time())
    with OmegaStore("causal.db") as store:
        cause = StoredMemory(
            id="mem-cause",
            content="Implemented caching layer",
            tier=4,
            importance=0.8,
            created_at=now,
            last_accessed=now,
        )
        effect = StoredMemory(
            id="mem-effect",
            content="Response time improved 10x",
            tier=4,
            importance=0.9,
            created_at=now + 3600,
            last_accessed=now + 3600,
        )
        store.store_memory(cause)
        store.store_memory(effect)
        edge = StoredCausalEdge(
            id="edge-001",
            from_memory="mem-cause",
            to_memory="mem-effect",
            weight=0.95,
            edge_type="improvement",
            created_at=now + 3600,
        )
        store.store_causal_edge(edge)
        assert store.get_causal_edges_from("mem-cause") == [edge]
        assert store.get_causal_edges_to("mem-effect") == [edge]


def test_intelligence_persistence():
    now = int(time.time())
    with OmegaStore("intelligence.db") as store:
        arch = StoredArchitecture(
            id="arch-hybrid",
            name="HybridCognitive",
            paradigm="hybrid",
            substrate="rust",
            fitness_json="{}",
            lineage_json="{}",
            created_at=now,
        )
        store.store_architecture(arch)
        alpha = StoredIntelligence(
            id="intel-001",
            name="Alpha",
            arch_id="arch-hybrid",
            maturity=0.75,
            capabilities_json='["reasoning", "learning", "planning"]',
            memories_json='["mem-001", "mem-002"]',
            state_json='{"status": "active", "mode": "production"}',
            created_at=now,
            updated_at=now,
        )
        store.store_intelligence(alpha)
        assert store.get_intelligences_by_arch("arch-hybrid") == [alpha]
        assert alpha.capabilities == ["reasoning", "learning", "planning"]
        assert alpha.state["status"] == "active"


def test_database_backup_and_restore():
    with OmegaStore("production.db") as store:
        store.store_memory(StoredMemory(content="kept", tier=1, importance=1.0))
        store.backup("backup-2024-01-15.db")
        store.store_memory(StoredMemory(content="later", tier=1, importance=1.0))
    with OmegaStore("backup-2024-01-15.db") as backup_store:
        statistics = backup_store.get_statistics()
        assert f"Backup contains {statistics.memory_count} memories" == "Backup contains 1 memories"
    OmegaStore.restore("backup-2024-01-15.db", "production.db", overwrite=True)
    with OmegaStore("production.db") as store:
        assert [memory.content for memory in store.memories] == ["kept"]


def test_database_statistics(capsys: pytest.CaptureFixture[str]):
    with OmegaStore("omega.db") as store:
        statistics = store.get_statistics()
        print("Database Statistics:")
        print(f"  Memories: {statistics.memory_count}")
        print(f"  Skills: {statistics.skill_count}")
        print(f"  Architectures: {statistics.architecture_count}")
        print(f"  Intelligences: {statistics.intelligence_count}")
        print(f"  Vectors: {statistics.vector_count}")
        print(f"  Reflexions: {statistics.reflexion_count}")
        print(f"  Causal Edges: {statistics.causal_edge_count}")
    assert capsys.readouterr().out.count(": 0\n") == 7
