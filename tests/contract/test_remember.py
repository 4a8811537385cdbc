"""Remembering: a memory, its vector and its words, as one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega_persistence import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    StoredMemory,
    Tier,
    TransactionError,
)
from samples import edge, memory, vector
from strategies import names, texts, times, units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import Clock

MAY = 1683504000  # 8 May 2023, 00:00 UTC


def ids(records: Sequence[Any]) -> list[str]:
    return [record.id for record in records]


def test_what_is_remembered_is_found_by_id_and_by_its_words(store: OmegaStore):
    made = store.remember("The index was rebuilt overnight")
    assert store.memories.get(made.id) == made
    assert (made.tier, made.importance, made.session) == (Tier.EPISODIC, 0.5, None)
    assert made.created_at == made.last_accessed
    assert made.metadata_json is None
    assert [hit.memory for hit in store.memories.search("rebuilt")] == [made]
    assert store.vectors.count() == 0


def test_every_argument_reaches_the_memory(store: OmegaStore):
    made = store.remember(
        "I adopted a cat",
        tier=Tier.SEMANTIC,
        importance=0.9,
        session="chat-7",
        speaker="Ann",
        tags=["pets", "family news"],
        metadata={"mood": "glad"},
        at=MAY,
        expires_at=2**40,
        id="cat",
    )
    assert made == StoredMemory(
        id="cat",
        content="I adopted a cat",
        tier=4,
        importance=0.9,
        created_at=MAY,
        last_accessed=MAY,
        session="chat-7",
        keywords="Ann; pets; family news; 8 May, 2023",
        metadata_json={"mood": "glad", "speaker": "Ann", "tags": ["pets", "family news"]},
        expires_at=2**40,
    )
    assert store.memories.get("cat") == made
    for question in ("Ann", "pets", "May 2023"):
        assert ids([hit.memory for hit in store.memories.search(question)]) == ["cat"]


def test_a_speaker_and_tags_named_in_the_metadata_are_the_same(store: OmegaStore):
    said = store.remember("Yes", speaker="Ann", tags=["a"], at=MAY, id="m")
    told = store.remember("Yes", metadata={"speaker": "Ann", "tags": ["a"]}, at=MAY, id="m")
    assert told == said
    both = store.remember("Yes", speaker="Ann", metadata={"speaker": "Ann"}, at=MAY, tags=["a"])
    assert both.keywords == said.keywords
    odd = store.remember("Yes", metadata={"speaker": 7, "tags": [1, "b"]}, at=MAY)
    assert odd.keywords == "b; 8 May, 2023"
    with pytest.raises(InvalidDataError, match="metadata names another 'speaker'"):
        store.remember("Yes", speaker="Ann", metadata={"speaker": "Bob"})


def test_a_time_outside_the_calendar_has_no_date_in_words(store: OmegaStore):
    assert store.remember("Late", at=2**63 - 1).keywords == ""
    assert store.remember("Before Christ", at=-(2**60)).keywords == ""
    assert store.remember("Before the epoch", at=-1).keywords == "31 December, 1969"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=texts,
    tier=st.integers(1, 12),
    importance=units,
    session=st.none() | names,
    speaker=st.none() | names,
    tags=st.lists(names, max_size=3),
    at=times,
    again=st.booleans(),
)
def test_any_memory_that_can_be_stored_can_be_remembered(
    store: OmegaStore, again: bool, **arguments: Any
):
    arguments["id"] = "same" if again else None
    made = store.remember(**arguments)
    assert store.memories.get(made.id) == made
    for name in ("content", "tier", "importance", "session"):
        assert getattr(made, name) == arguments[name]
    for part in ("speaker", "tags"):
        assert made.metadata.get(part, type(arguments[part])()) == (arguments[part] or ...) or (
            not arguments[part]
        )
    assert all(tag in made.keywords for tag in (*arguments["tags"], arguments["speaker"] or ""))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"content": 5}, "content"),
        ({"tier": 13}, "tier"),
        ({"importance": float("nan")}, "importance"),
        ({"session": ""}, "session"),
        ({"speaker": ""}, "speaker"),
        ({"speaker": 7}, "speaker"),
        ({"tags": "one"}, "tags"),
        ({"tags": [""]}, "a tag"),
        ({"metadata": ["a"]}, "metadata"),
        ({"metadata": {"a": float("inf")}}, "metadata"),
        ({"at": 1.5}, "at"),
        ({"expires_at": -1}, "expires_at"),
        ({"id": ""}, "id"),
        ({"vector": [[1.0]]}, "array"),
        ({"vector": [float("nan")]}, "array"),
        ({"vector": [1.0], "space": 7}, "space"),
        ({"space": "model"}, "space"),
        ({"on_duplicate": "drop"}, "on_duplicate"),
        ({"duplicate_threshold": 0}, "duplicate_threshold"),
        ({"duplicate_threshold": 1.5}, "duplicate_threshold"),
        ({"duplicate_threshold": "high"}, "duplicate_threshold"),
        ({"duplicate_threshold": True}, "duplicate_threshold"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_and_nothing_is_stored(
    store: OmegaStore, arguments: dict[str, Any], field: str
):
    arguments = {"content": "words", **arguments}
    with pytest.raises(InvalidDataError) as caught:
        store.remember(**arguments)
    assert (caught.value.field, caught.value.index) == (field, None)
    with pytest.raises(InvalidDataError) as caught:
        store.remember_many([{"content": "right"}, arguments])
    assert (caught.value.field, caught.value.index) == (field, 1)
    assert store.memories.count() == 0


def test_remember_many_keeps_the_order_and_takes_any_mapping(store: OmegaStore):
    made = store.remember_many(
        {"content": f"number {i}", "tier": Tier.SEMANTIC, "vector": [i, 1] if i % 2 else None}
        for i in range(250)
    )
    assert [each.content for each in made] == [f"number {i}" for i in range(250)]
    assert store.memories.get_many(ids(made)) == made
    assert store.vectors.count() == 125
    assert store.vectors.first_by_memory(made[7].id).array.tolist() == [7, 1]
    with pytest.raises(NotFoundError):
        store.vectors.first_by_memory(made[8].id)
    assert store.remember_many([]) == []


@pytest.mark.parametrize(
    ("item", "message", "hint"),
    [
        (
            {"content": "a", "speakr": "Ann"},
            "has an unknown argument 'speakr'",
            "Did you mean speaker?",
        ),
        ({"content": "a", "colour": "red"}, "has an unknown argument 'colour'", "content, tier"),
        ({"content": "a", 7: "red"}, "has an unknown argument 7", "content, tier"),
        ({"tier": 4}, "has no content", None),
        (["content"], "is no mapping", None),
        ("content", "is no mapping", None),
    ],
)
def test_an_item_that_is_not_what_remember_takes_is_refused(
    store: OmegaStore, item: Any, message: str, hint: str | None
):
    with pytest.raises(InvalidDataError, match=f"number 1 of the batch {message}") as caught:
        store.remember_many([{"content": "right"}, item])
    assert caught.value.index == 1
    assert (hint or "") in (caught.value.hint or "")
    assert store.memories.count() == 0


def test_a_vector_is_stored_with_its_memory_in_the_space_that_is_named(store: OmegaStore):
    first = store.remember("one", vector=np.array([1, 2], dtype="f8"))
    assert store.vectors.first_by_memory(first.id).array.tolist() == [1, 2]
    assert store.vectors.first_by_memory(first.id).space == ""
    second = store.remember("two", vector=(3, 4, 5), space="model")
    assert store.vectors.first_by_memory(second.id).space == "model"


def test_memory_and_vector_are_stored_both_or_not_at_all(store: OmegaStore):
    store.remember("one", vector=[1, 2], space="model", id="kept")
    batch: list[dict[str, Any]] = [
        {"content": "no vector"},
        {"content": "fits", "vector": [1, 2], "space": "model"},
        {"content": "is longer", "vector": [1, 2, 3], "space": "model"},
    ]
    with pytest.raises(ConflictError, match="holds vectors of 2 dimensions, not 3") as caught:
        store.remember_many(batch)
    assert caught.value.index == 2
    with pytest.raises(ConflictError) as caught:
        store.remember(**batch[2])
    assert caught.value.index is None
    store.remember("two", vector=[3, 4], space="model", id="also kept")
    with pytest.raises(ConflictError):
        store.remember(**batch[2], id="kept")
    assert {each.id: each.content for each in store.memories} == {"kept": "one", "also kept": "two"}
    assert [each.array.tolist() for each in store.vectors] == [[1, 2], [3, 4]]


def test_remembering_again_replaces_the_vector_and_keeps_the_other_children(store: OmegaStore):
    first = store.remember("one", vector=[1, 2], id="m", at=100, importance=0.9)
    store.memories.put(memory("effect"))
    store.causal_edges.put(edge("e", "m", "effect"))
    store.vectors.put(vector("other", "m", 1, 2, 3, space="another model"))
    again = store.remember("one", vector=[3, 4], id="m", at=200)
    assert (again.created_at, again.last_accessed, again.importance) == (100, 200, 0.5)
    assert again == store.memories.get("m") != first
    found = {each.space: each.array.tolist() for each in store.vectors.by_memory("m")}
    assert found == {"": [3, 4], "another model": [1, 2, 3]}

    store.remember("something else", vector=[5, 6], id="m")
    assert [each.array.tolist() for each in store.vectors.by_memory("m")] == [[5, 6]]
    store.remember("something else", id="m", importance=1)
    assert store.vectors.count() == 1
    store.remember("something else", id="m", speaker="Ann")
    assert store.vectors.count() == 0
    assert store.causal_edges.count() == 1


def test_remembering_again_keeps_the_words_of_the_earlier_date(store: OmegaStore):
    store.remember("first", id="k", at=MAY, speaker="Ann")
    again = store.remember("second", id="k", speaker="Bob")
    assert (again.created_at, again.keywords) == (MAY, "Bob; 8 May, 2023")
    earlier = store.remember("third", id="k", at=MAY - 86_400)
    assert (earlier.created_at, earlier.keywords) == (MAY - 86_400, "7 May, 2023")


def test_the_first_vector_that_no_search_would_find_is_named(store: OmegaStore):
    store.remember("old", vector=[1], space="model")
    with pytest.raises(ConflictError) as caught:
        store.remember_many({"content": text, "vector": [1]} for text in "abc")
    assert caught.value.index == 0


def test_the_same_id_twice_in_a_batch_is_one_memory_with_one_vector(store: OmegaStore):
    made = store.remember_many(
        [
            {"content": "first", "id": "m", "vector": [1, 2]},
            {"content": "second", "id": "m", "vector": [3, 4]},
        ]
    )
    assert [each.content for each in made] == ["first", "second"]
    assert store.memories.get("m").content == "second"
    assert [each.array.tolist() for each in store.vectors.by_memory("m")] == [[3, 4]]


def test_an_expired_memory_that_is_remembered_again_is_there_again(store: OmegaStore, clock: Clock):
    store.remember("old news", id="m", expires_at=clock.now + 1, vector=[1, 2])
    clock.now += 1
    with pytest.raises(NotFoundError):
        store.memories.get("m")
    made = store.remember("new", id="m", vector=[3, 4])
    assert store.memories.get("m") == made
    assert [each.array.tolist() for each in store.vectors.by_memory("m")] == [[3, 4]]


def test_a_memory_that_has_expired_when_it_is_remembered_takes_no_vector(store: OmegaStore):
    with pytest.raises(ConflictError, match="it has expired"):
        store.remember("too late", expires_at=100, vector=[1, 2])
    assert store.memories.count_expired() == 0
    store.remember("too late", expires_at=100)
    assert store.memories.count_expired() == 1


def test_a_transaction_remembers_and_forgets_when_it_fails(store: OmegaStore):
    with store.transaction() as tx:
        made = tx.remember("in a transaction", vector=[1, 2])
        tx.in_namespace("other").remember_many([{"content": "elsewhere"}])
        assert tx.memories.get(made.id) == made
        with pytest.raises(TransactionError):
            store.remember("beside it")
        with suppress(InvalidDataError), tx.transaction() as inner:
            inner.remember("undone")
            inner.remember("refused", tier=13)
    assert ids(list(store.memories)) == [made.id]
    assert store.in_namespace("other").memories.count() == 1
    with store.snapshot() as snap:
        assert not hasattr(snap, "remember")


def test_namespaces_remember_apart(store: OmegaStore):
    here, there = store.in_namespace("here"), store.in_namespace("there")
    here.remember("one", id="m", vector=[1, 2], space="model")
    there.remember("two", id="m", vector=[1, 2, 3], space="model")
    assert here.memories.get("m").content == "one"
    assert there.vectors.first_by_memory("m").dimensions == 3
