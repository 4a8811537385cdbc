"""Memories: their queries and the order of the answers, and what putting again keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from omega_persistence import InvalidDataError, NotFoundError, OmegaStore, StoredMemory, Tier
from samples import edge, episode, memory, vector

if TYPE_CHECKING:
    from conftest import Clock


def ids(records: list[Any]) -> list[str]:
    return [record.id for record in records]


def test_by_tier_gives_the_most_important_first_and_ties_by_id(store: OmegaStore):
    store.memories.put_many(
        [
            memory("c", importance=0.5),
            memory("a", importance=0.5),
            memory("top", importance=1.0),
            memory("low", importance=0.0),
            memory("b", importance=0.5),
            memory("other", tier=5, importance=0.9),
        ]
    )
    assert ids(store.memories.by_tier(4)) == ["top", "a", "b", "c", "low"]
    store.memories.put(memory("a", importance=0.5))  # storing again does not change the order
    assert ids(store.memories.by_tier(4)) == ["top", "a", "b", "c", "low"]
    assert ids(store.memories.by_tier(4, limit=2)) == ["top", "a"]
    assert store.memories.by_tier(6) == []
    assert store.memories.by_tier(99) == []


@pytest.mark.parametrize("tier", Tier)
def test_a_tier_is_accepted_wherever_a_number_is(store: OmegaStore, tier: Tier):
    store.memories.put(memory(tier=tier))
    found = store.memories.get("memory")
    assert type(found.tier) is int
    assert found.tier == tier
    assert store.memories.by_tier(tier) == [found] == store.memories.by_tier(int(tier))
    assert store.query_memories_by_tier(tier) == [found]
    assert store.statistics().memories_per_tier == {int(tier): 1}


def test_a_record_made_with_a_tier_holds_a_plain_int():
    made = StoredMemory(content="", tier=Tier.OMEGA, importance=0)
    assert type(made.tier) is int
    assert made.tier == 12
    assert type(replace(made, tier=Tier.INSTANT).tier) is int


def test_the_tiers_are_named_from_the_moment_to_the_whole():
    assert [tier.name for tier in Tier] == [
        *("INSTANT", "SESSION", "EPISODIC", "SEMANTIC", "COLLECTIVE", "EVOLUTIONARY"),
        *("ARCHITECTURAL", "SUBSTRATE", "CIVILIZATIONAL", "TEMPORAL", "PHYSICAL", "OMEGA"),
    ]
    assert list(Tier) == list(range(1, 13))


def test_by_session_gives_the_oldest_first_and_ties_by_id(store: OmegaStore):
    store.memories.put_many(
        [
            memory("b", session="talk", created_at=5),
            memory("a", session="talk", created_at=5),
            memory("first", session="talk", created_at=-3),
            memory("last", session="talk", created_at=9),
            memory("elsewhere", session="Talk"),
            memory("nowhere"),
        ]
    )
    assert ids(store.memories.by_session("talk")) == ["first", "a", "b", "last"]
    assert ids(store.memories.by_session("talk", limit=3)) == ["first", "a", "b"]
    assert store.memories.by_session("tal_") == []
    assert store.memories.by_session("") == []


def test_by_importance_is_at_least_and_most_important_first(store: OmegaStore):
    store.memories.put_many(
        [
            memory("b", importance=0.5, tier=1),
            memory("a", importance=0.5, tier=12),
            memory("more", importance=0.75),
            memory("less", importance=0.25),
        ]
    )
    assert ids(store.memories.by_importance(0.5)) == ["more", "a", "b"]
    assert ids(store.memories.by_importance(0.5, limit=2)) == ["more", "a"]
    assert ids(store.memories.by_importance(0)) == ["more", "a", "b", "less"]
    assert store.memories.by_importance(0.76) == []


@pytest.mark.parametrize("column", ["created_at", "last_accessed"])
def test_by_time_is_before_and_the_longest_ago_first(store: OmegaStore, column: str):
    times = {"b": 10, "a": 10, "early": -(2**63), "late": 11, "last": 2**63 - 1}
    store.memories.put_many(memory(id, **{column: time}) for id, time in times.items())
    query = getattr(store.memories, f"by_{column}")
    assert ids(query(before=11)) == ["early", "a", "b"]
    assert ids(query(before=10)) == ["early"]
    assert ids(query(before=11, limit=2)) == ["early", "a"]
    assert ids(query(before=2**63 - 1)) == ["early", "a", "b", "late"]
    with pytest.raises(InvalidDataError):
        query(before=2**63)


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("by_tier", {"tier": 4}),
        ("by_session", {"session": "s"}),
        ("by_importance", {"at_least": 0.0}),
        ("by_created_at", {"before": 101}),
        ("by_last_accessed", {"before": 101}),
        ("expired", {}),
    ],
)
def test_every_query_has_a_limit(
    store: OmegaStore, clock: Clock, query: str, arguments: dict[str, Any]
):
    expires_at = clock.now if query == "expired" else None
    store.memories.put_many(
        memory(f"{i:03}", session="s", expires_at=expires_at) for i in range(110)
    )
    ask = getattr(store.memories, query)
    assert len(ask(**arguments)) == 100
    assert ids(ask(**arguments, limit=3)) == ["000", "001", "002"]
    assert len(ask(**arguments, limit=None)) == 110
    assert ask(**arguments, limit=0) == []
    for limit in (-1, True, 1.0, "1"):
        with pytest.raises(InvalidDataError, match="limit must be a whole number"):
            ask(**arguments, limit=limit)


def test_put_again_updates_in_place_and_keeps_children(store: OmegaStore):
    store.memories.put_many([memory("memory"), memory("effect")])
    store.vectors.put(vector())
    store.reflexion_episodes.put(episode())
    store.causal_edges.put_many([edge("out"), edge("in", "effect", "memory")])
    before = [list(collection) for collection in store.all()[1:]]
    store.memories.put(memory("memory"))
    store.memories.put(memory("memory", content="other", tier=7, importance=0.25))
    store.memories.put_many([memory("memory", content="other again"), memory("effect")])
    assert [list(collection) for collection in store.all()[1:]] == before
    assert store.memories.get("memory").content == "other again"


def test_put_again_replaces_every_field_but_counters_and_times(store: OmegaStore):
    store.memories.put(
        memory(
            content="old",
            tier=1,
            importance=0.1,
            embedding_blob=b"old",
            created_at=50,
            last_accessed=60,
            session="old",
            keywords="old",
            metadata_json='{"old":1}',
            expires_at=2**60,
            access_count=7,
        )
    )
    new = memory(
        content="new", tier=2, importance=0.2, created_at=70, last_accessed=40, access_count=3
    )
    store.memories.put(new)
    assert store.memories.get("memory") == replace(
        new, created_at=50, last_accessed=60, access_count=7
    )
    newer = memory(created_at=-5, last_accessed=80, access_count=2**63 - 1)
    store.memories.put(newer)
    assert store.memories.get("memory") == newer


def test_deleting_a_memory_deletes_what_hangs_on_it_and_no_more(store: OmegaStore):
    store.memories.put_many([memory("gone"), memory("kept"), memory("other")])
    store.vectors.put_many([vector("v1", "gone"), vector("v2", "kept")])
    store.reflexion_episodes.put_many([episode("e1", "gone"), episode("e2", "kept")])
    store.causal_edges.put_many(
        [edge("from", "gone", "kept"), edge("to", "kept", "gone"), edge("far", "kept", "other")]
    )
    assert store.memories.delete("gone")
    assert ids(list(store.vectors)) == ["v2"]
    assert ids(list(store.reflexion_episodes)) == ["e2"]
    assert ids(list(store.causal_edges)) == ["far"]
    assert store.memories.delete_many(["kept", "other"]) == 2
    assert [collection.count() for collection in store.all()] == [0] * len(store.all())


def test_touch_moves_the_last_access_forward_and_counts(store: OmegaStore):
    store.memories.put(memory(last_accessed=50))
    store.memories.touch("memory", 70)
    assert store.memories.get("memory") == memory(last_accessed=70, access_count=1)
    store.memories.touch("memory", 60)
    store.memories.touch("memory", -(2**63))
    assert store.memories.get("memory") == memory(last_accessed=70, access_count=3)


def test_touch_is_now_by_default(store: OmegaStore, clock: Clock):
    store.memories.put(memory())
    store.memories.touch("memory")
    assert store.memories.get("memory").last_accessed == clock.now


def test_touch_saturates(store: OmegaStore):
    store.memories.put(memory(access_count=2**63 - 1))
    store.memories.touch("memory", 2**63 - 1)
    store.memories.touch("memory", 0)
    found = store.memories.get("memory")
    assert (found.access_count, found.last_accessed) == (2**63 - 1, 2**63 - 1)


def test_touch_of_an_unknown_memory_is_an_error(store: OmegaStore):
    store.in_namespace("elsewhere").memories.put(memory())
    with pytest.raises(NotFoundError, match="'memory'"):
        store.memories.touch("memory", 1)
    assert store.in_namespace("elsewhere").memories.get("memory") == memory()


@pytest.mark.parametrize("at", [1.0, True, "1", float("nan"), 2**63, -(2**63) - 1])
def test_touch_takes_whole_seconds_only(store: OmegaStore, at: Any):
    store.memories.put(memory())
    with pytest.raises(InvalidDataError) as caught:
        store.memories.touch("memory", at)
    assert caught.value.field == "at"
    assert store.memories.get("memory") == memory()


def test_an_id_and_times_are_made_when_none_are_given(clock: Clock):
    first = StoredMemory(content="", tier=1, importance=0)
    second = StoredMemory(content="", tier=1, importance=0)
    assert (first.created_at, first.last_accessed) == (clock.now, clock.now)
    assert first.id < second.id


def test_an_embedding_is_kept_and_never_looked_into(store: OmegaStore):
    for blob in (None, b"", b"\0", b"seven b", bytes(range(256)) * 64):
        store.memories.put(memory(embedding_blob=blob))
        assert store.memories.get("memory").embedding_blob == blob


@pytest.mark.parametrize(
    "text",
    [
        "",
        "日本語 中文 한국어",
        "مرحبا שלום",
        "e\u0301 é",
        "👩‍👩‍👧‍👦 🏳️‍🌈",
        "\ufeff\ufffe\uffff\U0010ffff",
        "\x01\x1f\x7f\x80\u2028\u2029\r\n\t",
        "'; DROP TABLE memories; --",
        '%_\\*?[]{}"`',
        "a" * 100_000,
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_text_comes_back_as_it_was(store: OmegaStore, text: str):
    told = memory(text or "empty", content=text, keywords=text, session=text or None)
    store.memories.put(told)
    assert store.memories.get(told.id) == told
    assert ids(list(store.memories)) == [told.id]
    store.memories.delete(told.id)
    assert store.memories.count() == 0
