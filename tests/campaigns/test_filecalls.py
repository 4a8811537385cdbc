"""Failing calls below SQLite and the library: those that shall fail do, as on a bad disk."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import apsw
import pytest

from campaigns.failing import Calls, Failure, failure_of
from campaigns.filecalls import FileSystemCalls, SystemCalls

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ROWS = [(number, "x" * 500) for number in range(100)]


@pytest.fixture(name="folder")
def folder_(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "campaign"
    folder.mkdir()
    before = system_calls()
    yield folder
    assert system_calls() == before


def system_calls() -> list[int | None]:
    system = apsw.VFS("look", "unix")
    calls = [system.xGetSystemCall(name) for name in ("open", "close", "pread", "write", "fcntl")]
    system.unregister()
    return calls


def use(path: Path) -> Sequence[object]:
    """Write into a database and read from it, through a small cache."""
    connection = apsw.Connection(str(path))
    try:
        connection.execute("PRAGMA cache_size = 5")
        connection.execute("CREATE TABLE t (number INTEGER PRIMARY KEY, content)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (?, ?)", ROWS)
        connection.execute("COMMIT")
        return connection.execute("SELECT * FROM t ORDER BY number").fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ("open/0/EMFILE/once", apsw.CantOpenError),
        ("open/1/EIO/once", apsw.CantOpenError),
        ("fstat/0/EIO/once", apsw.IOError),
        ("stat/0/EIO/once", None),
        ("read/1/EIO/once", apsw.CorruptError),
        ("read/1/ETIMEDOUT/once", apsw.IOError),
        ("read/0/short/sticky", None),
        ("write/5/EIO/once", apsw.IOError),
        ("write/5/ENOSPC/sticky", apsw.FullError),
        ("write/0/short/sticky", None),
        ("unlink/0/EIO/once", apsw.IOError),
        ("lock/0/ENOLCK/once", apsw.Error),
        ("close/0/EIO/sticky", None),
    ],
)
def test_a_system_call_fails_as_on_a_bad_disk(
    failure: str, error: type[Exception] | None, folder: Path
) -> None:
    with SystemCalls(failure_of(failure), str(folder)) as calls:
        if error is None:
            assert use(folder / "file") == ROWS
        else:
            with pytest.raises(error):
                use(folder / "file")
    assert calls.hits >= 1


def test_shared_memory_that_cannot_be_mapped_is_an_error(folder: Path) -> None:
    connection = apsw.Connection(str(folder / "file"))
    connection.pragma("journal_mode", "wal")
    connection.close()
    with SystemCalls(failure_of("mmap/0/ENOMEM/once"), str(folder)) as calls:
        with pytest.raises(apsw.IOError):
            use(folder / "file")
        assert calls.hits == 1


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ("file.read/1/EIO/once", apsw.IOError),
        ("file.write/5/EIO/once", apsw.IOError),
        ("file.write/5/ENOSPC/once", apsw.FullError),
        ("file.sync/0/EIO/once", apsw.IOError),
    ],
)
def test_a_file_system_call_fails(failure: str, error: type[Exception], folder: Path) -> None:
    with FileSystemCalls(failure_of(failure)) as calls:
        with pytest.raises(error):
            use(folder / "file")
        assert calls.hits == 1
    assert use(folder / "other") == ROWS


def test_functions_of_the_system_fail_as_on_a_bad_disk(folder: Path) -> None:
    path = str(folder / "file")
    with SystemCalls(failure_of("os.open/0/EMFILE/once"), str(folder)) as calls:
        with pytest.raises(OSError, match=path) as caught:
            os.open(path, os.O_CREAT | os.O_WRONLY)
        assert caught.value.errno == errno.EMFILE
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
        os.close(descriptor)
        assert calls.counts["os.open"] == 2


def test_files_elsewhere_are_left_alone(folder: Path, tmp_path: Path) -> None:
    with SystemCalls(Failure("write", 0, "EIO", sticky=True), str(folder)) as calls:
        assert use(tmp_path / "file") == ROWS
        os.stat(tmp_path)
    assert calls.counts == {}


def test_calls_are_counted_alike_each_time(folder: Path) -> None:
    counts: list[Counter[str]] = []
    for _ in range(2):
        with SystemCalls(None, str(folder)) as calls:
            use(folder / "file")
        os.unlink(folder / "file")
        counts.append(calls.counts)
    assert counts[0] == counts[1]
    assert min(counts[0][kind] for kind in ("open", "close", "read", "write", "lock")) > 0


def test_nothing_fails_any_more_once_that_is_lifted(folder: Path) -> None:
    with SystemCalls(Failure("open", 0, "EIO", sticky=True), str(folder)) as calls:
        with pytest.raises(apsw.CantOpenError):
            use(folder / "file")
        calls.lift()
        assert use(folder / "file") == ROWS


@pytest.mark.parametrize(
    ("failure", "failed"),
    [
        ("read/2/EIO/once", [2]),
        ("read/2/EIO/sticky", list(range(2, 30))),
        ("lock/2/EIO/sticky", list(range(2, 22))),
        ("write/0/EIO/sticky", []),
    ],
)
def test_failures_are_found_by_their_number(failure: str, failed: list[int]) -> None:
    parsed = failure_of(failure)
    assert str(parsed) == failure
    calls = Calls(parsed)
    kind = "lock" if parsed.call == "lock" else "read"
    assert [number for number in range(30) if calls.meet(kind)] == failed
    assert calls.hits == len(failed)
