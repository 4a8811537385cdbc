"""Threads that wait to write share a commit, and nobody notices but the disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from time import sleep
from typing import TYPE_CHECKING, Any, cast

import pytest

from omega_persistence import BackendError, ConflictError, OmegaStore
from samples import edge, memory, skill
from sqlite.faulty_disk import LOG, Disk, Fault
from sqlite.support import Holder

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from omega_persistence.backends.sqlite import SQLiteBackend

THREADS = 12

Write = Callable[[], Any]


@pytest.fixture
def store(disk: Disk, tmp_path: Path) -> Generator[OmegaStore]:
    """A store with one memory, whose counted accesses are never lost."""
    with OmegaStore(tmp_path / "store.db", busy_timeout=60) as store:
        store.memories.put(memory("m"))
        yield store
        disk.fault = None
        assert store.check() == []


@contextmanager
def waiting(store: OmegaStore, writes: list[Write]) -> Generator[list[Future[Any]]]:
    """The writes wait for their turn, in this order; they take place when the block ends."""
    queue = cast("SQLiteBackend", store._backend)._writer._turns._queue
    with ThreadPoolExecutor(len(writes)) as pool:
        results: list[Future[Any]] = []
        with Holder(store, "transaction"):
            for write in writes:
                results.append(pool.submit(write))
                while len(queue) < len(results):
                    sleep(0.001)
            yield results


def test_writers_that_wait_share_one_sync(store: OmegaStore, disk: Disk) -> None:
    disk.fault = fault = Fault("sync", LOG, times=0)
    with waiting(store, [lambda: store.memories.touch("m")] * THREADS):
        assert fault.seen == 0
    assert fault.seen == 1
    assert store.memories.get("m").access_count == THREADS


def test_a_commit_that_fails_raises_for_everybody_who_shared_it(
    store: OmegaStore, disk: Disk
) -> None:
    with waiting(store, [lambda: store.memories.touch("m")] * THREADS) as results:
        disk.fault = fault = Fault("sync", LOG)
    assert fault.hit == 1
    for result in results:
        assert isinstance(result.exception(), BackendError)
    assert len({id(result.exception()) for result in results}) == THREADS  # each has its own
    assert store.memories.get("m").access_count == 0
    store.memories.touch("m")
    assert store.memories.get("m").access_count == 1


def test_an_error_of_the_disk_in_one_write_loses_those_that_share_its_transaction(
    store: OmegaStore, disk: Disk
) -> None:
    """They were not acknowledged yet, so each of them raises."""
    for connection in cast("SQLiteBackend", store._backend)._connector._open:
        connection.execute("PRAGMA shrink_memory")
    with waiting(store, [lambda: store.memories.touch("m")] * THREADS) as results:
        disk.fault = fault = Fault("read", after=1)
    failed = [result for result in results if result.exception()]
    assert fault.hit == 1
    assert failed
    assert store.memories.get("m").access_count == THREADS - len(failed)


def test_a_write_that_is_refused_is_undone_without_those_it_shares_with(store: OmegaStore) -> None:
    def touch() -> None:
        store.memories.touch("m")

    def orphan() -> None:
        store.causal_edges.put(edge("e", "m", "none"))

    def batch() -> None:
        store.skills.put_many([skill("a", name="first"), skill("b", name="first")])

    def good_batch() -> None:
        store.skills.put_many([skill("c", name="third"), skill("d", name="fourth")])

    writes = [touch, orphan, touch, batch, good_batch, touch, batch, orphan, touch]
    with waiting(store, writes) as results:
        pass
    refused = [isinstance(result.exception(), ConflictError) for result in results]
    assert refused == [write in (orphan, batch) for write in writes]
    assert store.memories.get("m").access_count == 4
    assert [each.id for each in store.skills] == ["c", "d"]
    assert store.causal_edges.count() == 0


def test_transactions_keep_to_themselves(store: OmegaStore, disk: Disk) -> None:
    """What a caller may fill at leisure is shared by nobody, and seen by nobody before its end."""

    def whole(number: int) -> None:
        with store.transaction() as tx:
            tx.memories.touch("m")
            assert tx.memories.get("m").access_count == number + 1

    disk.fault = fault = Fault("sync", LOG, times=0)
    with waiting(store, [lambda number=n: whole(number) for n in range(4)]) as results:
        pass
    assert [result.exception() for result in results] == [None] * 4
    assert fault.seen == 4


def test_what_was_acknowledged_is_there_whatever_fails_meanwhile(
    store: OmegaStore, disk: Disk
) -> None:
    def write(thread: int) -> set[str]:
        acknowledged: set[str] = set()
        for number in range(40):
            with suppress(BackendError):
                store.memories.put(memory(f"{thread}-{number}"))
                acknowledged.add(f"{thread}-{number}")
        return acknowledged

    disk.fault = fault = Fault("sync", LOG, after=2, times=1000, every=4)
    with ThreadPoolExecutor(THREADS) as pool:
        acknowledged = set[str]().union(*pool.map(write, range(THREADS)))
    disk.fault = None
    assert fault.hit > 3
    assert acknowledged <= {each.id for each in store.memories}
    assert len(acknowledged) < 40 * THREADS
