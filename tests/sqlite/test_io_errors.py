"""What happens when the disk below fails: nothing acknowledged is lost, and the store goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import apsw
import pytest

from campaigns.failing import Failure
from campaigns.filecalls import SystemCalls
from omega_persistence import (
    BackendError,
    ClosedError,
    CorruptionError,
    OmegaStore,
    StorageError,
    StorageFullError,
    TransactionError,
)
from samples import memory
from sqlite.faulty_disk import LOG, MAIN, Disk, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega_persistence.backends.sqlite import SQLiteBackend


@pytest.fixture
def store(disk: Disk, tmp_path: Path) -> Iterator[OmegaStore]:
    """A store with acknowledged memories, which must be there at the end."""
    acknowledged = [memory(f"a{n:02}", content=f"word{n}") for n in range(20)]
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put_many(acknowledged)
        yield store
        disk.fault = None
        assert store.memories.scan(limit=20) == acknowledged
        assert store.check() == []
    with OmegaStore(tmp_path / "store.db") as store:
        assert store.memories.scan(limit=20) == acknowledged
        assert store.check() == []


def writer(store: OmegaStore) -> apsw.Connection:
    """The connection that writes."""
    with cast("SQLiteBackend", store._backend).atomic() as session:
        return session.connection


def forget_pages(store: OmegaStore) -> None:
    """Make the connections read from the disk again."""
    for connection in cast("SQLiteBackend", store._backend)._connector._open:
        connection.execute("PRAGMA shrink_memory")


# Writing


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault("write", LOG), BackendError, id="write"),
        pytest.param(Fault("write", LOG, after=3), BackendError, id="fourth_write"),
        pytest.param(Fault("sync", LOG), BackendError, id="sync"),
        pytest.param(Fault("write", LOG, error=apsw.FullError), StorageFullError, id="disk_full"),
        pytest.param(Fault("read"), BackendError, id="read"),
        pytest.param(Fault("read", error=apsw.CorruptError), CorruptionError, id="bad_read"),
    ],
)
def test_a_write_that_fails_raises_and_the_next_one_has_a_new_connection(
    fault: Fault, expected: type[StorageError], store: OmegaStore, disk: Disk
) -> None:
    before = writer(store)
    forget_pages(store)
    disk.fault = fault
    with pytest.raises(expected) as raised:
        store.memories.put(memory("new", content="quick brown"))
    assert isinstance(raised.value.__cause__, apsw.Error)
    assert fault.hit == 1
    store.memories.put(memory("z", content="later"))
    assert writer(store) is not before
    assert [hit.memory.id for hit in store.memories.search("later")] == ["z"]


def test_while_the_disk_is_full_reads_go_on_and_afterwards_writes_too(
    store: OmegaStore, disk: Disk
) -> None:
    disk.fault = Fault("write", LOG, error=apsw.FullError, times=1000)
    for _ in range(5):
        with pytest.raises(StorageFullError) as full:
            store.memories.put_many(memory(f"full{n}") for n in range(10))
        assert isinstance(full.value, OSError)
        assert "Free some room" in str(full.value.hint)
        assert store.memories.get("a07").content == "word7"
        assert [hit.memory.id for hit in store.memories.search("word7")] == ["a07"]
    disk.fault = None
    assert store.memories.put_many(memory(f"full{n}") for n in range(10)) == 10
    assert store.memories.count() == 30


def test_no_read_that_fails_within_a_write_makes_full_text_disagree(
    store: OmegaStore, disk: Disk
) -> None:
    """A connection whose FTS5 has met a read error would write a wrong index at its next commit."""
    for nth in range(200):
        forget_pages(store)
        disk.fault = fault = Fault("read", after=nth)
        try:
            store.memories.put(memory(f"new{nth}", content=f"word{nth} word{nth + 1}"))
        except BackendError:
            assert fault.hit == 1
        disk.fault = None
        store.memories.put(memory(f"next{nth}", content=f"word{nth}"))
        assert store.check() == []
        if not fault.hit:
            break
    else:
        pytest.fail("the writes never ended")
    assert nth > 3  # some calls did fail


def test_an_error_at_the_end_of_the_commit_raises_although_the_write_is_there(
    store: OmegaStore,
) -> None:
    """Raised means not acknowledged, never not there: the hook sees a commit that took place."""

    def fail(connection: apsw.Connection, _name: str, _pages: int) -> int:
        raise apsw.IOError("injected after the commit")

    writer(store).set_wal_hook(fail)
    with pytest.raises(BackendError):
        store.memories.put(memory("z"))
    assert store.memories.get("z") == memory("z")
    store.memories.put(memory("z"))  # trying again with the same id is harmless
    assert store.memories.count() == 21


def test_a_transaction_that_sqlite_has_undone_refuses_everything_and_commits_nothing(
    store: OmegaStore, disk: Disk
) -> None:
    def block() -> None:
        with store.transaction() as tx:
            tx.memories.put(memory("first"))
            forget_pages(store)
            disk.fault = Fault("read")
            with pytest.raises(BackendError):
                tx.memories.delete("a05")
            for use in (lambda: tx.memories.put(memory("second")), tx.memories.count):
                with pytest.raises(TransactionError, match="rolled back") as refused:
                    use()
                assert isinstance(refused.value.__cause__, BackendError)

    with pytest.raises(TransactionError, match="rolled back after an error"):
        block()
    assert store.memories.count() == 20
    store.memories.put(memory("third"))


def test_an_inner_transaction_reports_the_error_that_undid_the_outer_one(
    store: OmegaStore, disk: Disk
) -> None:
    def block() -> None:
        with store.transaction() as tx, tx.transaction() as inner:
            inner.memories.put(memory("first"))
            forget_pages(store)
            disk.fault = Fault("read")
            inner.memories.delete("a05")

    with pytest.raises(BackendError, match="injected"):
        block()
    assert store.memories.count() == 20


# Reading


def test_a_read_that_fails_raises_and_the_next_one_has_a_new_connection(
    store: OmegaStore, disk: Disk
) -> None:
    store.memories.get("a01")
    forget_pages(store)
    disk.fault = fault = Fault("read")
    with pytest.raises(BackendError, match="injected"):
        store.memories.get("a01")
    assert fault.hit == 1
    assert store.memories.get("a01").content == "word1"


@pytest.mark.parametrize("nth", range(3))
def test_a_file_that_looks_damaged_once_is_looked_at_again(
    nth: int, store: OmegaStore, disk: Disk
) -> None:
    store.memories.get("a01")
    forget_pages(store)
    disk.fault = fault = Fault("read", error=apsw.CorruptError, after=nth)
    assert store.memories.get("a01").content == "word1"
    assert store.memories.get("a02").content == "word2"
    assert fault.hit == 1


def test_a_file_that_looks_damaged_twice_is_believed_to_be(store: OmegaStore, disk: Disk) -> None:
    store.memories.get("a01")
    forget_pages(store)
    disk.fault = fault = Fault("read", error=apsw.CorruptError, times=1000)
    with pytest.raises(CorruptionError):
        store.memories.get("a01")
    assert fault.hit >= 2
    disk.fault = None
    assert store.memories.get("a01").content == "word1"


def test_a_snapshot_whose_file_looked_damaged_is_lost_not_mixed_with_a_newer_one(
    store: OmegaStore, disk: Disk
) -> None:
    with store.snapshot() as snapshot:
        assert snapshot.memories.count() == 20
        forget_pages(store)
        disk.fault = Fault("read", error=apsw.CorruptError)
        with pytest.raises(BackendError, match="the snapshot was lost"):
            snapshot.memories.get("a01")
        with pytest.raises(TransactionError, match="the snapshot was lost"):
            snapshot.memories.get("a01")
    with store.snapshot() as snapshot:
        assert snapshot.memories.get("a01").content == "word1"


def test_a_snapshot_whose_file_looks_damaged_and_cannot_be_opened_again_is_lost(
    store: OmegaStore, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> apsw.Connection:
        raise BackendError("it cannot be opened")

    with store.snapshot() as snapshot:
        assert snapshot.memories.count() == 20
        forget_pages(store)
        disk.fault = Fault("read", error=apsw.CorruptError)
        with monkeypatch.context() as patch:
            patch.setattr("omega_persistence.backends.sqlite.readers._open_to_read", refuse)
            with pytest.raises(BackendError, match="cannot be opened"):
                snapshot.memories.get("a01")
        with pytest.raises(TransactionError, match="cannot be opened"):
            snapshot.memories.get("a01")
    with store.snapshot() as snapshot:
        assert snapshot.memories.get("a01").content == "word1"


def test_a_file_that_could_not_be_opened_for_writing_once_is_opened_again(tmp_path: Path) -> None:
    OmegaStore(tmp_path / "store.db").close()
    with SystemCalls(Failure("open", 0, "EIO", sticky=False), str(tmp_path)) as calls:
        with OmegaStore(tmp_path / "store.db") as store:
            store.memories.put(memory("m"))
        assert calls.hits == 1


@pytest.mark.parametrize("nth", range(2))
def test_a_file_that_looks_damaged_once_while_it_is_opened_is_opened(
    nth: int, disk: Disk, tmp_path: Path
) -> None:
    OmegaStore(tmp_path / "store.db").close()
    disk.fault = fault = Fault("read", MAIN, error=apsw.CorruptError, after=nth)
    with OmegaStore(tmp_path / "store.db") as store:
        assert store.memories.count() == 0
    assert fault.hit == 1


# Creating


@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_store_whose_creation_failed_is_created_at_the_next_attempt(
    call: str, disk: Disk, tmp_path: Path
) -> None:
    path = tmp_path / "store.db"
    for nth in range(0, 1000, 7):
        disk.fault = fault = Fault(call, after=nth)
        try:
            OmegaStore(path).close()
        except StorageError:
            assert fault.hit == 1
        disk.fault = None
        with OmegaStore(path) as store:
            store.memories.put(memory())
            assert store.check() == []
        if not fault.hit:
            break
        path.unlink()


# In memory


def test_a_store_in_memory_that_has_lost_its_connection_says_why() -> None:
    store = OmegaStore(":memory:")
    store.memories.put(memory("m"))
    apsw.hard_heap_limit(apsw.memory_used() + 200_000)
    try:
        with pytest.raises(BackendError, match="out of memory"):
            store.memories.put(memory("large", content="x" * 5_000_000))
    finally:
        apsw.hard_heap_limit(0)
        apsw.soft_heap_limit(0)  # else SQLite goes on believing that memory is short
    for use in (lambda: store.memories.get("m"), lambda: store.memories.put(memory("n"))):
        with pytest.raises(ClosedError, match="out of memory"):
            use()
    store.close()
