"""Transactions: all of a block or nothing, also one block in another."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from omega_persistence import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    StorageError,
)
from samples import edge, episode, memory, skill, vector
from strategies import ENTITIES, FAMILIES, collection_of, put_parents, series

if TYPE_CHECKING:
    from pathlib import Path

    from omega_persistence import Transaction
    from omega_persistence.entities import Collections


class OwnError(Exception):
    """The caller's own."""


def fill(collections: Collections) -> None:
    """Something of everything."""
    for entity in ENTITIES:
        put_parents(collections, entity)
        collection_of(collections, entity).put(FAMILIES[entity].example)


def content(collections: Collections) -> dict[str, list[Any]]:
    return {collection.table.name: list(collection) for collection in collections.all()}


# All or nothing


def test_a_transaction_over_every_kind_is_stored_when_its_block_ends(store: OmegaStore):
    with store.transaction() as tx:
        fill(tx)
        inside = content(tx)
    assert content(store) == inside
    assert all(inside.values())


@pytest.mark.parametrize("error", [OwnError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_undoes_everything_and_goes_on(store: OmegaStore, error: type[BaseException]):
    store.memories.put(memory("before"))
    before = content(store)

    def fail() -> None:
        with store.transaction() as tx:
            fill(tx)
            tx.memories.delete("before")
            raise error

    with pytest.raises(error):
        fail()
    assert content(store) == before
    store.memories.put(memory("after"))
    assert store.memories.count() == 2


def test_an_error_that_the_block_catches_undoes_only_its_own_call(store: OmegaStore):
    with store.transaction() as tx:
        tx.memories.put(memory("a"))
        with pytest.raises(ConflictError):
            tx.vectors.put(vector("v", "nobody"))
        with pytest.raises(InvalidDataError):
            tx.memories.put(memory(id=""))
        with pytest.raises(NotFoundError):
            tx.memories.touch("nobody", 1)
        tx.vectors.put(vector("v", "a"))
    assert store.vectors.first_by_memory("a").id == "v"


def test_a_batch_inside_a_transaction_fails_alone(store: OmegaStore):
    with store.transaction() as tx:
        tx.skills.put(skill("owner", name="taken"))
        for _ in range(3):
            with pytest.raises(ConflictError) as caught:
                tx.skills.put_many([skill("a"), skill("b"), skill("c", name="taken")])
            assert caught.value.index == 2
        assert [each.id for each in tx.skills] == ["owner"]
        tx.skills.put_many([skill("d"), skill("e")])
    assert [each.id for each in store.skills] == ["d", "e", "owner"]


def test_a_transaction_sees_its_own_writes_and_others_do_not(
    file_store: OmegaStore, tmp_path: Path
):
    with OmegaStore(tmp_path / "store.db") as other, file_store.transaction() as tx:
        tx.memories.put(memory())
        tx.memories.touch("memory", 500)
        assert tx.memories.get("memory").last_accessed == 500
        assert tx.memories.count() == len(list(tx.memories)) == 1
        assert other.memories.count() == 0
        with other.snapshot() as snapshot:
            assert snapshot.memories.scan() == []


def test_an_empty_transaction_is_fine(store: OmegaStore):
    with store.transaction():
        pass
    with store.transaction() as tx, tx.transaction():
        pass
    with store.snapshot():
        pass


# One in another


def test_an_inner_transaction_can_fail_alone(store: OmegaStore):
    with store.transaction() as tx:
        tx.memories.put(memory("outer"))
        with suppress(OwnError), tx.transaction() as inner:
            fill(inner)
            assert inner.memories.get("outer") == memory("outer")
            raise OwnError
        assert list(chain.from_iterable(content(tx).values())) == [memory("outer")]
        with tx.transaction() as inner:
            inner.memories.put(memory("inner"))
        tx.memories.put(memory("later"))
    assert [m.id for m in store.memories] == ["inner", "later", "outer"]


def test_transactions_nest_deeply(store: OmegaStore):
    def descend(tx: Transaction, depth: int) -> None:
        tx.memories.put(memory(f"{depth}"))
        if depth < 20:
            with suppress(OwnError), tx.transaction() as inner:
                descend(inner, depth + 1)
                inner.memories.put_many([memory(f"{depth} a"), memory(f"{depth} b")])
                if depth == 10:
                    raise OwnError

    with store.transaction() as tx:
        descend(tx, 0)
    expected = [f"{i}" for i in range(11)]
    expected += [f"{i} {letter}" for i in range(10) for letter in "ab"]
    assert [m.id for m in store.memories] == sorted(expected)


def test_the_outer_exception_undoes_what_the_inner_one_kept(store: OmegaStore):
    with suppress(OwnError), store.transaction() as tx:
        with tx.transaction() as inner:
            inner.memories.put(memory())
        raise OwnError
    assert store.memories.count() == 0


def test_an_inner_exception_that_is_not_caught_undoes_all(store: OmegaStore):
    with suppress(OwnError), store.transaction() as tx:
        tx.memories.put(memory("outer"))
        with tx.transaction() as inner:
            inner.memories.put(memory("inner"))
            raise OwnError
    assert store.memories.count() == 0


# Namespaces


def test_a_transaction_spans_namespaces(store: OmegaStore):
    with store.in_namespace("here").transaction() as tx:
        assert tx.namespace == "here"
        there = tx.in_namespace("there")
        tx.memories.put(memory("a"))
        there.memories.put(memory("b"))
        with suppress(OwnError), there.transaction() as inner:
            assert inner.namespace == "there"
            inner.memories.put(memory("c"))
            inner.in_namespace("here").memories.put(memory("d"))
            raise OwnError
    assert store.namespaces() == ["here", "there"]
    assert store.in_namespace("here").memories.scan() == [memory("a")]
    assert store.in_namespace("there").memories.scan() == [memory("b")]


def test_a_snapshot_spans_namespaces(store: OmegaStore):
    store.in_namespace("there").memories.put(memory())
    with store.snapshot() as snapshot:
        assert snapshot.memories.count() == 0
        assert snapshot.in_namespace("there").memories.count() == 1


def test_children_and_parents_may_be_put_in_one_transaction(store: OmegaStore):
    with store.transaction() as tx:
        with pytest.raises(ConflictError):
            tx.causal_edges.put(edge())
        tx.memories.put_many([memory("memory"), memory("effect")])
        tx.causal_edges.put(edge())
        tx.reflexion_episodes.put(episode())
        tx.memories.delete("effect")
        assert tx.causal_edges.count() == 0
    assert store.reflexion_episodes.count() == 1


@pytest.mark.parametrize("entity", ENTITIES)
def test_batches_of_any_size_are_one_transaction(store: OmegaStore, entity: type[Any]):
    put_parents(store, entity)
    collection = collection_of(store, entity)
    before = collection.count()
    records = series(entity, 1_500)
    with pytest.raises(StorageError):
        collection.put_many([*records, None])
    assert collection.count() == before
    assert collection.put_many(records) == 1_500
    assert collection.delete_many(record.id for record in records) == 1_500
    assert collection.count() == before
