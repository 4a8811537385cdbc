"""Page checksums: a bit that has flipped on the disk is damage, and nothing else changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import apsw
import pytest

from formats.legacy_files import copy_of
from omega_persistence import CorruptionError, OmegaStore, UnsupportedError
from samples import memory, vector
from sqlite.page_checksums import PAGE, flip, flip_inside, wrong_pages
from sqlite.support import execute, finish, go_on, python, start

if TYPE_CHECKING:
    from pathlib import Path

LETTER = "the rain in Spain stays mainly in the plain"

NUMBER_OF_MEMORIES = """
import sys, apsw
from omega_persistence import OmegaStore
with OmegaStore(sys.argv[1], create=False) as store:
    print(store.memories.count(), store.statistics().checksums, apsw.vfs_names()[0])
"""

CREATE_AND_PUT = """
import sys
from omega_persistence import OmegaStore, StorageError, StoredMemory, UnsupportedError
input()
try:
    with OmegaStore(sys.argv[1], checksums=bool(int(sys.argv[2])), busy_timeout=60) as store:
        for number in range(20):
            store.memories.put(StoredMemory(content="x" * 2000, tier=1, importance=0.5))
        print(20)
except UnsupportedError:
    print(0)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store at rest that has page checksums, and long and short values."""
    path = tmp_path / "store.db"
    with OmegaStore(path, checksums=True) as store:
        store.memories.put(memory("letter", content=LETTER))
        store.memories.put_many(memory(f"m{n}", content=f"word{n} " * 300) for n in range(100))
        store.vectors.put(vector("v", "m0", *range(3000)))
    assert wrong_pages(path) == []
    return path


def kinds(path: Path) -> set[str]:
    """What `check` and `verify_backup` find in a file, both the same."""
    verified = {problem.kind for problem in OmegaStore.verify_backup(path)}
    with OmegaStore(path) as store:
        assert {problem.kind for problem in store.check()} == verified
    return verified


# Row 40 of what the Rust crate gets wrong: one letter changed inside a text is read without notice
def test_one_letter_changed_inside_a_text_is_damage(path: Path) -> None:
    flip_inside(path, LETTER.encode())
    with OmegaStore(path) as store:
        for _ in range(2):
            with pytest.raises(CorruptionError, match="fails its checksum") as damaged:
                store.memories.get("letter")
            assert "Restore a backup" in str(damaged.value.hint)
            assert store.memories.get("m99").content == "word99 " * 300
        found = {(each.kind, each.table) for each in store.check()}
        assert ("checksum", "memories") in found
    with OmegaStore(path, read_only=True) as store, pytest.raises(CorruptionError):
        store.memories.get("letter")


def test_without_checksums_a_changed_letter_is_read_without_notice(tmp_path: Path) -> None:
    """The limit that checksums are for; they are a choice since they cost time."""
    path = tmp_path / "plain.db"
    with OmegaStore(path) as store:
        store.memories.put(memory("letter", metadata_json=f'{{"was":"{LETTER}"}}'))
    flip_inside(path, LETTER.encode())
    with OmegaStore(path) as store:
        assert store.memories.get("letter").metadata != {"was": LETTER}
        assert store.check() == []


def test_a_flipped_bit_on_any_page_is_found(path: Path) -> None:
    intact = path.read_bytes()
    pages = len(intact) // PAGE
    assert pages > 100
    for page in range(0, pages, 7):
        flip(path, page * PAGE + 100 + 37 * page % (PAGE - 100), bit=page % 8)
        try:
            assert "checksum" in {problem.kind for problem in OmegaStore.verify_backup(path)}
        except CorruptionError:
            assert page == 0
        path.write_bytes(intact)


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("position", [20, 60, 68])
def test_a_flipped_bit_in_the_header_is_found_at_opening(
    position: int, bit: int, path: Path
) -> None:
    """Byte 20 says that there are checksums; the others, what file it is."""
    flip(path, position, bit)
    before = path.read_bytes()
    for use in (OmegaStore, OmegaStore.verify_backup):
        with pytest.raises(CorruptionError):
            use(path)
    assert path.read_bytes() == before


def test_a_page_that_was_read_wrongly_once_is_read_again(path: Path) -> None:
    """A cable or memory that fails for a moment looks like a damaged page."""
    script = """
import sys, apsw
class Disk(apsw.VFS):
    def __init__(self):
        super().__init__("disk", "unix", makedefault=True)
    def xOpen(self, name, flags):
        return File("unix", name, flags)
class File(apsw.VFSFile):
    def xRead(self, amount, offset):
        global wrong
        content = super().xRead(amount, offset)
        if wrong and sys.argv[2].encode() in content:
            wrong -= 1
            content = content[:1000] + bytes([content[1000] ^ 4]) + content[1001:]
        return content
wrong, disk = 0, Disk()
from omega_persistence import CorruptionError, OmegaStore
with OmegaStore(sys.argv[1]) as store:
    wrong = 1
    assert store.memories.get("letter").content == sys.argv[2]
    assert wrong == 0
with OmegaStore(sys.argv[1]) as store:
    wrong = 2
    try:
        store.memories.get("letter")
    except CorruptionError:
        print(wrong)
    assert store.memories.get("letter").content == sys.argv[2]
"""
    assert python(script, path, LETTER) == "0\n"


def test_a_write_to_a_damaged_page_is_refused_and_the_store_goes_on(path: Path) -> None:
    flip_inside(path, b"word50 word50")
    with OmegaStore(path) as store:
        with pytest.raises(CorruptionError):
            store.memories.touch("m50")
        store.memories.put(memory("another"))
        assert store.memories.get("another") == memory("another")


def test_check_looks_at_the_disk_even_where_the_store_remembers_a_page(path: Path) -> None:
    with OmegaStore(path) as store:
        store.memories.put(memory("letter", content=LETTER + "."))
        store.compact()  # the page is in the file now, and was written by this connection
        assert store.check() == []
        # In a process of its own: a descriptor that is closed here would drop the locks.
        flip_elsewhere = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
content = path.read_bytes()
position = content.index(sys.argv[2].encode())
with path.open("r+b") as file:
    file.seek(position)
    file.write(bytes([content[position] ^ 1]))
"""
        python(flip_elsewhere, path, LETTER)
        assert "checksum" in {problem.kind for problem in store.check()}


# Who has them


def test_every_later_opening_has_them_without_being_asked(path: Path) -> None:
    assert python(NUMBER_OF_MEMORIES, path).split() == ["101", "True", "unix"]
    with OmegaStore(path, checksums=True) as store:
        assert store.statistics().checksums
        assert store.check() == []


@pytest.mark.parametrize("journal", ["wal", "truncate"])
def test_every_page_that_is_written_gets_its_checksum(
    journal: Literal["wal", "truncate"], tmp_path: Path
) -> None:
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


def test_processes_that_create_one_file_with_and_without_them_agree(tmp_path: Path) -> None:
    for attempt in range(4):
        path = tmp_path / f"{attempt}.db"
        children = [start(CREATE_AND_PUT, path, number % 2) for number in range(4)]
        for child in children:
            go_on(child)
        put = sum(int(finish(child)) for child in children)
        with OmegaStore(path) as store:
            assert store.memories.count() == put
            assert put == 80 or not store.statistics().checksums
            assert store.check() == []
            has_them = store.statistics().checksums
        assert not has_them or wrong_pages(path) == []


# The rest of the process


def test_a_process_without_such_a_store_does_not_load_the_layer(tmp_path: Path) -> None:
    script = """
import sys, apsw
from omega_persistence import OmegaStore
before = apsw.vfs_names()
with OmegaStore(sys.argv[1]) as store:
    store.check()
    store.backup(sys.argv[1] + ".copy")
assert apsw.vfs_names() == before
assert "apsw.sqlite_extra" not in sys.modules
with OmegaStore(sys.argv[1] + ".checked", checksums=True) as store:
    pass
assert apsw.vfs_names()[0] == before[0]
assert set(apsw.vfs_names()) - set(before) == {"cksmvfs"}
connection = apsw.Connection(sys.argv[1])
assert connection.execute("PRAGMA checksum_verification").fetchall() == []
"""
    python(script, tmp_path / "store.db")


def test_stores_with_and_without_them_are_open_side_by_side(path: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.db"
    with OmegaStore(path) as checked, OmegaStore(plain) as unchecked:
        for store in (checked, unchecked):
            store.memories.put(memory("letter", content="another"))
            assert store.memories.get("letter").content == "another"
            assert store.check() == []
        assert [each.statistics().checksums for each in (checked, unchecked)] == [True, False]
        assert apsw.vfs_names()[0] == "unix"
    assert wrong_pages(path) == []


def test_a_child_of_a_fork_opens_the_store_again(path: Path) -> None:
    script = """
import os, sys
from omega_persistence import ClosedError, OmegaStore, StoredMemory
store = OmegaStore(sys.argv[1])
store.memories.count()
pid = os.fork()
if pid == 0:
    try:
        store.memories.count()
    except ClosedError:
        with OmegaStore(sys.argv[1]) as own:
            own.memories.put(StoredMemory(id="child", content="", tier=1, importance=0.5))
        os._exit(0)
    os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
store.memories.put(StoredMemory(id="parent", content="", tier=1, importance=0.5))
print(store.memories.get("child").id, store.check())
store.close()
"""
    assert python(script, path) == "child []\n"
    assert wrong_pages(path) == []


def test_an_apsw_without_the_layer_refuses_and_says_so(path: Path, tmp_path: Path) -> None:
    script = """
import os, sys
import apsw.sqlite_extra
from omega_persistence import OmegaStore, UnsupportedError
apsw.sqlite_extra.has = lambda name: None
for path in sys.argv[1:]:
    try:
        OmegaStore(path, checksums=True)
    except UnsupportedError as error:
        print(error.hint)
"""
    before = path.read_bytes()
    told = python(script, path, tmp_path / "new.db")
    assert told.count("install apsw") == 2
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["store.db"]


def test_what_a_program_writes_that_knows_no_checksums_counts_as_damage(path: Path) -> None:
    execute(path, "UPDATE memories SET importance = 0.25 WHERE id = 'letter'")
    with pytest.raises(CorruptionError), OmegaStore(path) as store:
        store.memories.get("letter")
