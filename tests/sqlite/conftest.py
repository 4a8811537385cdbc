"""Fixtures of the SQLite backend's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sqlite.faulty_disk import Disk

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def disk() -> Iterator[Disk]:
    """The file system of this process while the test runs: set ``fault`` to make calls fail."""
    disk = Disk()
    yield disk
    disk.remove()
