"""Fixtures for what concerns files and other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega_persistence import OmegaStore
from samples import memory, skill
from sqlite.support import finish, line, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOLD = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
for statement in sys.argv[2:]:
    cursor = connection.execute(statement)
    next(cursor, None)
print("ready", flush=True)
input()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that holds a thousand memories, a few megabytes, and that nobody has open."""
    path = tmp_path / "store.db"
    with OmegaStore(path, durability="normal") as store:
        store.memories.put_many(memory(f"{i:04}", embedding_blob=bytes(4000)) for i in range(1000))
        store.skills.put(skill())
    return path


@pytest.fixture
def held(path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Lets another program run statements on a file and then keep it open."""
    children: list[subprocess.Popen[str]] = []

    def hold(*statements: str, at: Path = path) -> subprocess.Popen[str]:
        child = start(HOLD, at, *statements)
        children.append(child)
        assert line(child) == "ready"
        return child

    yield hold
    for child in children:
        if child.returncode is None:
            finish(child)
