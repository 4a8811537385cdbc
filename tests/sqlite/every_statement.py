"""Records of every kind, and calls that execute every statement of the library."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from large_store import as_in_a_large_store
from omega_persistence import ConflictError, OmegaStore
from omega_persistence.entities import quarantine
from samples import architecture, edge, episode, intelligence, memory, skill, vector

if TYPE_CHECKING:
    from pathlib import Path

    from omega_persistence.entities.base import Collection
    from omega_persistence.entities.record import Record


def fill(store: OmegaStore, rows: int) -> None:
    """Records of every kind in two namespaces."""
    for target in (store, store.in_namespace("other")):
        numbers = range(rows)
        target.memories.put_many(
            memory(
                f"m{n:04}",
                content=f"word{n % 7} of {n}",
                tier=1 + n % 12,
                importance=n / rows,
                created_at=n,
                session=f"s{n % 5}" if n % 2 else None,
                expires_at=None if n % 9 else 1,
            )
            for n in numbers
        )
        live = [f"m{n:04}" for n in numbers if n % 9]
        target.skills.put_many(skill(f"s{n:04}", success_count=n % 50) for n in numbers)
        target.architectures.put_many(
            architecture(f"a{n:04}", paradigm=f"p{n % 4}", created_at=n) for n in numbers
        )
        target.intelligences.put_many(intelligence(f"i{n:04}", f"a{n % 20:04}") for n in numbers)
        target.vectors.put_many(
            vector(f"v{n:04}", id, 1.0, 2.0, space=f"model{n % 2}") for n, id in enumerate(live)
        )
        target.reflexion_episodes.put_many(
            episode(f"e{n:04}", id, trigger=f"t{n % 6}") for n, id in enumerate(live)
        )
        target.causal_edges.put_many(
            edge(f"c{n:04}", live[n // 10], id, edge_type=f"t{n % 3}") for n, id in enumerate(live)
        )


def do_everything(store: OmegaStore, folder: Path) -> None:
    """Execute every statement that there is."""
    for collection in store.all():
        (first, *_) = collection.scan(limit=2)
        collection.put(first)
        collection.put_many([first, first])
        assert collection.get(first.id) in [*collection, *collection.get_many([first.id])]
        collection.delete("none")
        collection.delete_many(["none"])
        collection.count()
    memories = store.memories
    memories.by_tier(1)
    memories.by_session("s1")
    memories.by_importance(0.5)
    memories.by_created_at(before=50)
    memories.by_last_accessed(before=50)
    memories.search("word1 word2")
    memories.search(
        "word1", tiers=[1], session="s1", since=1, until=2, min_importance=0, where={"a": 1}
    )
    _search_by_rarer_words(store)
    store.recall("word1 word2", vector=[1.0, 2.0], space="model1", tiers=[1, 2], explain=True)
    memories.touch("m0001")
    memories.touch_many(["m0001"])
    memories.expired()
    memories.purge_expired()
    memories.count_expired()
    memories.per_tier()
    store.skills.by_name("name of s0001")
    store.skills.by_pattern("tt")
    store.skills.triggered_by("pattern")
    store.skills.top()
    store.skills.record_success("s0001")
    store.skills.record_failure("s0001")
    store.architectures.by_paradigm("p1")
    store.architectures.by_substrate("pytorch")
    store.intelligences.by_architecture("a0001")
    store.vectors.by_memory("m0001")
    store.vectors.first_by_memory("m0001")
    _search_vectors(store)
    store.reflexion_episodes.by_memory("m0001")
    store.reflexion_episodes.by_trigger("t1")
    store.causal_edges.outgoing("m0001")
    store.causal_edges.incoming("m0001")
    store.causal_edges.between("m0001", "m0002")
    store.causal_edges.by_type("t1")
    _remember(store)
    _be_refused(store)
    with store._backend.atomic() as session:
        quarantine.add(session, "memories", {"id": ("text", b"q")}, "reason")
    store.quarantine()
    store.namespaces()
    store.statistics()
    store.doctor()
    store.export_jsonl(folder / "export.jsonl", all_namespaces=True)
    for policy in ("skip", "update"):
        store.import_jsonl(folder / "export.jsonl", on_conflict=policy)
    store.delete_quarantined([1])
    store.delete_namespace("other")


def _remember(store: OmegaStore) -> None:
    for content in ("word1 word2", "?!"):
        store.remember(content, vector=[1, 2], space="model1", id="r")
        store.remember(content, vector=[1, 2], space="model1", on_duplicate="skip")
        store.remember("else", id="r")
    store.vectors.serving_space()
    with pytest.raises(ConflictError):
        store.remember("word1", vector=[1, 2])
    store.vectors.serve("model1")
    store.vectors.serving_space()
    store.vectors.reembed("model1", "model2", lambda texts: [[1.0]] * len(texts), keep_old=False)


def _search_vectors(store: OmegaStore) -> None:
    """First with nothing in memory, then after changes that stay and changes that do not."""
    query = [1.0, 0.5]
    store.vectors.nearest(query, space="model0", exact=True)
    store.vectors.nearest(query, space="model0", tiers=[1, 2], session="s1")
    (first, *_) = store.vectors.nearest(query, space="model0")
    store.vectors.nearest(query, space="model0", tiers=[1, 2], session="s1")
    with as_in_a_large_store():
        store.vectors.nearest(query, space="model0", tiers=[1, 2])
    store.vectors.put(store.vectors.get(first.vector_id))
    store.vectors.nearest(query, space="model0")
    with suppress(KeyError), store.transaction() as tx:
        tx.vectors.delete(first.vector_id)
        tx.vectors.nearest(query, space="model0")
        raise KeyError
    store.vectors.put(store.vectors.get(first.vector_id))
    assert store.vectors.nearest(query, space="model0")[0] == first


def _search_by_rarer_words(store: OmegaStore) -> None:
    with as_in_a_large_store(narrow=1000):
        store.memories.search("word1 word2", limit=1, session="s1")
    with as_in_a_large_store(budget=0, matches=10):
        store.memories.search("word1 word2 word3", limit=1, session="s1")
        store.recall("word1 word2", limit=1)
    with as_in_a_large_store(matches=10):
        store.memories.search("word1 word2 word3", limit=1)


def _be_refused(store: OmegaStore) -> None:
    """Each reason for a conflict is looked for with a statement of its own."""
    new: list[tuple[Collection[Any], Record]] = [
        (store.vectors, vector("new", "none")),
        (store.reflexion_episodes, episode("new", "none")),
        (store.causal_edges, edge("new", "none", "m0001")),
        (store.causal_edges, edge("new", "m0001", "none")),
        (store.skills, skill("new", name="name of s0001")),
        (store.intelligences, intelligence("new", "none")),
    ]
    children: list[tuple[Collection[Any], str]] = [
        (store.vectors, "memory_id"),
        (store.reflexion_episodes, "memory_id"),
        (store.causal_edges, "from_memory"),
        (store.causal_edges, "to_memory"),
    ]
    for child, parent in children:
        (moved,) = child.scan(limit=1)
        new.append((child, replace(moved, **{parent: "m0010"})))
    for collection, record in new:
        with pytest.raises(ConflictError):
            collection.put(record)
    with pytest.raises(ConflictError):
        store.architectures.delete("a0001")
