"""Transactions and snapshots used in the wrong way: an error at once, and nothing lost."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from omega_persistence import (
    ClosedError,
    OmegaStore,
    TransactionError,
)
from samples import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from omega_persistence import Snapshot, StoredMemory, Transaction


class OwnError(Exception):
    """The caller's own."""


# Misuse: everything that reads or writes through the store, while its thread has a block open.

USES: dict[str, Callable[[OmegaStore], object]] = {
    "put": lambda store: store.memories.put(memory()),
    "put_many": lambda store: store.memories.put_many([memory()]),
    "get": lambda store: store.memories.get("memory"),
    "get_many": lambda store: store.memories.get_many(["memory"]),
    "delete": lambda store: store.memories.delete("memory"),
    "delete_many": lambda store: store.memories.delete_many(["memory"]),
    "count": lambda store: store.memories.count(),
    "scan": lambda store: store.memories.scan(),
    "iteration": lambda store: list(store.memories),
    "by_tier": lambda store: store.memories.by_tier(1),
    "search": lambda store: store.memories.search("word"),
    "touch": lambda store: store.memories.touch("memory", 1),
    "purge_expired": lambda store: store.memories.purge_expired(),
    "another namespace": lambda store: store.in_namespace("other").memories.count(),
    "flat method": lambda store: store.store_memory(memory()),
    "transaction": lambda store: store.transaction().__enter__(),
    "snapshot": lambda store: store.snapshot().__enter__(),
    "statistics": lambda store: store.statistics(),
    "namespaces": lambda store: store.namespaces(),
    "delete_namespace": lambda store: store.delete_namespace("default"),
    "check": lambda store: store.check(),
    "doctor": lambda store: store.doctor(),
    "quarantine": lambda store: store.quarantine(),
    "delete_quarantined": lambda store: store.delete_quarantined([1]),
    "compact": lambda store: store.compact(),
    "optimize": lambda store: store.optimize(),
    "backup": lambda store: store.backup("never-made.db"),
    "close": lambda store: store.close(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("block", ["transaction", "inner transaction", "snapshot"])
def test_the_store_is_refused_at_once_while_its_thread_has_a_block_open(
    shared: OmegaStore, block: str, use: str
):
    if block == "snapshot":
        with shared.snapshot() as snapshot:
            with pytest.raises(TransactionError):
                USES[use](shared)
            assert snapshot.memories.count() == 0
        return
    with shared.transaction() as tx:
        if block == "transaction":
            with pytest.raises(TransactionError):
                USES[use](shared)
        else:
            with tx.transaction(), pytest.raises(TransactionError):
                USES[use](shared)
        tx.memories.put(memory("kept"))
        tx.memories.delete("kept")
    assert shared.memories.count() == 0


@pytest.fixture(scope="module", params=["memory", "file"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store that stays empty; nothing may wait in it."""
    path = tmp_path_factory.mktemp("shared") / "store.db"
    with OmegaStore(":memory:" if request.param == "memory" else path, busy_timeout=60) as store:
        yield store
        assert store.check() == []


def use_of(collections: Snapshot) -> list[Callable[[], object]]:
    """Ways to use a transaction or snapshot that only read."""
    memories = collections.memories
    return [
        lambda: memories.get("memory"),
        lambda: memories.get_many(["memory"]),
        memories.count,
        memories.scan,
        lambda: list(memories),
        lambda: memories.by_tier(1),
        lambda: memories.search("word"),
        memories.per_tier,
        collections.in_namespace("other").memories.count,
    ]


def writes_of(collections: Snapshot) -> list[Callable[[], object]]:
    memories = collections.memories
    return [
        lambda: memories.put(memory()),
        lambda: memories.put_many([memory()]),
        lambda: memories.delete("memory"),
        lambda: memories.delete_many(["memory"]),
        lambda: memories.touch("memory", 1),
        memories.purge_expired,
        lambda: collections.skills.record_success("skill", 1),
    ]


def assert_refused(calls: list[Callable[[], object]], words: str) -> None:
    for call in calls:
        with pytest.raises(TransactionError, match=words) as caught:
            call()
        assert not caught.value.retryable


@pytest.mark.parametrize("error", [None, OwnError])
def test_a_transaction_is_dead_after_its_block(store: OmegaStore, error: type[Exception] | None):
    kept: list[Transaction] = []
    pages: list[Iterator[StoredMemory]] = []
    with suppress(OwnError), store.transaction() as tx:
        tx.memories.put(memory("seen"))
        pages.append(iter(tx.memories))
        kept += [tx, tx.in_namespace("other")]
        with tx.transaction() as inner:
            kept.append(inner)
        if error:
            raise error
    for dead in kept:
        assert_refused(use_of(dead) + writes_of(dead), "after its block had ended")
        with pytest.raises(TransactionError), dead.transaction():
            pass
    with pytest.raises(TransactionError):
        next(pages[0])
    assert store.memories.count() == (0 if error else 1)


def test_a_snapshot_is_dead_after_its_block(store: OmegaStore):
    with store.snapshot() as snapshot:
        other = snapshot.in_namespace("other")
    assert_refused(use_of(snapshot) + use_of(other), "after its block had ended")


def test_a_snapshot_only_reads(store: OmegaStore):
    store.memories.put(memory())
    with store.snapshot() as snapshot:
        assert_refused(writes_of(snapshot), "a snapshot only reads")
        assert snapshot.memories.get("memory") == memory()
        assert not hasattr(snapshot, "transaction")
    assert store.memories.get("memory") == memory()


def test_the_outer_transaction_waits_for_the_inner_one(store: OmegaStore):
    with store.transaction() as tx:
        other = tx.in_namespace("other")
        with tx.transaction() as inner:
            assert_refused(use_of(tx) + writes_of(tx), "an inner transaction is open")
            assert_refused(use_of(other) + writes_of(other), "an inner transaction is open")
            with pytest.raises(TransactionError), tx.transaction():
                pass
            with inner.transaction() as innermost:
                assert_refused(use_of(inner), "an inner transaction is open")
                innermost.memories.put(memory("innermost"))
            inner.memories.put(memory("inner"))
        tx.memories.put(memory("outer"))
    assert store.memories.count() == 3


def test_after_a_refusal_the_store_works_as_before(store: OmegaStore):
    with store.transaction(), pytest.raises(TransactionError):
        store.memories.count()
    with store.snapshot(), pytest.raises(TransactionError):
        store.memories.put(memory())
    store.memories.put(memory())
    assert store.memories.count() == 1


def test_a_closed_store_says_so(tmp_path: Path):
    for path in (":memory:", tmp_path / "store.db"):
        store = OmegaStore(path)
        other = store.in_namespace("other")
        store.close()
        store.close()
        for name, use in USES.items():
            if name != "close":
                with pytest.raises(ClosedError, match="closed"):
                    use(store)
        with pytest.raises(ClosedError):
            other.memories.count()


def test_closing_the_view_of_a_namespace_leaves_the_store_open(store: OmegaStore):
    with store.in_namespace("other") as other:
        other.memories.put(memory())
    other.close()
    assert store.in_namespace("other").memories.count() == 1
