"""Comparing the codes in the file with their vectors."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

from omega_persistence.backends import Problem
from omega_persistence.backends.sqlite.vectors import codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw

_BATCH = 1000  # vectors that are looked at together


_PAGE = """
    SELECT vectors.seq, vectors.dimensions, vectors.data_blob, vector_codes.code
    FROM vectors LEFT JOIN vector_codes ON vector_codes.seq = vectors.seq
    WHERE vectors.seq > ? ORDER BY vectors.seq LIMIT ?
"""

_ORPHANS = "FROM vector_codes WHERE seq NOT IN (SELECT seq FROM vectors)"


def check(connection: apsw.Connection) -> list[Problem]:
    """Codes that are missing, belong to no vector, or are not what their vector says."""
    ((orphans,),) = connection.execute(f"SELECT count(*) {_ORPHANS}").fetchall()
    found = {
        "vectors without a code, or with a wrong one": sum(1 for _ in _wrong(connection)),
        "codes without a vector": orphans,
    }
    return [
        Problem(kind="vector", table="vector_codes", detail=f"{what}: {count}")
        for what, count in found.items()
        if count
    ]


def _wrong(connection: apsw.Connection) -> Iterator[int]:
    """Vectors whose code is missing or wrong; damaged ones are left out."""
    after = -(2**63)
    while rows := cast("list[Any]", connection.execute(_PAGE, (after, _BATCH)).fetchall()):
        if rows[-1][0] <= after:
            return  # the pages might never end; looking at the table finds what is wrong
        after = rows[-1][0]
        whole = [row for row in rows if type(row[2]) is bytes and 0 < len(row[2]) == 4 * row[1]]
        for dimensions, alike in groupby(whole, itemgetter(1)):
            seqs, _, blobs, present = zip(*alike, strict=True)
            right = codes.encode_blobs(blobs, dimensions)
            for seq, code, found in zip(seqs, right, present, strict=True):
                if code != found:
                    yield seq
