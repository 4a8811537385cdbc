"""The same memory twice: keep both, skip the newer, or make one of them."""

from __future__ import annotations

from threading import Barrier, Thread, get_ident
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega_persistence import NotFoundError, OmegaStore
from samples import edge, memory, vector
from strategies import texts

if TYPE_CHECKING:
    from conftest import Clock


def test_both_are_kept_unless_something_else_is_asked_for(store: OmegaStore):
    for _ in range(2):
        store.remember("The same")
    assert store.memories.count() == 2


def test_skip_returns_the_memory_that_is_there(store: OmegaStore):
    first = store.remember("The same", importance=0.3, tags=["a"])
    assert store.remember("The same", importance=0.9, on_duplicate="skip") == first
    assert store.remember("The same", vector=[1, 2], on_duplicate="skip") == first
    assert (store.memories.count(), store.vectors.count()) == (1, 0)
    other = store.remember("the same", on_duplicate="skip", duplicate_threshold=None)
    assert other.id != first.id


def test_of_several_the_first_to_arrive_is_the_one(store: OmegaStore):
    store.memories.put_many(memory(id, content="Same") for id in ("z", "a", "m"))
    assert store.remember("Same", on_duplicate="skip").id == "z"


def test_words_of_another_speaker_are_another_memory(store: OmegaStore):
    made = [
        store.remember("Yes", speaker=speaker, on_duplicate="skip")
        for speaker in ("Ann", "Bob", None, "Ann", None)
    ]
    assert [made.index(each) for each in made] == [0, 1, 2, 0, 2]
    odd = store.remember("Yes", metadata={"speaker": 7}, on_duplicate="skip")
    assert odd == made[2]  # a number is no name


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=texts | st.lists(texts, max_size=8).map(" ".join) | st.from_regex(r"[\w\s\"*']{1,30}"),
    others=st.lists(texts, max_size=4),
)
def test_whatever_the_words_the_same_memory_is_found(
    store: OmegaStore, content: str, others: list[str]
):
    if "\0" in content:
        return
    inside = store.in_namespace("properties")
    inside.remember_many({"content": other} for other in others if other != content)
    first = inside.remember(content, on_duplicate="skip")
    assert inside.remember(content, on_duplicate="skip") == first
    assert inside.memories.get(first.id).content == content
    store.delete_namespace("properties")


@pytest.mark.parametrize(
    "content", ["!!!", "", "👍🏽", "思" * 1500, "x" * 5000, "我喜欢苹果。你呢？"]
)
def test_contents_without_words_or_blanks_are_compared_too(store: OmegaStore, content: str):
    store.remember("something else")
    first = store.remember(content)
    assert store.remember(content, on_duplicate="skip") == first
    assert store.remember(content + "!", on_duplicate="skip") != first


def test_near_vectors_of_one_speaker_are_the_same_from_the_threshold_on(store: OmegaStore):
    first = store.remember("A cat lives here", speaker="Ann", vector=[1, 0])
    near: dict[str, Any] = {"vector": [0.9, 0.3], "on_duplicate": "skip"}  # cosine 0.949
    assert store.remember("Here lives a cat", speaker="Bob", **near).metadata["speaker"] == "Bob"
    for threshold in (0.95, 1, None):
        made = store.remember(
            f"A cat: {threshold}", speaker="Ann", duplicate_threshold=threshold, **near
        )
        assert made.content == f"A cat: {threshold}"
        store.memories.delete(made.id)
    found = store.remember("A cat is here", speaker="Ann", duplicate_threshold=0.94, **near)
    assert found == first
    assert store.memories.count() == 2


def test_a_threshold_of_one_takes_equal_vectors_for_the_same(store: OmegaStore):
    vector = [0.1, 0.7, 0.3]
    first = store.remember("one", vector=vector)
    made = store.remember("two", vector=vector, on_duplicate="skip", duplicate_threshold=1)
    assert made == first


def test_vectors_of_another_space_or_length_are_never_near(store: OmegaStore):
    store.remember("one", vector=[1, 0], space="a")
    store.remember("two", vector=[1, 0], space="b", on_duplicate="skip")
    store.remember("three", vector=[1, 0, 0], space="")
    store.remember("four", vector=[1, 0], space="", on_duplicate="skip")
    assert store.memories.count() == 4


def test_merge_of_near_memories_has_the_newer_content_and_no_older_vector(store: OmegaStore):
    first = store.remember("Rent is 900", vector=[1, 0.1], space="a", tags=["rent"])
    store.vectors.put(vector("other", first.id, 1, 2, 3, space="another model"))
    one = store.remember("The rent is 950", vector=[1, 0.2], space="a", on_duplicate="merge")
    assert (one.id, one.content) == (first.id, "The rent is 950")
    assert [each.array.tolist() for each in store.vectors] == [[1, np.float32(0.2)]]
    assert [hit.memory for hit in store.memories.search("950")] == [one]
    assert store.memories.search("900") == []


def test_near_ones_within_a_batch_and_a_transaction_are_met(store: OmegaStore):
    items: list[dict[str, Any]] = [
        {"content": f"fact {n}", "vector": [1, n / 100], "on_duplicate": "skip"} for n in range(5)
    ]
    made = store.remember_many(items)
    assert {each.id for each in made} == {made[0].id}
    with store.transaction() as tx:
        other = tx.remember("other", vector=[0, 1])
        assert tx.remember("another", vector=[0.01, 1], on_duplicate="skip") == other
    assert store.memories.count() == 2


def test_merge_keeps_the_older_id_and_children_and_takes_the_newer_vector(store: OmegaStore):
    first = store.remember(
        "The index was rebuilt",
        importance=0.9,
        tags=["index"],
        metadata={"by": "cron", "run": 1},
        vector=[1, 2],
        session="monday",
        at=100,
        expires_at=2**40,
    )
    store.memories.put(memory("effect"))
    store.causal_edges.put(edge("e", first.id, "effect"))
    one = store.remember(
        "The index was rebuilt",
        tier=4,
        importance=0.2,
        tags=["night", "index"],
        metadata={"run": 2},
        vector=[3, 4],
        at=86_500,
        expires_at=2**41,
        on_duplicate="merge",
    )
    assert one.id == first.id
    assert (one.tier, one.importance, one.session) == (4, 0.9, "monday")
    assert (one.created_at, one.last_accessed, one.expires_at) == (100, 86_500, 2**41)
    assert one.metadata == {"by": "cron", "run": 2, "tags": ["index", "night"]}
    assert one.keywords == "index; 1 January, 1970; night; 2 January, 1970"
    assert store.memories.get(first.id) == one
    assert [each.array.tolist() for each in store.vectors] == [[3, 4]]
    assert store.causal_edges.count() == 1
    assert store.memories.count() == 2

    again = store.remember("The index was rebuilt", on_duplicate="merge", at=50)
    assert (again.created_at, again.last_accessed, again.expires_at) == (50, 86_500, None)
    assert [each.array.tolist() for each in store.vectors] == [[3, 4]]


def test_merge_into_nothing_stores(store: OmegaStore):
    made = store.remember("New", on_duplicate="merge", vector=[1, 2])
    assert store.memories.get(made.id) == made
    assert store.vectors.count() == 1


def test_a_memory_remembered_again_under_its_id_is_no_duplicate(store: OmegaStore):
    for id in ("a", "b"):
        store.remember("Same", id=id)
    for policy in ("skip", "merge"):
        made = store.remember("Same", id="b", importance=0.9, on_duplicate=policy)
        assert (made.id, made.importance) == ("b", 0.9)
    assert store.remember("Same", id="c", on_duplicate="skip").id == "a"
    assert store.remember("Same", id="c", on_duplicate="merge").id == "a"
    assert store.memories.count() == 2


def test_a_batch_is_looked_through_too(store: OmegaStore):
    items: list[dict[str, Any]] = [
        {"content": "one", "on_duplicate": "skip"},
        {"content": "two", "on_duplicate": "skip"},
        {"content": "one", "on_duplicate": "skip"},
        {"content": "one", "on_duplicate": "keep"},
        {"content": "two", "on_duplicate": "merge", "importance": 1.0},
    ]
    made = store.remember_many(items)
    assert made[2] == made[0]
    assert made[4].id == made[1].id
    assert store.memories.count() == 3
    assert store.memories.get(made[1].id).importance == 1


def test_what_has_expired_or_is_in_another_namespace_is_not_the_same(
    store: OmegaStore, clock: Clock
):
    gone = store.remember("Same", expires_at=clock.now + 1)
    store.in_namespace("other").remember("Same")
    clock.now += 1
    made = store.remember("Same", on_duplicate="skip")
    assert made.id != gone.id
    with pytest.raises(NotFoundError):
        store.memories.get(gone.id)


def test_threads_that_remember_the_same_store_it_once(file_store: OmegaStore):
    """Looking and writing are one transaction, so nobody comes in between."""
    barrier = Barrier(4)

    def work() -> None:
        barrier.wait()
        for number in range(20):
            file_store.remember(f"fact {number}", on_duplicate="skip")
            numbers = [1.0 if place == number else 0.0 for place in range(20)]
            name = f"{get_ident()} says {number}"  # other words, the same vector
            file_store.remember(name, vector=numbers, on_duplicate="skip")

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = [each.content for each in file_store.memories]
    assert sorted(each for each in stored if each.startswith("fact")) == sorted(
        f"fact {number}" for number in range(20)
    )
    assert sorted(int(each.split()[-1]) for each in stored if "says" in each) == [*range(20)]
