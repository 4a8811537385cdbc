"""Walking through a collection of any size takes the memory of a page, and blocks nobody."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from omega_persistence import OmegaStore
from omega_persistence.entities import base
from samples import memory
from sqlite.support import execute, python

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 50_000

MEASURE = """
import sys
from omega_persistence import OmegaStore

def peak():
    # Not getrusage, which counts what the parent had when it started this process.
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024

with OmegaStore(sys.argv[1], read_only=True) as store:
    store.memories.scan(limit=2000)
    before = peak()
    rows = sum(1 for each in store.memories)
    streamed = peak() - before
    everything = store.memories.scan(limit=None)
    print(rows, streamed, peak() - before)
"""


def test_iterating_takes_the_memory_of_a_page(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path, durability="normal") as store:
        for start in range(0, ROWS, 10_000):
            store.memories.put_many(
                memory(f"m{n:06}", content="word " * 40) for n in range(start, start + 10_000)
            )
    rows, streamed, at_once = map(int, python(MEASURE, path).split())
    assert rows == ROWS
    assert streamed < 12  # with the 8 MB of its connection's cache
    assert at_once > 20  # so the measure is able to tell


def test_rows_that_are_there_throughout_are_seen_exactly_once(
    store: OmegaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another thread puts and deletes others, before and behind."""
    monkeypatch.setattr(base, "PAGE", 20)
    stay = [f"m{n:05}" for n in range(0, 800, 2)]
    come_and_go = [f"m{n:05}" for n in range(1, 800, 2)]
    store.memories.put_many(map(memory, stay))
    over = Event()

    def change() -> None:
        while not over.is_set():
            store.memories.put_many(map(memory, come_and_go))
            store.memories.delete_many(come_and_go)

    thread = Thread(target=change)
    thread.start()
    try:
        for _ in range(5):
            seen = [each.id for each in store.memories]
            assert seen == sorted(set(seen))
            assert [id for id in seen if id in set(stay)] == stay
    finally:
        over.set()
        thread.join()


def test_no_transaction_stays_open_between_pages(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.memories.put_many(memory(f"m{n:04}") for n in range(2500))
        walk = iter(store.memories)
        for number in range(3):
            assert next(walk).id == f"m{number:04}"
            store.memories.put(memory("m9999", content=f"while iterating {number}"))
            # All of the log can be moved into the file, as nobody reads an older state.
            ((busy, frames, moved),) = execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
            assert (busy, frames, moved) == (0, 0, 0)
        assert sum(1 for _ in walk) == 2498


def test_a_walk_that_is_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put_many(memory(f"m{n:04}") for n in range(2500))
        for each in store.memories:
            assert each.id == "m0000"
            break
        store.compact()
        assert store.statistics().wal_bytes == 0
    assert [each.name for each in tmp_path.iterdir()] == ["store.db"]


def test_a_page_fits_exactly(store: OmegaStore) -> None:
    for count in (0, 1, 999, 1000, 1001, 2000):
        store.memories.put_many(memory(f"m{n:04}") for n in range(count))
        assert sum(1 for _ in store.memories) == count
        assert [each.id for each in store.memories][-1:] == [f"m{count - 1:04}"][: min(count, 1)]
