"""Code as users write it: strict type checkers must accept it as it stands.

``assert_type`` pins what they, and editors, tell about a result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, assert_type

from msgspec.structs import replace

from omega_persistence import (
    BusyError,
    DatabaseStatistics,
    Embedder,
    Migration,
    NotFoundError,
    OmegaStore,
    Problem,
    QuarantinedRow,
    SearchHit,
    StorageError,
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
    Tier,
)


def records() -> None:
    memory = StoredMemory(
        content="tests before features",
        tier=Tier.SEMANTIC,
        importance=0.9,
        metadata_json={"source": "review", "tags": ["habit"]},
    )
    assert_type(memory.metadata_json, str | None)
    assert_type(memory.metadata, dict[str, Any])
    assert_type(memory.tier, int)
    assert_type(memory.session, str | None)
    StoredMemory(content="", tier=3, importance=0, metadata_json='{"as": "text"}', keywords="a b")
    StoredMemory(content="", tier=3, importance=0, metadata_json=None, expires_at=2**40)

    architecture = StoredArchitecture(
        name="Transformer",
        paradigm="neural",
        substrate="pytorch",
        fitness_json={"overall": 0.9},
        lineage_json='{"parent": null}',
    )
    assert_type(architecture.fitness_json, str)
    assert_type(architecture.fitness, dict[str, Any])
    assert_type(architecture.lineage, dict[str, Any])

    intelligence = StoredIntelligence(
        name="Alpha",
        arch_id=architecture.id,
        maturity=0.5,
        capabilities_json=["coding"],
        memories_json=[memory.id],
        state_json={"mode": "idle"},
    )
    assert_type(intelligence.capabilities_json, str)
    assert_type(intelligence.memories, list[Any])

    vector = StoredVector.from_array(memory.id, [0.1, 0.2, 0.3], space="small-model")
    assert_type(vector, StoredVector)
    assert_type(vector.data_blob, bytes)
    assert_type(replace(memory, importance=0.1), StoredMemory)

    StoredSkill(name="review", description="", trigger_pattern="review.*code", last_used=None)
    StoredReflexionEpisode(
        memory_id=memory.id, trigger="t", context="c", action="a", outcome="o", reward=1.5
    )
    StoredCausalEdge(from_memory=memory.id, to_memory=memory.id, weight=1, edge_type="improvement")


def collections(store: OmegaStore) -> None:
    assert_type(store.memories.get("m"), StoredMemory)
    assert_type(store.memories.get_many(["m", "n"]), list[StoredMemory])
    assert_type(iter(store.memories), Iterator[StoredMemory])
    assert_type(store.memories.search("words", limit=5), list[SearchHit])
    assert_type(store.memories.by_tier(Tier.OMEGA), list[StoredMemory])
    assert_type(store.skills.by_name("review"), StoredSkill)
    assert_type(store.architectures.scan(after="a"), list[StoredArchitecture])
    assert_type(store.intelligences.by_architecture("a", limit=None), list[StoredIntelligence])
    assert_type(store.vectors.first_by_memory("m"), StoredVector)
    assert_type(store.reflexion_episodes.by_trigger("t"), list[StoredReflexionEpisode])
    assert_type(store.causal_edges.outgoing("m"), list[StoredCausalEdge])
    assert_type(store.causal_edges.put_many(store.causal_edges.incoming("m")), int)
    assert_type(store.memories.delete("m"), bool)
    assert_type(store.memories.count(), int)
    assert_type(store.get_vector_by_memory("m"), StoredVector)
    for collection in store.all():
        print(collection.table.name, collection.count())


def embed(texts: Sequence[str]) -> list[list[float]]:
    return [[float(len(text))] for text in texts]


def remembering(path: Path) -> None:
    with (
        OmegaStore(path, embedder=embed) as store,
        OmegaStore(path, embedder=Embedder(embed, "lengths", batch=8)),
    ):
        made = store.remember("words", tier=Tier.SEMANTIC, tags=["a"], metadata={"n": 1}, at=100)
        assert_type(made, StoredMemory)
        store.remember("words", vector=[0.5], on_duplicate="merge", duplicate_threshold=0.9)
        assert_type(store.remember_many([{"content": "words"}]), list[StoredMemory])
        assert_type(store.vectors.reembed("old", "new", embed, progress=print), int)
        assert_type(store.vectors.serving_space(), str | None)
        with store.transaction() as tx:
            assert_type(tx.remember("words"), StoredMemory)


def files(path: Path) -> None:
    with OmegaStore(path, namespace="agent-7", durability="normal", busy_timeout=1) as store:
        assert_type(store, OmegaStore)
        with store.transaction() as tx:
            tx.memories.put(StoredMemory(content="both", tier=1, importance=0.5))
            with tx.transaction() as inner:
                inner.skills.record_success("s")
        with store.snapshot() as snapshot:
            assert_type(snapshot.memories.count(), int)
            assert_type(snapshot.in_namespace("other").memories.scan(), list[StoredMemory])
        assert_type(store.in_namespace("other"), OmegaStore)
        assert_type(store.migration, Migration | None)
        assert_type(store.statistics(), DatabaseStatistics)
        assert_type(store.check(), list[Problem])
        assert_type(store.quarantine(), list[QuarantinedRow])
        store.backup(path.with_suffix(".backup"), progress=print)
    OmegaStore.restore(str(path), path.with_name("restored.db"), overwrite=True)
    assert_type(OmegaStore.new_in_memory(), OmegaStore)


def errors(store: OmegaStore) -> None:
    try:
        store.memories.get("m")
    except NotFoundError as error:
        assert_type(error.id, str | None)
        assert_type(error.hint, str | None)
    except BusyError as error:
        assert_type(error.retryable, bool)
    except StorageError as error:
        assert_type(error.index, int | None)
