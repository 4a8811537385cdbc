"""Writing the codes of vectors into the file."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, LiteralString, cast

import msgspec

from omega_persistence.backends.sqlite.vectors import codes
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega_persistence.backends import Session

_BATCH = 1000  # vectors that are encoded together

# A statement for one vector, which is what most agents write at a time; two for a batch.
_WRITE_ONE = """
    INSERT INTO vector_codes (seq, code)
    SELECT seq, :code FROM vectors WHERE namespace = :namespace AND id = :id
    ON CONFLICT (seq) DO UPDATE SET code = excluded.code
"""

_ROWS: LiteralString = "SELECT id, seq FROM vectors WHERE namespace = :namespace AND id "

_WRITE = """
    INSERT INTO vector_codes (seq, code) VALUES (:seq, :code)
    ON CONFLICT (seq) DO UPDATE SET code = excluded.code
"""


def write(session: Session, namespace: str, vectors: Sequence[tuple[str, int, bytes]]) -> None:
    """Write the codes of vectors, (id, dimensions, float32 numbers), that are in the file."""
    if len(vectors) == 1:
        ((id, dimensions, blob),) = vectors
        (code,) = codes.encode_blobs([blob], dimensions)
        session.run(_WRITE_ONE, namespace=namespace, id=id, code=code)
        return
    for start in range(0, len(vectors), _BATCH):
        batch = vectors[start : start + _BATCH]
        listed = msgspec.json.encode([id for id, *_ in batch]).decode()
        rows = session.rows(_ROWS + session.among, namespace=namespace, ids=listed)
        seqs = dict(cast("list[tuple[str, int]]", rows))
        if any(id not in seqs for id, *_ in batch):
            message = "a vector that was written cannot be found by its id"
            raise CorruptionError(message, hint="See check().")
        for dimensions, alike in groupby(batch, itemgetter(1)):
            ids, _, blobs = zip(*alike, strict=True)
            coded = codes.encode_blobs(cast("tuple[bytes, ...]", blobs), dimensions)
            session.run_many(_WRITE, list(zip(map(seqs.__getitem__, ids), coded, strict=True)))
