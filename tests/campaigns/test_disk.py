"""The machinery of the power-loss campaign: the recorder, and the disk that may lose its power."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import LiteralString

import apsw
import pytest

from campaigns.common import scratch_folder
from campaigns.disk import (
    Disk,
    Done,
    Event,
    Image,
    Link,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Unlink,
    Write,
    ways,
)
from campaigns.recording import Recorder, read_folder, write_folder
from omega_persistence import OmegaStore, StoredMemory


@pytest.fixture
def folder() -> Iterator[str]:
    """A folder in memory, if the system offers that."""
    with TemporaryDirectory(dir=scratch_folder()) as name:
        yield name


def disk_after(*events: Event, initial: Image | None = None) -> Disk:
    disk = Disk(initial or {})
    for event in events:
        disk.apply(event)
    return disk


def crashed(disk: Disk, way: str, last: Event | None = None) -> Image:
    return disk.crash(way, last or Done(0), Random("any"))


def test_without_a_sync_nothing_is_certain() -> None:
    disk = disk_after(Link("a", 0), Write(0, 0, b"data"))
    assert crashed(disk, "none") == {}
    assert crashed(disk, "data") == {}
    assert crashed(disk, "names") == {"a": b""}
    assert crashed(disk, "sizes") == {"a": bytes(4)}
    assert len(crashed(disk, "stale")["a"]) == 4
    assert crashed(disk, "all") == {"a": b"data"}


def test_a_sync_makes_the_data_of_one_file_durable_and_not_its_name() -> None:
    disk = disk_after(Link("a", 0), Link("b", 1), Write(0, 0, b"1"), Write(1, 0, b"2"), Sync(0))
    assert crashed(disk, "none") == {}
    assert crashed(disk, "names") == {"a": b"1", "b": b""}
    disk.apply(SyncFolder())
    assert crashed(disk, "none") == {"a": b"1", "b": b""}


def test_a_removed_or_renamed_file_may_come_back() -> None:
    initial = {"a": b"old", "b": b"new"}
    disk = disk_after(Unlink("a"), Rename("b", "a", 1), initial=initial)
    assert crashed(disk, "all") == {"a": b"new"}
    assert crashed(disk, "none") == initial
    assert crashed(disk, "moves 1") == {"b": b"new"}
    disk.apply(SyncFolder())
    assert crashed(disk, "none") == {"a": b"new"}


def test_each_write_may_be_lost_alone_or_arrive_alone() -> None:
    disk = disk_after(Write(0, 0, b"A"), Truncate(0, 2), Write(0, 2, b"C"), initial={"a": b"123"})
    assert crashed(disk, "all") == {"a": b"A2C"}
    assert crashed(disk, "without 0") == {"a": b"12C"}
    assert crashed(disk, "without 1") == {"a": b"A2C"}
    assert crashed(disk, "only 1") == {"a": b"12"}
    assert crashed(disk, "only 2") == {"a": b"12C"}


def test_a_write_tears_at_sectors() -> None:
    last = Write(0, 500, b"x" * 1036)  # the end of one sector, a whole one, another whole one
    disk = disk_after(last, initial={"a": bytes(1536)})
    torn = {crashed(disk, f"torn {number}", last)["a"] for number in range(3)}
    torn |= {disk.crash("random 0", last, Random(number))["a"] for number in range(30)}
    pieces = (bytes(500), b"x" * 12, b"x" * 512)
    assert len(torn) > 4
    for content in torn:
        assert content[:500] == pieces[0]
        assert content[500:512] in {bytes(12), pieces[1]}
        assert content[512:1024] in {bytes(512), pieces[2]}
        assert content[1024:] in {bytes(512), pieces[2]}


def test_before_a_sync_every_way_is_tried() -> None:
    events = (Link("a", 0), Link("b", 1), Write(0, 0, b"x" * 600), Write(1, 0, b"y"))
    found = ways(disk_after(*events), events[-2], Sync(0), randoms=1)
    expected = ["all", "none", "data", "names", "sizes", "stale", "torn 0", "torn 1", "torn 2"]
    expected += ["without 1", "only 1", "without 0", "only 0", "file 0", "file 1"]
    assert found == [*expected, "moves 1", "moves 2", "shm", "random 0"]


def test_the_recording_leads_to_what_is_in_the_folder(tmp_path: Path) -> None:
    with Recorder(str(tmp_path), "seed") as recorder, OmegaStore(tmp_path / "store.db") as store:
        store.memories.put(StoredMemory(id="a", content="content", tier=1, importance=0.5))
        store.backup(tmp_path / "copy.db")
    disk = disk_after(*recorder.events)
    assert disk.crash("all", Done(0), Random(0)) == read_folder(str(tmp_path))
    assert {"store.db", "copy.db"} <= disk.crash("none", Done(0), Random(0)).keys()
    assert {type(event) for event in recorder.events} >= {Link, Write, Sync, SyncFolder, Unlink}
    assert apsw.vfs_names()[0] == "unix"


def test_what_bypasses_the_recorder_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not lead"), Recorder(str(tmp_path), "seed"):
        (tmp_path / "file").write_bytes(b"not through SQLite")


def test_the_same_seed_records_the_same(tmp_path: Path) -> None:
    def recorded(name: str) -> list[Event]:
        folder = tmp_path / name
        folder.mkdir()
        with Recorder(str(folder), "seed") as recorder, OmegaStore(folder / "store.db"):
            pass
        return recorder.events

    assert recorded("one") == recorded("two")


# What SQLite itself promises, found again: the machinery sees a power failure as it is.
@pytest.mark.parametrize(
    ("journal", "synchronous", "survives"),
    [
        ("wal", "full", True),
        ("wal", "normal", False),
        ("truncate", "full", True),
        ("persist", "full", True),
        ("delete", "extra", True),
        ("delete", "full", False),  # the removal of the journal is not made durable
        ("delete", "off", False),
    ],
)
def test_sqlite_survives_a_power_failure_when_it_syncs_enough(
    journal: LiteralString, synchronous: LiteralString, survives: bool, folder: str
) -> None:
    path = os.path.join(folder, "file.db")
    connection = apsw.Connection(path)
    connection.execute(f"PRAGMA journal_mode = {journal}; CREATE TABLE t (x)").fetchall()
    connection.close()
    with Recorder(folder, "seed") as recorder:
        connection = apsw.Connection(path)
        connection.execute(f"PRAGMA journal_mode = {journal}").fetchall()
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        for number in range(2):
            connection.execute("INSERT INTO t VALUES (?)", (number,))
            recorder.done(0)
        connection.close()
    lost = 0
    disk, done = Disk(recorder.initial), 0
    for position, event in enumerate(recorder.events, 1):
        disk.apply(event)
        done += isinstance(event, Done)
        coming = recorder.events[position] if position < len(recorder.events) else None
        for way in ways(disk, event, coming, randoms=1):
            write_folder(folder, disk.crash(way, event, Random(f"{position} {way}")))
            lost += not done <= _rows(path) <= done + 1
    assert (lost == 0) == survives


def _rows(path: str) -> int:
    """How many rows there are, -1 if the file is damaged."""
    connection = apsw.Connection(path)
    try:
        if connection.execute("PRAGMA integrity_check").get != "ok":
            return -1
        return connection.execute("SELECT count(*) FROM t").get
    except apsw.Error:
        return -1
    finally:
        connection.close()
        if os.path.exists(f"{path}-shm"):
            os.unlink(f"{path}-shm")
