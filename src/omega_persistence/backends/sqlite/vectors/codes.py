"""Codes of vectors: a whole number from -127 to 127 for each of the numbers, and a scale.

A code has the direction of its vector and the length 1: ``scale * levels`` is the unit vector, give
or take a 254th of its largest number in each dimension. Scalar quantisation with a scale for each
vector; the cosine of two MiniLM embeddings changes by about 0.0005.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from struct import pack
from typing import TYPE_CHECKING

import numpy as np

from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LEVELS = np.float32(127)

_SMALLEST = np.float32(1e-45)  # that is not zero


@lru_cache
def layout(dimensions: int) -> np.dtype[np.void]:
    """How a code lies in its blob: ``4 + dimensions`` bytes."""
    return np.dtype([("scale", "<f4"), ("levels", "i1", (dimensions,))])


def encode(matrix: NDArray[np.float32]) -> NDArray[np.void]:
    """The codes of the rows of a matrix; of a zero vector, no levels.

    The same on every machine: each step is exact, or one operation rounded as IEEE 754 says.
    """
    levels = levels_of(matrix)
    # Sums of so many squares of levels are whole numbers that float32 holds.
    wide = levels if matrix.shape[1] <= 2**24 // 127**2 else levels.astype(np.float64)
    lengths = np.sqrt(np.vecdot(wide, wide).astype(np.float64))
    codes = np.empty(len(matrix), layout(matrix.shape[1]))
    codes["levels"] = levels
    codes["scale"] = 1 / np.maximum(lengths, 1)  # all levels are 0, or one of them is 127
    return codes


def levels_of(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The levels in the codes of the rows of a matrix, not yet as small numbers."""
    peaks = np.abs(matrix).max(axis=1, keepdims=True)
    levels = matrix / np.maximum(peaks, _SMALLEST)
    levels *= _LEVELS
    return np.rint(levels, out=levels)


def encode_one(blob: bytes, dimensions: int) -> bytes:
    """The code of one vector, as `encode_blobs` makes it, for half of its cost."""
    (numbers,) = matrix([blob], dimensions)
    peak = max(numbers.max(), -numbers.min(), _SMALLEST)
    levels = np.rint(numbers / peak * _LEVELS)
    wide = levels.astype(np.float64)
    length = sqrt(wide.dot(wide))
    return pack("<f", 1 / max(length, 1)) + levels.astype(np.int8).tobytes()


def encode_blobs(blobs: Sequence[bytes], dimensions: int) -> list[bytes]:
    """The code of each vector, all of these dimensions, as it is stored."""
    data = encode(matrix(blobs, dimensions)).tobytes()
    size = 4 + dimensions
    return [data[start : start + size] for start in range(0, len(data), size)]


def matrix(blobs: Sequence[bytes], dimensions: int) -> NDArray[np.float32]:
    """The vectors of rows as the rows of a matrix.

    Raises:
        CorruptionError: a row does not hold so many numbers, or not all of them are finite.
    """
    if type(dimensions) is not int or dimensions < 1:
        message = f"a vector cannot have {dimensions!r:.80} dimensions"
        raise CorruptionError(message, hint="See check().")
    numbers = np.frombuffer(_joined(blobs, 4 * dimensions), "<f4")
    if not np.isfinite(numbers).all():
        raise CorruptionError("a vector holds NaN or infinity", hint="See check().")
    return numbers.reshape(-1, dimensions)


def decode(blobs: Sequence[bytes], dimensions: int) -> NDArray[np.void]:
    """Stored codes, with the fields ``scale`` and ``levels``.

    Raises:
        CorruptionError: one of them is not the code of so many numbers.
    """
    return np.frombuffer(_joined(blobs, 4 + dimensions), layout(dimensions))


def _joined(blobs: Sequence[bytes], length: int) -> bytes:
    try:
        if set(map(len, blobs)) <= {length}:
            return b"".join(blobs)
    except TypeError:  # a damaged file may hold other than blobs
        pass
    message = f"a vector or its code does not have the {length} bytes of its dimensions"
    raise CorruptionError(message, hint="See check().")
