"""Exports as JSON Lines, and what comes back when they are imported."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import samples
from formats.legacy_files import copy_of
from omega_persistence import (
    ConflictError,
    ImportReport,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    StorageFullError,
    TransactionError,
    UnsupportedError,
)
from omega_persistence.entities import quarantine
from strategies import ENTITIES, FAMILIES, batches, collection_of, names, put_parents, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Lines = list[dict[str, Any]]


def exported(store: OmegaStore, **options: Any) -> bytes:
    target = io.BytesIO()
    store.export_jsonl(target, **options)
    return target.getvalue()


def parsed(data: bytes) -> Lines:
    return [msgspec.json.decode(line) for line in data.split(b"\n") if line]


def imported(store: OmegaStore, data: bytes, **options: Any) -> ImportReport:
    return store.import_jsonl(io.BytesIO(data), **options)


def content(store: OmegaStore) -> dict[Any, Any]:
    """Everything that can be read of a store, expired memories and quarantine too."""
    found: dict[Any, Any] = {}
    for name in store.namespaces():
        inside = store.in_namespace(name)
        for collection in inside.all():
            found[name, collection.table.name] = list(collection)
        found[name, "expired"] = inside.memories.expired(limit=None)
    found["quarantine"] = [(row.table, row.raw, row.reason) for row in store.quarantine()]
    return found


@contextmanager
def empty(kind: str) -> Generator[OmegaStore]:
    """An empty store of its own for each example of a property."""
    with TemporaryDirectory() as folder:
        path = ":memory:" if kind == "memory" else Path(folder, "store.db")
        with OmegaStore(path) as store:
            yield store
            assert store.check() == []


def put_one_of_each(store: OmegaStore) -> None:
    for entity in ENTITIES:
        put_parents(store, entity)
        collection_of(store, entity).put(FAMILIES[entity].example)


storage = st.one_of(
    st.just(("null", b"")),
    st.tuples(st.sampled_from(["integer", "real"]), st.binary(min_size=8, max_size=8)),
    st.tuples(st.sampled_from(["text", "text/UTF-16le", "text/UTF-16be", "blob"]), st.binary()),
)
raw_rows = st.tuples(names, st.dictionaries(texts, storage, max_size=4), names)


def fill(store: OmegaStore, data: st.DataObject) -> None:
    """Several namespaces with records of every type, some of the memories expired."""
    for namespace in data.draw(st.lists(names, max_size=3, unique=True)):
        inside = store.in_namespace(namespace)
        for entity in ENTITIES:
            put_parents(inside, entity)
            collection_of(inside, entity).put_many(data.draw(batches(entity)))
        for memory in list(inside.memories):
            if data.draw(st.booleans()):
                inside.memories.put(replace(memory, expires_at=data.draw(st.integers(0, 1000))))
    with store._backend.atomic() as session:
        for table, raw, reason in data.draw(st.lists(raw_rows, max_size=3)):
            quarantine.add(session, table, raw, reason)


# What comes back


@pytest.mark.parametrize("kind", ["memory", "file"])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_an_import_into_an_empty_store_gives_an_equal_store(kind: str, data: st.DataObject):
    with empty(kind) as original, empty(kind) as copy:
        fill(original, data)
        before = content(original)
        lines = exported(original, all_namespaces=True)
        report = imported(copy, lines)
        assert content(original) == before
        assert content(copy) == before
        assert exported(copy, all_namespaces=True) == lines
        assert sum(report.added.values()) + report.quarantined == lines.count(b"\n") - 2


def test_the_lines_are_as_the_format_describes_them(store: OmegaStore):
    put_one_of_each(store)
    lines = parsed(exported(store))
    schema = store.statistics().schema_version
    assert lines[0] == {"format": "omega-persistence", "version": 1, "schema": schema}
    records = lines[1:-1]
    assert all(line["namespace"] == "default" for line in records)
    for collection in store.all():
        kind = collection.table.name
        expected = [msgspec.to_builtins(record) for record in collection]
        assert [line["record"] for line in records if line["kind"] == kind] == expected
    order = [collection.table.name for collection in store.all()]
    assert sorted(records, key=lambda line: order.index(line["kind"])) == records
    counts = {collection.table.name: collection.count() for collection in store.all()}
    assert lines[-1] == {"kind": "end", "counts": counts}


def test_quarantined_rows_of_the_rust_crate_travel_whole(store: OmegaStore, tmp_path: Path):
    with OmegaStore(copy_of("small", tmp_path)) as original:
        original.memories.put(samples.memory(expires_at=1))
        lines = exported(original, all_namespaces=True)
        report = imported(store, lines)
        assert content(store) == content(original)
        assert report.quarantined == len(original.quarantine()) > 0
    assert [row.number for row in store.quarantine()] == list(range(1, report.quarantined + 1))
    # A row has no id to conflict with: what is there already stays as it is.
    assert imported(store, lines, on_conflict="skip").quarantined == 0
    assert imported(store, lines, on_conflict="update").quarantined == 0
    assert len(store.quarantine()) == report.quarantined


def test_only_a_line_feed_ends_a_line(store: OmegaStore):
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei\rj\r\nk\x01l\ufeffm\U0010ffff"
    store.memories.put(samples.memory(content=text))
    lines = exported(store)
    assert lines.count(b"\n") == 3
    with empty("memory") as copy:
        imported(copy, lines.replace(b"\n", b"\r\n"))  # as an editor may leave it
        assert copy.memories.get("memory").content == text


def test_blank_lines_and_a_missing_last_line_feed_mean_nothing(store: OmegaStore):
    put_one_of_each(store)
    lines = exported(store)
    with empty("memory") as copy:
        imported(copy, lines.replace(b"\n", b"\n \n\n").rstrip())
        assert content(copy) == content(store)


def test_fields_with_a_constant_default_may_be_left_out(store: OmegaStore):
    store.memories.put(samples.memory())
    header, line, end = parsed(exported(store))
    required = {"id", "content", "tier", "importance", "created_at", "last_accessed"}
    line["record"] = {name: line["record"][name] for name in required}
    with empty("memory") as copy:
        imported(copy, b"\n".join(map(msgspec.json.encode, (header, line, end))))
        assert content(copy) == content(store)


def test_expired_memories_and_their_children_come_back(store: OmegaStore):
    put_one_of_each(store)
    for memory in list(store.memories):
        store.memories.put(replace(memory, expires_at=5))
    with empty("memory") as copy:
        imported(copy, exported(store))
        assert content(copy) == content(store)
        assert copy.memories.count() == 0
        assert len(copy.memories.expired()) == 3
        assert copy.vectors.count() == 1


def test_an_export_holds_one_namespace_unless_told_otherwise(store: OmegaStore):
    put_one_of_each(store)
    other = store.in_namespace("other")
    other.memories.put(samples.memory())
    assert {line.get("namespace") for line in parsed(exported(store))[1:-1]} == {"default"}
    lines = parsed(exported(other))
    assert [line.get("namespace") for line in lines] == [None, "other", None]
    namespaces = [line["namespace"] for line in parsed(exported(other, all_namespaces=True))[1:-1]]
    assert namespaces == sorted(namespaces)
    assert set(namespaces) == {"default", "other"}


def test_records_can_be_imported_into_another_namespace(store: OmegaStore):
    put_one_of_each(store)
    lines = exported(store)
    report = imported(store, lines, into="copy")
    assert report.added == {each.table.name: each.count() for each in store.all()}
    assert store.namespaces() == ["copy", "default"]
    assert exported(store.in_namespace("copy")).replace(b'"copy"', b'"default"') == lines


def test_namespaces_that_become_one_can_conflict(store: OmegaStore):
    for name in ("one", "two"):
        store.in_namespace(name).memories.put(samples.memory(content=name))
    lines = exported(store, all_namespaces=True)
    with pytest.raises(ConflictError, match="line 3: StoredMemory 'memory' is in namespace 'all'"):
        imported(store, lines, into="all")
    assert store.namespaces() == ["one", "two"]
    imported(store, lines, into="all", on_conflict="update")
    assert store.in_namespace("all").memories.get("memory").content == "two"


def test_many_records_of_every_size_use_little_memory(store: OmegaStore):
    store.memories.put_many(samples.memory(f"a{number:04}") for number in range(1500))
    for number in range(30):
        store.memories.put(samples.memory(f"b{number}", embedding_blob=bytes(2**20)))
    target = io.BytesIO(bytes(50 * 2**20))  # grown before the measurement
    with empty("memory") as copy:
        tracemalloc.start()
        try:
            assert store.export_jsonl(target) == 1530
            target.truncate()
            target.seek(0)
            copy.import_jsonl(target)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert content(copy) == content(store)
    assert peak < 24 * 2**20


# Where an export goes


def test_an_exported_file_is_whole_and_private(store: OmegaStore, tmp_path: Path):
    put_one_of_each(store)
    target = tmp_path / "export.jsonl"
    assert store.export_jsonl(target) == sum(collection.count() for collection in store.all())
    assert target.read_bytes() == exported(store)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with empty("file") as copy:
        copy.import_jsonl(str(target))
        assert content(copy) == content(store)


def test_an_export_replaces_a_file_only_if_told_to(store: OmegaStore, tmp_path: Path):
    target = tmp_path / "export.jsonl"
    target.write_bytes(b"precious")
    with pytest.raises(ConflictError, match="exists"):
        store.export_jsonl(target)
    assert target.read_bytes() == b"precious"
    store.export_jsonl(target, overwrite=True)
    assert target.read_bytes() == exported(store)


def test_an_export_that_fails_leaves_what_was_there(store: OmegaStore, tmp_path: Path):
    store.memories.put(samples.memory())
    folder = tmp_path / "exports"
    folder.mkdir()
    target = folder / "export.jsonl"
    target.write_bytes(b"precious")

    def give_up(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.export_jsonl(target, overwrite=True, progress=give_up)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"precious"]


def test_an_export_never_replaces_a_database_in_use(file_store: OmegaStore, tmp_path: Path):
    file_store.memories.put(samples.memory())
    for name in ("store.db", "store.db-wal", "store.db-shm", "store.db-journal"):
        with pytest.raises(ConflictError, match="belongs to the store itself"):
            file_store.export_jsonl(tmp_path / name, overwrite=True)
    (tmp_path / "link").symlink_to(tmp_path / "store.db")
    os.link(tmp_path / "store.db", tmp_path / "hard-link")
    for name in ("link", "hard-link"):
        with pytest.raises(ConflictError, match="belongs to the store itself"):
            file_store.export_jsonl(tmp_path / name, overwrite=True)
        with pytest.raises(ConflictError, match="belongs to the store itself"):
            file_store.import_jsonl(tmp_path / name)
    with OmegaStore(tmp_path / "other.db") as other:
        other.memories.put(samples.memory())
        with pytest.raises(ConflictError, match="is in use"):
            file_store.export_jsonl(tmp_path / "other.db", overwrite=True)
        with pytest.raises(ConflictError, match="is in use"):
            file_store.import_jsonl(tmp_path / "other.db")
        assert other.check() == []
    assert file_store.memories.get("memory") == samples.memory()


def test_a_target_that_cannot_be_written_is_refused(store: OmegaStore, tmp_path: Path):
    with pytest.raises(NotFoundError, match="there is no folder"):
        store.export_jsonl(tmp_path / "missing" / "export.jsonl")
    with pytest.raises(InvalidDataError, match="is a folder"):
        store.export_jsonl(tmp_path)
    with pytest.raises(InvalidDataError, match="binary file object"):
        store.export_jsonl(io.StringIO())  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidDataError, match="binary file object"):
        store.export_jsonl(7)  # pyright: ignore[reportArgumentType]
    if os.path.exists("/dev/full"):
        store.memories.put(samples.memory())
        with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="space"):
            store.export_jsonl(full)
        with pytest.raises(InvalidDataError, match="not a regular file"):
            store.export_jsonl("/dev/full", overwrite=True)


class Sluggish(io.RawIOBase):
    """A raw file that takes and gives a few bytes at a time."""

    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)

    def write(self, data: Any, /) -> int:
        return self.buffer.write(data[:7])

    def read(self, size: int = -1, /) -> bytes:
        return self.buffer.read(min(size, 7))


def test_raw_files_that_take_or_give_little_at_a_time_work(store: OmegaStore):
    put_one_of_each(store)
    target = Sluggish()
    store.export_jsonl(target)
    assert target.buffer.getvalue() == exported(store)
    with empty("memory") as copy:
        copy.import_jsonl(Sluggish(exported(store)))
        assert content(copy) == content(store)


def test_an_export_streams_through_a_pipe_into_an_import(store: OmegaStore):
    store.memories.put_many(samples.memory(f"{number}") for number in range(2500))
    reading, writing = os.pipe()

    def send() -> None:
        with open(writing, "wb") as pipe:
            store.export_jsonl(pipe)

    sender = Thread(target=send)
    sender.start()
    with open(reading, "rb") as pipe, empty("file") as copy:
        report = copy.import_jsonl(pipe)
        sender.join()
        assert report.added["memories"] == 2500
        assert content(copy) == content(store)


def test_an_import_reads_a_named_pipe_and_a_compressed_file(store: OmegaStore, tmp_path: Path):
    put_one_of_each(store)
    lines = exported(store)
    named = tmp_path / "pipe"
    os.mkfifo(named)
    sender = Thread(target=named.write_bytes, args=(lines,))
    sender.start()
    calls: list[tuple[int, int]] = []
    with empty("memory") as copy:
        copy.import_jsonl(named, progress=lambda done, total: calls.append((done, total)))
        sender.join()
        assert content(copy) == content(store)
    assert calls[-1] == (len(lines), 0)
    with gzip.open(tmp_path / "export.gz", "wb") as target:
        store.export_jsonl(target)
    with gzip.open(tmp_path / "export.gz", "rb") as source, empty("memory") as copy:
        copy.import_jsonl(source)
        assert content(copy) == content(store)


def test_an_export_is_one_snapshot_while_others_write(file_store: OmegaStore):
    file_store.memories.put_many(samples.memory(f"m{number:04}") for number in range(2500))
    expected = exported(file_store)

    def write() -> None:
        with file_store.transaction() as tx:
            tx.memories.delete("m2000")
            tx.memories.put(samples.memory("m0000", content="changed"))
            tx.memories.put(samples.memory("m9999"))
            tx.vectors.put(samples.vector("v", "m9999"))

    def interfere(done: int, _total: int) -> None:
        if done == 1000:
            writer = Thread(target=write)
            writer.start()
            writer.join()

    assert exported(file_store, progress=interfere) == expected
    assert file_store.memories.get("m0000").content == "changed"


def test_a_read_only_store_can_be_exported_but_not_imported_into(tmp_path: Path):
    with OmegaStore(tmp_path / "store.db") as store:
        put_one_of_each(store)
        lines = exported(store)
    with OmegaStore(tmp_path / "store.db", read_only=True) as store:
        assert exported(store) == lines
        with pytest.raises(UnsupportedError, match="read-only"):
            imported(store, lines)


def test_within_a_transaction_the_store_neither_exports_nor_imports(store: OmegaStore):
    lines = exported(store)
    with store.transaction(), pytest.raises(TransactionError):
        exported(store)
    with store.snapshot(), pytest.raises(TransactionError):
        imported(store, lines)


# Progress


def calls_of(action: Callable[..., Any], *args: Any, **options: Any) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        calls.append((done, total))

    action(*args, progress=note, **options)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert len({total for _, total in calls}) == 1
    return calls


def test_progress_never_goes_back_and_ends_at_the_total(store: OmegaStore, tmp_path: Path):
    target = tmp_path / "export.jsonl"
    assert calls_of(store.export_jsonl, target)[-1] == (0, 0)
    store.memories.put_many(
        samples.memory(f"{number}", content=os.urandom(100).hex()) for number in range(2500)
    )
    store.memories.put(samples.memory(expires_at=1))
    calls = calls_of(store.export_jsonl, target, overwrite=True)
    assert len(calls) > 2
    assert calls[-1] == (2501, 2501)
    size = target.stat().st_size
    calls = calls_of(store.import_jsonl, target, into="copy")
    assert len(calls) > 2
    assert calls[-1] == (size, size)
    whole = calls_of(store.export_jsonl, target, overwrite=True, all_namespaces=True)
    assert whole[-1] == (5002, 5002)


def test_an_import_can_be_called_off_from_its_progress(store: OmegaStore):
    store.memories.put_many(samples.memory(f"{number}") for number in range(2500))
    lines = exported(store)

    def give_up(done: int, _total: int) -> None:
        if done == len(lines):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(store, lines, into="copy", progress=give_up)
    assert store.namespaces() == ["default"]


def test_a_full_disk_leaves_no_file(store: OmegaStore, tmp_path: Path, monkeypatch: Any):
    def refuse(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageFullError, match="No space left"):
        store.export_jsonl(tmp_path / "export.jsonl")
    monkeypatch.undo()
    assert not [path for path in tmp_path.iterdir() if "export" in path.name]
