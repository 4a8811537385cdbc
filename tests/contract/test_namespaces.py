"""Namespaces: each sees its own records, whatever ids and names the others use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from omega_persistence import ConflictError, InvalidDataError, NotFoundError, OmegaStore
from samples import memory, skill
from strategies import ENTITIES, collection_of, names, put_parents, series

if TYPE_CHECKING:
    from pathlib import Path

each_entity = pytest.mark.parametrize("entity", ENTITIES)


@each_entity
def test_namespaces_isolate(store: OmegaStore, entity: type[Any]):
    here, there = store.in_namespace("here"), store.in_namespace("there")
    ours, theirs = collection_of(here, entity), collection_of(there, entity)
    put_parents(here, entity)
    records = series(entity, 3)
    ours.put_many(records)

    assert theirs.scan(after="id") == []
    assert theirs.get_many(record.id for record in records) == []
    assert theirs.delete(records[0].id) is False
    if theirs.table.references:
        with pytest.raises(ConflictError, match="not in"):
            theirs.put(records[0])  # a parent in another namespace is no parent

    put_parents(there, entity)
    changed = [replace(record, **a_change(record)) for record in records]
    theirs.put_many(changed)  # the same ids, and the same unique names
    assert ours.scan(after="id") == records
    assert theirs.scan(after="id") == changed
    assert theirs.delete_many(record.id for record in records) == 3
    assert ours.scan(after="id") == records
    assert "here" in store.namespaces()


def a_change(record: Any) -> dict[str, Any]:
    """Another value for one field that a put replaces."""
    if "metadata_json" in record.__struct_fields__:
        return {"metadata_json": '{"a":1}'}
    return {"space": "elsewhere"}


@each_entity
def test_deleting_a_namespace_deletes_its_records_alone(store: OmegaStore, entity: type[Any]):
    for name in ("gone", "kept"):
        inside = store.in_namespace(name)
        put_parents(inside, entity)
        collection_of(inside, entity).put_many(series(entity, 3))
    before = [list(collection) for collection in store.in_namespace("kept").all()]
    gone = store.in_namespace("gone")
    total = sum(collection.count() for collection in gone.all())
    assert store.delete_namespace("gone") == total
    assert store.delete_namespace("gone") == 0
    assert store.namespaces() == ["kept"]
    assert [collection.count() for collection in gone.all()] == [0] * len(gone.all())
    assert [list(collection) for collection in store.in_namespace("kept").all()] == before


def test_a_store_has_the_namespace_it_was_opened_with(tmp_path: Path):
    with OmegaStore(tmp_path / "store.db") as store:
        assert store.namespace == "default"
        store.memories.put(memory())
    with OmegaStore(tmp_path / "store.db", namespace="agent-7") as store:
        assert store.namespace == "agent-7"
        with pytest.raises(NotFoundError, match="in namespace 'agent-7'"):
            store.get_memory("memory")
        assert store.in_namespace("default").get_memory("memory") == memory()
        assert store.statistics().namespace == "agent-7"
        assert store.statistics().memory_count == 0


def test_namespaces_are_listed_in_order_each_once(store: OmegaStore):
    assert store.namespaces() == []
    for name in ("b", "a", "é", "A", "b"):
        store.in_namespace(name).memories.put(memory())
        store.in_namespace(name).skills.put(skill())
    store.in_namespace("only a skill").skills.put(skill())
    assert store.namespaces() == ["A", "a", "b", "only a skill", "é"]
    assert store.in_namespace("a").namespaces() == store.namespaces()
    store.in_namespace("only a skill").skills.delete("skill")
    assert store.namespaces() == ["A", "a", "b", "é"]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=names)
def test_any_text_is_a_namespace(store: OmegaStore, name: str):
    inside = store.in_namespace(name)
    inside.memories.put(memory(content="apple"))
    assert name in store.namespaces()
    assert inside.memories.search("apple")[0].memory.id == "memory"
    assert store.delete_namespace(name) == 1
    assert store.namespaces() == []


def test_deleting_a_namespace_that_does_not_exist_deletes_nothing(store: OmegaStore):
    store.memories.put(memory())
    assert store.delete_namespace("nobody's") == 0
    assert store.delete_namespace("Default") == 0
    assert store.memories.count() == 1


def test_a_namespace_has_at_most_a_thousand_characters(store: OmegaStore) -> None:
    """It stands in every row and in every index: a long one would multiply the file."""
    longest = "n" * 1000
    store.in_namespace(longest).memories.put(memory("m"))
    assert longest in store.namespaces()
    for use in (store.in_namespace, store.delete_namespace):
        with pytest.raises(InvalidDataError, match="longer than 1000 characters"):
            use(longest + "n")
