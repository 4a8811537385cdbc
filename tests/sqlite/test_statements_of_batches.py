"""Batches are inserted by few statements, which stay prepared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import apsw
from hypothesis import given
from hypothesis import strategies as st

from omega_persistence import OmegaStore
from omega_persistence.backends.sqlite import batches
from samples import memory

if TYPE_CHECKING:
    from pathlib import Path

    from omega_persistence.backends.sqlite.backend import SQLiteBackend


@given(st.integers(0, 1000))
def test_a_few_statements_do_for_all_batches(count: int) -> None:
    rows = [("all", str(number)) for number in range(count)]
    pieces = list(batches.parts(rows))
    assert [row for piece in pieces for row in piece] == rows
    assert {len(piece) for piece in pieces} <= {*range(1, 64), 64, 128, 256}
    assert len(pieces) <= 3 + 3


def test_rows_of_many_bytes_are_inserted_few_at_a_time() -> None:
    rows = [("all", str(number), bytes(2**20)) for number in range(10)]
    assert [len(piece) for piece in batches.parts(rows)] == [1] * 10
    rows = [("all", str(number), bytes(2**16)) for number in range(40)]
    assert [len(piece) for piece in batches.parts(rows)] == [7, 7, 7, 7, 7, 5]


def test_statements_keep_little_of_what_was_put(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        for count in range(1, 40):
            text = "x" * (8_000_000 // count)
            store.memories.put_many(memory(f"m{n}", content=text) for n in range(count))

        def put(number: int) -> None:
            store.memories.put(memory(f"n{number}", content="y" * 1_000_000))

        with ThreadPoolExecutor(20) as threads:
            assert len(list(threads.map(put, range(60)))) == 60
        writer = cast("SQLiteBackend", store._backend)._writer._session
        assert writer is not None
        # One row alone may be of any size, and of batches there is half a megabyte for each size.
        held = writer.connection.status(apsw.SQLITE_DBSTATUS_STMT_USED)[0]
        assert held < 8_000_000 + 40 * 2**19
        assert store.check() == []
