"""The log beside the file stays small, and is gone when the file is closed."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, cast

import apsw
import pytest

from omega_persistence import OmegaStore
from omega_persistence.backends.sqlite import checkpoints, connection
from samples import memory
from sqlite.faulty_disk import LOG, MAIN, Disk, Fault
from sqlite.support import Holder, execute, finish, go_on, line, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega_persistence.backends.sqlite import SQLiteBackend
    from omega_persistence.backends.sqlite.connection import Journal

PAGE = 4096
TEXT = "word " * 4_000  # 20,000 bytes: five pages and the index of their words


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints after 20 pages, of a log that is large from 40 on."""
    monkeypatch.setattr(checkpoints, "PAGES", 20)
    monkeypatch.setattr(checkpoints, "PAGES_UNDER_LOAD", 40)
    monkeypatch.setattr(checkpoints, "LARGE", 40 * PAGE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path, small: None) -> Iterator[OmegaStore]:
    with OmegaStore(path, durability="normal") as store:
        yield store
        assert store.check() == []


def log_of(path: Path) -> int | None:
    """Bytes in the log; None if there is none."""
    log = path.with_name(path.name + "-wal")
    return log.stat().st_size if log.exists() else None


def beside(path: Path) -> set[str]:
    return {each.name.removeprefix(path.name) for each in path.parent.iterdir()}


def fill(store: OmegaStore, *numbers: int) -> int:
    """Put memories one by one; returns the largest size that the log had."""
    largest = 0
    for number in numbers:
        store.memories.put(memory(f"m{number}", content=TEXT))
        largest = max(largest, store.statistics().wal_bytes)
    return largest


def writer_of(store: OmegaStore) -> apsw.Connection:
    with cast("SQLiteBackend", store._backend).atomic() as session:
        return session.connection


# While it is open


def test_the_log_stays_short_however_much_is_written(store: OmegaStore) -> None:
    assert fill(store, *range(50)) < 60 * PAGE
    assert store.statistics().file_bytes > 100 * PAGE


def test_a_log_of_a_large_transaction_is_emptied_after_it(store: OmegaStore, path: Path) -> None:
    with store.transaction() as tx:
        tx.memories.put_many(memory(f"m{n}", content=f"{TEXT}{n}") for n in range(50))
        assert log_of(path) is not None
    assert log_of(path) == 0
    assert store.memories.count() == 50


@pytest.mark.parametrize("journal", ["wal", "truncate"])
def test_a_large_transaction_leaves_no_pages_in_memory(
    path: Path, journal: Journal, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SPARE", 300 * PAGE)
    with OmegaStore(path, durability="normal", journal=journal) as store:
        writer = writer_of(store)

        def held() -> int:
            return writer.status(apsw.SQLITE_DBSTATUS_CACHE_USED)[0]

        fill(store, *range(15))
        assert held() > 60 * PAGE
        with store.transaction() as tx:
            for number in range(15, 75):
                tx.memories.put(memory(f"m{number}", content=TEXT))
            assert held() > 300 * PAGE
        assert held() < 10 * PAGE
        assert store.check() == []
        assert held() < 10 * PAGE
        assert store.memories.count() == 75


def test_a_log_within_bounds_keeps_its_size_to_be_used_again(
    store: OmegaStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Growing a file costs more than writing over it."""
    monkeypatch.setattr(checkpoints, "LARGE", 1000 * PAGE)
    first = fill(store, *range(10))
    assert first > 20 * PAGE
    assert first <= fill(store, *range(10, 40)) < 100 * PAGE
    assert cast("int", log_of(path)) >= first


def test_a_reader_lets_the_log_grow_and_nobody_waits_for_it(store: OmegaStore, path: Path) -> None:
    fill(store, 0)
    before = store.memories.get("m0")
    with Holder(store, "snapshot"):
        largest = fill(store, *range(40))
        assert largest > 100 * PAGE
        # It read what was before; nothing that waits has been called.
        assert cast("SQLiteBackend", store._backend)._writer.patience.waited == 0
    fill(store, *range(40, 45))
    assert log_of(path) == 0 or cast("int", log_of(path)) < 60 * PAGE
    assert store.memories.get("m0") == before


def test_a_reader_of_the_newest_state_is_not_waited_for_either(store: OmegaStore) -> None:
    fill(store, *range(3))
    for number in range(3, 20):
        with Holder(store, "snapshot"):
            fill(store, number)
    assert cast("SQLiteBackend", store._backend)._writer.patience.waited == 0


def test_threads_that_write_all_the_time_do_not_make_the_log_grow(
    store: OmegaStore, path: Path
) -> None:
    largest = 0

    def write(number: int) -> None:
        nonlocal largest
        for step in range(15):
            store.memories.put(memory(f"{number}-{step}", content=TEXT))
            largest = max(largest, log_of(path) or 0)

    threads = [Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.memories.count() == 90
    assert largest < 150 * PAGE


def test_writers_are_told_of_their_commit_before_the_checkpoint(
    store: OmegaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several that share a commit, only the last one does the copying."""
    run = checkpoints.Checkpoints.run
    copying, done = Event(), Event()

    def slow(each: checkpoints.Checkpoints, connection: apsw.Connection, *, cut: bool) -> int:
        copying.set()
        assert done.wait(60)
        return run(each, connection, cut=cut)

    monkeypatch.setattr(checkpoints.Checkpoints, "run", slow)
    batches = [[memory(f"{n}-{m}", content=TEXT) for m in range(5)] for n in range(4)]
    threads = [Thread(target=store.memories.put_many, args=(batch,)) for batch in batches]
    with Holder(store, "transaction"):  # so that all of them wait
        for thread in threads:
            thread.start()
        while len(cast("SQLiteBackend", store._backend)._writer._turns._queue) < 4:
            threads[0].join(0.001)
    assert copying.wait(60)
    while sum(thread.is_alive() for thread in threads) > 1:
        threads[0].join(0.001)
    assert store.memories.count() == 20
    done.set()
    for thread in threads:
        thread.join()


def test_reads_without_a_gap_do_not_make_the_log_grow(
    store: OmegaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody reads from the log it cannot restart, and there is always somebody."""
    monkeypatch.setattr(checkpoints, "HUGE", 80 * PAGE)
    monkeypatch.setattr(checkpoints, "WAIT", 30)  # a busy machine may be slow to end a read
    over = Event()

    def read() -> None:
        while not over.is_set():
            with store.snapshot() as snapshot:
                snapshot.memories.count()
                over.wait(0.002)

    threads = [Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    largest = fill(store, *range(150))
    over.set()
    for thread in threads:
        thread.join()
    assert largest < 400 * PAGE
    assert store.statistics().file_bytes > 800 * PAGE


WRITE = """
import sys
from omega_persistence import OmegaStore, StoredMemory
from omega_persistence.backends.sqlite import checkpoints

checkpoints.PAGES, checkpoints.LARGE, checkpoints.HUGE = 100, 200 * 4096, 400 * 4096
text = "word " * 4_000
with OmegaStore(sys.argv[1], busy_timeout=60) as store:
    print("open", flush=True)
    input()
    for step in range(150):
        id = f"{sys.argv[2]}-{step}"
        store.memories.put(StoredMemory(id=id, content=text, tier=1, importance=0.5))
"""


def test_processes_that_write_all_the_time_do_not_make_the_log_grow(path: Path) -> None:
    """SQLite's own checkpoints never catch up with several writers, and the log never restarts."""
    OmegaStore(path).close()
    children = [start(WRITE, path, number) for number in range(3)]
    for child in children:
        assert line(child) == "open"
    for child in children:
        go_on(child)
    largest = 0
    while any(child.poll() is None for child in children):
        with suppress(FileNotFoundError):
            largest = max(largest, log_of(path) or 0)
    for child in children:
        finish(child)
    with OmegaStore(path) as store:
        assert store.memories.count() == 450
        assert store.check() == []
    assert largest < 2_400 * PAGE  # half of what was written
    assert beside(path) == {""}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("write", MAIN), id="write"),
        pytest.param(Fault("sync", MAIN), id="sync"),
        pytest.param(Fault("write", MAIN, error=apsw.FullError), id="disk_full"),
        pytest.param(Fault("read", LOG), id="read"),
    ],
)
def test_a_checkpoint_that_fails_is_not_the_writers_error(
    fault: Fault, disk: Disk, path: Path, small: None
) -> None:
    with OmegaStore(path, durability="normal") as store:
        fill(store, 0)
        before = writer_of(store)
        disk.fault = fault
        fill(store, *range(1, 9))
        disk.fault = None
        assert fault.hit == 1
        assert writer_of(store) is not before
        assert store.memories.count() == 9
        fill(store, *range(9, 20))
        assert store.check() == []
    with OmegaStore(path) as store:
        assert store.memories.count() == 20
        assert store.check() == []


# When it is closed


def test_a_closed_store_is_one_file(path: Path) -> None:
    with OmegaStore(path) as store:
        fill(store, *range(5))
        assert beside(path) == {"", "-wal", "-shm"}
        threads = [Thread(target=store.memories.count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert beside(path) == {""}


def test_a_snapshot_that_outlives_the_close_takes_the_log_away_when_it_ends(path: Path) -> None:
    store = OmegaStore(path)
    fill(store, 1)
    with Holder(store, "snapshot"):
        fill(store, 2)
        store.close()
        assert log_of(path)
    assert beside(path) == {""}


def test_two_stores_of_one_process_leave_one_file(path: Path) -> None:
    with OmegaStore(path) as first:
        fill(first, 1)
        with OmegaStore(path) as second:
            fill(second, 2)
        assert log_of(path) == 0
        assert first.memories.count() == 2
    assert beside(path) == {""}


OPEN = """
import sys
from omega_persistence import OmegaStore

with OmegaStore(sys.argv[1], read_only=sys.argv[2] == "read_only") as store:
    print(store.memories.count(), flush=True)
    input()
    print(store.memories.count())
"""

HOLD = """
import sys
from omega_persistence import OmegaStore

with OmegaStore(sys.argv[1], read_only=sys.argv[2] == "read_only") as store:
    with store.snapshot() as snapshot:
        print(snapshot.memories.count(), flush=True)
        input()
        print(snapshot.memories.count())
"""


@pytest.mark.parametrize("how", ["to_write", "read_only"])
def test_closing_empties_the_log_although_another_process_has_the_file_open(
    how: str, path: Path
) -> None:
    """SQLite itself does so only for the last process that closes."""
    with OmegaStore(path) as store:
        fill(store, 1)
        child = start(OPEN, path, how)
        assert line(child) == "1"
        fill(store, 2)
    assert log_of(path) == 0
    assert finish(child) == "2\n"
    if how == "read_only":  # it may not take the empty log away
        assert log_of(path) == 0
        with OmegaStore(path) as store:
            assert [note.kind for note in store.doctor()] == []
    assert beside(path) == {""}


def test_closing_leaves_to_a_reader_in_another_process_what_it_still_needs(path: Path) -> None:
    with OmegaStore(path) as store:
        fill(store, 1)
        child = start(HOLD, path, "to_write")
        assert line(child) == "1"
        fill(store, 2)
    assert log_of(path)
    assert finish(child) == "1\n"
    assert beside(path) == {""}
    with OmegaStore(path) as store:
        assert store.memories.count() == 2


def test_closing_a_store_that_wrote_nothing_copies_nothing(path: Path) -> None:
    with OmegaStore(path) as store:
        fill(store, *range(3))
        log = log_of(path)
        assert log
        with OmegaStore(path) as other:
            assert other.memories.count() == 3
        assert log_of(path) == log
        assert execute(path, "PRAGMA wal_checkpoint(NOOP)")[0][2] == 0


def test_an_error_of_the_disk_at_the_closing_checkpoint_loses_nothing(
    disk: Disk, path: Path
) -> None:
    store = OmegaStore(path)
    fill(store, *range(3))
    disk.fault = Fault("write", MAIN, times=1000)
    store.close()
    disk.fault = None
    assert log_of(path)
    with OmegaStore(path) as store:
        assert store.memories.count() == 3
        assert store.check() == []
    assert beside(path) == {""}
