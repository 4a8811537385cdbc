"""A batch has the outcome of its records one after the other, in one transaction."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega_persistence import ConflictError
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
