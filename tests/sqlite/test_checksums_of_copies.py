"""Backups of a store with page checksums have them, and so has what is restored from those."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import apsw
import pytest

from omega_persistence import CorruptionError, OmegaStore, UnsupportedError
from omega_persistence.backends import migrate
from omega_persistence.backends.sqlite import backup as copies
from samples import memory
from sqlite.page_checksums import PAGE, flip, flip_inside, wrong_pages
from sqlite.support import execute, finish, line, python, start

READ_WHERE_NOTHING_CAN_BE_WRITTEN = """
import os, sys, urllib.parse, tempfile
from omega_persistence import CorruptionError, OmegaStore
with tempfile.TemporaryDirectory() as folder:  # loads what a later somebody else cannot read
    OmegaStore(folder + "/x.db", checksums=True).close()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
with OmegaStore(sys.argv[1], read_only=True) as store:
    print(store.memories.get("intact").id, store.statistics().checksums)
    try:
        store.memories.get("letter")
    except CorruptionError:
        print("damaged")
"""

KEEP_OPEN = """
import sys
from omega_persistence import OmegaStore
with OmegaStore(sys.argv[1]) as store:
    print(store.memories.count(), flush=True)
    input()
    print(store.memories.count(), store.check(), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store at rest that has page checksums."""
    path = tmp_path / "store.db"
    with OmegaStore(path, checksums=True) as store:
        store.memories.put_many(memory(f"m{n}", content=f"word{n} " * 300) for n in range(100))
    return path


@pytest.fixture
def backup(path: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    with OmegaStore(path) as store:
        store.backup(tmp_path / "backup.db")
    return tmp_path / "backup.db"


def test_a_backup_of_what_is_still_in_the_log_has_them(tmp_path: Path) -> None:
    """More than SQLite keeps in memory, so that pages are written before the first one is."""
    path, target = tmp_path / "store.db", tmp_path / "backup.db"
    with OmegaStore(path, checksums=True) as store:
        with store.transaction() as tx:
            for n in range(1500):
                tx.memories.put(memory(f"m{n}", content=f"{n} " * 1000))
        store.backup(target)
    assert target.stat().st_size > 5_000_000
    assert wrong_pages(target) == []
    assert wrong_pages(path) == []
    with OmegaStore(target) as copy:
        assert (copy.statistics().checksums, copy.memories.count()) == (True, 1500)


def test_a_backup_is_verified_and_restored_with_them(backup: Path, tmp_path: Path) -> None:
    assert wrong_pages(backup) == []
    assert OmegaStore.verify_backup(backup) == []
    OmegaStore.restore(backup, tmp_path / "restored.db")
    assert wrong_pages(tmp_path / "restored.db") == []
    with OmegaStore(tmp_path / "restored.db") as store:
        assert (store.statistics().checksums, store.memories.count()) == (True, 100)
        store.memories.put(memory())
        assert store.check() == []


def test_a_flipped_bit_in_a_backup_keeps_it_from_being_restored(
    backup: Path, path: Path, tmp_path: Path
) -> None:
    flip_inside(backup, b"word50 word50")
    assert "checksum" in {problem.kind for problem in OmegaStore.verify_backup(backup)}
    before = path.read_bytes()
    for target in (path, tmp_path / "new.db"):
        with pytest.raises(CorruptionError, match="is damaged"):
            OmegaStore.restore(backup, target, overwrite=True)
    assert path.read_bytes() == before
    assert not (tmp_path / "new.db").exists()


def test_a_damaged_store_is_not_backed_up(path: Path, tmp_path: Path) -> None:
    flip_inside(path, b"word50 word50")
    with OmegaStore(path) as store, pytest.raises(CorruptionError):
        store.backup(tmp_path / "backup.db", verify=False)
    assert not (tmp_path / "backup.db").exists()


def test_a_store_is_restored_in_place_while_others_have_it_open(backup: Path, path: Path) -> None:
    with OmegaStore(path) as store:
        store.memories.delete_many(f"m{n}" for n in range(50))
        other = start(KEEP_OPEN, path)
        assert line(other) == "50"
        OmegaStore.restore(backup, path, overwrite=True)
        assert store.memories.count() == 100
        assert finish(other) == "100 []\n"
        assert store.check() == []
    assert wrong_pages(path) == []


def test_a_damaged_store_is_restored_in_place(backup: Path, path: Path) -> None:
    """Its pages fail their checksums, and are to be written over."""
    content = path.read_bytes()
    for page in range(0, len(content), PAGE):
        if re.search(rb"word\d", content[page : page + PAGE]):
            flip(path, page + 2000)
    assert len(wrong_pages(path)) > 50
    OmegaStore.restore(backup, path, overwrite=True)
    assert wrong_pages(path) == []
    assert [each.name for each in path.parent.glob("*damaged*")] == []
    with OmegaStore(path) as store:
        assert store.memories.count() == 100


def test_a_store_with_a_damaged_first_page_is_set_aside(backup: Path, path: Path) -> None:
    for position in (20, 99, 3000):
        flip(path, position)
        OmegaStore.restore(backup, path, overwrite=True)
        assert wrong_pages(path) == []
        aside = list(path.parent.glob("store.db.damaged-*Z*"))
        assert aside
        for each in aside:
            each.unlink()


def test_an_empty_file_is_given_what_the_backup_has(backup: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    OmegaStore.restore(backup, empty, overwrite=True)
    assert wrong_pages(empty) == []
    with OmegaStore(empty) as store:
        assert store.memories.count() == 100


def test_a_store_neither_gains_nor_loses_them_by_a_restore(
    backup: Path, path: Path, tmp_path: Path
) -> None:
    """Other processes may have the file open, and would go on as before."""
    plain, copy = tmp_path / "plain.db", tmp_path / "copy.db"
    with OmegaStore(plain) as store:
        store.memories.put(memory())
        store.backup(copy)
    for source, target in ((copy, path), (backup, plain)):
        before = target.read_bytes()
        with pytest.raises(UnsupportedError, match="page checksums") as refused:
            OmegaStore.restore(source, target, overwrite=True)
        assert refused.value.hint == "Restore to another name."
        assert target.read_bytes() == before


def test_a_backup_in_a_folder_that_cannot_be_written_is_checked_too(backup: Path) -> None:
    with OmegaStore(backup) as store:
        store.memories.put(memory("letter", content="the rain in Spain " * 300))
        store.memories.put_many(memory(f"{n}", content="between " * 300) for n in range(5))
        store.memories.put(memory("intact"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        path.write_bytes(backup.read_bytes())
        flip_inside(path, b"rain in Spain the rain")
        path.chmod(0o444)
        path.parent.chmod(0o555)
        read = python(READ_WHERE_NOTHING_CAN_BE_WRITTEN, path)
        path.parent.chmod(0o755)
    assert read.split() == ["intact", "True", "damaged"]


def test_a_migration_keeps_them_and_gives_them_to_its_backup(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = migrate.steps("sqlite")
    step = migrate.Step(len(known) + 1, "later", "CREATE TABLE later (a INTEGER) STRICT;", "digest")

    def steps(dialect: str) -> tuple[migrate.Step, ...]:
        return (*known, step)

    monkeypatch.setattr(migrate, "steps", steps)
    with OmegaStore(path) as store:
        assert store.migration is not None
        assert store.migration.backup is not None
        backup = Path(store.migration.backup)
        assert store.statistics().checksums
        store.memories.put(memory())
        assert store.check() == []
    assert wrong_pages(path) == wrong_pages(backup) == []
    assert path.read_bytes()[68:72] == backup.read_bytes()[68:72] == b"OmPC"


def test_pages_of_another_size_are_copied_with_theirs(path: Path, tmp_path: Path) -> None:
    """As somebody may have made them with SQLite's own tools."""
    target = tmp_path / "copy.db"
    source = apsw.Connection(str(tmp_path / "small.db"), vfs="cksmvfs")
    source.execute("PRAGMA page_size = 1024").fetchall()
    source.reserve_bytes("main", 8)
    source.execute("CREATE TABLE t AS SELECT hex(randomblob(600)) AS c FROM pragma_function_list")
    copies.copy(source, str(target))
    source.close()
    assert execute(target, "PRAGMA page_size") == [(1024,)]
    assert wrong_pages(target, page=1024) == []
