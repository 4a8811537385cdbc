"""Looking at the vectors in the file, and comparing their codes with them."""

from __future__ import annotations

from itertools import compress, groupby
from operator import itemgetter, ne
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from omega_persistence.backends import Problem
from omega_persistence.backends.sqlite.vectors import codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

_BATCH = 1000  # vectors that are looked at together


# A missing memory is reported as such; the number in the code may then be anything.
_PAGE = """
    SELECT vectors.seq, vectors.dimensions, vectors.data_blob, vector_codes.code
    FROM vectors LEFT JOIN vector_codes
      ON vector_codes.seq = vectors.seq AND vector_codes.memory = ifnull(
        (SELECT memories.seq FROM memories
         WHERE memories.namespace = vectors.namespace AND memories.id = vectors.memory_id),
        vector_codes.memory)
    WHERE vectors.seq > ? ORDER BY vectors.seq LIMIT ?
"""

_ORPHANS = "FROM vector_codes WHERE seq NOT IN (SELECT seq FROM vectors)"


def check(connection: apsw.Connection) -> list[Problem]:
    """Numbers that are not finite; codes that are missing, wrong, or belong to no vector."""
    ((orphans,),) = connection.execute(f"SELECT count(*) {_ORPHANS}").fetchall()
    infinite = wrong = 0
    for dimensions, blobs, present in _pages(connection):
        numbers = np.frombuffer(b"".join(blobs), "<f4").reshape(-1, dimensions)
        finite = [bool(row.all()) for row in np.isfinite(numbers)]
        infinite += finite.count(False)
        right = codes.encode_blobs(list(compress(blobs, finite)), dimensions)
        wrong += sum(map(ne, right, compress(present, finite)))
    found = [
        ("vectors", "vectors that hold NaN or infinity", infinite),
        ("vector_codes", "vectors without a code, or with a wrong one", wrong),
        ("vector_codes", "codes without a vector", orphans),
    ]
    return [
        Problem(kind="vector", table=table, detail=f"{what}: {count}")
        for table, what, count in found
        if count
    ]


def _pages(connection: apsw.Connection) -> Iterator[tuple[int, Sequence[bytes], Sequence[Any]]]:
    """Vectors of one length: that, their bytes and the codes they have, but for damaged ones."""
    after = -(2**63)
    while rows := cast("list[Any]", connection.execute(_PAGE, (after, _BATCH)).fetchall()):
        if rows[-1][0] <= after:
            return  # the pages might never end; looking at the table finds what is wrong
        after = rows[-1][0]
        whole = [row for row in rows if type(row[2]) is bytes and 0 < len(row[2]) == 4 * row[1]]
        for dimensions, alike in groupby(whole, itemgetter(1)):
            _, _, blobs, present = zip(*alike, strict=True)
            yield dimensions, blobs, present
