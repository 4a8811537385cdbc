"""Restoring makes a file hold exactly what a backup holds, whoever has it open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from formats.legacy_files import copy_of, rows_in
from omega_persistence import (
    BusyError,
    ConflictError,
    CorruptionError,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    SchemaError,
    StorageFullError,
    UnsupportedError,
)
from omega_persistence.backends.sqlite.backup import restore
from samples import memory, skill
from sqlite.faulty_disk import Disk, Fault
from sqlite.support import damaged, finish, line, names, start

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = """
import sys
from omega_persistence import OmegaStore
with OmegaStore(sys.argv[1]) as store:
    print(store.memories.count(), flush=True)
    input()
    print([each.id for each in store.memories], store.skills.get("s").success_count, store.check())
"""

HOLD = """
import sys
from omega_persistence import OmegaStore
with OmegaStore(sys.argv[1]) as store, store.transaction() as tx:
    print(tx.memories.count(), flush=True)
    input()
"""


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of a store with two memories, and a skill that has worked three times."""
    with OmegaStore(tmp_path / "origin.db") as store:
        store.memories.put_many([memory("m1", content="one word"), memory("m2", content="x " * 99)])
        store.skills.put(skill("s", success_count=3, last_used=300))
        store.backup(tmp_path / "backup")
    (tmp_path / "origin.db").unlink()
    return tmp_path / "backup"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A store at rest with other content."""
    with OmegaStore(tmp_path / "target.db") as store:
        store.memories.put_many(memory(f"t{n:03}", content="other words " * 50) for n in range(200))
        store.skills.put(skill("s", success_count=50, last_used=900))
    return tmp_path / "target.db"


def assert_restored(path: Path) -> None:
    with OmegaStore(path, create=False, migrate=False) as store:
        assert [each.id for each in store.memories] == ["m1", "m2"]
        assert [hit.memory.id for hit in store.memories.search("word")] == ["m1"]
        assert store.skills.get("s") == skill("s", success_count=3, last_used=300)
        assert store.check() == []


def test_a_backup_is_restored_to_a_new_name(backup: Path, tmp_path: Path) -> None:
    OmegaStore.restore(backup, tmp_path / "new.db")
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["backup", "new.db"]
    assert_restored(tmp_path / "new.db")


def test_a_file_that_exists_is_kept_unless_it_may_be_replaced(backup: Path, target: Path) -> None:
    before = target.read_bytes()
    with pytest.raises(ConflictError, match="exists") as refused:
        OmegaStore.restore(backup, target)
    assert "overwrite=True" in str(refused.value.hint)
    assert target.read_bytes() == before


def test_counters_and_times_go_back_exactly(backup: Path, target: Path) -> None:
    """The merge rules of `put` do not apply."""
    OmegaStore.restore(backup, target, overwrite=True)
    assert_restored(target)
    assert names(target.parent) == ["backup", "target.db"]


def test_a_store_that_this_process_has_open_shows_the_restored_content(
    backup: Path, target: Path
) -> None:
    with OmegaStore(target) as store:
        assert store.memories.count() == 200
        with store.snapshot() as before:
            OmegaStore.restore(backup, target, overwrite=True)
            assert before.memories.count() == 200
        assert store.memories.count() == 2
        store.memories.put(memory("m3"))
        assert store.check() == []
    with OmegaStore(target) as store:
        assert store.memories.count() == 3


def test_a_store_that_another_process_has_open_shows_it_at_the_next_call(
    backup: Path, target: Path
) -> None:
    other = start(ANSWER, target)
    assert line(other) == "200"
    OmegaStore.restore(backup, target, overwrite=True)
    assert finish(other) == "['m1', 'm2'] 3 []\n"
    assert_restored(target)


def test_a_target_that_another_process_is_writing_gives_busy(backup: Path, target: Path) -> None:
    other = start(HOLD, target)
    assert line(other) == "200"
    with pytest.raises(BusyError):
        restore(backup, target, overwrite=True, busy_timeout=0.05)
    finish(other)
    with OmegaStore(target) as store:
        assert store.memories.count() == 200


def test_a_damaged_backup_is_refused_and_the_target_stays(target: Path, tmp_path: Path) -> None:
    with OmegaStore(target) as store:
        store.backup(tmp_path / "backup")
    before = target.read_bytes()
    damaged(tmp_path / "backup")
    for path, overwrite in ((target, True), (tmp_path / "new.db", False)):
        with pytest.raises(CorruptionError, match="is damaged") as refused:
            OmegaStore.restore(tmp_path / "backup", path, overwrite=overwrite)
        assert refused.value.hint == "Use another backup."
    assert target.read_bytes() == before
    assert names(tmp_path) == ["backup", "target.db"]


def test_what_is_no_backup_is_refused_and_the_target_stays(target: Path, tmp_path: Path) -> None:
    before = target.read_bytes()
    (tmp_path / "text").write_text("no database " * 100)
    (tmp_path / "empty").touch()
    connection = apsw.Connection(str(tmp_path / "theirs"))
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    for name, error in (
        ("text", CorruptionError),
        ("empty", SchemaError),
        ("theirs", SchemaError),
        ("missing", NotFoundError),
        ("", InvalidDataError),
    ):
        with pytest.raises(error):
            OmegaStore.restore(tmp_path / name, target, overwrite=True)
        with pytest.raises(error):
            OmegaStore.restore(tmp_path / name, tmp_path / "new.db")
    assert target.read_bytes() == before
    assert not (tmp_path / "new.db").exists()


def test_a_target_that_sqlite_cannot_open_is_set_aside_with_what_lies_beside_it(
    backup: Path, target: Path
) -> None:
    path, beside = target, {"-wal": b"a log that may matter", "-shm": b""}
    path.write_bytes(broken := path.read_bytes()[:9000])
    for side, content in beside.items():
        (path.parent / f"target.db{side}").write_bytes(content)
    OmegaStore.restore(backup, path, overwrite=True)
    assert_restored(path)
    (aside,) = path.parent.glob("*.damaged-*Z")
    assert aside.read_bytes() == broken
    assert aside.with_name(aside.name + "-wal").read_bytes() == beside["-wal"]
    assert aside.with_name(aside.name + "-shm").exists()


def test_a_target_of_noise_is_set_aside(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "noise.db").write_bytes(b"noise" * 5000)
    OmegaStore.restore(backup, tmp_path / "noise.db", overwrite=True)
    assert_restored(tmp_path / "noise.db")
    (aside,) = tmp_path.glob("noise.db.damaged-*")
    assert aside.read_bytes() == b"noise" * 5000


def test_the_database_of_another_program_is_never_replaced(backup: Path, tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "theirs.db"))
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    before = (tmp_path / "theirs.db").read_bytes()
    with pytest.raises(SchemaError):
        OmegaStore.restore(backup, tmp_path / "theirs.db", overwrite=True)
    assert (tmp_path / "theirs.db").read_bytes() == before


def test_a_damaged_store_that_opens_is_replaced_whole(backup: Path, target: Path) -> None:
    OmegaStore.restore(backup, damaged(target), overwrite=True)
    assert_restored(target)


def test_a_store_is_not_restored_from_itself(target: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(ConflictError, match="from itself"):
        OmegaStore.restore(tmp_path / "link", target, overwrite=True)


def test_pages_of_another_size_are_refused_and_the_target_stays(backup: Path, target: Path) -> None:
    connection = apsw.Connection(str(target))
    connection.execute("PRAGMA journal_mode = delete; PRAGMA page_size = 8192; VACUUM").fetchall()
    connection.close()
    with pytest.raises(UnsupportedError, match="another size"):
        OmegaStore.restore(backup, target, overwrite=True)
    with OmegaStore(target) as store:
        assert store.memories.count() == 200


def test_a_target_that_looks_damaged_once_is_not_set_aside(
    backup: Path, target: Path, disk: Disk
) -> None:
    disk.fault = fault = Fault("read", "target.db", error=apsw.CorruptError)
    OmegaStore.restore(backup, target, overwrite=True)
    assert fault.hit == 1
    assert_restored(target)
    assert names(target.parent) == ["backup", "target.db"]


@pytest.mark.parametrize("after", [0, 3, 20])
def test_a_restore_for_which_there_is_no_room_leaves_the_old_content(
    after: int, backup: Path, target: Path, disk: Disk
) -> None:
    with OmegaStore(target) as store:
        disk.fault = fault = Fault("write", "-wal", error=apsw.FullError, after=after, times=1000)
        with pytest.raises(StorageFullError):
            OmegaStore.restore(backup, target, overwrite=True)
        assert fault.hit
        disk.fault = None
        assert store.memories.count() == 200
        assert store.check() == []
        OmegaStore.restore(backup, target, overwrite=True)
        assert store.memories.count() == 2


def test_progress_reaches_the_whole(backup: Path, target: Path, tmp_path: Path) -> None:
    for path, overwrite in ((target, True), (tmp_path / "new.db", False)):
        seen: list[tuple[int, int]] = []
        OmegaStore.restore(
            backup,
            path,
            overwrite=overwrite,
            progress=lambda done, total, seen=seen: seen.append((done, total)),
        )
        assert seen[-1][0] == seen[-1][1] > 0


def test_the_copy_that_a_migration_made_of_the_crates_file_can_be_restored(
    tmp_path: Path,
) -> None:
    path = copy_of("clean", tmp_path)
    original = rows_in(path)
    with OmegaStore(path) as store:
        assert store.migration is not None
        copy = str(store.migration.backup)
        store.memories.put(memory("later"))
    assert OmegaStore.verify_backup(copy) == []
    OmegaStore.restore(copy, tmp_path / "new.db")
    assert rows_in(tmp_path / "new.db") == original
    OmegaStore.restore(copy, path, overwrite=True)
    assert rows_in(path) == original
    with OmegaStore(path, namespace="again") as store:
        assert store.memories.count() == 2000
