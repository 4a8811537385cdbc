"""Intelligences: instances of an architecture."""

from __future__ import annotations

from typing import Any

import pytest

from omega_persistence import ConflictError, OmegaStore
from samples import architecture, intelligence


def ids(records: list[Any]) -> list[str]:
    return [record.id for record in records]


def test_by_architecture_gives_the_most_mature_first_and_ties_by_id(store: OmegaStore):
    store.architectures.put_many([architecture(), architecture("other")])
    maturities = {"b": 0.5, "a": 0.5, "most": 1.0, "least": 0.0}
    store.intelligences.put_many(
        intelligence(id, maturity=maturity) for id, maturity in maturities.items()
    )
    store.intelligences.put(intelligence("elsewhere", "other"))
    query = store.intelligences.by_architecture
    assert ids(query("architecture")) == ["most", "a", "b", "least"]
    assert ids(query("architecture", limit=2)) == ["most", "a"]
    assert query("nobody") == []
    store.intelligences.put_many(intelligence(f"{i}") for i in range(100))
    assert len(query("architecture")) == 100
    assert len(query("architecture", limit=None)) == 104


def test_one_may_move_to_another_architecture_that_is_stored(store: OmegaStore):
    store.architectures.put_many([architecture("old"), architecture("new")])
    store.intelligences.put(intelligence("i", "old"))
    store.intelligences.put(intelligence("i", "new"))
    assert store.intelligences.by_architecture("old") == []
    assert ids(store.intelligences.by_architecture("new")) == ["i"]
    assert store.architectures.delete("old")
    with pytest.raises(ConflictError, match="arch_id names 'old', which is not in architectures"):
        store.intelligences.put(intelligence("i", "old"))
    assert store.intelligences.get("i").arch_id == "new"


def test_put_again_keeps_the_later_update_and_the_earlier_creation(store: OmegaStore):
    store.architectures.put(architecture())
    store.intelligences.put(intelligence(created_at=10, updated_at=50, maturity=0.9))
    store.intelligences.put(intelligence(created_at=20, updated_at=40, maturity=0.1))
    assert store.intelligences.get("intelligence") == intelligence(
        created_at=10, updated_at=50, maturity=0.1
    )


def test_it_may_name_memories_that_are_not_stored(store: OmegaStore):
    store.architectures.put(architecture())
    store.intelligences.put(intelligence(memories_json=["m1", "m2"]))
    assert store.intelligences.get("intelligence").memories == ["m1", "m2"]
