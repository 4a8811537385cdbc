"""Batches are inserted by few statements, which stay prepared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omega_persistence.backends.sqlite import batches


@given(st.integers(0, 1000))
def test_a_few_statements_do_for_all_batches(count: int) -> None:
    rows = [("all", str(number)) for number in range(count)]
    pieces = list(batches.parts(rows))
    assert [row for piece in pieces for row in piece] == rows
    assert {len(piece) for piece in pieces} <= {*range(1, 16), 16, 32, 64, 128, 256}
    assert len(pieces) <= 3 + 5


def test_rows_of_many_bytes_are_inserted_few_at_a_time() -> None:
    rows = [("all", str(number), bytes(2**20)) for number in range(10)]
    assert [len(piece) for piece in batches.parts(rows)] == [3, 3, 3, 1]
