"""Opening a store only to read it, also where nothing can be written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omega_persistence import CorruptionError, NotFoundError, OmegaStore, UnsupportedError
from samples import memory
from sqlite.support import execute, finish, line, python, start

if TYPE_CHECKING:
    from collections.abc import Iterator

# Root may write everywhere, so it becomes somebody else once everything is loaded: that may lie
# where nobody else can read.
BECOME_NOBODY = """
import os, sys, urllib.parse
from omega_persistence import OmegaStore, StorageError, StoredMemory
from omega_persistence.backends.sqlite import search
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""

READ = (
    BECOME_NOBODY
    + """
with OmegaStore(sys.argv[1], read_only=True) as store:
    print(store.memories.get("m").content, store.statistics().memory_count, store.check())
    print([hit.memory.id for hit in store.memories.search("content")])
"""
)

CRASH_AFTER_WRITING = """
import os, sys
from omega_persistence import OmegaStore
store = OmegaStore(sys.argv[1])
store.skills.put_many([])
with store.transaction() as tx:
    tx.memories.touch("m", 999)
os._exit(0)
"""


WRITES: dict[str, Callable[[OmegaStore], object]] = {
    "put": lambda store: store.memories.put(memory()),
    "delete": lambda store: store.memories.delete("m"),
    "touch": lambda store: store.memories.touch("m"),
    "transaction": lambda store: store.transaction().__enter__(),
    "delete_namespace": lambda store: store.delete_namespace("default"),
    "delete_quarantined": lambda store: store.delete_quarantined([1]),
    "compact": lambda store: store.compact(),
    "optimize": lambda store: store.optimize(),
}


@pytest.fixture
def locked() -> Iterator[Path]:
    """The same, in a folder and a file that can be read by all and written by none."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "store.db"
        with OmegaStore(path) as store:
            store.memories.put(memory("m"))
        path.chmod(0o444)
        path.parent.chmod(0o555)
        yield path
        path.parent.chmod(0o755)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_store_opened_to_read_refuses_every_write(
    write: Callable[[OmegaStore], object], path: Path
) -> None:
    before = path.read_bytes()
    with (
        OmegaStore(path, read_only=True) as store,
        pytest.raises(UnsupportedError, match="opened read-only") as refused,
    ):
        write(store)
    assert refused.value.hint == "Open it without read_only=True."
    assert path.read_bytes() == before


def test_a_store_opened_to_read_offers_every_read(path: Path, tmp_path: Path) -> None:
    with OmegaStore(path, read_only=True) as store:
        assert store.memories.get("m") == memory("m")
        assert [each.id for each in store.memories] == ["m"]
        with store.snapshot() as snapshot:
            assert snapshot.memories.count() == 1
        assert store.namespaces() == ["default"]
        assert store.check() == []
        store.backup(tmp_path / "copy.db")
    assert OmegaStore.verify_backup(tmp_path / "copy.db") == []


def test_a_store_opened_to_read_is_never_created(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        OmegaStore(tmp_path / "store.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_what_another_process_commits_meanwhile(path: Path) -> None:
    writer = start(
        "import sys\n"
        "from omega_persistence import OmegaStore\n"
        "with OmegaStore(sys.argv[1]) as store:\n"
        "    store.memories.touch('m', 555)\n"
        "    print('written', flush=True)\n"
        "    input()\n",
        path,
    )
    assert line(writer) == "written"
    with OmegaStore(path, read_only=True) as store:
        assert store.memories.get("m").last_accessed == 555
    finish(writer)


def test_a_file_and_folder_that_cannot_be_written_can_be_read(locked: Path) -> None:
    assert python(READ, locked) == "content 1 []\n['m']\n"
    assert [each.name for each in locked.parent.iterdir()] == ["store.db"]


def test_a_file_that_cannot_be_written_says_so_when_opened_to_write(locked: Path) -> None:
    script = (
        BECOME_NOBODY
        + """
try:
    with OmegaStore(sys.argv[1]) as store:
        store.memories.put(StoredMemory(content="", tier=1, importance=0.0))
except StorageError as error:
    print(type(error).__name__, isinstance(error, OSError))
"""
    )
    assert python(script, locked) == "StorageFullError True\n"


def test_what_only_the_log_of_a_crashed_process_holds_is_not_overlooked(locked: Path) -> None:
    locked.parent.chmod(0o755)
    locked.chmod(0o644)
    python(CRASH_AFTER_WRITING, locked)
    (locked.parent / "store.db-shm").unlink()  # as after a restart of the machine
    for each in locked.parent.iterdir():
        each.chmod(0o444)
    locked.parent.chmod(0o555)
    script = (
        BECOME_NOBODY
        + """
try:
    OmegaStore(sys.argv[1], read_only=True)
except StorageError as error:
    print(error)
"""
    )
    assert "unable to open database file" in python(script, locked)
    locked.parent.chmod(0o755)
    for each in locked.parent.iterdir():
        each.chmod(0o644)
    with OmegaStore(locked) as store:
        assert store.memories.get("m").last_accessed == 999


def test_damage_that_is_met_by_the_first_read_is_told_as_such(path: Path) -> None:
    with OmegaStore(path, read_only=True) as store:
        path.write_bytes(bytes(100) + path.read_bytes()[100:])
        for _ in range(3):
            with pytest.raises(CorruptionError):
                store.memories.count()


def test_reading_does_not_change_a_single_byte(path: Path) -> None:
    before = path.read_bytes()
    with OmegaStore(path, read_only=True) as store:
        assert store.statistics().memory_count == 1
    assert path.read_bytes() == before
    assert execute(path, "PRAGMA integrity_check") == [("ok",)]
