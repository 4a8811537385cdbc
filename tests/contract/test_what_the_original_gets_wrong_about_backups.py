"""What the Rust crate gets wrong about backups, each by its symptom: rows 26 to 32 of the table."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from omega_persistence import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
)
from sqlite.support import execute, finish, line, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable


WRITE_ON_AND_ON = """
import sys
from omega_persistence import OmegaStore, StoredMemory
with OmegaStore(sys.argv[1], durability="normal") as store:
    print("ready", flush=True)
    while True:
        store.memories.put(StoredMemory(content="x" * 1000, tier=1, importance=0.5))
"""

BACK_UP_HALF = """
import sys
from omega_persistence import OmegaStore
def wait(done, total):
    print(done, total, flush=True)
    input()
with OmegaStore(sys.argv[1]) as store:
    store.backup(sys.argv[2], progress=wait)
"""


def ids(path: Path) -> list[str]:
    with OmegaStore(path) as store:
        return [each.id for each in store.memories]


# Row 26
def test_a_backup_to_its_own_path_hangs_for_ever(path: Path):
    with OmegaStore(path) as store:
        for target in (path, f"{path}-wal", path.parent / "." / "x" / ".." / "store.db"):
            with pytest.raises(ConflictError, match="belongs to the store itself"):
                store.backup(target, overwrite=True)
        assert store.check() == []


# Row 27
@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BEGIN; SELECT * FROM t"])
def test_a_backup_onto_a_file_that_another_process_holds_hangs_for_ever(
    path: Path, held: Callable[..., subprocess.Popen[str]], lock: str
):
    target = path.parent / "target.db"
    with closing(apsw.Connection(str(target))) as other:
        other.execute("CREATE TABLE t AS SELECT 42 AS x")
    child = held(*lock.split("; "), at=target)
    with OmegaStore(path) as store, pytest.raises(ConflictError, match="in use"):
        store.backup(target, overwrite=True)
    finish(child)
    assert execute(target, "SELECT x FROM t") == [(42,)]


# Row 28
def test_a_backup_starts_again_at_each_write_of_another_process(path: Path):
    child = start(WRITE_ON_AND_ON, path)
    try:
        assert line(child) == "ready"
        seen: list[int] = []
        with OmegaStore(path) as store:
            store.backup(path.parent / "copy.db", progress=lambda done, _: seen.append(done))
    finally:
        child.kill()
        child.communicate()
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert "0999" in ids(path.parent / "copy.db")


# Row 29
def test_a_backup_killed_midway_opens_as_an_empty_store(path: Path):
    target = path.parent / "copy.db"
    child = start(BACK_UP_HALF, path, target)
    done, total = map(int, line(child).split())
    assert 0 < done < total
    child.kill()
    child.communicate()
    assert not target.exists()
    with pytest.raises(NotFoundError):
        OmegaStore(target, create=False)
    with OmegaStore(path) as store:
        assert store.check() == []
        store.backup(target)
    assert len(ids(target)) == 1000


# Row 30
@pytest.mark.parametrize("kind", ["store", "another program's", "text"])
def test_a_backup_replaces_whatever_is_there_without_a_word(path: Path, kind: str):
    target = path.parent / "target.db"
    if kind == "store":
        OmegaStore(target).close()
    elif kind == "text":
        target.write_text("precious")
    else:
        with closing(apsw.Connection(str(target))) as other:
            other.execute("CREATE TABLE t AS SELECT 42 AS x")
    before = target.read_bytes()
    with OmegaStore(path) as store:
        with pytest.raises(ConflictError, match="exists"):
            store.backup(target)
        assert target.read_bytes() == before
        store.backup(target, overwrite=True)
    assert len(ids(target)) == 1000


# Row 31
def test_a_backup_over_another_page_size_fails_with_not_an_error(path: Path):
    target = path.parent / "target.db"
    with closing(apsw.Connection(str(target))) as other:
        other.execute("PRAGMA page_size = 512").fetchall()
        other.execute("PRAGMA journal_mode = wal").fetchall()
        other.execute("CREATE TABLE t (x)")
    with OmegaStore(path) as store:
        store.backup(target, overwrite=True)
    assert len(ids(target)) == 1000


# Row 32
@pytest.mark.parametrize("target", ["", ":memory:"])
def test_a_backup_to_nowhere_succeeds(path: Path, target: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(path.parent)
    with OmegaStore(path) as store:
        for overwrite in (False, True):
            with pytest.raises(InvalidDataError, match="path of a file"):
                store.backup(target, overwrite=overwrite)
    with pytest.raises(InvalidDataError):
        OmegaStore.restore(path, target, overwrite=True)
    with pytest.raises(InvalidDataError):
        OmegaStore.verify_backup(target)
    assert [each.name for each in path.parent.iterdir()] == ["store.db"]
