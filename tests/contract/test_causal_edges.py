"""Causal edges: out of a memory, into it, between two, and by type."""

from __future__ import annotations

from typing import Any

import pytest

from omega_persistence import OmegaStore
from samples import edge, memory


def ids(records: list[Any]) -> list[str]:
    return [record.id for record in records]


@pytest.fixture
def store(store: OmegaStore) -> OmegaStore:
    """With three memories to draw edges between."""
    store.memories.put_many([memory("memory"), memory("effect"), memory("third")])
    return store


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("outgoing", ["memory"]),
        ("incoming", ["effect"]),
        ("between", ["memory", "effect"]),
        ("by_type", ["causes"]),
    ],
)
def test_the_strongest_come_first_and_ties_by_id(
    store: OmegaStore, query: str, arguments: list[str]
):
    weights = {"b": 0.5, "a": 0.5, "most": 1.7e308, "least": -1e300, "none": 0.0}
    store.causal_edges.put_many(edge(id, weight=weight) for id, weight in weights.items())
    store.causal_edges.put(edge("back", "effect", "memory", edge_type="Causes"))
    ask = getattr(store.causal_edges, query)
    assert ids(ask(*arguments)) == ["most", "a", "b", "none", "least"]
    assert ids(ask(*arguments, limit=2)) == ["most", "a"]
    assert ask(*["nobody"] * len(arguments)) == []
    store.causal_edges.put_many(edge(f"{i}") for i in range(100))
    assert len(ask(*arguments)) == 100
    assert len(ask(*arguments, limit=None)) == 105


def test_edges_have_a_direction(store: OmegaStore):
    store.causal_edges.put_many(
        [edge("out"), edge("on", "effect", "third"), edge("back", "effect", "memory")]
    )
    edges = store.causal_edges
    assert ids(edges.outgoing("memory")) == ["out"]
    assert ids(edges.incoming("memory")) == ["back"]
    assert ids(edges.between("memory", "effect")) == ["out"]
    assert ids(edges.between("effect", "memory")) == ["back"]
    assert edges.between("memory", "third") == []
    assert edges.outgoing("third") == []


def test_loops_cycles_and_parallel_edges_are_allowed(store: OmegaStore):
    store.causal_edges.put_many(
        [
            edge("loop", "memory", "memory"),
            *[edge(f"parallel {i}") for i in range(3)],
            edge("back", "effect", "memory"),
        ]
    )
    assert ids(store.causal_edges.between("memory", "memory")) == ["loop"]
    assert len(store.causal_edges.outgoing("memory")) == 4
    assert {note.kind for note in store.doctor()} == {
        "causal_loop",
        "causal_duplicate",
        "causal_cycle",
    }
    store.memories.delete("memory")
    assert store.causal_edges.count() == 0


def test_put_again_keeps_the_greater_evidence_and_the_earlier_creation(store: OmegaStore):
    store.causal_edges.put(edge(evidence_count=5, created_at=10, weight=0.1))
    store.causal_edges.put(edge(evidence_count=3, created_at=20, weight=0.9, edge_type="other"))
    assert store.causal_edges.get("edge") == edge(
        evidence_count=5, created_at=10, weight=0.9, edge_type="other"
    )
    assert store.causal_edges.by_type("causes") == []


def test_one_observation_is_the_default():
    assert edge().evidence_count == 1
