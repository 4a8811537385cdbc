"""Which module may import which: the contracts stand in pyproject.toml."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SQLITE3 = re.compile(r"^\s*(import|from)\s+_?sqlite3\b", re.MULTILINE)


def test_every_contract_is_kept() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_nothing_imports_the_sqlite3_of_the_standard_library() -> None:
    """Tests and tools neither: two SQLite libraries on one file drop each other's locks."""
    files = [
        path
        for folder in ("src", "tests", "benchmarks", "examples", "docs")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 50
    assert [path for path in files if SQLITE3.search(path.read_text())] == []
