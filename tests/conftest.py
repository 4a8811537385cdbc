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
    # Nobody cuts the power, and waiting for the disk would be most of the time of the tests.
    with OmegaStore(path, durability="normal") as store:
        yield store
        assert store.check() == []


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[OmegaStore]:
    """An empty store in a file, opened as by default, checked for damage after every test."""
    with OmegaStore(tmp_path / "store.db") as store:
        yield store
        assert store.check() == []


class Clock:
    """Stands in for ``time.time``."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that stores see: set ``clock.now``."""
    clock = Clock()
    backend = ("held", "readers", "writer")
    for module in (*(f"backends.sqlite.{name}" for name in backend), "entities.record"):
        monkeypatch.setattr(f"omega_persistence.{module}.time", clock)
    return clock
