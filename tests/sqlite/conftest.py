"""Fixtures of the SQLite backend's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega_persistence import OmegaStore
from samples import memory
from sqlite.faulty_disk import Disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def disk() -> Iterator[Disk]:
    """The file system of this process while the test runs: set ``fault`` to make calls fail."""
    disk = Disk()
    yield disk
    disk.remove()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store at rest with one memory."""
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.memories.put(memory("m"))
    return path


@pytest.fixture
def store_of_pages(tmp_path: Path) -> Iterator[OmegaStore]:
    """A store of a few hundred pages in a folder of its own."""
    (tmp_path / "own").mkdir()
    with OmegaStore(tmp_path / "own" / "store.db") as store:
        store.memories.put_many(memory(f"m{n:03}", content=f"word{n} " * 100) for n in range(400))
        yield store
        assert store.memories.count() >= 400
        assert store.check() == []
