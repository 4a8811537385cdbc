"""What the Rust crate gets wrong about files and other processes, each by its symptom.

Rows 33 to 47 of the table. Row 40, one letter changed inside a text, is in
`sqlite/test_checksums.py`: no structure of the file is broken by it, and only checksums of pages
can tell.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from msgspec.structs import replace

from formats.legacy_files import copy_of, rewrite
from omega_persistence import (
    BusyError,
    ClosedError,
    ConflictError,
    CorruptionError,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    SchemaError,
    StorageError,
)
from samples import edge, episode, memory, skill, vector
from sqlite.support import execute

if TYPE_CHECKING:
    from collections.abc import Callable


def ids(path: Path) -> list[str]:
    with OmegaStore(path) as store:
        return [each.id for each in store.memories]


# Row 33
def test_a_mistyped_path_opens_as_a_new_empty_store(tmp_path: Path):
    with pytest.raises(NotFoundError, match="no store at"):
        OmegaStore(tmp_path / "mistyped.db", create=False)
    assert list(tmp_path.iterdir()) == []


# Row 34
def test_the_empty_path_is_a_store_that_vanishes():
    with pytest.raises(InvalidDataError, match="path of a file"):
        OmegaStore("")


# Row 35
def test_a_path_that_begins_with_file_is_read_as_a_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with OmegaStore("file:store.db?mode=memory") as store:
        store.store_memory(memory())
    assert [each.name for each in tmp_path.iterdir()] == ["file:store.db?mode=memory"]
    with OmegaStore("file:store.db?mode=memory", create=False) as store:
        assert store.get_memory("memory") == memory()


# Row 36
@pytest.mark.parametrize("table", ["notes", "memories"])
def test_tables_are_added_to_the_database_of_another_program(tmp_path: Path, table: str):
    path = tmp_path / "other.db"
    with closing(apsw.Connection(str(path))) as other:
        other.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, x)")
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="another program") as caught:
        OmegaStore(path)
    assert "CREATE" not in str(caught.value)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["other.db"]


def noise(path: Path, place: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(i * 37 % 251 for i in range(length)))


# Rows 37 and 38
@pytest.mark.parametrize("damage", ["text", "magic", "header", "half", "three pages short"])
def test_a_damaged_file_is_refused_in_strange_words(path: Path, damage: str):
    size = path.stat().st_size
    if damage == "text":
        path.write_text("this is no database, " * 1000)
    elif damage in {"magic", "header"}:
        noise(path, 0 if damage == "magic" else 16, 16)
    else:
        with path.open("r+b") as file:
            file.truncate(size // 2 if damage == "half" else size - 3 * 4096)
    before = path.read_bytes()
    with pytest.raises(CorruptionError) as caught:
        OmegaStore(path)
    assert caught.value.hint is not None
    assert "restore" in caught.value.hint
    with pytest.raises(CorruptionError):
        OmegaStore.verify_backup(path)
    assert path.read_bytes() == before


# Row 39
def test_noise_in_the_middle_goes_unnoticed(path: Path):
    noise(path, path.stat().st_size // 8192 * 4096, 3 * 4096)
    with OmegaStore(path) as store:
        assert store.check()
        with pytest.raises(CorruptionError):
            store.backup(path.parent / "copy.db")
        with pytest.raises(CorruptionError):
            list(store.memories)
        told = [memory(f"{i:04}", embedding_blob=bytes(4000)) for i in range(1000)]
        with pytest.raises(CorruptionError):
            store.memories.put_many(replace(each, content="changed") for each in told)
        for each in told:  # a row that can be read is true
            try:
                assert store.memories.get(each.id) == each
            except StorageError as error:
                assert isinstance(error, CorruptionError)  # noqa: PT017 - most raise nothing
    assert [each.name for each in path.parent.iterdir()] == ["store.db"]


# Row 41
def test_the_wait_for_another_writer_is_five_seconds_and_ends_in_a_text(
    path: Path, held: Callable[..., object]
):
    held("BEGIN IMMEDIATE")
    with OmegaStore(path, busy_timeout=0.05) as store:
        assert store.get_skill("skill") == skill()
        with pytest.raises(BusyError) as caught:
            store.increment_skill_success("skill", 1)
        assert caught.value.retryable
        assert isinstance(caught.value, TimeoutError)


# Row 42
def test_a_file_locked_by_another_process_cannot_even_be_opened(
    path: Path, held: Callable[..., object]
):
    held("BEGIN EXCLUSIVE")
    with OmegaStore(path, busy_timeout=0.05) as store:  # in its log it keeps no reader out
        assert len(store.query_memories_by_tier(4)) == 1000


# Row 42 again: nothing but the mode made for it keeps readers out
def test_a_file_that_another_process_keeps_for_itself_is_busy(
    path: Path, held: Callable[..., object]
):
    held("PRAGMA locking_mode = exclusive", "BEGIN EXCLUSIVE")
    with pytest.raises(BusyError):
        OmegaStore(path, busy_timeout=0.05)


# Row 43
def test_a_slow_reader_in_another_process_blocks_every_writer(
    path: Path, held: Callable[..., object]
):
    held("BEGIN", "SELECT * FROM memories")
    with OmegaStore(path, busy_timeout=0.05) as store:
        store.increment_skill_success("skill", 500)
        store.memories.put(memory("new"))
        assert store.get_skill("skill").success_count == 1


# Row 44
def test_a_file_of_a_newer_program_is_written_to_without_notice(path: Path):
    execute(path, "INSERT INTO schema_migrations VALUES (99, 'of a newer version', 'x')")
    execute(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(SchemaError, match="this library knows up to") as caught:
            OmegaStore(path, read_only=read_only)
        assert caught.value.hint is not None
        assert "Upgrade" in caught.value.hint
    assert path.read_bytes() == before


# Row 44 again
@pytest.mark.parametrize(
    "change", ["PRAGMA user_version = 1", "ALTER TABLE memories ADD COLUMN mood TEXT DEFAULT 'x'"]
)
def test_a_changed_file_of_the_crate_is_written_to_without_notice(tmp_path: Path, change: str):
    path = rewrite(copy_of("clean", tmp_path), change)
    before = path.read_bytes()
    with pytest.raises(SchemaError):
        OmegaStore(path)
    assert path.read_bytes() == before


# Row 45
def test_a_tier_comes_only_as_a_whole(path: Path):
    with OmegaStore(path) as store:
        assert len(store.memories.by_tier(4)) == 100
        assert len(store.memories.by_tier(4, limit=7)) == 7
        page = store.memories.scan(after="0500", limit=2)
        assert [each.id for each in page] == ["0501", "0502"]
        assert sum(1 for _ in store.memories) == 1000


# Row 46. Search by vector comes with recall.
def test_calls_are_missing(path: Path):
    with OmegaStore(path) as store:
        store.memories.put_many([memory("memory"), memory("effect")])
        with store.transaction() as tx:
            tx.vectors.put(vector())
            tx.reflexion_episodes.put(episode())
            tx.causal_edges.put(edge())
        assert store.vectors.get("vector") == vector()
        assert store.reflexion_episodes.get("episode") == episode()
        assert store.causal_edges.get("edge") == edge()
        assert store.get_causal_edges_to("effect") == [edge()]
        assert store.memories.scan(after="effect") == [memory("memory")]
        assert store.memories.delete("effect")
        assert store.check() == []
        store.backup(path.parent / "copy.db")
    OmegaStore.restore(path.parent / "copy.db", path, overwrite=True)
    assert len(ids(path)) == 1001


# Row 47
def test_all_errors_are_one(path: Path, tmp_path: Path):
    store = OmegaStore(path, busy_timeout=0.05)
    with store.transaction():
        waiting: list[BaseException] = []

        def write() -> None:
            try:
                store.memories.put(memory())
            except StorageError as error:
                waiting.append(error)

        thread = Thread(target=write)
        thread.start()
        thread.join(60)
    assert [type(error) for error in waiting] == [BusyError]
    causes: list[tuple[type[StorageError], Callable[[], Any]]] = [
        (NotFoundError, lambda: store.get_memory("nobody")),
        (ConflictError, lambda: store.store_vector(vector("v", "nobody"))),
        (ConflictError, lambda: store.store_skill(skill("other", name="name of skill"))),
        (InvalidDataError, lambda: store.store_memory(memory(tier=99))),
        (NotFoundError, lambda: OmegaStore(tmp_path / "none.db", create=False)),
    ]
    for error, cause in causes:
        with pytest.raises(error):
            cause()
    store.close()
    with pytest.raises(ClosedError):
        store.get_memory("0001")


def test_every_row_has_a_test():
    here = Path(__file__)
    texts = [each.read_text("utf-8") for each in here.parent.glob("test_what_the_original_*.py")]
    comments = [
        comment for text in texts for comment in re.findall(r"^# Rows? (.*)$", text, re.MULTILINE)
    ]
    rows: set[int] = set()
    for comment in comments:
        numbers = [int(number) for number in re.findall(r"\d+", comment)]
        rows.update(range(numbers[0], numbers[-1] + 1) if " to " in comment else numbers)
    assert rows == set(range(1, 48)) - {40}
