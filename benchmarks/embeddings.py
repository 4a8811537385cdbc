"""Embeddings to measure with: clustered as those of texts are, the same in every run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # heeded when numpy is loaded: one thread everywhere

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIMENSIONS = 384
TOPICS = 2_000
SPREAD = 0.9  # of a text around its topic, beside 1 for the topics themselves
DECAY = 0.7  # the i-th direction has i to the power of -0.7 of the first one's deviation
OFFSET = 0.3  # of all from the origin: models do not use all directions alike

_SEED = 20_240_613


class Embeddings:
    """Random vectors around random topics, in few directions more than in others.

    A vector is ``(topic + 0.9 * noise + offset) * spectrum @ rotation`` with normal topics, noise
    and offset. Like sentences under a small model: of 100,000, the closest to one has a cosine of
    0.75 to 0.85, the tenth 0.7 to 0.8, the median 0.1.
    """

    def __init__(self) -> None:
        random = np.random.default_rng(_SEED)
        rotation, _ = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS)))
        spectrum = np.arange(1, DIMENSIONS + 1) ** -DECAY
        self._random = random
        self._topics = _normal(random, TOPICS) + OFFSET * _normal(random, 1)
        self._map = (spectrum[:, np.newaxis] * rotation).astype(np.float32)

    def rows(self, number: int) -> NDArray[np.float32]:
        """That many more; those of later calls are others."""
        chosen = self._topics[self._random.integers(TOPICS, size=number)]
        noise = np.float32(SPREAD) * _normal(self._random, number)
        return ((chosen + noise) @ self._map).astype(np.float32, copy=False)


def normalised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same directions, of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def closest(units: NDArray[np.float32], query: NDArray[np.float32], limit: int) -> NDArray[Any]:
    """The rows with the greatest cosines, best first, by a scan of float32 numbers."""
    cosines = units @ query
    best = np.argpartition(cosines, -limit)[-limit:]
    return best[np.argsort(-cosines[best])]


def _normal(random: np.random.Generator, number: int) -> NDArray[np.float32]:
    return random.standard_normal((number, DIMENSIONS), dtype=np.float32)
