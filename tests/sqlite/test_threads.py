"""Any thread may call any method of a store at any time."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from random import Random
from threading import Event, Thread
from time import sleep
from typing import TYPE_CHECKING, Any, cast

import pytest

from omega_persistence import BackendError, BusyError, ClosedError, OmegaStore, TransactionError
from omega_persistence.backends.sqlite import readers
from omega_persistence.backends.sqlite.readers import MAX_READERS
from samples import edge, memory, skill
from sqlite.support import Holder

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

THREADS = 16
EACH = 25


@contextmanager
def every_reader_taken(store: OmegaStore) -> Generator[list[Holder]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Holder(store, "snapshot")) for _ in range(MAX_READERS)]


def touch(store: OmegaStore, id: str) -> None:
    store.memories.touch("hub")


def succeed(store: OmegaStore, id: str) -> None:
    store.skills.record_success("s")


def put_two(store: OmegaStore, id: str) -> None:
    store.memories.put_many([memory(f"{id}-1"), memory(f"{id}-2")])
    assert len(store.memories.search("content", limit=3)) == 3


def put_and_delete(store: OmegaStore, id: str) -> None:
    with store.transaction() as tx:
        tx.memories.put(memory(f"{id}-gone"))
        tx.causal_edges.put(edge(id, f"{id}-gone", "hub"))
    assert store.memories.delete(f"{id}-gone")


def change_the_mind(store: OmegaStore, id: str) -> None:
    with suppress(ZeroDivisionError), store.transaction() as tx:
        tx.skills.record_success("s")
        tx.memories.delete("hub")
        raise ZeroDivisionError


def pay(store: OmegaStore, id: str) -> None:
    with store.transaction() as tx, tx.transaction() as inner:
        paid = len(id)
        inner.memories.delete_many(["a", "b"])
        inner.memories.put(memory("a", access_count=500 - paid))
        inner.memories.put(memory("b", access_count=paid))


def audit(store: OmegaStore, id: str) -> None:
    with store.snapshot() as snapshot:
        a, b = snapshot.memories.get("a"), snapshot.memories.get("b")
        assert a.access_count + b.access_count == 500


ACTIONS = (touch, succeed, put_two, put_and_delete, change_the_mind, pay, audit)


def test_sixteen_threads_doing_everything_lose_no_update(store: OmegaStore) -> None:
    """Whatever is mixed, at the end

    - every counter is the number of calls that counted,
    - every batch is there whole, and every deleted memory is gone with its edges,
    - what is moved between two memories in transactions is neither made nor lost,
    - and no snapshot ever saw it half moved.
    """
    store.memories.put_many([memory("a", access_count=500), memory("b"), memory("hub")])
    store.skills.put(skill("s"))

    def work(number: int) -> Counter[str]:
        random, done = Random(number), Counter[str]()
        for step in range(EACH):
            action = random.choice(ACTIONS)
            action(store, f"{number}-{step}")
            done[action.__name__] += 1
        return done

    with ThreadPoolExecutor(THREADS) as pool:
        done = sum(pool.map(work, range(THREADS)), Counter[str]())
    assert store.memories.get("hub").access_count == done["touch"]
    assert store.skills.get("s").success_count == done["succeed"]
    assert store.memories.count() == 3 + 2 * done["put_two"]
    assert store.causal_edges.count() == 0


def test_counters_of_two_stores_on_one_file_add_up(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path) as one, OmegaStore(path) as two:
        one.skills.put(skill("s"))
        with ThreadPoolExecutor(8) as pool:
            for number in range(100):
                pool.submit((one, two)[number % 2].skills.record_success, "s")
        assert two.skills.get("s").success_count == 100


def test_an_open_transaction_does_not_block_readers_of_a_file(file_store: OmegaStore) -> None:
    file_store.memories.put(memory("m"))
    with Holder(file_store, "transaction"), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(file_store.memories.get, ["m"] * 20))
    assert len(found) == 20


def test_a_snapshot_does_not_block_writers_of_a_file(file_store: OmegaStore) -> None:
    file_store.memories.put(memory("m"))
    with file_store.snapshot() as snapshot:
        thread = Thread(target=file_store.memories.put, args=(memory("n"),))
        thread.start()
        thread.join()
        assert snapshot.memories.count() == 1
    assert file_store.memories.count() == 2


def test_more_readers_than_there_are_connections_wait_for_one(file_store: OmegaStore) -> None:
    with every_reader_taken(file_store) as holders:
        counts: list[int] = []
        thread = Thread(target=lambda: counts.append(file_store.memories.count()))
        thread.start()
        thread.join(0.1)
        assert counts == []
        holders[3].end()
        thread.join()
        assert counts == [0]


def test_a_reader_that_waits_for_longer_than_the_timeout_gets_busy(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db", busy_timeout=0.05) as store:
        with every_reader_taken(store), pytest.raises(BusyError, match="16 threads") as busy:
            store.memories.count()
        assert busy.value.retryable
        assert isinstance(busy.value, TimeoutError)
        assert store.memories.count() == 0


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_writer_that_waits_for_longer_than_the_timeout_gets_busy(
    kind: str, tmp_path: Path
) -> None:
    path = ":memory:" if kind == "memory" else tmp_path / "store.db"
    with OmegaStore(path, busy_timeout=0.05) as store:
        with Holder(store, "transaction"):
            for write in (store.memories.purge_expired, store.compact, store.check):
                with pytest.raises(BusyError, match="other threads") as busy:
                    write()
                assert busy.value.retryable
        store.memories.put(memory())


def test_no_connection_is_lost_when_threads_fail(file_store: OmegaStore) -> None:
    def fail(number: int) -> None:
        with pytest.raises(ZeroDivisionError), file_store.snapshot():
            raise ZeroDivisionError

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(fail, range(4 * MAX_READERS)))
    with every_reader_taken(file_store):
        pass


# Closing


def test_closing_again_does_nothing(tmp_path: Path) -> None:
    store = OmegaStore(tmp_path / "store.db")
    store.close()
    store.close()
    for use in (store.memories.count, store.check, store.namespaces, store.compact):
        with pytest.raises(ClosedError, match="it is closed"):
            use()
    with pytest.raises(ClosedError):
        store.memories.put(memory())
    with pytest.raises(ClosedError):
        store.backup(tmp_path / "copy.db")
    assert [each.name for each in tmp_path.iterdir()] == ["store.db"]


def test_a_namespace_handle_does_not_close_the_store_but_ends_with_it(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        with store.in_namespace("other") as other:
            other.memories.put(memory())
        assert store.memories.count() == 0
        assert other.memories.count() == 1
    with pytest.raises(ClosedError):
        other.memories.count()


def test_a_reader_at_work_finishes_after_close_and_then_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    store = OmegaStore(tmp_path / "store.db")
    store.memories.put(memory())
    ready, over = Event(), Event()
    seen: list[Any] = []

    def read() -> None:
        with store.snapshot() as snapshot:
            ready.set()
            over.wait()
            seen.append(snapshot.memories.count())

    thread = Thread(target=read)
    thread.start()
    ready.wait()
    store.close()
    with pytest.raises(ClosedError):
        store.memories.count()
    over.set()
    thread.join()
    assert seen == [1]
    assert [each.name for each in tmp_path.iterdir()] == ["store.db"]  # the log is gone


def test_close_waits_for_a_transaction_of_another_thread(tmp_path: Path) -> None:
    store = OmegaStore(tmp_path / "store.db", busy_timeout=0.05)
    with Holder(store, "transaction"), pytest.raises(BusyError):
        store.close()
    store.close()


@pytest.mark.parametrize("kind", ["transaction", "snapshot"])
def test_close_inside_a_block_of_this_thread_is_refused(kind: str, tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        with getattr(store, kind)() as block:
            with pytest.raises(TransactionError):
                store.close()
            assert block.memories.count() == 0
        assert store.memories.count() == 0


def test_threads_that_race_with_close_are_answered_or_refused(tmp_path: Path) -> None:
    for attempt in range(10):
        store = OmegaStore(tmp_path / f"{attempt}.db")
        store.memories.put(memory("m"))

        def use(store: OmegaStore = store) -> int:
            for done in range(200):
                try:
                    assert store.memories.count() == 1
                    store.memories.touch("m")
                except ClosedError:
                    return done
            return 200

        with ThreadPoolExecutor(6) as pool:
            answers = [pool.submit(use) for _ in range(6)]
            store.close()
        assert all(answer.result() <= 200 for answer in answers)
        assert not (tmp_path / f"{attempt}.db-wal").exists()


def test_a_reader_that_cannot_be_opened_makes_room_for_the_one_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, over = Event(), Event()

    def refuse(*_: object) -> None:
        opening.set()
        assert over.wait(60)
        raise BackendError("it cannot be opened")

    with OmegaStore(tmp_path / "store.db", busy_timeout=5) as store, ExitStack() as stack:
        store.memories.put(memory("m"))
        for _ in range(MAX_READERS - 1):
            stack.enter_context(Holder(store, "snapshot"))
        with ThreadPoolExecutor(2) as pool:
            with monkeypatch.context() as patch:
                patch.setattr(readers, "_open_to_read", refuse)
                refused = pool.submit(store.memories.get, "m")
                assert opening.wait(60)
                waiting = pool.submit(store.memories.get, "m")
                while not cast("Any", store._backend)._readers._waiting:
                    sleep(0.001)
            over.set()
            assert waiting.result() == memory("m")
            with pytest.raises(BackendError, match="cannot be opened"):
                refused.result()
