"""Strict type checkers accept the code of users, and find their mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

SETTINGS = {
    "include": [str(HERE / "usage.py"), str(HERE / "mistakes.py")],
    "extraPaths": [str(ROOT / "src")],
    "typeCheckingMode": "strict",
    "pythonVersion": "3.12",  # apsw's stubs import collections.abc.Buffer, which 3.11 lacks
}


def run(checker: str, *arguments: str | Path) -> None:
    """Run a type checker of the environment that runs the tests; it must be content."""
    command = [Path(sys.executable).with_name(checker), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_basedpyright_accepts_code_as_users_write_it_and_finds_mistakes(tmp_path: Path) -> None:
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(SETTINGS))
    run("basedpyright", "--project", tmp_path, "--pythonpath", sys.executable)


@pytest.mark.slow
def test_mypy_accepts_code_as_users_write_it() -> None:
    run("mypy", "--strict", "--python-executable", sys.executable, HERE / "usage.py")
