"""Writing the codes of vectors into the file."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from omega_persistence.backends.sqlite import batches
from omega_persistence.backends.sqlite.vectors import codes
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omega_persistence.backends.sqlite.session import SQLiteSession

# CROSS JOIN is a join that keeps its order.
_WRITE = """
    INSERT INTO vector_codes (seq, memory, code)
    SELECT vectors.seq, ifnull(memories.seq, 0), column3
    FROM (VALUES (:namespace, :id, :code)) CROSS JOIN vectors
      ON vectors.namespace = column1 AND vectors.id = column2
    LEFT JOIN memories
      ON memories.namespace = vectors.namespace AND memories.id = vectors.memory_id
    WHERE true
    ON CONFLICT (seq) DO UPDATE SET memory = excluded.memory, code = excluded.code
"""


def write(
    session: SQLiteSession, namespace: str, vectors: Sequence[tuple[str, int, bytes]]
) -> None:
    """Write the codes of vectors, (id, dimensions, float32 numbers), that are in the file."""
    if len(vectors) == 1:  # what most agents write at a time
        ((id, dimensions, blob),) = vectors
        rows = [(namespace, id, codes.encode_one(blob, dimensions))]
    else:
        rows = [
            (namespace, *row)
            for dimensions, alike in groupby(vectors, itemgetter(1))
            for row in _coded(dimensions, alike)
        ]
    written = sum(session.run_together(_WRITE, part) for part in batches.parts(rows))
    if written != len(vectors):
        message = "a vector that was written cannot be found by its id"
        raise CorruptionError(message, hint="See check().")


def _coded(
    dimensions: int, vectors: Iterable[tuple[str, int, bytes]]
) -> Iterator[tuple[str, bytes]]:
    ids, _, blobs = zip(*vectors, strict=True)
    return zip(ids, codes.encode_blobs(blobs, dimensions), strict=True)
