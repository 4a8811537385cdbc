"""Expiry: an expired memory is invisible at once, and comes back when it is put again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from omega_persistence import ConflictError, NotFoundError, OmegaStore
from samples import edge, episode, memory, vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conftest import Clock
    from omega_persistence.entities.memories import Memories


@pytest.fixture
def expired(store: OmegaStore, clock: Clock) -> OmegaStore:
    """A store with a memory that stays and one, with children, that has just expired."""
    store.memories.put_many(
        [
            memory("kept", content="apple", session="s"),
            memory("gone", content="apple pie", session="s", expires_at=clock.now + 10),
        ]
    )
    store.vectors.put(vector("v", "gone"))
    store.reflexion_episodes.put(episode("e", "gone"))
    store.causal_edges.put_many([edge("out", "gone", "kept"), edge("in", "kept", "gone")])
    clock.now += 10
    return store


def ids(records: Iterable[Any]) -> list[str]:
    return [record.id for record in records]


# What each way of reading sees, as ids or a number.
READS: dict[str, Callable[[Memories], Any]] = {
    "get_many": lambda memories: ids(memories.get_many(["gone", "kept"])),
    "scan": lambda memories: ids(memories.scan()),
    "iteration": ids,
    "count": lambda memories: memories.count(),
    "by_tier": lambda memories: ids(memories.by_tier(4)),
    "by_session": lambda memories: ids(memories.by_session("s")),
    "by_importance": lambda memories: ids(memories.by_importance(0.0)),
    "by_created_at": lambda memories: ids(memories.by_created_at(before=101)),
    "by_last_accessed": lambda memories: ids(memories.by_last_accessed(before=101)),
    "search": lambda memories: ids(hit.memory for hit in memories.search("apple pie")),
    "per_tier": lambda memories: memories.per_tier(),
}
SEEN: dict[str, Any] = {"count": 1, "per_tier": {4: 1}}


@pytest.mark.parametrize("read", READS)
def test_no_read_sees_an_expired_memory(expired: OmegaStore, read: str):
    assert READS[read](expired.memories) == SEEN.get(read, ["kept"])
    with expired.transaction() as tx:
        assert READS[read](tx.memories) == SEEN.get(read, ["kept"])
    with expired.snapshot() as snapshot:
        assert READS[read](snapshot.memories) == SEEN.get(read, ["kept"])


def test_every_query_of_memories_is_covered_here(store: OmegaStore):
    writes = {"put", "put_many", "delete", "delete_many", "touch", "touch_many"}
    writes |= {"purge_expired", "write"}
    about_expired = {"expired", "count_expired"}
    others = {"get", "table"}
    public = {name for name in dir(store.memories) if not name.startswith("_")}
    assert public - writes - about_expired - others == READS.keys() - {"iteration"}


def test_get_and_touch_do_not_find_an_expired_memory(expired: OmegaStore):
    with pytest.raises(NotFoundError):
        expired.memories.get("gone")
    with pytest.raises(NotFoundError):
        expired.get_memory("gone")
    with pytest.raises(NotFoundError):
        expired.memories.touch("gone", 10**6)


def test_a_memory_expires_at_the_second_it_names(store: OmegaStore, clock: Clock):
    store.memories.put(memory(expires_at=clock.now + 1))
    assert store.memories.count() == 1
    clock.now += 1
    assert store.memories.count() == 0
    clock.now -= 1
    assert store.memories.get("memory").id == "memory"


def test_a_snapshot_and_a_transaction_have_one_time(store: OmegaStore, clock: Clock):
    store.memories.put(memory(expires_at=clock.now + 1))
    with store.snapshot() as snapshot:
        clock.now += 10
        assert snapshot.memories.count() == len(list(snapshot.memories)) == 1
    clock.now -= 10
    with store.transaction() as tx:
        clock.now += 10
        assert tx.memories.get("memory").id == "memory"
        assert len(tx.memories.search("content")) == 1
    assert store.memories.count() == 0


def test_statistics_count_expired_memories_apart(expired: OmegaStore):
    statistics = expired.statistics()
    assert (statistics.memory_count, statistics.counts["memories"]) == (1, 1)
    assert statistics.memories_per_tier == {4: 1}
    assert statistics.expired_memory_count == expired.memories.count_expired() == 1


def test_children_of_an_expired_memory_stay_readable(expired: OmegaStore):
    assert expired.vectors.get("v").memory_id == "gone"
    assert expired.vectors.first_by_memory("gone").id == "v"
    assert expired.reflexion_episodes.by_memory("gone") == [episode("e", "gone")]
    assert [e.id for e in expired.causal_edges.incoming("gone")] == ["in"]
    assert [e.id for e in expired.causal_edges.outgoing("gone")] == ["out"]


NEW_CHILDREN = {
    "vectors": vector("new", "gone"),
    "reflexion_episodes": episode("new", "gone"),
    "causal_edges": edge("new", "gone", "kept"),
    "causal_edges to": edge("new", "kept", "gone"),
}


@pytest.mark.parametrize("name", NEW_CHILDREN)
def test_an_expired_memory_takes_no_new_children(expired: OmegaStore, name: str):
    collection: Any = getattr(expired, name.split(maxsplit=1)[0])
    child: Any = NEW_CHILDREN[name]
    before = list(collection)
    with pytest.raises(ConflictError, match=r"names 'gone'.*expired") as caught:
        collection.put(child)
    assert caught.value.id == "new"
    assert caught.value.index is None
    assert caught.value.hint is not None
    good = dict.fromkeys(("memory_id", "from_memory", "to_memory"), "kept")
    fine = replace(child, id="fine", **{f: v for f, v in good.items() if hasattr(child, f)})
    with pytest.raises(ConflictError) as caught:
        collection.put_many([fine, child])
    assert caught.value.index == 1
    with expired.transaction() as tx, pytest.raises(ConflictError):
        getattr(tx, name.split(maxsplit=1)[0]).put(child)
    assert list(collection) == before


def test_children_that_an_expired_memory_has_can_be_put_again(expired: OmegaStore):
    expired.vectors.put(vector("v", "gone", 5.0, 6.0))
    expired.reflexion_episodes.put_many([episode("e", "gone", outcome="better")])
    expired.causal_edges.put(edge("in", "kept", "gone", weight=0.75))
    assert expired.vectors.get("v").array.tolist() == [5.0, 6.0]
    assert expired.reflexion_episodes.get("e").outcome == "better"
    assert expired.causal_edges.get("in").weight == 0.75


def test_putting_an_expired_memory_again_renews_it_with_its_children(
    expired: OmegaStore, clock: Clock
):
    for expires_at in (None, clock.now + 1, 2**63 - 1):
        renewed = memory("gone", content="new", expires_at=expires_at)
        expired.memories.put(renewed)
        assert expired.memories.get("gone") == renewed
        assert expired.memories.count() == 2
    expired.vectors.put(vector("another", "gone"))
    assert [v.id for v in expired.vectors.by_memory("gone")] == ["another", "v"]


def test_a_memory_may_be_put_with_a_time_that_has_passed(expired: OmegaStore, clock: Clock):
    for expires_at in (0, clock.now - 1, clock.now):
        expired.memories.put(memory("past", expires_at=expires_at))
        with pytest.raises(NotFoundError):
            expired.memories.get("past")


def test_expired_lists_the_longest_ago_first_and_ties_by_id(store: OmegaStore, clock: Clock):
    times = {"b": clock.now, "a": clock.now, "first": 0, "not yet": clock.now + 1, "never": None}
    store.memories.put_many(memory(id, expires_at=time) for id, time in times.items())
    store.in_namespace("other").memories.put(memory("elsewhere", expires_at=0))
    assert [m.id for m in store.memories.expired()] == ["first", "a", "b"]
    assert [m.id for m in store.memories.expired(limit=1)] == ["first"]
    assert store.memories.expired()[0] == memory("first", expires_at=0)


def test_purging_deletes_the_expired_and_their_children_alone(expired: OmegaStore):
    other = expired.in_namespace("other")
    other.memories.put(memory("elsewhere", expires_at=0))
    assert expired.memories.purge_expired() == 1
    assert expired.memories.purge_expired() == 0
    assert sum(expired.statistics().counts.values()) == expired.memories.count() == 1
    assert expired.statistics().expired_memory_count == 0
    assert other.memories.count_expired() == 1
    expired.memories.put(memory("gone"))
    assert expired.vectors.by_memory("gone") == []


def test_an_expired_memory_can_be_deleted(expired: OmegaStore):
    assert expired.memories.delete("gone") is True
    assert expired.memories.delete("gone") is False
    assert expired.vectors.count() == 0


def test_a_namespace_of_expired_memories_still_exists_until_it_is_deleted(store: OmegaStore):
    store.in_namespace("past").memories.put(memory(expires_at=0))
    assert store.namespaces() == ["past"]
    assert store.delete_namespace("past") == 1
    assert store.namespaces() == []
