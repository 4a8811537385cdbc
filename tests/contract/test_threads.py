"""Threads: any thread may call any method; blocks belong to the thread that opened them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from omega_persistence import BusyError, OmegaStore, TransactionError
from samples import memory, skill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 60
"""Seconds until a test gives up on a thread; none of them waits that long."""


def in_thread(call: Callable[[], object]) -> Any:
    """The result of a call made in another thread, or its exception."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(PATIENCE)


@pytest.fixture(params=["memory", "file"])
def impatient(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OmegaStore]:
    """A store that gives up waiting soon."""
    path = ":memory:" if request.param == "memory" else tmp_path / "store.db"
    with OmegaStore(path, busy_timeout=0.05) as store:
        yield store
        assert store.check() == []


def test_a_transaction_belongs_to_its_thread(store: OmegaStore):
    with store.transaction() as tx:
        tx.memories.put(memory())
        for call in (
            tx.memories.count,
            lambda: tx.memories.put(memory()),
            lambda: tx.transaction().__enter__(),
            tx.in_namespace("other").memories.scan,
        ):
            with pytest.raises(TransactionError, match="belongs to the thread"):
                in_thread(call)
    with store.snapshot() as snapshot:
        with pytest.raises(TransactionError, match="belongs to the thread"):
            in_thread(snapshot.memories.count)
        assert snapshot.memories.count() == 1


def test_a_snapshot_does_not_move_while_another_thread_writes(file_store: OmegaStore):
    file_store.memories.put(memory("before"))
    with file_store.snapshot() as snapshot:
        in_thread(lambda: file_store.memories.put(memory("after")))
        in_thread(lambda: file_store.memories.delete("before"))
        assert [m.id for m in snapshot.memories] == ["before"]
        assert snapshot.memories.get("before") == memory("before")
        assert snapshot.memories.count() == len(snapshot.memories.search("content")) == 1
    assert [m.id for m in file_store.memories] == ["after"]


def test_readers_see_what_was_before_while_a_transaction_is_open(file_store: OmegaStore):
    with file_store.transaction() as tx:
        tx.memories.put(memory())
        assert in_thread(file_store.memories.count) == 0
    assert in_thread(file_store.memories.count) == 1


@pytest.mark.parametrize("block", ["transaction", "snapshot"])
def test_in_memory_others_wait_for_the_one_connection(block: str):
    with OmegaStore.new_in_memory() as store:
        inside, seen = Event(), list[int]()

        def wait_and_count() -> None:
            assert inside.wait(PATIENCE)
            seen.append(store.memories.count())

        other = Thread(target=wait_and_count)
        other.start()
        with getattr(store, block)() as collections:
            inside.set()
            other.join(0.05)
            assert seen == []
            if block == "transaction":
                collections.memories.put(memory())
        other.join(PATIENCE)
        assert seen == [1 if block == "transaction" else 0]


def test_writers_wait_their_turn(store: OmegaStore):
    inside = Event()

    def write() -> None:
        assert inside.wait(PATIENCE)
        store.memories.put(memory("second"))

    other = Thread(target=write)
    other.start()
    with store.transaction() as tx:
        inside.set()
        other.join(0.05)
        assert other.is_alive()
        tx.memories.put(memory("first"))
        assert tx.memories.count() == 1
    other.join(PATIENCE)
    assert store.memories.count() == 2


def test_a_thread_that_waits_too_long_is_told(impatient: OmegaStore):
    def put() -> None:
        impatient.memories.put(memory("late"))

    with impatient.transaction() as tx:
        for call in (put, impatient.compact, impatient.check, impatient.close):
            with pytest.raises(BusyError) as caught:
                in_thread(call)
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.retryable
            assert caught.value.hint
        tx.memories.put(memory("mine"))
    in_thread(put)
    assert impatient.memories.count() == 2


def test_a_reader_in_memory_that_waits_too_long_is_told():
    with (
        OmegaStore(":memory:", busy_timeout=0.05) as store,
        store.snapshot(),
        pytest.raises(BusyError),
    ):
        in_thread(store.memories.count)


def test_increments_of_many_threads_are_all_counted(store: OmegaStore):
    """No update is lost, none is made twice, and nobody gets an error."""
    store.skills.put(skill())
    store.memories.put(memory())
    threads, each = 8, 25
    start = Barrier(threads)

    def work() -> None:
        start.wait(PATIENCE)
        for _ in range(each):
            store.skills.record_success("skill", 1)
            with store.transaction() as tx:
                known = tx.memories.get("memory")
                tx.memories.put(memory(access_count=known.access_count + 1))

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work) for _ in range(threads)]:
            done.result(PATIENCE)
    assert store.skills.get("skill").success_count == threads * each
    assert store.memories.get("memory").access_count == threads * each


def test_readers_never_see_half_a_transaction(store: OmegaStore):
    """A writer keeps two namespaces equal; every snapshot finds them so."""
    stop = Event()

    def write() -> None:
        i = 0
        while not stop.is_set():
            with store.transaction() as tx:
                for namespace in ("one", "two"):
                    tx.in_namespace(namespace).memories.put(memory(f"{i % 50}", content=f"{i}"))
            i += 1

    def read() -> None:
        for _ in range(60):
            with store.snapshot() as snapshot:
                one, two = (snapshot.in_namespace(name) for name in ("one", "two"))
                assert list(one.memories) == list(two.memories)

    writer = Thread(target=write)
    writer.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(read) for _ in range(3)]:
                done.result(PATIENCE)
    finally:
        stop.set()
        writer.join(PATIENCE)
