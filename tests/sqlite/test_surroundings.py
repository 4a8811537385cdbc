"""Facts about the place where a file lies, and about who uses it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from omega_persistence import OmegaStore, StorageError
from omega_persistence.backends.sqlite import files, surroundings
from omega_persistence.doctor import surroundings as notes
from samples import memory
from sqlite.support import Holder, execute, finish, line, python, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega_persistence.backends.sqlite import SQLiteBackend
    from omega_persistence.backends.surroundings import Surroundings

LINUX = sys.platform == "linux"

CRASH = """
import os, signal, sys
from omega_persistence import OmegaStore, StoredMemory

store = OmegaStore(sys.argv[1], journal=sys.argv[2])
store.memories.put(StoredMemory(id="kept", content="", tier=1, importance=0.0))
with store.transaction() as tx:
    tx.memories.put(StoredMemory(id="lost", content="x" * 9_000_000, tier=1, importance=0.0))
    os.kill(os.getpid(), signal.SIGKILL)
"""

HOLD = """
import sys
from omega_persistence import OmegaStore

with OmegaStore(sys.argv[1], read_only=sys.argv[2] == "read_only") as store:
    with store.snapshot() as snapshot:
        print(snapshot.memories.count(), flush=True)
        input()
"""

AS_NOBODY = """
import os, sys, ctypes, urllib.parse, re2  # now: nobody may not be able to read them
from omega_persistence import OmegaStore
import omega_persistence.backends.sqlite.surroundings, omega_persistence.doctor

if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
with OmegaStore(sys.argv[1], read_only=True) as store:
    print([f"{note.kind} {note.subject}" for note in store.doctor()])
"""


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that every user may look into."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)  # noqa: S103 - that is what it is for
        yield Path(name)
        os.chmod(name, 0o755)  # noqa: S103 - that is what it is for


def facts_of(store: OmegaStore) -> Surroundings:
    return cast("SQLiteBackend", store._backend).surroundings()


def kinds(store: OmegaStore) -> list[str]:
    return [note.kind for note in store.doctor()]


def crash(path: Path, journal: str = "wal") -> None:
    with pytest.raises(Exception, match=r"-9|SIGKILL"):
        python(CRASH, path, journal)


# The place


def test_the_facts_of_a_file_at_rest(path: Path) -> None:
    facts = surroundings.look(str(path))
    assert facts.engine.startswith("SQLite 3.")
    assert facts.file_bytes == path.stat().st_size
    assert facts.log_bytes == 0
    assert facts.disk_free_bytes
    assert facts.file_writable
    assert facts.folder_writable
    assert (facts.unclean, facts.others_read, facts.others_write) == (False, False, False)
    assert not facts.network
    assert (facts.file_system is not None) == LINUX


def test_the_facts_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    facts = surroundings.look(str(tmp_path / "none.db"))
    assert facts.file_bytes == 0
    assert not facts.unclean
    assert surroundings.look(str(tmp_path / "none" / "none.db")).disk_free_bytes is None


def test_a_store_in_memory_has_no_place() -> None:
    with OmegaStore(":memory:") as store:
        facts = facts_of(store)
        assert facts.address == ":memory:"
        assert facts.file_system is facts.disk_free_bytes is None


@pytest.mark.parametrize(
    ("file", "folder", "readable", "writable"),
    [
        (0o600, 0o755, False, False),
        (0o640, 0o755, False, False),  # somebody chose the group
        (0o644, 0o755, True, False),
        (0o644, 0o700, False, False),  # nobody else gets there
        (0o666, 0o755, True, True),
        (0o600, 0o777, False, True),  # others could put another file in its place
        (0o600, 0o1777, False, False),
    ],
)
def test_what_every_user_can_do_with_the_file(
    file: int, folder: int, readable: bool, writable: bool, shared_folder: Path
) -> None:
    path = shared_folder / "store.db"
    with OmegaStore(path) as store:
        path.chmod(file)
        shared_folder.chmod(folder)
        facts = facts_of(store)
        assert (facts.others_read, facts.others_write) == (readable, writable)
        assert kinds(store) == ["permissions"] * (readable or writable)


def test_a_folder_or_file_that_cannot_be_written_is_noted(shared_folder: Path) -> None:
    path = shared_folder / "store.db"
    OmegaStore(path).close()
    path.chmod(0o444)
    shared_folder.chmod(0o555)
    said = python(AS_NOBODY, path)
    assert f"not_writable {path}" in said
    assert f"not_writable {shared_folder}'" in said


def _nfs(_folder: str) -> str:
    return "nfs4"


def test_a_network_disk_is_noted_although_the_store_was_opened_for_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "file_system", _nfs)
    with OmegaStore(path, journal="truncate") as store:
        assert kinds(store) == ["network_disk"]


def test_a_disk_that_does_not_tell_its_room_is_not_noted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OmegaStore(path) as store:
        monkeypatch.delattr(os, "statvfs")
        assert facts_of(store).disk_free_bytes is None
        assert kinds(store) == []


# The log


@pytest.fixture
def any_log_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "LARGE_LOG", 10_000)


@pytest.mark.parametrize("how", ["to_write", "read_only"])
def test_a_log_that_another_process_holds_up_is_noted_with_its_number(
    how: str, path: Path, any_log_is_large: None
) -> None:
    with OmegaStore(path) as store:
        store.memories.put(memory("before"))
        child = start(HOLD, path, how)
        assert line(child) == "2"
        store.memories.put_many(memory(f"m{n}", content="x" * 3000) for n in range(20))
        facts = facts_of(store)
        assert facts.read_elsewhere
        assert 0 < cast("int", facts.log_waiting_bytes) <= facts.log_bytes
        assert facts.readers == ([child.pid] if LINUX else [])
        (note,) = store.doctor()
        assert note.kind == "large_log"
        assert (str(child.pid) if LINUX else "another process") in note.text
        finish(child)
        facts = facts_of(store)
        assert (facts.log_waiting_bytes, facts.readers, facts.read_elsewhere) == (0, [], False)


def test_a_log_that_a_thread_holds_up_is_noted(path: Path, any_log_is_large: None) -> None:
    with OmegaStore(path) as store:
        store.memories.put(memory("before"))
        with Holder(store, "snapshot"):
            store.memories.put_many(memory(f"m{n}", content="x" * 3000) for n in range(20))
            (note,) = store.doctor()
            assert note.kind == "large_log"
            assert "of this process" in note.text
            with OmegaStore(path) as other:  # to which it is not known who
                (note,) = other.doctor()
                assert note.kind == "large_log"
                assert not LINUX or str(os.getpid()) in note.text


def test_a_store_opened_to_read_tells_what_is_in_the_log_and_moves_nothing(path: Path) -> None:
    with OmegaStore(path) as store:
        store.memories.put(memory("in the log"))
        with OmegaStore(path, read_only=True) as reader:
            assert facts_of(reader).log_waiting_bytes == facts_of(reader).log_bytes - 32
            assert kinds(reader) == []
        assert facts_of(store).log_waiting_bytes == 0


def test_locks_are_understood_as_the_system_lists_them(tmp_path: Path) -> None:
    path, locks = tmp_path / "store.db-shm", tmp_path / "locks"
    path.touch()
    inode = path.stat().st_ino
    locks.write_text(
        f"1: POSIX  ADVISORY  READ 4711 fe:00:{inode} 124 124\n"
        f"2: POSIX  ADVISORY  READ 4712 fe:00:{inode} 123 123\n"  # needs nothing of the log
        f"3: POSIX  ADVISORY  READ 4713 fe:00:{inode} 128 128\n"  # has it open
        f"4: POSIX  ADVISORY  READ 4714 fe:00:{inode}1 124 124\n"  # another file
        f"5: FLOCK  ADVISORY  WRITE 4715 fe:00:{inode} 0 EOF\n"
        f"6: POSIX  ADVISORY  READ 4716 fe:00:{inode} 127 127\n"
        f"6: -> POSIX  ADVISORY  WRITE 4717 fe:00:{inode} 127 127\n"
        f"7: POSIX  ADVISORY  WRITE 4718 fe:00:7 0 EOF\n"
    )
    assert surroundings._readers(str(path), None, str(locks)) == [4711, 4716]
    assert surroundings._readers(str(path), 4711, str(locks)) == [4716]
    assert surroundings._readers(str(path), None, str(tmp_path / "none")) == []
    assert surroundings._readers(str(tmp_path / "none"), None, str(locks)) == []


# An unclean shutdown


@pytest.mark.parametrize("journal", ["wal", "truncate"])
def test_a_store_that_was_not_closed_is_noted_until_it_has_been_checked(
    journal: str, path: Path
) -> None:
    crash(path, journal)
    with OmegaStore(path) as store:
        assert kinds(store) == ["unclean_shutdown"]
        assert store.memories.get("kept")
        assert store.check() == []
        assert kinds(store) == []
    with OmegaStore(path) as store:
        assert kinds(store) == []


def test_a_store_that_another_process_has_open_was_not_left_open(path: Path) -> None:
    child = start(HOLD, path, "to_write")
    assert line(child) == "1"
    with OmegaStore(path) as store:
        store.memories.put(memory("n"))
        with OmegaStore(path) as other:
            assert kinds(other) == []
        assert kinds(store) == []
    with OmegaStore(path) as store:
        assert kinds(store) == []
    finish(child)


def test_who_opens_while_the_first_after_a_crash_has_it_open_is_not_told(path: Path) -> None:
    crash(path)
    with OmegaStore(path) as first, OmegaStore(path) as second:
        assert kinds(first) == ["unclean_shutdown"]
        assert kinds(second) == []


def test_asking_whether_a_file_was_left_open_drops_no_lock_of_this_process(path: Path) -> None:
    with OmegaStore(path) as store, store.transaction() as tx:
        tx.memories.put(memory("n"))
        assert not files.left_open(str(path))
        with pytest.raises(Exception, match=r"BusyError|locked"):
            execute_at_once(path, "BEGIN IMMEDIATE")
    assert OmegaStore.verify_backup(path) == []


def execute_at_once(path: Path, sql: str) -> None:
    """In another process, which does not wait."""
    script = (
        "import sys, apsw\n"
        "try:\n"
        "    apsw.Connection(sys.argv[1]).execute(sys.argv[2])\n"
        "except apsw.BusyError as error:\n"
        "    print(type(error).__name__)\n"
    )
    assert python(script, path, sql) == ""


def test_looking_again_and_again_leaves_the_marks_of_a_crash_where_they_are(path: Path) -> None:
    crash(path)
    for _ in range(2):
        assert surroundings.look(str(path)).unclean
        with OmegaStore(path, read_only=True) as store:
            assert kinds(store) == ["unclean_shutdown"]
            assert store.check() == []
            assert kinds(store) == ["unclean_shutdown"]  # it could not compare the full text
    OmegaStore(path).close()
    assert not surroundings.look(str(path)).unclean


# A newer program


def test_a_file_that_a_newer_program_migrated_meanwhile_is_noted(path: Path) -> None:
    with OmegaStore(path) as store:
        ((version,),) = execute(path, "PRAGMA user_version")
        execute(path, f"PRAGMA user_version = {version + 8}")
        (note,) = store.doctor()
        assert (note.kind, note.subject) == ("newer_schema", f"schema {version + 8}")
        execute(path, f"PRAGMA user_version = {version}")


# Errors


def test_a_store_that_is_closed_has_no_surroundings(path: Path) -> None:
    store = OmegaStore(path)
    store.close()
    with pytest.raises(StorageError, match="it is closed"):
        store.doctor()
