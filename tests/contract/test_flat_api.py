"""The flat methods of the Rust crate: its unit tests, re-written, and what its README promised."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import pytest

from omega_persistence import (
    DatabaseStatistics,
    NotFoundError,
    OmegaStore,
    StoredArchitecture,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
)
from omega_persistence.flat import FlatMethods
from samples import architecture, edge, episode, intelligence, memory, skill, vector

NOW = 1_766_000_000


# The crate's sixteen unit tests


def test_store_and_retrieve_memory(store: OmegaStore):
    told = StoredMemory(
        id="mem-1",
        content="Test memory content",
        tier=2,
        importance=0.85,
        embedding_blob=bytes([1, 2, 3, 4]),
        created_at=NOW,
        last_accessed=NOW,
    )
    store.store_memory(told)
    assert store.get_memory("mem-1") == told


def test_query_memories_by_tier(store: OmegaStore):
    for i in range(5):
        tier = 1 if i < 3 else 2
        store.store_memory(memory(f"mem-{i}", tier=tier, importance=0.5 + i / 10))
    first, second = store.query_memories_by_tier(1), store.query_memories_by_tier(2)
    assert [m.id for m in first] == ["mem-2", "mem-1", "mem-0"]
    assert [m.id for m in second] == ["mem-4", "mem-3"]


def test_update_memory_access(store: OmegaStore):
    store.store_memory(memory("mem-1", last_accessed=NOW))
    store.update_memory_access("mem-1", NOW + 1000)
    assert store.get_memory("mem-1").last_accessed == NOW + 1000


def test_store_and_retrieve_skill(store: OmegaStore):
    store.store_skill(skill("skill-1", name="code_analysis", success_count=5))
    found = store.get_skill("skill-1")
    assert (found.name, found.success_count) == ("code_analysis", 5)


def test_get_skills_by_pattern(store: OmegaStore):
    for pattern, successes in (("analyze_code", 10), ("generate_code", 7), ("write_tests", 3)):
        store.store_skill(skill(pattern, trigger_pattern=pattern, success_count=successes))
    assert [s.id for s in store.get_skills_by_pattern("code")] == ["analyze_code", "generate_code"]


def test_increment_skill_success(store: OmegaStore):
    store.store_skill(skill("skill-1", success_count=5))
    store.increment_skill_success("skill-1", NOW)
    found = store.get_skill("skill-1")
    assert (found.success_count, found.last_used) == (6, NOW)


def test_store_and_retrieve_architecture(store: OmegaStore):
    store.store_architecture(
        StoredArchitecture(
            id="arch-1",
            name="Neural-Symbolic Hybrid",
            paradigm="hybrid",
            substrate="digital",
            fitness_json='{"score": 0.95}',
            lineage_json='{"parent": null}',
            created_at=NOW,
        )
    )
    found = store.get_architecture("arch-1")
    assert (found.name, found.paradigm) == ("Neural-Symbolic Hybrid", "hybrid")


def test_get_architectures_by_paradigm(store: OmegaStore):
    store.store_architecture(architecture("1", paradigm="neural", created_at=NOW))
    store.store_architecture(architecture("2", paradigm="neural", created_at=NOW + 100))
    store.store_architecture(architecture("3", paradigm="symbolic", created_at=NOW))
    assert [a.id for a in store.get_architectures_by_paradigm("neural")] == ["2", "1"]


def test_store_and_retrieve_intelligence(store: OmegaStore):
    store.store_architecture(architecture("arch-1"))
    store.store_intelligence(intelligence("intel-1", "arch-1", name="Alpha", maturity=0.75))
    found = store.get_intelligence("intel-1")
    assert (found.name, found.maturity, found.arch_id) == ("Alpha", 0.75, "arch-1")


def test_get_intelligences_by_arch(store: OmegaStore):
    store.store_architecture(architecture("arch-1"))
    for maturity in (0.5, 0.7, 0.9):
        store.store_intelligence(intelligence(f"{maturity}", "arch-1", maturity=maturity))
    assert [i.maturity for i in store.get_intelligences_by_arch("arch-1")] == [0.9, 0.7, 0.5]


def test_store_and_retrieve_vector(store: OmegaStore):
    store.store_memory(memory("mem-1"))
    store.store_vector(
        StoredVector(id="vec-1", memory_id="mem-1", dimensions=768, data_blob=bytes(3072))
    )
    found = store.get_vector_by_memory("mem-1")
    assert (found.dimensions, len(found.data_blob)) == (768, 3072)


def test_store_and_retrieve_reflexion(store: OmegaStore):
    store.store_memory(memory("mem-1"))
    told = StoredReflexionEpisode(
        id="ref-1",
        memory_id="mem-1",
        trigger="code_error",
        context="parsing",
        action="retry",
        outcome="worked the second time",
        created_at=NOW,
    )
    store.store_reflexion(told)
    assert store.get_reflexions_by_memory("mem-1") == [told]


def test_store_and_retrieve_causal_edge(store: OmegaStore):
    store.store_memory(memory("cause"))
    store.store_memory(memory("effect"))
    told = edge("edge-1", "cause", "effect", weight=0.9)
    store.store_causal_edge(told)
    assert store.get_causal_edges_from("cause") == [told]


def test_database_statistics(store: OmegaStore):
    store.store_memory(memory())
    store.store_skill(skill())
    statistics = store.get_statistics()
    assert statistics.memory_count == 1
    assert statistics.skill_count == 1
    assert statistics.architecture_count == 0
    assert statistics.intelligence_count == 0
    assert statistics.causal_edge_count == 0


def test_backup(store: OmegaStore, tmp_path: Any):
    store.store_memory(memory("mem-1"))
    store.backup(tmp_path / "backup.db")
    with OmegaStore(tmp_path / "backup.db") as copy:
        assert copy.get_memory("mem-1") == memory("mem-1")


@pytest.mark.parametrize("kind", ["memory", "skill", "architecture", "intelligence"])
def test_not_found_errors(store: OmegaStore, kind: str):
    with pytest.raises(NotFoundError, match="'nonexistent'"):
        getattr(store, f"get_{kind}")("nonexistent")


# Promised there, and missing


def test_edges_into_a_memory(store: OmegaStore):
    for id in ("cause", "effect", "other"):
        store.store_memory(memory(id))
    strong, weak = edge("b", "cause", "effect", weight=0.9), edge("a", "other", "effect")
    store.store_causal_edge(weak)
    store.store_causal_edge(strong)
    store.store_causal_edge(edge("c", "effect", "other"))
    assert store.get_causal_edges_to("effect") == [strong, weak]
    assert store.get_causal_edges_to("cause") == []


def test_statistics_count_vectors_and_reflexions(store: OmegaStore):
    store.store_memory(memory())
    for i in range(3):
        store.store_vector(vector(f"{i}"))
    for i in range(2):
        store.store_reflexion(episode(f"{i}"))
    statistics = store.get_statistics()
    assert (statistics.vector_count, statistics.reflexion_count) == (3, 2)
    counted = {name for name in DatabaseStatistics.__struct_fields__ if name.endswith("_count")}
    assert counted >= {
        *("memory_count", "skill_count", "architecture_count", "intelligence_count"),
        *("vector_count", "reflexion_count", "causal_edge_count"),
    }


def test_a_list_of_the_flat_methods_is_whole(store: OmegaStore):
    store.store_architecture(architecture())
    store.memories.put_many(memory(f"{i:03}") for i in range(150))
    store.skills.put_many(skill(f"{i:03}") for i in range(150))
    store.architectures.put_many(architecture(f"{i:03}") for i in range(149))
    store.intelligences.put_many(intelligence(f"{i:03}") for i in range(150))
    store.reflexion_episodes.put_many(episode(f"{i:03}", "000") for i in range(150))
    store.causal_edges.put_many(edge(f"{i:03}", "000", "001") for i in range(150))
    lists: list[list[Any]] = [
        store.query_memories_by_tier(4),
        store.get_skills_by_pattern("pattern"),
        store.get_architectures_by_paradigm("neural"),
        store.get_intelligences_by_arch("architecture"),
        store.get_reflexions_by_memory("000"),
        store.get_causal_edges_from("000"),
        store.get_causal_edges_to("001"),
    ]
    assert [len(each) for each in lists] == [150] * 7


class Flat(NamedTuple):
    """A flat method, what it stands for, and arguments for both."""

    name: str
    collection: str
    method: str
    arguments: tuple[Any, ...]


FLAT = [
    Flat("store_memory", "memories", "put", (memory("new"),)),
    Flat("get_memory", "memories", "get", ("memory",)),
    Flat("query_memories_by_tier", "memories", "by_tier", (4,)),
    Flat("update_memory_access", "memories", "touch", ("memory", 500)),
    Flat("store_skill", "skills", "put", (skill("new"),)),
    Flat("get_skill", "skills", "get", ("skill",)),
    Flat("get_skills_by_pattern", "skills", "by_pattern", ("PATT",)),
    Flat("increment_skill_success", "skills", "record_success", ("skill", 500)),
    Flat("store_architecture", "architectures", "put", (architecture("new"),)),
    Flat("get_architecture", "architectures", "get", ("architecture",)),
    Flat("get_architectures_by_paradigm", "architectures", "by_paradigm", ("neural",)),
    Flat("store_intelligence", "intelligences", "put", (intelligence("new"),)),
    Flat("get_intelligence", "intelligences", "get", ("intelligence",)),
    Flat("get_intelligences_by_arch", "intelligences", "by_architecture", ("architecture",)),
    Flat("store_vector", "vectors", "put", (vector("new"),)),
    Flat("get_vector_by_memory", "vectors", "first_by_memory", ("memory",)),
    Flat("store_reflexion", "reflexion_episodes", "put", (episode("new"),)),
    Flat("get_reflexions_by_memory", "reflexion_episodes", "by_memory", ("memory",)),
    Flat("store_causal_edge", "causal_edges", "put", (edge("new"),)),
    Flat("get_causal_edges_from", "causal_edges", "outgoing", ("memory",)),
    Flat("get_causal_edges_to", "causal_edges", "incoming", ("effect",)),
]


@pytest.mark.parametrize("flat", FLAT, ids=[flat.name for flat in FLAT])
def test_a_flat_method_does_what_its_collection_does(flat: Flat):
    results: list[Any] = []
    for use_flat in (True, False):
        with OmegaStore.new_in_memory() as store:
            store.memories.put_many([memory(), memory("effect")])
            store.skills.put(skill())
            store.architectures.put(architecture())
            store.intelligences.put(intelligence())
            store.vectors.put(vector())
            store.reflexion_episodes.put(episode())
            store.causal_edges.put(edge())
            owner = store if use_flat else getattr(store, flat.collection)
            result = getattr(owner, flat.name if use_flat else flat.method)(*flat.arguments)
            results.append((result, [list(collection) for collection in store.all()]))
    assert results[0] == results[1]
    assert results[0][0] or results[0][0] is None


def test_no_flat_method_is_missing_here():
    methods = {name for name, _ in inspect.getmembers(FlatMethods, inspect.isfunction)}
    assert methods - {"__init__", "all"} == {flat.name for flat in FLAT}


def test_new_in_memory_is_a_store_of_its_own():
    with OmegaStore.new_in_memory() as one, OmegaStore.new_in_memory() as two:
        one.store_skill(StoredSkill(name="n", description="", trigger_pattern=""))
        assert (one.skills.count(), two.skills.count()) == (1, 0)
        assert one.get_intelligences_by_arch("nobody") == list[StoredIntelligence]()
