"""Which files have page checksums: those that were made with them, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from formats.legacy_files import copy_of
from omega_persistence import OmegaStore, UnsupportedError
from samples import memory
from sqlite.page_checksums import wrong_pages
from sqlite.support import finish, go_on, python, start

if TYPE_CHECKING:
    from pathlib import Path

    from omega_persistence.backends.sqlite.connection import Journal


NUMBER_OF_MEMORIES = """
import sys, apsw
from omega_persistence import OmegaStore
with OmegaStore(sys.argv[1], create=False) as store:
    print(store.memories.count(), store.statistics().checksums, apsw.vfs_names()[0])
"""

CREATE_AND_PUT = """
import sys
from omega_persistence import OmegaStore, StoredMemory, UnsupportedError
folder, wanted = sys.argv[1], sys.argv[2] == "True"
put = []
input()
for number in range(int(sys.argv[3])):
    try:
        with OmegaStore(f"{folder}/{number}.db", checksums=wanted, busy_timeout=60) as store:
            for _ in range(3):
                store.memories.put(StoredMemory(content="x" * 2000, tier=1, importance=0.5))
        put.append(3)
    except UnsupportedError:
        assert wanted
        put.append(0)
print(*put)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store at rest that has page checksums."""
    path = tmp_path / "store.db"
    with OmegaStore(path, checksums=True) as store:
        store.memories.put(memory())
    return path


def test_every_later_opening_has_them_without_being_asked(path: Path) -> None:
    assert python(NUMBER_OF_MEMORIES, path).split() == ["1", "True", "unix"]
    with OmegaStore(path, checksums=True) as store:
        assert store.statistics().checksums
        assert store.check() == []


@pytest.mark.parametrize("journal", ["wal", "truncate"])
def test_every_page_that_is_written_gets_its_checksum(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path, checksums=True, journal=journal) as store:
        store.memories.put_many(memory(f"m{n}", content=f"{n} " * 2000) for n in range(300))
        store.memories.delete_many(f"m{n}" for n in range(0, 300, 2))
        with store.transaction() as tx:
            for n in range(1, 300, 4):
                tx.memories.touch(f"m{n}")
        store.optimize()
        store.compact()
        store.memories.put(memory())
        assert store.check() == []
    assert wrong_pages(path) == []


def test_a_file_tells_that_it_has_them(path: Path, tmp_path: Path) -> None:
    """As `docs/reference/file-format.md` says."""
    plain = tmp_path / "plain.db"
    with OmegaStore(plain) as store:
        assert not store.statistics().checksums
    for each, mark, reserved in ((path, b"OmPC", 8), (plain, b"OmP1", 0)):
        content = each.read_bytes()
        assert (content[68:72], content[20]) == (mark, reserved)


def test_a_store_without_them_cannot_be_given_them(tmp_path: Path) -> None:
    path = tmp_path / "plain.db"
    with OmegaStore(path) as store:
        store.memories.put(memory())
    before = path.read_bytes()
    with pytest.raises(UnsupportedError, match="made without page checksums") as refused:
        OmegaStore(path, checksums=True)
    assert "import" in str(refused.value.hint)
    with pytest.raises(UnsupportedError):
        OmegaStore(path, checksums=True, read_only=True)
    assert path.read_bytes() == before


def test_a_file_of_the_rust_crate_cannot_be_given_them(tmp_path: Path) -> None:
    path = copy_of("clean", tmp_path)
    before = path.read_bytes()
    with pytest.raises(UnsupportedError):
        OmegaStore(path, checksums=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_store_in_memory_has_none() -> None:
    with pytest.raises(UnsupportedError, match="in memory"):
        OmegaStore(":memory:", checksums=True)
    with OmegaStore.new_in_memory() as store:
        assert not store.statistics().checksums


def test_an_empty_file_that_exists_can_have_them(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    with OmegaStore(tmp_path / "store.db", checksums=True) as store:
        store.memories.put(memory())
        assert store.check() == []
    assert wrong_pages(tmp_path / "store.db") == []


def test_what_a_crash_has_left_of_a_new_file_can_have_them(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    interrupted = """
import os, sys, apsw
class Crash(apsw.VFS):
    def xDelete(self, name, sync):  # of the journal: it is what makes a commit final
        os._exit(0)
crash = Crash("crash", "unix")
apsw.Connection(sys.argv[1], vfs="crash").execute("CREATE TABLE t (c)")
"""
    python(interrupted, path)
    assert path.read_bytes()[:15] == b"SQLite format 3"
    assert (tmp_path / "store.db-journal").stat().st_size > 0
    with OmegaStore(path, checksums=True) as store:
        assert store.statistics().checksums
    with OmegaStore(path) as store:
        assert store.check() == []
    assert wrong_pages(path) == []


@pytest.mark.parametrize("wanted", [(True, True, True), (True, False, True, False)])
def test_processes_that_create_the_same_files_agree_on_them(
    wanted: tuple[bool, ...], tmp_path: Path
) -> None:
    number = 20
    children = [start(CREATE_AND_PUT, tmp_path, each, number) for each in wanted]
    for child in children:
        go_on(child)
    put = zip(*(map(int, finish(child).split()) for child in children), strict=True)
    for name, counts in enumerate(put):
        path = tmp_path / f"{name}.db"
        with OmegaStore(path) as store:
            has_them = store.statistics().checksums
            assert store.memories.count() == sum(counts)
            assert sum(counts) == 3 * (len(wanted) if has_them else wanted.count(False))
            assert store.check() == []
        assert not has_them or wrong_pages(path) == []
