"""What do threads that write at the same time gain by sharing commits?"""

from __future__ import annotations

from contextlib import contextmanager
from statistics import median
from threading import Barrier, Lock, Thread, get_ident
from time import perf_counter, sleep
from typing import TYPE_CHECKING, NamedTuple, cast

import apsw

import raw
from corpus import SEED, memories
from measure import Comparison, Cost, compare, cost
from omega_persistence import OmegaStore
from omega_persistence.backends.sqlite.turns import Offer, Ticket, Turns
from report import MISSED, Line, Report, clock, times

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any

    from omega_persistence import StorageError, StoredMemory
    from omega_persistence.backends.sqlite import SQLiteBackend
    from workshop import Workshop

    Put = Callable[[StoredMemory], object]
    Open = Callable[[str], Generator[Put]]

SLOW_DISK = 0.003  # seconds added to each commit, as a disk of a cloud machine takes for a sync
TIMEOUT = 60  # seconds that a writer waits for the others at most
RECORDS = 100_000  # each is stored at most once

CASES = (
    # threads, seconds added, how many times the better of the others
    (16, SLOW_DISK, 7.0),
    (64, SLOW_DISK, 15.0),
    (64, 0.0, 2.0),
)


class Load(NamedTuple):
    """Writes a second of all threads, and the longest that any of them waited for one write."""

    rate: float
    worst: float


def run(workshop: Workshop) -> Report:
    lines: list[Line] = []
    fresh = list(memories(RECORDS, seed=SEED + 2))
    for threads, added, target in CASES:
        lines += _compare(workshop, fresh, threads, added, target)
    puts = workshop.scaled(500)
    alone = _alone(workshop, fresh, puts)
    lines.append(times("1 thread, to no grouping", alone, puts, at_most=1.08))
    return Report(
        "Threads that put one memory after the other into one store, each durable on return.",
        lines,
        [
            clock("One put of 1 thread", alone, puts),
            "Ours is compared with the better of two others on the same schema: a connection for",
            "each thread (SQLite's own busy timeout), and one connection behind a lock. They take",
            f"turns; medians of the rounds. For the slow disk {SLOW_DISK * 1000:.0f} ms are added",
            "to each commit of all three. The worst wait is that of any write in all rounds, to",
            "that of separate connections. No grouping is the same library with a plain lock.",
        ],
        head=("figure", "target", "CPU", "wall", "verdict", "ours", "other"),
    )


def _compare(
    workshop: Workshop, fresh: list[StoredMemory], threads: int, added: float, target: float
) -> list[Line]:
    seconds, rounds = 0.3 if workshop.quick else 2.0, workshop.rounds(7)
    ways: list[Open] = [_ours, _connections, _locked]
    found: dict[Open, list[Load]] = {way: [] for way in ways}
    paths = {way: workshop.new_store() for way in ways}
    records = {way: iter(fresh) for way in ways}
    for number in range(rounds):
        for way in (*ways[number % 3 :], *ways[: number % 3]):
            with _slow_commits(added), contextmanager(way)(paths[way]) as put:
                found[way].append(_load(put, records[way], threads, seconds))
    for path in paths.values():
        workshop.remove(path)
    rates = {way: median(load.rate for load in loads) for way, loads in found.items()}
    worst = {way: max(load.worst for load in loads) for way, loads in found.items()}
    best = max(rates[_connections], rates[_locked])
    where = f"{threads} threads, {'slow' if added else 'bare'} disk"
    ratio, wait = rates[_ours] / best, worst[_ours] / worst[_connections]
    return [
        Line(
            f"writes/s, {where}",
            f">= {target:.1f}",
            "",
            f"{ratio:.1f}",
            "met" if ratio >= target else MISSED,
            f"{rates[_ours]:,.0f}",
            f"{best:,.0f}",
        ),
        Line(
            f"worst wait, {where}",
            "<= 0.10",
            "",
            f"{wait:.3f}",
            "met" if wait <= 0.1 else MISSED,
            f"{worst[_ours]:.2f} s",
            f"{worst[_connections]:.2f} s",
        ),
    ]


def _load(put: Put, records: Iterator[StoredMemory], threads: int, seconds: float) -> Load:
    ready = Barrier(threads)
    done: list[tuple[int, float]] = []

    def write() -> None:
        count, worst = 0, 0.0
        ready.wait()
        end = perf_counter() + seconds
        while (begin := perf_counter()) < end:
            put(next(records))
            count, worst = count + 1, max(worst, perf_counter() - begin)
        done.append((count, worst))

    writers = [Thread(target=write) for _ in range(threads)]
    begin = perf_counter()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    passed = perf_counter() - begin
    assert len(done) == threads
    return Load(sum(count for count, _ in done) / passed, max(worst for _, worst in done))


def _ours(path: str) -> Generator[Put]:
    with OmegaStore(path, busy_timeout=TIMEOUT) as store:
        yield store.memories.put


def _connections(path: str) -> Generator[Put]:
    """A connection for each thread."""
    connections: dict[int, apsw.Connection] = {}

    def put(record: StoredMemory) -> None:
        connection = connections.get(get_ident())
        if connection is None:
            connection = connections[get_ident()] = raw.connect(path)
            connection.set_busy_timeout(TIMEOUT * 1000)
        connection.execute(raw.INSERT, raw.rows([record])[0])

    yield put
    for connection in connections.values():
        connection.close()


def _locked(path: str) -> Generator[Put]:
    """One connection that threads take turns at."""
    lock, connection = Lock(), raw.connect(path)

    def put(record: StoredMemory) -> None:
        (row,) = raw.rows([record])
        with lock:
            connection.execute(raw.INSERT, row)

    yield put
    connection.close()


def _alone(workshop: Workshop, fresh: list[StoredMemory], puts: int) -> Comparison:
    """One thread, with and without what sharing commits takes."""
    with OmegaStore(workshop.new_store()) as grouped, OmegaStore(workshop.new_store()) as plain:
        cast("SQLiteBackend", plain._backend)._writer._turns = _Ungrouped()

        def putting(store: OmegaStore) -> Callable[[], Cost]:
            records = iter(fresh)

            def put() -> None:
                for _ in range(puts):
                    store.memories.put(next(records))

            return lambda: cost(put)

        return compare(putting(grouped), putting(plain), workshop.rounds(21))


class _Ungrouped(Turns):
    """A plain lock: what the library would do if writers shared nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()

    def take(self, timeout: float, *, alone: bool, offer: Offer | None = None) -> Ticket:  # noqa: ARG002
        self._lock.acquire(timeout=timeout)
        return Ticket(alone=alone)

    def pass_on(self, ticket: Ticket) -> bool:  # noqa: ARG002
        return False

    def settle(self, failure: StorageError | None) -> None:  # noqa: ARG002
        self._lock.release()


@contextmanager
def _slow_commits(seconds: float) -> Generator[None]:
    """Add time to each commit of every connection that is opened meanwhile."""

    def commit() -> bool:
        sleep(seconds)
        return False  # go on

    def hook(connection: apsw.Connection) -> None:
        connection.set_commit_hook(commit)

    hooks: list[Any] = [hook] if seconds else []
    apsw.connection_hooks.extend(hooks)
    try:
        yield
    finally:
        for each in hooks:
            apsw.connection_hooks.remove(each)
