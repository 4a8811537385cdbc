"""Every file of examples/ runs, twice in one folder, and leaves intact stores behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from omega_persistence import OmegaStore

EXAMPLES = Path(__file__).parent.parent / "examples"

SHOWN = {
    "quickstart.py": "2 memories, 0 problems",
    "agent_transactions.py": "Deployed 2.4 -> broke",
    "skills_and_triggers.py": "['code_review']",
    "architecture_lineage.py": "Transformer-v0 {'overall': 0.75}",
    "backup_and_restore.py": "Worth keeping",
    "remember_and_recall.py": "4 memories, 4 vectors",
}
"""Example -> a line that it prints."""


def test_every_example_is_known_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == SHOWN.keys()


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_runs_twice_and_leaves_intact_stores(name: str, tmp_path: Path) -> None:
    for _ in range(2):  # a store is still there the second time
        done = subprocess.run(
            [sys.executable, "-W", "error", str(EXAMPLES / name)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert SHOWN[name] in done.stdout.splitlines()
    stores = list(tmp_path.glob("*.db"))
    assert stores
    assert [problem for path in stores for problem in OmegaStore.verify_backup(path)] == []


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_is_shorter_than_40_lines(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 40
