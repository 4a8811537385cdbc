"""A batch has the outcome of its records one after the other, in one transaction."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega_persistence import ConflictError, InvalidDataError
from samples import architecture, intelligence, memory, skill, vector

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from omega_persistence import OmegaStore, StoredSkill
    from omega_persistence.entities.base import Collection

    Put = Callable[[Collection[Any], list[Any]], None]

IDS = st.sampled_from(["a", "b", "c", "d", "e"])
PARENTS = st.sampled_from(["a", "b", "none"])


def named(id: str, name: str) -> StoredSkill:
    return skill(id, name=name)


BATCHES = st.one_of(
    st.tuples(st.just("memories"), st.lists(st.builds(memory, IDS))),
    st.tuples(
        st.just("skills"),
        st.lists(st.builds(named, IDS, IDS)),
    ),
    st.tuples(st.just("intelligences"), st.lists(st.builds(intelligence, IDS, PARENTS))),
    st.tuples(st.just("vectors"), st.lists(st.builds(vector, IDS, PARENTS))),
)


def one_by_one(collection: Collection[Any], records: list[Any]) -> None:
    for index, record in enumerate(records):
        try:
            collection.put(record)
        except ConflictError as error:
            error.index = index
            raise


def all_at_once(collection: Collection[Any], records: list[Any]) -> None:
    collection.put_many(records)


def outcome(store: OmegaStore, put: Put, kind: str, records: list[Any]) -> list[Any]:
    """What is in the collection then, or why it was refused; undone again."""
    found: list[Any] = []
    with suppress(Undone), store.transaction() as tx:
        collection: Collection[Any] = getattr(tx, kind)
        try:
            put(collection, records)
            found += collection
        except ConflictError as error:
            found += (error.index, str(error))
        raise Undone
    return found


class Undone(Exception):  # noqa: N818 - nothing went wrong
    """Rolls a transaction back."""


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES)
def test_a_batch_is_refused_at_the_record_that_would_be_refused_alone(
    store: OmegaStore, batch: tuple[str, list[Any]]
) -> None:
    store.memories.put_many([memory("a"), memory("b")])
    store.architectures.put_many([architecture("a"), architecture("b")])
    assert outcome(store, all_at_once, *batch) == outcome(store, one_by_one, *batch)


@pytest.mark.parametrize("count", [2, 15, 16, 31, 500, 513, 1100])
def test_a_batch_of_any_size_is_stored_whole_or_refused_at_its_record(
    store: OmegaStore, count: int
) -> None:
    owners = [f"m{number:04}" for number in range(count)]
    assert store.memories.put_many(map(memory, owners)) == count
    matrix = np.arange(1.0, 2 * count + 1).reshape(count, 2)
    for place in (0, count // 2, count - 1):
        for wrong, error in (("none", ConflictError), ("\0", InvalidDataError)):
            told = [*owners[:place], wrong, *owners[place + 1 :]]
            with pytest.raises(error) as caught:
                store.vectors.put_many(matrix, memory_ids=told)
            assert caught.value.index == place
            with pytest.raises(error) as caught:
                store.vectors.put_many(map(vector, owners, told))
            assert caught.value.index == place
            assert not store.vectors.count()
    assert store.vectors.put_many(matrix, memory_ids=owners, ids=owners) == count
    assert [each.array.tolist() for each in store.vectors] == matrix.tolist()
    assert [hit.memory_id for hit in store.vectors.nearest([0, 1], limit=1)] == [owners[0]]
