"""Writing the codes of vectors into the file."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from omega_persistence.backends.sqlite.vectors import codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega_persistence.backends import Session

_BATCH = 1000  # vectors that are encoded together

_WRITE = """
    INSERT INTO vector_codes (seq, code)
    SELECT seq, :code FROM vectors WHERE namespace = :namespace AND id = :id
    ON CONFLICT (seq) DO UPDATE SET code = excluded.code
"""


def write(session: Session, namespace: str, vectors: Sequence[tuple[str, int, bytes]]) -> None:
    """Write the codes of vectors, (id, dimensions, float32 numbers), that are in the file."""
    for start in range(0, len(vectors), _BATCH):
        batch = vectors[start : start + _BATCH]
        for dimensions, alike in groupby(batch, itemgetter(1)):
            ids, _, blobs = zip(*alike, strict=True)
            coded = codes.encode_blobs(cast("tuple[bytes, ...]", blobs), dimensions)
            rows = [(code, namespace, id) for code, id in zip(coded, ids, strict=True)]
            session.run_many(_WRITE, rows)
