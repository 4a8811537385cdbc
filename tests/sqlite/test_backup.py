"""A backup is one snapshot in a file of its own, whole or not there at all."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import apsw
import pytest

from omega_persistence import (
    ConflictError,
    CorruptionError,
    NotFoundError,
    OmegaStore,
    SchemaError,
    TransactionError,
)
from samples import memory
from sqlite.support import Holder, damaged, finish, line, names, start

if TYPE_CHECKING:
    pass

WRITE_ON = """
import sys
from omega_persistence import OmegaStore, StoredMemory
with OmegaStore(sys.argv[1]) as store:
    for number in range(1_000_000):
        store.memories.put(
            StoredMemory(id=f"{number:07}", content=f"word{number}", tier=1, importance=0.5)
        )
        print(number, flush=True)
        if sys.argv[2:] and number == int(sys.argv[2]):
            break
"""


@pytest.fixture
def store(store_of_pages: OmegaStore) -> OmegaStore:
    return store_of_pages


def assert_prefix(path: Path, at_least: int) -> None:
    """A backup holds the writes up to some moment, and no others."""
    assert OmegaStore.verify_backup(path) == []
    with OmegaStore(path, namespace="default", read_only=True) as copy:
        ids = [each.id for each in copy.memories if each.id.isdigit()]
    assert ids == [f"{number:07}" for number in range(len(ids))]
    assert len(ids) >= at_least


def test_a_backup_while_a_thread_writes_holds_all_that_was_acknowledged_before(
    store: OmegaStore, tmp_path: Path
) -> None:
    acknowledged, over = 0, Event()

    def write_on() -> None:
        nonlocal acknowledged
        while not over.is_set():
            store.memories.put(memory(f"{acknowledged:07}"))
            acknowledged += 1

    thread = Thread(target=write_on)
    thread.start()
    try:
        for number in range(5):
            before = acknowledged
            store.backup(tmp_path / f"{number}.db")
            assert_prefix(tmp_path / f"{number}.db", before)
    finally:
        over.set()
        thread.join()


def test_a_backup_while_a_process_writes_holds_all_that_was_acknowledged_before(
    store: OmegaStore, tmp_path: Path
) -> None:
    other, acknowledged = start(WRITE_ON, store._backend.address), 0
    try:
        for number in range(3):
            for _ in range(20):
                acknowledged = int(line(other)) + 1
            store.backup(tmp_path / f"{number}.db")
            assert_prefix(tmp_path / f"{number}.db", acknowledged)
    finally:
        other.kill()
        other.communicate()


def test_a_backup_is_a_store_of_its_own_that_only_its_owner_may_read(
    store: OmegaStore, tmp_path: Path
) -> None:
    store.in_namespace("other").memories.put(memory("theirs"))
    store.in_namespace("other").backup(tmp_path / "copy.db")
    assert names(tmp_path) == ["copy.db", "own"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    with OmegaStore(tmp_path / "copy.db", create=False) as copy:
        assert copy.memories.scan(limit=None) == store.memories.scan(limit=None)
        assert copy.in_namespace("other").memories.count() == 1
        assert [hit.memory.id for hit in copy.memories.search("word399")] == ["m399"]
        copy.memories.put(memory("later"))
    assert store.memories.count() == 400


def test_a_backup_of_a_store_in_memory_can_be_opened(tmp_path: Path) -> None:
    with OmegaStore(":memory:") as store:
        store.memories.put(memory("m"))
        store.backup(tmp_path / "copy.db")
        store.memories.put(memory("n"))
        with pytest.raises(ConflictError):
            store.backup(tmp_path / "copy.db")
    with OmegaStore(tmp_path / "copy.db", create=False) as copy:
        assert copy.memories.scan() == [memory("m")]


def test_a_backup_leaves_out_what_is_not_committed(store: OmegaStore, tmp_path: Path) -> None:
    with Holder(store, "transaction"):
        store.backup(tmp_path / "copy.db")
    with store.transaction() as tx:
        tx.memories.put(memory("n"))
        with pytest.raises(TransactionError):
            store.backup(tmp_path / "other.db")
    assert_prefix(tmp_path / "copy.db", 0)
    assert names(tmp_path) == ["copy.db", "own"]


def test_progress_grows_with_every_step_up_to_the_whole(store: OmegaStore, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store.memories.put(memory("large", embedding_blob=bytes(10_000_000)))
    store.backup(tmp_path / "copy.db", progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 2
    assert seen == sorted(set(seen))
    assert {total for _, total in seen} == {seen[-1][0]}
    assert seen[-1][1] * 4096 == (tmp_path / "copy.db").stat().st_size


# Verifying


def test_verifying_finds_damage_and_changes_nothing(store: OmegaStore, tmp_path: Path) -> None:
    store.backup(tmp_path / "copy.db")
    before = (tmp_path / "copy.db").read_bytes()
    assert OmegaStore.verify_backup(tmp_path / "copy.db") == []
    assert (tmp_path / "copy.db").read_bytes() == before
    damaged(tmp_path / "copy.db")
    assert {problem.kind for problem in OmegaStore.verify_backup(tmp_path / "copy.db")} & {
        *("integrity", "full_text")
    }
    assert names(tmp_path) == ["copy.db", "own"]


def test_what_cannot_be_verified_says_why(store: OmegaStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        OmegaStore.verify_backup(tmp_path / "missing.db")
    (tmp_path / "text").write_text("no database " * 100)
    with pytest.raises(CorruptionError):
        OmegaStore.verify_backup(tmp_path / "text")
    apsw.Connection(str(tmp_path / "theirs.db")).execute("CREATE TABLE mine (a)")
    with pytest.raises(SchemaError):
        OmegaStore.verify_backup(tmp_path / "theirs.db")
    store.backup(tmp_path / "copy.db")
    (tmp_path / "copy.db").write_bytes((tmp_path / "copy.db").read_bytes()[:-8192])
    with pytest.raises(CorruptionError):
        OmegaStore.verify_backup(tmp_path / "copy.db")


def test_a_backup_of_a_file_that_a_process_left_behind_is_whole(tmp_path: Path) -> None:
    other = start(WRITE_ON, tmp_path / "store.db", 30)
    finish(other)
    with OmegaStore(tmp_path / "store.db") as store:
        store.backup(tmp_path / "copy.db")
    assert_prefix(tmp_path / "copy.db", 31)
