"""Where a backup may go, and what is left when it does not get there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from campaigns.failing import Failure
from campaigns.filecalls import SystemCalls
from omega_persistence import (
    BackendError,
    ConflictError,
    CorruptionError,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    StorageError,
    StorageFullError,
)
from samples import memory
from sqlite.faulty_disk import Disk, Fault
from sqlite.support import damaged, names

if TYPE_CHECKING:
    pass


@pytest.fixture
def store(store_of_pages: OmegaStore) -> OmegaStore:
    return store_of_pages


# Targets


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "target",
    [
        *("own/store.db", "own/store.db-wal", "own/store.db-shm", "own/store.db-journal"),
        *("link.db", "own/../own/store.db"),
    ],
)
def test_a_store_is_never_backed_up_into_itself(
    target: str, overwrite: bool, store: OmegaStore, tmp_path: Path
) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "own" / "store.db")
    before = names(tmp_path / "own")
    with pytest.raises(ConflictError, match="belongs to the store"):
        store.backup(tmp_path / target, overwrite=overwrite)
    with pytest.raises(ConflictError, match="belongs to the store"):
        store.backup(os.path.relpath(tmp_path / target), overwrite=overwrite)
    assert names(tmp_path / "own") == before


@pytest.mark.parametrize("side", ["-wal", "-shm", "-journal"])
def test_a_name_that_belongs_beside_another_file_is_refused(
    side: str, store: OmegaStore, tmp_path: Path
) -> None:
    path = tmp_path / f"copy.db{side}"
    store.backup(tmp_path / "good.db")
    for use in (
        lambda: store.backup(path),
        lambda: OmegaStore.restore(tmp_path / "good.db", path),
        lambda: OmegaStore(path),
    ):
        with pytest.raises(InvalidDataError, match="a name that SQLite gives"):
            use()
    assert not path.exists()


def test_a_target_that_is_no_file_is_refused(store: OmegaStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refusals: list[tuple[str | Path, type[StorageError]]] = [
        (tmp_path, InvalidDataError),
        (tmp_path / "pipe", InvalidDataError),
        ("/dev/null", InvalidDataError),
        ("", InvalidDataError),
        (":memory:", InvalidDataError),
        ("a\0b", InvalidDataError),
        (tmp_path / "missing" / "copy.db", NotFoundError),
    ]
    for target, error in refusals:
        with pytest.raises(error):
            store.backup(target, overwrite=True)
    assert names(tmp_path) == ["own", "pipe"]
    assert not Path(":memory:").exists()


def test_an_existing_file_is_kept_unless_it_may_be_replaced(
    store: OmegaStore, tmp_path: Path
) -> None:
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(ConflictError, match="exists"):
        store.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"
    store.backup(tmp_path / "copy.db", overwrite=True)
    assert OmegaStore.verify_backup(tmp_path / "copy.db") == []
    store.memories.put(memory("n"))
    store.backup(tmp_path / "copy.db", overwrite=True)
    with OmegaStore(tmp_path / "copy.db") as copy:
        assert copy.memories.count() == 401
    assert names(tmp_path) == ["copy.db", "own"]


def test_a_file_that_somebody_has_open_is_never_replaced(store: OmegaStore, tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "other.db") as other:
        other.memories.put(memory("m"))
        with pytest.raises(ConflictError, match="in use"):
            store.backup(tmp_path / "other.db", overwrite=True)
        assert other.memories.count() == 1
        assert other.check() == []


# Failures


def test_a_backup_that_is_broken_off_leaves_nothing(store: OmegaStore, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "old.db").write_text("precious")
    for target in ("new.db", "old.db"):
        with pytest.raises(KeyboardInterrupt):
            store.backup(tmp_path / target, overwrite=True, progress=interrupt)
    assert names(tmp_path) == ["old.db", "own"]
    assert (tmp_path / "old.db").read_text() == "precious"
    store.backup(tmp_path / "new.db")


@pytest.mark.parametrize("after", [0, 1, 50])
def test_a_backup_for_which_there_is_no_room_leaves_nothing(
    after: int, disk: Disk, tmp_path: Path
) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put_many(memory(f"m{n}", content="x" * 1000) for n in range(100))
        before = names(tmp_path)
        disk.fault = Fault("write", ".partial", error=apsw.FullError, after=after, times=1000)
        with pytest.raises(StorageFullError):
            store.backup(tmp_path / "copy.db")
        assert names(tmp_path) == before
        disk.fault = None
        store.backup(tmp_path / "copy.db")


def test_a_damaged_store_is_noticed_before_it_becomes_a_backup(
    store: OmegaStore, tmp_path: Path
) -> None:
    store.backup(tmp_path / "copy.db")
    with OmegaStore(damaged(tmp_path / "copy.db")) as broken:
        with pytest.raises(CorruptionError, match="the store is damaged, no backup was made"):
            broken.backup(tmp_path / "second.db")
        assert not (tmp_path / "second.db").exists()
        broken.backup(tmp_path / "second.db", verify=False)  # to save what can be saved
    assert OmegaStore.verify_backup(tmp_path / "second.db") != []


def test_a_file_that_appears_meanwhile_is_not_replaced(store: OmegaStore, tmp_path: Path) -> None:
    def appear(done: int, total: int) -> None:
        (tmp_path / "copy.db").write_text("precious")

    with pytest.raises(ConflictError, match="exists"):
        store.backup(tmp_path / "copy.db", progress=appear)
    assert (tmp_path / "copy.db").read_text() == "precious"
    assert names(tmp_path) == ["copy.db", "own"]


def test_a_file_system_without_links_is_no_hindrance(
    store: OmegaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "link", no_links)
    store.backup(tmp_path / "copy.db")
    assert names(tmp_path) == ["copy.db", "own"]
    assert OmegaStore.verify_backup(tmp_path / "copy.db") == []


def test_a_disk_that_does_not_sync_leaves_nothing(
    store: OmegaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as at_the_end:
        at_the_end.setattr(os, "fsync", broken)
        with pytest.raises(BackendError, match="Input/output error"):
            store.backup(tmp_path / "copy.db")
    assert names(tmp_path) == ["own"]


def test_a_backup_that_could_not_be_replaced_is_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    target = folder / "copy.db"
    with OmegaStore(tmp_path / "store.db") as store:
        store.backup(target)
        with SystemCalls(None, str(folder)) as calls:
            store.backup(target, overwrite=True)
        assert calls.counts["os.replace"] == 1
        copied, raised = 0, 0
        for kind, number in calls.counts.items():
            for nth in range(0, number, 1 + number // 4):
                store.memories.put(memory(f"{kind}-{nth}"))
                with SystemCalls(Failure(kind, nth, "EIO", sticky=False), str(folder)):
                    try:
                        store.backup(target, overwrite=True)
                        copied = store.memories.count()
                    except StorageError:
                        raised += 1
                with OmegaStore(target) as copy:
                    assert copy.memories.count() in {copied, store.memories.count()}
                    assert copy.check() == []
                    copied = copy.memories.count()
        assert raised > 10
    assert os.listdir(folder) == ["copy.db"]
