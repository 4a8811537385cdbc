"""Searching vectors: what is found, in which order, and what is refused."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from omega_persistence import ConflictError, InvalidDataError, OmegaStore, Tier, VectorHit
from samples import memory, vector

if TYPE_CHECKING:
    from conftest import Clock

EAST, NORTH, WEST = (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)


def names(hits: list[VectorHit]) -> list[str]:
    return [hit.memory_id for hit in hits]


@pytest.fixture
def compass(store: OmegaStore) -> OmegaStore:
    """Four memories, each with a vector of its name and of another length."""
    store.memories.put_many(memory(id) for id in ("east", "north", "northeast", "west"))
    rows = [(2.0, 0.0), (0.0, 0.5), (3.0, 3.0), (-1e-30, 0.0)]
    owners = ["east", "north", "northeast", "west"]
    store.vectors.put_many(np.array(rows), memory_ids=owners, ids=owners, space="compass")
    return store


def test_the_closest_come_first_by_their_cosine_whatever_their_length(compass: OmegaStore):
    hits = compass.vectors.nearest(EAST)
    assert names(hits) == ["east", "northeast", "north", "west"]
    assert [hit.score for hit in hits] == pytest.approx([1, 0.5**0.5, 0, -1])
    assert hits[0] == VectorHit("east", "east", 1.0)
    assert names(compass.vectors.nearest([7, 0], limit=1)) == ["east"]
    assert compass.vectors.nearest(EAST, limit=0) == []
    assert compass.vectors.nearest(EAST, limit=None) == hits
    assert compass.vectors.nearest(EAST, exact=True) == hits


def test_the_largest_and_the_smallest_numbers_have_a_direction_too(store: OmegaStore):
    store.memories.put_many(memory(id) for id in "abc")
    rows = [[3e38, 3e38], [1e-45, 0], [-3e38, 3e38]]
    store.vectors.put_many(np.array(rows), memory_ids=list("abc"))
    for exact in (False, True):
        hits = store.vectors.nearest([3e38, 0], exact=exact)
        assert names(hits) == ["b", "a", "c"]
        assert [hit.score for hit in hits] == pytest.approx([1, 0.5**0.5, -(0.5**0.5)])


def test_a_zero_vector_has_the_cosine_0_with_any(compass: OmegaStore):
    compass.memories.put(memory("a zero"))
    compass.vectors.put(vector("zero", "a zero", 0, 0, space="compass"))
    hits = compass.vectors.nearest(EAST)
    assert names(hits) == ["east", "northeast", "a zero", "north", "west"]
    assert hits[2].score == 0
    for exact in (False, True):
        hits = compass.vectors.nearest([0, 0], limit=3, exact=exact)
        assert [(hit.memory_id, hit.score) for hit in hits] == [
            ("a zero", 0),
            ("east", 0),
            ("north", 0),
        ]


def test_ties_are_in_the_order_of_ids(store: OmegaStore):
    owners = [f"m{n:02}" for n in range(40)]
    store.memories.put_many(memory(id) for id in owners)
    row = np.random.default_rng(1).standard_normal(7)
    store.vectors.put_many(np.tile(row, (40, 1)), memory_ids=owners[::-1])
    for exact in (False, True):
        hits = store.vectors.nearest(row + 1, limit=40, exact=exact)
        assert names(hits) == owners
        assert len({hit.score for hit in hits}) == 1


def test_a_memory_appears_once_with_the_closest_of_its_vectors(compass: OmegaStore):
    compass.vectors.put(vector("a second", "west", *NORTH, space="compass"))
    hits = compass.vectors.nearest(NORTH, limit=3)
    assert [(hit.memory_id, hit.vector_id) for hit in hits] == [
        ("north", "north"),
        ("west", "a second"),
        ("northeast", "northeast"),
    ]


def test_every_write_shows_at_once(compass: OmegaStore):
    def found() -> list[str]:
        return names(compass.vectors.nearest(EAST, limit=2))

    assert found() == ["east", "northeast"]
    compass.vectors.put(vector("east", "east", *WEST, space="compass"))
    assert found() == ["northeast", "north"]
    compass.vectors.put(vector("east", "east", *EAST, space="elsewhere"))
    assert names(compass.vectors.nearest(EAST, space="compass")) == ["northeast", "north", "west"]
    compass.vectors.put(vector("east", "east", *EAST, space="compass"))
    assert found() == ["east", "northeast"]
    compass.memories.delete("east")
    assert found() == ["northeast", "north"]
    compass.memories.delete_many(["north", "northeast"])
    assert found() == ["west"]
    compass.delete_namespace("default")
    assert found() == []


def test_a_transaction_finds_its_own_and_what_it_undoes_is_gone(compass: OmegaStore):
    compass.vectors.nearest(EAST)
    with pytest.raises(KeyError), compass.transaction() as tx:  # noqa: PT012
        tx.memories.put(memory("new"))
        tx.vectors.put(vector("new", "new", *EAST, space="compass"))
        tx.vectors.delete("east")
        assert names(tx.vectors.nearest(EAST, limit=2)) == ["new", "northeast"]
        with pytest.raises(ValueError, match="x"), tx.transaction() as inner:  # noqa: PT012
            inner.vectors.put(vector("new", "new", *WEST, space="compass"))
            assert names(inner.vectors.nearest(EAST, limit=1)) == ["northeast"]
            raise ValueError("x")
        assert names(tx.vectors.nearest(EAST, limit=2)) == ["new", "northeast"]
        raise KeyError
    assert names(compass.vectors.nearest(EAST, limit=2)) == ["east", "northeast"]


def test_namespaces_do_not_see_each_other(compass: OmegaStore):
    other = compass.in_namespace("other")
    assert other.vectors.nearest(EAST) == []
    other.memories.put(memory("theirs"))
    other.vectors.put(vector("v", "theirs", *WEST, space="compass"))
    assert names(other.vectors.nearest(EAST)) == ["theirs"]
    assert "theirs" not in names(compass.vectors.nearest(WEST))


def test_expired_memories_do_not_count_towards_the_limit(compass: OmegaStore, clock: Clock):
    compass.memories.put(memory("east", expires_at=clock.now + 1))
    assert names(compass.vectors.nearest(EAST, limit=1)) == ["east"]
    clock.now += 1
    for exact in (False, True):
        assert names(compass.vectors.nearest(EAST, limit=1, exact=exact)) == ["northeast"]
    compass.memories.purge_expired()
    assert compass.vectors.count() == 3


@pytest.mark.parametrize("many", [False, True])
def test_filters_leave_out_before_the_limit(
    store: OmegaStore, many: bool, monkeypatch: pytest.MonkeyPatch
):
    if many:  # as if the filters admitted more than can be looked at one by one
        monkeypatch.setattr("omega_persistence.backends.sqlite.vectors.nearest.NARROW", 0)
        monkeypatch.setattr("omega_persistence.backends.sqlite.vectors.nearest.REACH", 1)
    numbers = range(100)
    store.memories.put_many(
        memory(
            f"m{n:02}",
            tier=1 + n % 3,
            session=f"s{n % 5}",
            created_at=n,
            importance=n / 100,
            metadata_json={"n": n},
        )
        for n in numbers
    )
    angles = np.arange(100) / 100
    rows = np.column_stack([np.cos(angles), np.sin(angles)])
    store.vectors.put_many(rows, memory_ids=[f"m{n:02}" for n in numbers])

    def found(**filters: Any) -> list[int]:
        return [int(id[1:]) for id in names(store.vectors.nearest(EAST, limit=3, **filters))]

    assert found() == [0, 1, 2]
    assert found(tiers=[Tier.SEMANTIC]) == []
    assert found(tiers=[Tier.SESSION, 3]) == [1, 2, 4]
    assert found(session="s4") == [4, 9, 14]
    assert found(since=50) == [50, 51, 52]
    assert found(since=5, until=7) == [5, 6]
    assert found(min_importance=0.985) == [99]
    assert found(where={"n": {">": 30, "<=": 32}}) == [31, 32]
    assert found(where={"n": 98}, tiers=[3]) == [98]


def test_one_space_is_searched_and_it_is_clear_which(store: OmegaStore):
    assert store.vectors.nearest(EAST) == []
    assert store.vectors.nearest(EAST, space="model") == []
    store.memories.put(memory("m"))
    store.vectors.put(vector("a", "m", *EAST, space="flat"))
    assert names(store.vectors.nearest(EAST)) == ["m"]
    store.vectors.put(vector("b", "m", 1, 2, 3))
    store.vectors.put(vector("c", "m", 1, 2, 3, 4))
    assert [hit.vector_id for hit in store.vectors.nearest([1, 2, 3])] == ["b"]
    assert [hit.vector_id for hit in store.vectors.nearest([1, 2, 3, 4], space="")] == ["c"]
    assert store.vectors.nearest(EAST, space="no such") == []
    with pytest.raises(InvalidDataError, match=r"of 5 .* 'flat' of 2\n") as caught:
        store.vectors.nearest([1, 2, 3, 4, 5], space="flat")
    assert caught.value.field == "query"
    with pytest.raises(InvalidDataError, match=r"of 5 .* '' of 3, '' of 4, 'flat' of 2\n"):
        store.vectors.nearest([1, 2, 3, 4, 5])
    store.vectors.put(vector("d", "m", *EAST, space="round"))
    with pytest.raises(InvalidDataError, match=r"several .* 'flat' of 2, 'round' of 2\n") as caught:
        store.vectors.nearest(EAST)
    assert caught.value.field == "space"
    assert [hit.vector_id for hit in store.vectors.nearest(EAST, space="round")] == ["d"]


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({"query": []}, "array"),
        ({"query": [[1.0, 2.0]]}, "array"),
        ({"query": ["a", "b"]}, "array"),
        ({"query": [1.0, float("nan")]}, "array"),
        ({"limit": -1}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"space": 7}, "space"),
        ({"tiers": [13]}, "tiers"),
        ({"session": ""}, "session"),
        ({"min_importance": 2}, "min_importance"),
        ({"where": {"": 1}}, "where"),
    ],
)
def test_bad_questions_are_refused(compass: OmegaStore, question: dict[str, Any], field: str):
    asked: dict[str, Any] = {"query": EAST, **question}
    with pytest.raises(InvalidDataError) as caught:
        compass.vectors.nearest(**asked)
    assert caught.value.field == field


def test_put_many_takes_the_rows_of_a_matrix(store: OmegaStore):
    store.memories.put_many([memory("a"), memory("b")])
    matrix = np.arange(6, dtype="f8").reshape(3, 2).T
    assert store.vectors.put_many(matrix, memory_ids=iter("ab"), space="model") == 2
    (first,), (second,) = store.vectors.by_memory("a"), store.vectors.by_memory("b")
    assert (first.array.tolist(), second.array.tolist()) == ([0, 2, 4], [1, 3, 5])
    assert (first.space, first.dimensions) == ("model", 3)
    assert first.id < second.id
    assert store.vectors.put_many(np.empty((0, 3)), memory_ids=[]) == 0
    with store.transaction() as tx:
        tx.vectors.put_many(matrix, memory_ids=list("ab"), ids=["x", second.id], space="model")
    assert store.vectors.count() == 3


def test_a_matrix_needs_to_know_its_memories(store: OmegaStore):
    with pytest.raises(InvalidDataError, match="with their memory_ids"):
        store.vectors.put_many(np.ones((1, 2)), space="model")  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert store.vectors.count() == 0


def test_a_matrix_that_changes_while_it_waits_for_its_turn_breaks_no_rule(store: OmegaStore):
    store.memories.put_many([memory("a"), memory("b")])
    matrix = np.ones((2, 4), np.float32)
    failed: list[str] = []

    def put() -> None:
        try:
            store.vectors.put_many(matrix, memory_ids=["a", "b"])
        except InvalidDataError as error:
            failed.append(str(error))

    with store.transaction():
        waiter = Thread(target=put)
        waiter.start()
        waiter.join(0.2)
        assert waiter.is_alive()
        matrix[1] = np.nan
    waiter.join()
    assert failed == ["the matrix was changed while it was being stored"]
    assert store.vectors.count() == 0
    assert store.check() == []


@pytest.mark.parametrize(
    ("matrix", "more", "error", "index"),
    [
        (np.ones(2), {}, InvalidDataError, None),
        (np.ones((2, 0)), {}, InvalidDataError, None),
        (np.array([[1, 2], [3, np.inf]]), {}, InvalidDataError, 1),
        (np.ones((3, 2)), {}, InvalidDataError, None),
        (np.ones((2, 2)), {"ids": ["x"]}, InvalidDataError, None),
        (np.ones((2, 2)), {"ids": "xy"}, InvalidDataError, None),
        (np.ones((2, 2)), {"memory_ids": "ab"}, InvalidDataError, None),
        (np.ones((2, 2)), {"ids": ["x", ""]}, InvalidDataError, 1),
        (np.ones((2, 2)), {"ids": ["x", "\0"]}, InvalidDataError, 1),
        (np.ones((2, 2)), {"ids": ["x", 7]}, InvalidDataError, 1),
        (np.ones((2, 2)), {"memory_ids": ["a", "\ud800"]}, InvalidDataError, 1),
        (np.ones((2, 2)), {"memory_ids": ["a", "gone"]}, ConflictError, 1),
        (np.ones((2, 2)), {"space": 7}, InvalidDataError, 0),
        (np.ones((2, 2)), {"space": "\0"}, InvalidDataError, 0),
        (np.ones((2, 3)), {"space": "flat"}, ConflictError, 0),
    ],
    ids=str,
)
def test_a_matrix_is_stored_whole_or_not_at_all(
    store: OmegaStore, matrix: Any, more: dict[str, Any], error: type[Exception], index: int | None
):
    store.memories.put_many([memory("a"), memory("b")])
    store.vectors.put(vector("v", "a", *EAST, space="flat"))
    with pytest.raises(error) as caught:
        store.vectors.put_many(matrix, **{"memory_ids": ["a", "b"], **more})
    assert getattr(caught.value, "index", None) == index
    assert store.vectors.count() == 1
