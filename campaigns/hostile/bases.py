"""The files that are damaged: made by the library, small, and the same in every run."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import apsw
from msgspec.structs import replace

from campaigns.disk import Disk
from campaigns.hostile.calls import NEW, fill
from campaigns.recording import Recorder, read_folder, write_folder
from omega_persistence import OmegaStore
from omega_persistence.backends.sqlite import checksums
from omega_persistence.backends.sqlite.schema import REFERENCE_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

SIDES = STORE, LOG, JOURNAL = "store.db", "store.db-wal", "store.db-journal"

Image = dict[str, bytearray]
"""A database at rest: ``STORE``, and what a crash left beside it."""

_CRATE = Path(__file__).parents[2] / "tests" / "formats" / "legacy-small.db"


def build(folder: str) -> dict[str, Image]:
    """Every base by name; the folder, which is empty, is so afterwards."""
    path = os.path.join(folder, STORE)
    made: dict[str, Image] = {}
    for name, make in _AT_REST.items():
        with _same_random_numbers():
            make(path)
        made[name] = _sides(read_folder(folder))
        write_folder(folder, {})
    for name, cut_off in _CUT_OFF.items():
        with Recorder(folder, "base") as recorder:
            events = cut_off(path, recorder)
        # Only the recorder knows what stands beside a database that is in use.
        disk = Disk(recorder.initial)
        for event in recorder.events[:events]:
            disk.apply(event)
        made[name] = _sides(disk.whole())
        write_folder(folder, {})
    return made


@contextmanager
def _same_random_numbers() -> Generator[None]:
    """SQLite's random numbers, some of which stand in the file, come from a seed."""
    apsw.randomness(1)  # or SQLite's own file system would start them anew when it is asked first
    checksums.load()  # it keeps to the file system that is there first, which must be the real one
    vfs = _Randomness()
    apsw.randomness(0)
    try:
        yield
    finally:
        vfs.unregister()
        apsw.randomness(0)


class _Randomness(apsw.VFS):
    def __init__(self) -> None:
        self._random = Random("base")
        super().__init__("same every time", "", makedefault=True)

    def xRandomness(self, numbytes: int) -> bytes:
        return self._random.randbytes(numbytes)


def _sides(files: Mapping[str, bytes]) -> Image:
    return {name: bytearray(files[name]) for name in SIDES if files.get(name)}


def lay_out(image: Image, folder: str) -> str:
    """Make a folder hold an image and nothing else; returns the path of the database."""
    write_folder(folder, {name: bytes(content) for name, content in image.items()})
    return os.path.join(folder, STORE)


def _store(path: str, **options: Any) -> None:
    with OmegaStore(path, **options) as store:
        fill(store)


def _checksums(path: str) -> None:
    _store(path, checksums=True)


def _small_pages(path: str) -> None:
    """Trees of several levels, long rows over many pages."""
    _store(path)
    _execute(path, "PRAGMA journal_mode = delete; PRAGMA page_size = 512; VACUUM")


def _crate(path: str) -> None:
    """Some rows of a file of the Rust crate: good ones, and such as break our rules."""
    shutil.copyfile(_CRATE, path)
    for table in REFERENCE_TABLES:
        _execute(path, f"DELETE FROM {table} WHERE rowid % 4")
    _execute(path, "DELETE FROM memories WHERE length(content) > 999; VACUUM")


def _adopted(path: str) -> None:
    """The same in our form, with rows in quarantine."""
    _crate(path)
    OmegaStore(path).close()


def _log(path: str, recorder: Recorder) -> int:
    """Cut off with a log beside it; returns after how many events."""
    _store(path)
    with OmegaStore(path) as store:
        # Not under the ids of NEW, which no file has yet.
        store.memories.put(replace(NEW["memories"], id="last"))
        store.in_namespace("other").skills.delete("evil")
        store.causal_edges.put(replace(NEW["causal_edges"], id="last"))
        return len(recorder.events)


def _journal(path: str, recorder: Recorder) -> int:
    """Cut off in the middle of a transaction, with its rollback journal beside it."""
    _store(path, journal="truncate")
    connection = apsw.Connection(path)
    # With so small a cache changed pages go to the file before the commit.
    connection.execute("PRAGMA journal_mode = truncate; PRAGMA cache_size = 2").fetchall()
    connection.execute("BEGIN; UPDATE memories SET tier = 1; DELETE FROM skills")
    connection.execute("UPDATE architectures SET paradigm = 'never'; DELETE FROM causal_edges")
    events = len(recorder.events)
    connection.close()
    return events


def _execute(path: str, sql: str) -> None:
    connection = apsw.Connection(path)
    connection.execute(sql).fetchall()
    connection.close()


_AT_REST: dict[str, Callable[[str], None]] = {
    "checksums": _checksums,
    "store": _store,
    "small pages": _small_pages,
    "crate": _crate,
    "adopted": _adopted,
}

_CUT_OFF: dict[str, Callable[[str, Recorder], int]] = {"log": _log, "journal": _journal}
