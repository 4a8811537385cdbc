"""Any number of processes may have the same file open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega_persistence import BusyError, OmegaStore
from omega_persistence.backends.sqlite import backend, connection, writer
from omega_persistence.backends.sqlite.turns import Offer, Ticket, Turns
from samples import memory, skill
from sqlite.support import Holder, execute, finish, go_on, line, start

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

PROLOGUE = """
import os, sys
from omega_persistence import BusyError, OmegaStore, StoredMemory, StoredSkill

def memory(id, **fields):
    return StoredMemory(**{"id": id, "content": id, "tier": 1, "importance": 0.5} | fields)

path = sys.argv[1]
"""

CREATE_AND_COUNT = (
    PROLOGUE
    + """
input()
with OmegaStore(path, busy_timeout=60) as store:
    store.skills.put(
        StoredSkill(id="s", name="s", description="", trigger_pattern="", created_at=1)
    )
    for step in range(30):
        store.skills.record_success("s")
        with store.transaction() as tx:
            tx.memories.put(memory(f"{sys.argv[2]}-{step}"))
            tx.skills.record_failure("s")
    print(store.migration)
"""
)

HOLD_A_TRANSACTION = (
    PROLOGUE
    + """
with OmegaStore(path) as store, store.transaction() as tx:
    tx.memories.put(memory("held"))
    print("holding", flush=True)
    input()
"""
)

HOLD_A_SNAPSHOT = (
    PROLOGUE
    + """
with OmegaStore(path) as store, store.snapshot() as snapshot:
    print(snapshot.memories.count(), flush=True)
    input()
    print(snapshot.memories.count(), flush=True)
"""
)

ANSWER_QUESTIONS = (
    PROLOGUE
    + """
with OmegaStore(path) as store:
    while input():
        print([each.id for each in store.memories], flush=True)
"""
)


def holding(script: str, path: Path) -> subprocess.Popen[str]:
    """A process that has told that it holds what its script is about."""
    child = start(script, path)
    assert line(child)
    return child


def test_processes_that_create_the_same_file_at_once_lose_no_update(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    children = [start(CREATE_AND_COUNT, path, number) for number in range(4)]
    for child in children:
        go_on(child)
    assert [finish(child) for child in children] == ["None\n"] * 4
    with OmegaStore(path, create=False) as store:
        counted = store.skills.get("s")
        assert (counted.success_count, counted.failure_count) == (120, 120)
        assert store.memories.count() == 120
        assert store.check() == []


@pytest.mark.parametrize("timeout", [0, 0.1])
def test_a_lock_held_by_another_process_gives_busy_after_the_timeout(
    timeout: float, tmp_path: Path
) -> None:
    with OmegaStore(tmp_path / "store.db", busy_timeout=timeout) as store:
        store.memories.put(memory("m"))
        other = holding(HOLD_A_TRANSACTION, tmp_path / "store.db")
        for write in (store.memories.purge_expired, store.compact, store.check):
            with pytest.raises(BusyError) as busy:
                write()
            assert busy.value.retryable
            assert "try again" in str(busy.value.hint)
        assert store.memories.count() == 1  # reading needs no lock
        store.backup(tmp_path / "copy.db")
        finish(other)
        store.memories.put(memory("n"))
        assert store.memories.count() == 3


@pytest.mark.parametrize("call", ["purge_expired", "check", "compact", "optimize"])
def test_waiting_for_threads_and_then_for_processes_takes_one_timeout(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of its own, which goes on while somebody waits."""
    now = 1000.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    def take(turns: Turns, timeout: float, *, alone: bool, offer: Offer | None = None) -> Ticket:
        wait(0.75 * timeout)
        return without_waiting(turns, timeout, alone=alone, offer=offer)

    without_waiting = Turns.take
    with (
        OmegaStore(tmp_path / "store.db", busy_timeout=4) as store,
        OmegaStore(tmp_path / "store.db") as other,
        Holder(other, "transaction"),
    ):
        with monkeypatch.context() as patch:
            for module in (backend, connection, writer):
                patch.setattr(module, "monotonic", lambda: now)
            patch.setattr(connection, "sleep", wait)
            patch.setattr(Turns, "take", take)
            with pytest.raises(BusyError):
                getattr(store.memories if call == "purge_expired" else store, call)()
        assert 1004 <= now < 1004.1
        assert store.memories.count() == 0


def test_a_writer_waits_for_another_process_to_commit(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db", busy_timeout=60) as store:
        store.skills.put(skill("s"))
        other = holding(HOLD_A_TRANSACTION, tmp_path / "store.db")
        go_on(other)
        store.skills.record_success("s")
        finish(other)
        assert store.memories.count() == 1


def test_a_slow_reader_in_another_process_blocks_no_write(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db", busy_timeout=0) as store:
        store.memories.put(memory("m"))
        reader = start(HOLD_A_SNAPSHOT, tmp_path / "store.db")
        assert line(reader) == "1"
        store.memories.put_many(memory(f"m{n}") for n in range(50))
        store.memories.delete("m")
        assert store.memories.count() == 50
        assert finish(reader) == "1\n"


def test_every_process_sees_at_its_next_call_what_another_has_committed(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        other = start(ANSWER_QUESTIONS, tmp_path / "store.db")
        assert other.stdin is not None
        for number in range(5):
            store.memories.put(memory(f"m{number}"))
            other.stdin.write("which?\n")
            other.stdin.flush()
            assert line(other) == str([f"m{n}" for n in range(number + 1)])
        finish(other)


def test_a_process_killed_inside_a_transaction_leaves_no_lock_and_no_part_of_it(
    tmp_path: Path,
) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put(memory("m"))
        other = holding(HOLD_A_TRANSACTION, tmp_path / "store.db")
        other.kill()
        other.communicate()
        store.memories.put(memory("n"))
        assert [each.id for each in store.memories] == ["m", "n"]
        assert store.check() == []


def test_a_program_without_this_library_is_held_to_the_same_rules(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put(memory("m"))
        execute(
            tmp_path / "store.db",
            "UPDATE memories SET content = 'written elsewhere' WHERE id = ?",
            "m",
        )
        assert store.memories.get("m").content == "written elsewhere"
        assert [hit.memory.id for hit in store.memories.search("elsewhere")] == ["m"]
        assert store.check() == []
