"""Recall: what answers a question, by words, vectors, neighbours and sessions."""

from __future__ import annotations

from math import isclose
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Clock
from omega_persistence import (
    InvalidDataError,
    OmegaStore,
    StoredVector,
    TransactionError,
    Weights,
)
from samples import memory, vector

PLAIN = Weights(importance=0, recency=0)


def told(store: OmegaStore, *said: tuple[str, str], session: str | None = None) -> None:
    """Memories of one session, in their order."""
    store.memories.put_many(
        memory(id, content=content, session=session, created_at=place)
        for place, (id, content) in enumerate(said)
    )


def recalled(store: OmegaStore, *args: Any, **options: Any) -> list[str]:
    return [hit.memory.id for hit in store.recall(*args, **options)]


def test_words_alone_find_what_holds_them(store: OmegaStore):
    told(store, ("a", "apple tree"), ("b", "banana tree"), ("c", "cherry"))
    assert recalled(store, "Where is the apple tree?") == ["a", "b"]
    assert recalled(store, "nothing of that") == []
    assert recalled(store, "...") == []


def test_a_vector_alone_finds_what_is_close(store: OmegaStore):
    told(store, ("a", "one"), ("b", "two"), ("c", "three"), ("d", "without a vector"))
    store.vectors.put_many(
        [vector("x", "a", 1.0, 0.0), vector("y", "b", 1.0, 1.0), vector("z", "c", -1.0, 0.0)]
    )
    hits = store.recall(vector=[2.0, 0.0], weights=PLAIN)
    assert [hit.memory.id for hit in hits] == ["a", "b", "c"]
    assert hits[0].score == hits[0].parts.vector == 1.0
    assert isclose(hits[1].score, 0.5**0.5, rel_tol=1e-6)
    assert hits[2].score == 0


def test_words_and_vector_count_half_each(store: OmegaStore):
    told(store, ("both", "apple"), ("word", "apple"), ("near", "stone"), ("none", "stone"))
    store.vectors.put_many(
        [
            vector("1", "both", 1.0, 0.0),
            vector("2", "word", 0.0, 1.0),
            vector("3", "near", 1.0, 0.0),
        ]
    )
    hits = store.recall("apple", vector=[1.0, 0.0], weights=PLAIN)
    assert [(hit.memory.id, round(hit.score, 6)) for hit in hits] == [
        ("both", 1.0),
        ("near", 0.5),
        ("word", 0.5),
    ]
    alone = store.recall("apple", vector=[1.0, 0.0], weights=Weights(vector=0, importance=0))
    assert [hit.memory.id for hit in alone][:2] == ["both", "word"]


def test_a_question_that_finds_no_word_goes_by_the_vector(store: OmegaStore):
    told(store, ("a", "apple"))
    store.vectors.put(vector("v", "a", 3.0, 4.0))
    (hit,) = store.recall("unheard of", vector=[3.0, 4.0], weights=PLAIN)
    assert hit.parts.vector == 1.0
    assert hit.parts.words == 0
    assert recalled(store.in_namespace("other"), "apple", vector=[3.0, 4.0]) == []


def test_the_answer_to_a_question_is_found_by_its_question(store: OmegaStore):
    told(
        store,
        ("1", "Which dog breed do you like?"),
        ("2", "Poodles, always."),
        ("3", "My sister has one as well."),
        session="talk",
    )
    told(store, ("4", "Poodles, always."), ("5", "My sister has one as well."))
    hits = store.recall("What dog breed?", weights=PLAIN)
    assert [hit.memory.id for hit in hits] == ["1", "2"]
    assert hits[1].parts.words == 0
    assert hits[1].parts.neighbours == 0.5
    store.memories.put(memory("1", content="A dog breed for you.", session="talk", created_at=0))
    assert store.recall("dog breed", weights=PLAIN)[1].parts.neighbours == 0.1


def test_what_stands_before_gets_a_part_too(store: OmegaStore):
    told(store, ("1", "Listen."), ("2", "The parrot escaped."), session="talk")
    hits = store.recall("parrot", weights=PLAIN)
    assert [(hit.memory.id, hit.parts.neighbours) for hit in hits] == [("2", 0), ("1", 0.1)]


def test_neighbours_are_of_one_session_and_in_the_order_of_time_and_id(store: OmegaStore):
    for id, at, session in (("b", 5, "s"), ("a", 5, "s"), ("c", 5, "t"), ("z", 1, "s")):
        content = "parrot?" if id == "a" else "nothing"
        store.memories.put(memory(id, content=content, created_at=at, session=session))
    hits = {hit.memory.id: hit.parts.neighbours for hit in store.recall("parrot", weights=PLAIN)}
    assert hits == {"a": 0, "b": 0.5, "z": 0.1}


def test_the_better_session_wins_among_equals(store: OmegaStore):
    for session, contents in (
        ("poor", ["parrot", "noise", "parrot"]),
        ("rich", ["parrot", "noise", "parrot in a green cage"]),
    ):
        store.memories.put_many(
            memory(f"{session} {n}", content=content, session=session, created_at=n)
            for n, content in enumerate(contents)
        )
    hits = store.recall("parrot in the green cage", limit=6, weights=PLAIN)
    assert hits[0].memory.id == "rich 2"
    sessions = {hit.memory.session: hit.parts.session for hit in hits}
    assert sessions["rich"] > sessions["poor"] > 0
    order = [hit.memory.id for hit in hits if hit.memory.content == "parrot"]
    assert order[0] == "rich 0"


def test_importance_and_age_decide_between_equals(store: OmegaStore, clock: Clock):
    store.memories.put_many(
        [
            memory("dull", content="apple", importance=0.1),
            memory("grave", content="apple", importance=0.9),
            memory("new", content="apple", importance=0.1, created_at=clock.now),
            memory("later", content="apple", importance=0.1, created_at=2**62),
        ]
    )
    assert recalled(store, "apple") == ["grave", "later", "new", "dull"]
    assert recalled(store, "apple", weights=PLAIN) == ["dull", "grave", "later", "new"]
    hits = store.recall("apple")
    assert all(hit.parts.importance <= 0.05 and hit.parts.recency <= 0.05 for hit in hits)


def test_parts_add_up_and_the_order_is_by_score_and_id(store: OmegaStore):
    for n in range(60):
        store.memories.put(
            memory(
                f"{n:02}",
                content=f"word{n % 5} and word{n % 7}{'?' * (n % 3)}",
                session=f"s{n // 9}" if n % 4 else None,
                created_at=n,
                importance=n % 3 / 2,
            )
        )
        store.vectors.put(vector(f"{n}", f"{n:02}", 1.0, n / 30))
    hits = store.recall("word1 word2 and word3", vector=[1.0, 1.0], limit=60)
    assert len(hits) > 40
    keys = [(-hit.score, hit.memory.id) for hit in hits]
    assert keys == sorted(keys)
    for hit in hits:
        parts = (getattr(hit.parts, field) for field in hit.parts.__struct_fields__)
        assert isclose(sum(parts), hit.score)
        assert hit.memory == store.memories.get(hit.memory.id)
        assert hit.why == ()
    with store.snapshot() as snapshot:  # in which no second passes
        first = snapshot.recall("word1 word2 and word3", vector=[1.0, 1.0], limit=10)
        fewer = snapshot.recall("word1 word2 and word3", vector=[1.0, 1.0], limit=7)
    assert fewer == first[:7]


@pytest.mark.parametrize(
    "options",
    [
        {"tiers": [4]},
        {"session": "s1"},
        {"since": 10, "until": 20},
        {"min_importance": 0.6},
        {"where": {"place": "Bern", "score": {">=": 3}}},
    ],
    ids=repr,
)
def test_a_filter_holds_for_everything_that_is_returned(store: OmegaStore, options: dict[str, Any]):
    for n in range(60):
        store.memories.put(
            memory(
                f"{n:02}",
                content="apple tree" if n % 3 else "apple?",
                tier=1 + n % 4,
                session=f"s{n % 2}",
                created_at=n // 2,
                importance=n % 11 / 10,
                metadata_json={"place": "Bern" if n % 2 else "Rome", "score": n % 7},
            )
        )
        store.vectors.put(vector(f"{n}", f"{n:02}", 1.0, n / 30))
    admitted = {hit.memory.id for hit in store.memories.search("apple", limit=None, **options)}  # pyright: ignore[reportArgumentType]
    assert 0 < len(admitted) < 60
    for question in ({"text": "apple tree"}, {"vector": [1.0, 0.5]}):
        found = recalled(store, **question, limit=60, **options)
        assert set(found) == admitted
        both = recalled(store, "apple tree", vector=[1.0, 0.5], limit=5, **options)
        assert set(both) <= admitted
        assert len(both) == 5


def test_what_a_filter_keeps_out_still_speaks_for_its_neighbours(store: OmegaStore):
    told(store, ("1", "Which dog breed?"), ("2", "A poodle dog."), ("3", "ah"), session="talk")
    store.memories.put(memory("2", content="A poodle dog.", session="talk", created_at=1, tier=7))
    (hit,) = store.recall("dog breed", tiers=[7])
    assert hit.memory.id == "2"
    assert hit.parts.neighbours > 0


def test_expired_memories_never_show_nor_speak(store: OmegaStore, clock: Clock):
    told(store, ("1", "Which dog breed?"), ("2", "Poodle."), ("3", "dog"), session="talk")
    store.memories.put(
        memory("1", content="Which dog breed?", session="talk", created_at=0, expires_at=clock.now)
    )
    hits = store.recall("dog breed", weights=PLAIN)
    assert [hit.memory.id for hit in hits] == ["3", "2"]
    assert hits[1].parts.neighbours == 0.1


def test_an_explanation_says_why(store: OmegaStore):
    told(store, ("1", "Which dog breed?"), ("2", "Poodles."), session="talk")
    store.vectors.put(vector("v", "2", 1.0, 0.0))
    found = store.recall("what dog breeds", vector=[1.0, 0.0], explain=True)
    assert found.words == ("dog", "breeds")
    assert found.space == ""
    assert [hit.memory for hit in found.hits] == [
        hit.memory for hit in store.recall("what dog breeds", vector=[1.0, 0.0])
    ]
    why = {hit.memory.id: " | ".join(hit.why) for hit in found.hits}
    assert "holds the words dog, breeds, some of them side by side" in why["1"]
    assert "cosine 1.000" in why["2"]
    assert "follows 1, which asks something" in why["2"]
    assert "session talk" in why["1"]


def test_an_explanation_names_the_neighbours_of_what_is_there_as_a_neighbour(store: OmegaStore):
    told(store, ("1", "Which dog breed?"), ("2", "Poodles."), ("3", "I see."), session="talk")
    found = store.recall("dog breed", weights=PLAIN, explain=True)
    why = {hit.memory.id: hit.why for hit in found.hits}
    assert why["2"][0] == "follows 1, which asks something"
    found = store.recall("poodle", weights=PLAIN, explain=True)
    why = {hit.memory.id: hit.why for hit in found.hits}
    assert (why["1"][0], why["3"][0]) == ("precedes 2", "follows 2")


def test_a_hit_tells_how_close_its_vector_is_whatever_else_there_is(store: OmegaStore):
    told(store, ("far", "a cat"), ("near", "tea"), ("bare", "a cat and tea"))
    store.vectors.put(vector("v", "far", 3.0, 4.0))
    store.vectors.put(vector("w", "near", 1.0, 0.0))
    cosines = {hit.memory.id: hit.cosine for hit in store.recall("cat tea", vector=[1.0, 0.0])}
    assert cosines == {"far": pytest.approx(0.6), "near": 1.0, "bare": 0.0}
    assert {hit.cosine for hit in store.recall("cat tea")} == {None}


def test_any_limit_is_one_and_none_means_all(store: OmegaStore):
    told(store, *((f"{n:02}", f"dog {n}") for n in range(40)))
    for limit in (None, 2**63, 10**30):
        assert len(store.recall("dog", limit=limit)) == 40


def test_an_explanation_names_what_kept_others_out(store: OmegaStore, clock: Clock):
    told(store, ("next", "dog"), ("best", "dog breed"), ("off", "dog breed"), ("old", "dog breed"))
    store.memories.put(memory("off", content="dog breed", tier=9))
    store.memories.put(memory("old", content="dog breed", expires_at=clock.now))
    found = store.recall("dog breed", limit=1, tiers=[4], explain=True)
    assert [hit.memory.id for hit in found.hits] == ["best"]
    kept_out = {miss.memory.id: miss.kept_out for miss in found.near_misses}
    assert kept_out == {"next": "limit"}
    found = store.recall("dog breed", limit=3, tiers=[4], explain=True)
    assert [hit.memory.id for hit in found.hits] == ["best", "next"]
    kept_out = {miss.memory.id: miss.kept_out for miss in found.near_misses}
    assert kept_out == {"off": "filter", "old": "expiry"}
    assert store.memories.count() == 3


def test_touch_records_the_access_to_what_is_returned(store: OmegaStore, clock: Clock):
    told(store, ("a", "apple"), ("b", "apple tree"), ("c", "stone"))
    assert [hit.memory.access_count for hit in store.recall("apple", touch=True)] == [0, 0]
    counts = {each.id: (each.access_count, each.last_accessed) for each in store.memories}
    assert counts == {"a": (1, clock.now), "b": (1, clock.now), "c": (0, 100)}
    with store.transaction() as tx:
        tx.recall("apple", limit=1, touch=True)
    assert sum(each.access_count for each in store.memories) == 3
    with store.snapshot() as snap:
        assert len(snap.recall("apple")) == 2
        with pytest.raises(TransactionError):
            snap.recall("apple", touch=True)


def test_a_transaction_recalls_what_it_has_written(store: OmegaStore):
    told(store, ("a", "apple"))
    with store.transaction() as tx:
        tx.memories.put(memory("b", content="apple"))
        tx.vectors.put(vector("v", "b", 1.0, 0.0))
        assert sorted(hit.memory.id for hit in tx.recall("apple", vector=[1.0, 0.0])) == ["a", "b"]
        tx.memories.delete("a")
        assert [hit.memory.id for hit in tx.recall("apple")] == ["b"]
    assert recalled(store, "apple") == ["b"]


def test_limits(store: OmegaStore):
    told(store, *((f"{n:03}", "apple") for n in range(250)))
    assert recalled(store, "apple", weights=PLAIN, limit=3) == ["000", "001", "002"]
    assert recalled(store, "apple", limit=0) == []
    assert len(recalled(store, "apple", limit=120)) == 120
    assert len(recalled(store, "apple", limit=1000)) == 250


REFUSED: list[dict[str, Any]] = [
    {},
    {"text": 7},
    {"text": b"a"},
    {"text": "a", "limit": -1},
    {"text": "a", "limit": True},
    {"text": "a", "space": 7},
    {"text": "a", "tiers": 4},
    {"text": "a", "where": {"a": [1]}},
    {"text": "a", "weights": 0.5},
    {"vector": []},
    {"vector": [1.0, float("nan")]},
    {"vector": [[1.0, 2.0]]},
    {"vector": "text"},
    {"vector": [1.0, 2.0, 3.0]},
    {"vector": [1.0, 2.0], "space": "unheard of"},
]


@pytest.mark.parametrize("arguments", REFUSED, ids=repr)
def test_what_makes_no_sense_is_refused(store: OmegaStore, arguments: dict[str, Any]):
    told(store, ("a", "a"))
    store.vectors.put(vector("v", "a", 1.0, 2.0))
    if arguments.get("space") == "unheard of":
        assert recalled(store, **arguments) == []
        return
    with pytest.raises(InvalidDataError):
        store.recall(**arguments)


@pytest.mark.parametrize("field", Weights.__struct_fields__)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "1", None, True])
def test_what_is_no_weight_is_refused(field: str, value: Any):
    with pytest.raises(InvalidDataError, match=field):
        Weights(**{field: value})


def test_a_share_is_at_most_all_and_a_half_life_not_nothing():
    assert Weights(vector=1).vector == 1
    for field, value in (("vector", 1.1), ("half_life", 0)):
        with pytest.raises(InvalidDataError, match=field):
            Weights(**{field: value})


contents = st.lists(
    st.sampled_from(["apple", "tree?", "green", "the", "何を食べた？", "Straße"]), max_size=4
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    said=st.lists(
        st.tuples(contents.map(" ".join), st.none() | st.sampled_from("st"), st.integers(0, 2)),
        max_size=8,
    ),
    text=contents.map(" ".join),
    limit=st.integers(0, 9),
    embedded=st.lists(st.tuples(st.integers(0, 7), st.floats(-1, 1, width=16)), max_size=5),
)
def test_any_question_to_any_store_is_answered_in_order(
    store: OmegaStore,
    said: list[tuple[str, str | None, int]],
    text: str,
    limit: int,
    embedded: list[tuple[int, float]],
):
    records = [
        memory(f"{n}", content=content, session=session, created_at=at)
        for n, (content, session, at) in enumerate(said)
    ]
    vectors = [
        StoredVector.from_array(f"{n}", [1.0, y], id=f"v{place}")
        for place, (n, y) in enumerate(embedded)
        if n < len(said)
    ]
    with store.transaction() as tx:
        tx.memories.delete_many(f"{n}" for n in range(8))
        tx.memories.put_many(records)
        tx.vectors.put_many(vectors)
        for embedding in (None, [1.0, 0.5]):
            found = tx.recall(text, vector=embedding, limit=limit, explain=True)
            keys = [(-hit.score, hit.memory.id) for hit in found.hits]
            assert keys == sorted(keys)
            assert len({id for _, id in keys}) == len(keys) <= limit
            assert len(keys) >= min(limit, len(tx.memories.search(text, limit=None)))  # pyright: ignore[reportArgumentType]
            assert all(miss.kept_out == "limit" for miss in found.near_misses)
