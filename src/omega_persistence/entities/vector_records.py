"""Vectors as records, and what a search returns of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from omega_persistence.entities.arrays import float32
from omega_persistence.entities.record import (
    MAX_BYTES,
    Id,
    Record,
    checked,
    finite_floats,
    new_id,
)
from omega_persistence.errors import InvalidDataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


class StoredVector(Record, frozen=True, kw_only=True, gc=False):
    """One embedding.

    Attributes:
        id: Unique in its namespace; a time-ordered UUID by default.
        memory_id: The memory it embeds, which must be stored and never changes.
        dimensions: How many numbers, from 1.
        data_blob: The numbers as float32, little-endian, ``4 * dimensions`` bytes, all finite.
        space: The name of the embedding model. A named space has one number of dimensions; the
            unnamed one, ``""``, may hold any.
    """

    memory_id: Id
    dimensions: Annotated[int, Meta(ge=1, le=MAX_BYTES // 4)]
    data_blob: bytes
    space: str = ""

    @classmethod
    def from_array(
        cls, memory_id: str, array: ArrayLike, *, space: str = "", id: str | None = None
    ) -> StoredVector:
        """The vector of a one-dimensional numpy array or sequence of numbers.

        Raises:
            InvalidDataError: the array has another shape, is empty, is longer than a vector may
                be, or holds other than numbers that are finite as float32.
        """
        numbers = float32(array, 1)
        if numbers.nbytes > MAX_BYTES:
            message = f"a vector of {numbers.size} numbers is longer than {MAX_BYTES} bytes"
            raise InvalidDataError(message, kind="StoredVector", field="array")
        return cls(
            id=new_id() if id is None else id,
            memory_id=memory_id,
            dimensions=numbers.size,
            data_blob=numbers.tobytes(),
            space=space,
        )

    @property
    def array(self) -> NDArray[np.float32]:
        """The numbers, read-only, without a copy."""
        import numpy as np  # noqa: PLC0415 - not every process has vectors

        return np.frombuffer(self.data_blob, dtype="<f4")

    def broken_rule(self) -> tuple[str, str] | None:
        """The blob must fit the dimensions and hold finite numbers."""
        if len(self.data_blob) != 4 * self.dimensions:
            wanted = 4 * self.dimensions
            return "data_blob", f"has {len(self.data_blob)} bytes, not 4 * dimensions = {wanted}"
        if not finite_floats(self.data_blob):
            return "data_blob", "holds NaN or infinity"
        return None


class VectorHit(Struct, frozen=True):
    """A memory found by its closest vector.

    The score is their cosine, from -1 to 1, computed from the stored float32 numbers; 0 if either
    vector is zero.
    """

    memory_id: str
    vector_id: str
    score: float


def checked_rows(
    matrix: NDArray[np.float32], ids: list[str], memory_ids: list[str], space: str
) -> tuple[list[str], list[str], str]:
    """Check rows whose numbers are finite; returns ids, memories and space as plain text.

    All rows have the length and the space of the first, so when ids are of the plainest, that one
    is `checked` for all, which is much faster.
    """
    looked_at = matrix[:1] if _are_plain(ids) and _are_plain(memory_ids) else matrix
    rows = vectors_of(looked_at, ids, memory_ids, space)
    plain = [checked(row, StoredVector, index) for index, row in enumerate(rows)]
    space = plain[0].space if plain else space
    if len(plain) < len(ids):
        return ids, memory_ids, space
    return [row.id for row in plain], [row.memory_id for row in plain], space


def vectors_of(
    matrix: NDArray[np.float32], ids: list[str], memory_ids: list[str], space: str
) -> list[StoredVector]:
    """The rows of a matrix as records."""
    return [
        StoredVector(
            id=id,
            memory_id=memory_id,
            dimensions=matrix.shape[1],
            data_blob=row.tobytes(),
            space=space,
        )
        for id, memory_id, row in zip(ids, memory_ids, matrix, strict=False)
    ]


def _are_plain(ids: list[str]) -> bool:
    """Whether nothing can be wrong with any of these."""
    if set(map(type, ids)) != {str}:
        return False
    lengths = set(map(len, ids))
    together = "".join(ids)
    return 0 < min(lengths) <= max(lengths) < 1000 and together.isascii() and "\0" not in together
