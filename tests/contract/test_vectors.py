"""Vectors: numbers of a memory, and the spaces they live in."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from omega_persistence import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    StoredVector,
)
from samples import memory, vector


def ids(records: list[Any]) -> list[str]:
    return [record.id for record in records]


@pytest.fixture
def store(store: OmegaStore) -> OmegaStore:
    """With two memories to hang vectors on."""
    store.memories.put_many([memory("memory"), memory("other")])
    return store


def test_by_memory_gives_them_in_the_order_of_ids(store: OmegaStore):
    store.vectors.put_many(vector(id) for id in ("b", "c", "a"))
    store.vectors.put(vector("elsewhere", "other"))
    assert ids(store.vectors.by_memory("memory")) == ["a", "b", "c"]
    assert ids(store.vectors.by_memory("memory", limit=2)) == ["a", "b"]
    assert store.vectors.by_memory("nobody") == []
    store.vectors.put_many(vector(f"{i}") for i in range(100))
    assert len(store.vectors.by_memory("memory")) == 100
    assert len(store.vectors.by_memory("memory", limit=None)) == 103


def test_the_vector_of_a_memory_is_the_one_with_the_smallest_id(store: OmegaStore):
    for id in ("b", "a", "c", "b"):
        store.vectors.put(vector(id))
    assert store.vectors.first_by_memory("memory").id == "a"
    with pytest.raises(NotFoundError, match="'other' has no vector"):
        store.vectors.first_by_memory("other")


@pytest.mark.parametrize(
    "array",
    [
        [1.0, -2.5],
        (1, 2, 3),
        np.array([0.1, 0.2], dtype="f8"),
        np.array([0.1, 0.2], dtype="f2"),
        np.array([1, 2], dtype=">f4"),
        np.array([1, 2], dtype="i8"),
        np.arange(10, dtype="f4")[::3],
        [3.4028234663852886e38, -1e-45, -0.0],
    ],
    ids=str,
)
def test_from_array_takes_any_row_of_numbers(store: OmegaStore, array: Any):
    made = StoredVector.from_array("memory", array)
    store.vectors.put(made)
    found = store.vectors.get(made.id)
    assert found == made
    assert (found.space, found.memory_id, found.dimensions) == ("", "memory", len(array))
    assert found.array.dtype == np.dtype("<f4")
    assert found.array.tolist() == np.asarray(array).astype("f4").tolist()
    assert found.data_blob == np.asarray(array).astype("<f4").tobytes()


def test_from_array_takes_an_id_and_a_space():
    made = StoredVector.from_array("memory", [1, 2], id="v", space="model")
    assert (made.id, made.space) == ("v", "model")
    other = StoredVector.from_array("memory", [1, 2])
    assert other.id < StoredVector.from_array("memory", [1, 2]).id


@pytest.mark.parametrize(
    "array",
    [
        [],
        5.0,
        [[1.0, 2.0]],
        np.zeros((0, 3)),
        [float("nan")],
        [1.0, float("inf")],
        [1e39],
        ["a"],
        [None],
        [1, [2]],
        "12",
        ["1", "2"],
        {1: 2},
        [1 + 1j],
        np.array(["2020-01-01"], dtype="M8[D]"),
    ],
    ids=str,
)
def test_from_array_refuses_what_is_not_a_row_of_finite_numbers(array: Any):
    with pytest.raises(InvalidDataError, match=r"vector (is|holds)") as caught:
        StoredVector.from_array("memory", array)
    assert caught.value.field == "array"


def test_the_array_cannot_be_written_to():
    array = vector().array
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 5


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"dimensions": 3}, "has 8 bytes, not 4 \\* dimensions = 12"),
        ({"dimensions": 0}, "dimensions is refused"),
        ({"dimensions": -4, "data_blob": b""}, "dimensions is refused"),
        ({"dimensions": 768, "data_blob": b"abc"}, "has 3 bytes"),
        ({"data_blob": struct.pack("<2f", 1, float("nan"))}, "holds NaN or infinity"),
        ({"data_blob": struct.pack("<2f", float("-inf"), 1)}, "holds NaN or infinity"),
        ({"data_blob": struct.pack("<2f", float("inf"), float("-inf"))}, "holds NaN or infinity"),
    ],
)
def test_the_blob_must_hold_as_many_finite_numbers_as_it_says(
    store: OmegaStore, changes: dict[str, Any], rule: str
):
    with pytest.raises(InvalidDataError, match=rule):
        store.vectors.put(vector(**changes))
    assert store.vectors.count() == 0


def test_the_largest_numbers_are_finite(store: OmegaStore):
    greatest = vector("v", "memory", *[3.4028234663852886e38] * 1000)
    store.vectors.put(greatest)
    assert store.vectors.get("v") == greatest


def test_the_unnamed_space_holds_any_number_of_dimensions(store: OmegaStore):
    store.vectors.put_many([vector("2"), vector("3", "memory", 1, 2, 3)])
    store.vectors.put(vector("2", "memory", 1, 2, 3, 4))
    assert [each.dimensions for each in store.vectors] == [4, 3]


def test_a_named_space_has_one_number_of_dimensions(store: OmegaStore):
    store.vectors.put(vector("1", space="model"))
    wrong = vector("2", "other", 1, 2, 3, space="model")
    with pytest.raises(
        ConflictError, match=r"'2'.*'model' holds vectors of 2 dimensions, not 3"
    ) as caught:
        store.vectors.put(wrong)
    assert (caught.value.field, caught.value.id, caught.value.index) == ("space", "2", None)
    assert ids(list(store.vectors)) == ["1"]
    store.vectors.put_many(
        [
            vector("2", "other", 1, 2, 3, space="another model"),
            vector("3", "other", 1, 2, 3),
            vector("4", space="model"),
        ]
    )
    store.in_namespace("elsewhere").memories.put(memory("other"))
    store.in_namespace("elsewhere").vectors.put(wrong)


@pytest.mark.parametrize("place", [1, 2])
def test_a_batch_is_one_space_too(store: OmegaStore, place: int):
    batch = [vector("a", space="new"), vector("b", space="new"), vector("c", space="new")]
    batch[place] = vector("wrong", "memory", 1, 2, 3, space="new")
    with pytest.raises(ConflictError, match="holds vectors of 2 dimensions, not 3") as caught:
        store.vectors.put_many(batch)
    assert caught.value.index == place
    assert store.vectors.count() == 0
    with store.transaction() as tx:
        tx.vectors.put(vector("a", space="new"))
        with pytest.raises(ConflictError):
            tx.vectors.put_many([vector("b", space="new"), batch[place]])
        tx.vectors.put(vector("d", space="new"))
    assert ids(list(store.vectors)) == ["a", "d"]


def test_the_only_vector_of_a_space_may_bring_it_another_length(store: OmegaStore):
    store.vectors.put(vector("1", space="model"))
    store.vectors.put(vector("1", "memory", 1, 2, 3, space="model"))
    store.vectors.put(vector("2", "memory", 1, 2, 3, space="model"))
    for id in ("1", "2"):
        with pytest.raises(ConflictError):
            store.vectors.put(vector(id, space="model"))
    store.vectors.delete("2")
    store.vectors.put(vector("1", space="model"))
    store.vectors.put(vector("1", space="elsewhere"))
    store.vectors.put(vector("3", "memory", 5, space="model"))
    assert store.check() == []


def test_put_again_replaces_the_numbers(store: OmegaStore):
    store.vectors.put(vector())
    store.vectors.put(vector("vector", "memory", 3.0, 4.0, 5.0, space="model"))
    assert store.vectors.first_by_memory("memory").array.tolist() == [3, 4, 5]
