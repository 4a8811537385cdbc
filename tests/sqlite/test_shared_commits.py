"""Threads that wait to write share a commit, and nobody notices but the disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Any, cast

import pytest

from omega_persistence import BackendError, BusyError, ConflictError, CorruptionError, OmegaStore
from omega_persistence.backends.sqlite import turns
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.backends.sqlite.turns import Offer, Turns
from samples import architecture, edge, intelligence, memory, skill
from sqlite.faulty_disk import LOG, Disk, Fault
from sqlite.support import Holder, execute

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from omega_persistence.backends.sqlite import SQLiteBackend

THREADS = 12

Write = Callable[[], Any]


@pytest.fixture
def store(disk: Disk, tmp_path: Path) -> Generator[OmegaStore]:
    """A store with one memory, whose counted accesses are never lost."""
    with OmegaStore(tmp_path / "store.db", busy_timeout=60) as store:
        store.memories.put(memory("m"))
        yield store
        disk.fault = None
        assert store.check() == []


@contextmanager
def executed(store: OmegaStore) -> Generator[list[str]]:
    """The statements that the writer executes meanwhile, those of triggers left out."""
    session = cast("SQLiteBackend", store._backend)._writer._session
    assert session is not None
    statements: list[str] = []

    def keep(_cursor: object, sql: str, _bindings: object) -> bool:
        statements.append(sql)
        return True

    session.connection.exec_trace = keep
    yield statements
    session.connection.exec_trace = None


@contextmanager
def waiting(store: OmegaStore, writes: list[Write]) -> Generator[list[Future[Any]]]:
    """The writes wait for their turn, in this order; they take place when the block ends."""
    queue = cast("SQLiteBackend", store._backend)._writer._turns._queue
    with ThreadPoolExecutor(len(writes)) as pool:
        results: list[Future[Any]] = []
        with Holder(store, "transaction"):
            for write in writes:
                results.append(pool.submit(write))
                while len(queue) < len(results):
                    sleep(0.001)
            yield results


def puts(store: OmegaStore) -> list[Write]:
    """Each puts another memory."""
    return [partial(store.memories.put, memory(f"m{number}")) for number in range(THREADS)]


def test_writers_that_wait_share_one_sync(store: OmegaStore, disk: Disk) -> None:
    disk.fault = fault = Fault("sync", LOG, times=0)
    with waiting(store, [lambda: store.memories.touch("m")] * THREADS):
        assert fault.seen == 0
    assert fault.seen == 1
    assert store.memories.get("m").access_count == THREADS


def test_a_commit_that_fails_raises_for_everybody_who_shared_it(
    store: OmegaStore, disk: Disk
) -> None:
    with waiting(store, [lambda: store.memories.touch("m")] * THREADS) as results:
        disk.fault = fault = Fault("sync", LOG)
    assert fault.hit == 1
    for result in results:
        assert isinstance(result.exception(), BackendError)
    assert len({id(result.exception()) for result in results}) == THREADS  # each has its own
    assert store.memories.get("m").access_count == 0
    store.memories.touch("m")
    assert store.memories.get("m").access_count == 1


def test_an_error_of_the_disk_in_one_write_loses_those_that_share_its_transaction(
    store: OmegaStore, disk: Disk
) -> None:
    """They were not acknowledged yet, so each of them raises."""
    for connection in cast("SQLiteBackend", store._backend)._connector._open:
        connection.execute("PRAGMA shrink_memory")
    with waiting(store, [lambda: store.memories.touch("m")] * THREADS) as results:
        disk.fault = fault = Fault("read", after=1)
    failed = [result for result in results if result.exception()]
    assert fault.hit == 1
    assert failed
    assert store.memories.get("m").access_count == THREADS - len(failed)


def test_nothing_is_committed_through_a_connection_that_met_damage(tmp_path: Path) -> None:
    """FTS5 may hold a wrong state then, so those who share the transaction raise as well."""
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.memories.put(memory("m"))
    (root,) = execute(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'skills'")[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)

    def touch() -> None:
        store.memories.touch("m")

    with OmegaStore(path, busy_timeout=60) as store:
        with waiting(store, [touch, touch, lambda: store.skills.put(skill()), touch]) as results:
            pass
        errors = [type(result.exception()) for result in results]
        assert errors == [CorruptionError, CorruptionError, CorruptionError, type(None)]
        assert store.memories.get("m").access_count == 1


def test_a_write_that_is_refused_is_undone_without_those_it_shares_with(store: OmegaStore) -> None:
    def touch() -> None:
        store.memories.touch("m")

    def orphan() -> None:
        store.causal_edges.put(edge("e", "m", "none"))

    def batch() -> None:
        store.skills.put_many([skill("a", name="first"), skill("b", name="first")])

    def good_batch() -> None:
        store.skills.put_many([skill("c", name="third"), skill("d", name="fourth")])

    writes = [touch, orphan, touch, batch, good_batch, touch, batch, orphan, touch]
    with waiting(store, writes) as results:
        pass
    refused = [isinstance(result.exception(), ConflictError) for result in results]
    assert refused == [write in (orphan, batch) for write in writes]
    assert store.memories.get("m").access_count == 4
    assert [each.id for each in store.skills] == ["c", "d"]
    assert store.causal_edges.count() == 0


def test_rows_that_wait_are_inserted_by_one_statement(store: OmegaStore, disk: Disk) -> None:
    disk.fault = fault = Fault("sync", LOG, times=0)
    with executed(store) as statements, waiting(store, puts(store)):
        pass
    assert fault.seen == 1
    assert store.memories.count() == THREADS + 1
    inserted = [sql for sql in statements if "INTO memories " in sql]
    assert len(inserted) == 2  # the first has the turn and inserts its own, then that of all others


def test_a_row_that_is_refused_is_left_out_of_those_it_was_offered_with(store: OmegaStore) -> None:
    taken = skill("s", name="taken")
    store.skills.put(taken)
    names = ["a", "b", "taken", "c", "taken", "b"]
    writes: list[Write] = [
        partial(store.skills.put, skill(f"s{number}", name=name))
        for number, name in enumerate(names)
    ]
    with waiting(store, writes) as results:
        pass
    refused = [result.exception() for result in results]
    assert [type(error) for error in refused] == [
        *(type(None), type(None), ConflictError, type(None), ConflictError, ConflictError)
    ]
    assert "'s'" in str(refused[2])
    assert "'s1'" in str(refused[5])
    assert {each.name for each in store.skills} == {"taken", "a", "b", "c"}


def test_a_refused_row_is_not_made_up_for_by_a_later_one_with_its_id(store: OmegaStore) -> None:
    """In one statement the second would hide that the first names no architecture."""
    store.architectures.put(architecture("a"))
    parents = ["a", "none", "a"]
    writes: list[Write] = [
        partial(store.intelligences.put, intelligence("i", parent)) for parent in parents
    ]
    with waiting(store, writes) as results:
        pass
    refused = [isinstance(result.exception(), ConflictError) for result in results]
    assert refused == [False, True, False]


def test_a_commit_that_fails_raises_for_those_whose_rows_another_inserted(
    store: OmegaStore, disk: Disk
) -> None:
    with waiting(store, puts(store)) as results:
        disk.fault = Fault("sync", LOG)
    assert all(isinstance(result.exception(), BackendError) for result in results)
    assert [each.id for each in store.memories] == ["m"]
    with waiting(store, puts(store)):
        pass
    assert store.memories.count() == THREADS + 1


def test_an_interruption_while_rows_of_others_are_inserted_loses_none_of_them(
    store: OmegaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised in the thread that was interrupted, when the others have their answers."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SQLiteSession, "run_together", interrupted)
        with waiting(store, puts(store)) as results:
            pass
    # Each had the turn once, and could not insert what the others offered.
    kinds = {type(result.exception()) for result in results}
    assert kinds <= {KeyboardInterrupt, type(None)}
    assert KeyboardInterrupt in kinds
    assert store.memories.count() == THREADS + 1


@pytest.mark.parametrize("trouble", ["refused row", "failed commit"])
def test_an_interruption_is_raised_whatever_else_goes_wrong(
    trouble: str, store: OmegaStore, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []
    whole = SQLiteSession.run_together

    def interrupted(self: SQLiteSession, *arguments: Any) -> None:
        calls.append(None)
        if len(calls) == 1:
            raise KeyboardInterrupt
        whole(self, *arguments)

    parent = "none" if trouble == "refused row" else "m"
    first = partial(store.memories.touch, "m")  # so that there is a group
    second = partial(store.causal_edges.put, edge("e", "m", parent))
    with monkeypatch.context() as patch:
        patch.setattr(SQLiteSession, "run_together", interrupted)
        with waiting(store, [first, second, *puts(store)]) as results:
            if trouble == "failed commit":
                disk.fault = Fault("sync", LOG)
    assert isinstance(results[1].exception(), KeyboardInterrupt)


def test_a_writer_waits_for_those_who_shared_the_last_commit_and_for_nobody_else(
    store: OmegaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(turns, "sleep", waits.append)
    for number in range(3):
        store.memories.put(memory(f"alone {number}"))
    assert waits == []
    with waiting(store, puts(store)):
        pass
    before = len(waits)
    store.memories.put(memory("after a shared commit"))
    assert waits[before:] == [turns.COMPANY]
    store.memories.put(memory("after one of its own"))
    assert len(waits) == before + 1
    with waiting(store, puts(store)):
        pass
    with store.transaction() as tx:
        tx.memories.put(memory("for itself"))
    assert len(waits) == before + 1


def test_who_would_wait_no_longer_is_told_of_a_commit_that_has_begun() -> None:
    queue = Turns()
    queue.take(0, alone=False)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.take, 0.05, alone=False, offer=Offer("INSERT", ("n", "id")))
        while not queue.wanted():
            sleep(0.001)
        offering = queue.offers()
        sleep(0.1)
        assert not waiting.done()
        queue.accept(offering)
        queue.settle(None)
        assert waiting.result().accepted


def test_who_waits_no_longer_has_not_written(store: OmegaStore, tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db", busy_timeout=0.05) as impatient:
        queue = cast("SQLiteBackend", impatient._backend)._writer._turns._queue
        with ThreadPoolExecutor(2) as pool, Holder(impatient, "transaction"):
            results = [
                pool.submit(impatient.memories.put, memory(f"late {number}")) for number in range(2)
            ]
            assert all(isinstance(result.exception(), BusyError) for result in results)
            assert not queue
        assert impatient.memories.count() == 1


def test_transactions_keep_to_themselves(store: OmegaStore, disk: Disk) -> None:
    """What a caller may fill at leisure is shared by nobody, and seen by nobody before its end."""

    def whole(number: int) -> None:
        with store.transaction() as tx:
            tx.memories.touch("m")
            assert tx.memories.get("m").access_count == number + 1

    disk.fault = fault = Fault("sync", LOG, times=0)
    with waiting(store, [lambda number=n: whole(number) for n in range(4)]) as results:
        pass
    assert [result.exception() for result in results] == [None] * 4
    assert fault.seen == 4


def test_what_was_acknowledged_is_there_whatever_fails_meanwhile(
    store: OmegaStore, disk: Disk
) -> None:
    def write(thread: int) -> set[str]:
        acknowledged: set[str] = set()
        for number in range(40):
            with suppress(BackendError):
                store.memories.put(memory(f"{thread}-{number}"))
                acknowledged.add(f"{thread}-{number}")
        return acknowledged

    disk.fault = fault = Fault("sync", LOG, after=2, times=1000, every=4)
    with ThreadPoolExecutor(THREADS) as pool:
        acknowledged = set[str]().union(*pool.map(write, range(THREADS)))
    disk.fault = None
    assert fault.hit > 3
    assert acknowledged <= {each.id for each in store.memories}
    assert len(acknowledged) < 40 * THREADS
