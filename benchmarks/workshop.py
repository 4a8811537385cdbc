"""Where a run works: a folder that is gone afterwards, and stores that benchmarks share."""

from __future__ import annotations

import os
from itertools import count, islice
from typing import TYPE_CHECKING

from corpus import memories
from omega_persistence import OmegaStore

if TYPE_CHECKING:
    from corpus import Ids

BATCH = 20_000


class Workshop:
    """A folder to make files in, and how much to do.

    Attributes:
        folder: Where the files are.
        quick: Whether a tenth of the work will do, to see that everything runs.
    """

    def __init__(self, folder: str, *, quick: bool) -> None:
        self.folder = folder
        self.quick = quick
        self._numbers = count()
        self._stores: dict[tuple[int, Ids], str] = {}

    def scaled(self, size: int) -> int:
        """That much, or a tenth of it."""
        return size // 10 if self.quick else size

    def rounds(self, number: int) -> int:
        """So many rounds, or three."""
        return min(number, 3) if self.quick else number

    def new_path(self) -> str:
        """A name that is not taken."""
        return os.path.join(self.folder, f"{next(self._numbers)}.db")

    def new_store(self, size: int = 0, ids: Ids = "random") -> str:
        """The path of a store that nobody has open, with that many memories."""
        path = self.new_path()
        with OmegaStore(path) as store:
            rest = memories(size, ids)
            while batch := list(islice(rest, BATCH)):
                store.memories.put_many(batch)
        return path

    def shared_store(self, size: int, ids: Ids = "random") -> str:
        """The same, made once for all who only read it."""
        if (size, ids) not in self._stores:
            self._stores[size, ids] = self.new_store(size, ids)
        return self._stores[size, ids]

    def remove(self, path: str) -> None:
        """Delete a file, whose connections are closed."""
        os.unlink(path)
