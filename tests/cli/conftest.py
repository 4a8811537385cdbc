"""A store of each kind of file, and an environment that says nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from omega_persistence import OmegaStore
from samples import architecture, edge, episode, intelligence, memory, skill, vector

FORMATS = Path(__file__).parent.parent / "formats"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No store by default, a window of 100 columns, no colours."""
    for variable in ("OMEGA_PERSISTENCE_STORE", "OMEGA_PERSISTENCE_NAMESPACE", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store at rest with a few records of every kind, and one in another namespace."""
    path = tmp_path / "store.db"
    with OmegaStore(path, durability="normal") as store:
        store.memories.put_many(
            [
                memory("m1", content="The disk was full.", tier=3, importance=0.9),
                memory("m2", content="Customers saw old prices.", tier=3, importance=0.8),
                memory("m3", content="Check the disk first.", metadata_json={"by": "Ines"}),
            ]
        )
        store.skills.put(skill("s1", trigger_pattern="disk.*full"))
        store.architectures.put(architecture("a1"))
        store.intelligences.put(intelligence("i1", "a1"))
        store.vectors.put(vector("v1", "m1"))
        store.reflexion_episodes.put(episode("e1", "m1"))
        store.causal_edges.put(edge("c1", "m1", "m2"))
        store.in_namespace("agent-7").memories.put(memory("m7"))
    return path


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    """A file that the Rust crate wrote, some of whose rows break our rules."""
    return Path(shutil.copyfile(FORMATS / "legacy-small.db", tmp_path / "crate.db"))
