"""What the logger ``omega_persistence`` is told, and what is never told."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from omega_persistence import BackendError, OmegaStore
from omega_persistence.backends import events
from samples import memory, vector
from sqlite.faulty_disk import LOG, Disk, Fault
from sqlite.support import Holder, finish, line, python, start

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from omega_persistence import OmegaStore

with OmegaStore(sys.argv[1]) as store, store.transaction() as tx:
    tx.memories.count()
    print("held", flush=True)
    input()
"""

FAIL_QUIETLY = """
import logging, sys
import apsw
from omega_persistence import BackendError, OmegaStore, StoredMemory

class Disk(apsw.VFS):
    failing = False
    def __init__(self):
        super().__init__("failing", "unix", makedefault=True)
    def xOpen(self, name, flags):
        return File(name, flags)

class File(apsw.VFSFile):
    def __init__(self, name, flags):
        super().__init__("unix", name, flags)
    def xSync(self, flags):
        if Disk.failing:
            raise apsw.IOError("injected")
        super().xSync(flags)

disk = Disk()
with OmegaStore(sys.argv[1]) as store:
    Disk.failing = True
    try:
        store.memories.put(StoredMemory(content="c", tier=1, importance=0.5))
    except BackendError:
        print("refused")
    Disk.failing = False
"""


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is told, down to DEBUG."""
    caplog.set_level(logging.DEBUG, logger=events.LOGGER)
    return caplog


def named(told: pytest.LogCaptureFixture, event: str) -> list[Any]:
    return [record for record in told.records if getattr(record, "event", None) == event]


def test_a_slow_statement_is_told_with_its_time_and_without_its_values(
    told: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "NOTABLE", 0.0)
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put(memory("m", content="a secret"))
        store.memories.search("secret")
        store.memories.put_many([memory("n", content="a secret")])
    statements = named(told, "slow_statement")
    assert {record.levelno for record in statements} == {logging.DEBUG}
    assert all(record.seconds >= 0 for record in statements)
    assert {record.store for record in statements} == {str(tmp_path / "store.db")}
    texts = " ".join(record.statement for record in statements)
    assert "INSERT INTO memories" in texts
    assert "SELECT" in texts
    assert "secret" not in told.text


def test_the_statement_of_a_batch_is_told_with_one_of_its_rows(
    told: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "NOTABLE", 0.0)
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put_many(memory(f"m{number}") for number in range(300))
        store.vectors.put_many(vector(f"v{number}", f"m{number}") for number in range(300))
    statements = [record.statement for record in named(told, "slow_statement")]
    many = [statement for statement in statements if "(?, ?" in statement]
    assert all(re.search(r"VALUES \([?, ]+\), \.\.\.", statement) for statement in many)
    assert {re.split(r"\W+", statement)[2] for statement in many} == {
        *("memories", "vectors", "vector_codes"),
    }
    assert max(map(len, statements)) < 2000


def test_a_statement_that_takes_a_second_is_told_at_info(
    told: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "NOTABLE", 0.0)
    monkeypatch.setattr(events, "LONG", 0.0)
    told.set_level(logging.INFO, logger=events.LOGGER)
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put(memory("m"))
    assert {record.levelno for record in named(told, "slow_statement")} == {logging.INFO}


def test_what_is_fast_is_not_told(told: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        for number in range(20):
            store.memories.put(memory(f"m{number}"))
            store.memories.get(f"m{number}")
    assert not [record for record in told.records if record.levelno >= logging.INFO]


def test_waiting_for_another_thread_is_told(
    told: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "NOTABLE", 0.001)
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put(memory("before"))
        with Holder(store, "transaction") as holder:
            waiter = Thread(target=store.memories.put, args=(memory("m"),))
            waiter.start()
            waiter.join(0.2)
            assert waiter.is_alive()
            holder.end()
            waiter.join()
    assert "thread" in [record.waited_for for record in named(told, "busy_wait")]


def test_waiting_for_another_process_is_told(
    told: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "NOTABLE", 0.001)
    path = tmp_path / "store.db"
    with OmegaStore(path, busy_timeout=60) as store:
        store.memories.put(memory("before"))
        child = start(HOLD, path)
        assert line(child) == "held"
        waiter = Thread(target=store.memories.put, args=(memory("m"),))
        waiter.start()
        waiter.join(0.2)
        assert waiter.is_alive()
        finish(child)
        waiter.join()
    assert "process" in [record.waited_for for record in named(told, "busy_wait")]


def test_a_connection_given_up_after_an_error_is_a_warning(
    told: pytest.LogCaptureFixture, disk: Disk, tmp_path: Path
) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        disk.fault = Fault("sync")
        with pytest.raises(BackendError):
            store.memories.put(memory("m"))
        disk.fault = None
        (record,) = named(told, "reconnect")
        assert record.levelno == logging.WARNING
        assert (record.role, record.error) == ("writer", "BackendError")
        store.memories.put(memory("m"))


def test_a_migration_and_a_store_that_was_not_closed_are_told(
    told: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    path = tmp_path / "store.db"
    python(
        "import os, sys\n"
        "from omega_persistence import OmegaStore, StoredMemory\n"
        "store = OmegaStore(sys.argv[1])\n"
        "store.memories.put(StoredMemory(content='c', tier=1, importance=0.5))\n"
        "os._exit(0)",
        path,
    )
    OmegaStore(path).close()
    (record,) = named(told, "unclean_shutdown")
    assert record.levelno == logging.INFO
    crate = shutil.copy(ROOT / "tests/formats/legacy-clean.db", tmp_path / "crate.db")
    OmegaStore(crate).close()
    (record,) = named(told, "migration")
    assert (record.levelno, record.from_version) == (logging.INFO, 0)
    assert record.moved > 0
    assert Path(record.backup).exists()


def test_nothing_is_above_warning_and_each_event_is_documented() -> None:
    sources = "".join(
        path.read_text("utf-8") for path in (ROOT / "src/omega_persistence").rglob("*.py")
    )
    used = set(re.findall(r'events\.tell\(\s*[\w.]+,\s*"(\w+)"', sources))
    page = ROOT / "docs/reference/logging.md"
    assert used == set(re.findall(r"^\| `(\w+)`", page.read_text("utf-8"), re.MULTILINE))
    assert max(events.DEBUG, events.INFO, events.WARNING) == logging.WARNING


def test_a_handler_may_use_the_store_that_tells(disk: Disk, tmp_path: Path) -> None:
    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            store.memories.put(memory(f"log {len(seen)}", content=record.getMessage()))
            seen.append(record)

    seen: list[logging.LogRecord] = []
    keeper = Keeper()
    logger = logging.getLogger(events.LOGGER)
    logger.addHandler(keeper)
    try:
        with OmegaStore(tmp_path / "store.db") as store:
            disk.fault = Fault("write", LOG)
            with pytest.raises(BackendError):
                store.memories.put(memory("m"))
            assert len(seen) == 1
            assert store.memories.count() == 1
    finally:
        logger.removeHandler(keeper)


def test_a_program_that_has_not_set_up_logging_sees_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert python(FAIL_QUIETLY, tmp_path / "store.db") == "refused\n"
    assert "replaced after an error" not in capfd.readouterr().err
