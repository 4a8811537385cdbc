"""Embedders without a model, for tests: the same text always has the same vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_persistence import Embedder

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def letters(texts: Sequence[str]) -> NDArray[np.float32]:
    """How often each letter stands in a text, and one number for the rest."""
    rows = [[1 + text.lower().count(letter) for letter in LETTERS] for text in texts]
    return np.array(rows, dtype="f4").reshape(len(texts), len(LETTERS))


def pairs(texts: Sequence[str]) -> NDArray[np.float32]:
    """Another model, of another length: letters by twos."""
    return letters(texts)[:, ::2] + letters(texts)[:, 1::2]


class Recorded:
    """An embedder that notes what it was given, and may do something else first."""

    def __init__(
        self,
        embed: Callable[[Sequence[str]], Any] = letters,
        *,
        first: Callable[[], object] | None = None,
    ) -> None:
        self.space = embed.__name__
        self.calls: list[list[str]] = []
        self._embed = embed
        self._first = first

    def __call__(self, texts: Sequence[str]) -> Any:
        self.calls.append(list(texts))
        if self._first is not None:
            self._first()
        return self._embed(texts)

    def in_batches(self, size: int) -> Embedder:
        return Embedder(self, self.space, batch=size)
