"""Fixtures: a store on every backend, which must be intact when the test is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega_persistence import OmegaStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OmegaStore]:
    """An empty store on each backend, checked for damage after every test."""
    path = ":memory:" if request.param == "memory" else tmp_path / "store.db"
    with OmegaStore(path) as store:
        yield store
        assert store.check() == []


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[OmegaStore]:
    """An empty store in a file, checked for damage after every test."""
    with OmegaStore(tmp_path / "store.db") as store:
        yield store
        assert store.check() == []
