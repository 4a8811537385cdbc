"""Architectures: blueprints, and what still depends on them."""

from __future__ import annotations

from typing import Any

import pytest

from omega_persistence import ConflictError, OmegaStore
from samples import architecture, intelligence


def ids(records: list[Any]) -> list[str]:
    return [record.id for record in records]


@pytest.mark.parametrize("column", ["paradigm", "substrate"])
def test_by_column_gives_the_newest_first_and_ties_by_id(store: OmegaStore, column: str):
    times = {"b": 10, "a": 10, "newest": 11, "oldest": -(2**63)}
    store.architectures.put_many(
        architecture(id, created_at=time, **{column: "wanted"}) for id, time in times.items()
    )
    store.architectures.put(architecture("other", **{column: "Wanted"}))
    query = getattr(store.architectures, f"by_{column}")
    assert ids(query("wanted")) == ["newest", "a", "b", "oldest"]
    assert ids(query("wanted", limit=2)) == ["newest", "a"]
    assert query("want%") == query("") == []
    assert store.in_namespace("elsewhere").architectures.count() == 0
    store.architectures.put_many(architecture(f"{i}", **{column: "wanted"}) for i in range(100))
    assert len(query("wanted")) == 100
    assert len(query("wanted", limit=None)) == 104


def test_put_again_updates_in_place_and_keeps_intelligences(store: OmegaStore):
    store.architectures.put(architecture())
    store.intelligences.put(intelligence())
    store.architectures.put(architecture())
    changed = architecture(paradigm="symbolic", fitness_json='{"overall":1}', created_at=50)
    store.architectures.put(changed)
    assert store.architectures.get("architecture") == changed
    assert store.intelligences.scan() == [intelligence()]
    store.architectures.put(architecture(created_at=200))
    assert store.architectures.get("architecture").created_at == 50


def test_deleting_one_that_has_intelligences_is_refused_with_their_number(store: OmegaStore):
    store.architectures.put_many([architecture("free"), architecture()])
    store.intelligences.put_many([intelligence("1"), intelligence("2")])
    with pytest.raises(ConflictError, match="'architecture' has 2 intelligences") as caught:
        store.architectures.delete("architecture")
    assert (caught.value.id, caught.value.kind) == ("architecture", "StoredArchitecture")
    with pytest.raises(ConflictError, match="has 2 intelligences"):
        store.architectures.delete_many(["free", "architecture"])
    assert ids(store.architectures.scan()) == ["architecture", "free"]
    with store.transaction() as tx:
        with pytest.raises(ConflictError):
            tx.architectures.delete_many(["free", "architecture"])
        tx.intelligences.delete_many(["1", "2"])
        assert tx.architectures.delete("architecture")
    assert ids(store.architectures.scan()) == ["free"]


def test_names_may_repeat_and_a_lineage_may_name_anything(store: OmegaStore):
    store.architectures.put_many(
        [
            architecture("1", lineage_json='{"parent":null}'),
            architecture("2", lineage_json={"generation": 1, "parent": "1"}),
            architecture("3", lineage_json={"parent": "nobody"}),
        ]
    )
    assert [each.lineage.get("parent") for each in store.architectures] == [None, "1", "nobody"]
