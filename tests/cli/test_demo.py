"""The demonstration tells what it did, and what it did is so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cli.support import printed_json, process, refused, run
from omega_persistence import OmegaStore
from omega_persistence.cli import demo_story

if TYPE_CHECKING:
    from pathlib import Path

TIME = re.compile(r"\d+\.\d\d s|\d+ ms")


def test_the_demonstration_tells_every_step_and_that_all_went_well() -> None:
    shown = run("demo").stdout
    sections = re.findall(r"^\d\. (.+)$", shown, re.MULTILINE)
    assert [section.split()[0] for section in sections] == [
        *("A", "Records", "Each", "A", "A", "Backup,", "Result")
    ]
    for told in (
        "memories              2,000            0",
        "  4  Semantic             405",
        "12 records, all or none",
        "Ines asked for a report about the import.",
        "Check free disk space before a long import.",
        "free_disk_space",
        "MemoryWeave, generation 0",
        "Argus 1.00, Sigma-48 0.83",
        "8 numbers: 1.00, -0.42",
        "Deleted old logs and started it again. Solved.",
        "0.9 Until noon customers saw yesterday's prices.",
        "1 vector, 1 episode, 2 edges",
        "'demo-nowhere'",
        "5,122 records before, 5,122 after",
        "5,122 records, equal to the store's",
        "18 of 18 expectations held.",
    ):
        assert told in shown, told


def test_the_demonstration_is_the_same_every_time_but_for_times() -> None:
    first, second = (TIME.sub("", run("demo").stdout).replace("─", "") for _ in range(2))
    assert first.split() == second.split()


def test_the_demonstration_fits_a_narrow_window_and_a_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for columns in (60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        shown = run("demo").stdout
        assert all(len(line) <= columns for line in shown.splitlines())
        assert all(line == line.rstrip() for line in shown.splitlines())
        assert "\x1b" not in shown


def test_the_demonstration_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = process("demo")
    assert done.returncode == 0
    assert b"18 of 18" in done.stdout
    assert done.stderr == b""
    assert list(tmp_path.iterdir()) == []


def test_the_demonstration_keeps_its_files_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "demo.db"
    shown = run("demo", "--keep", path).stdout
    assert f"are in {tmp_path}: demo.db*" in " ".join(shown.split())
    with OmegaStore(path, create=False) as store, OmegaStore(f"{path}.restored") as restored:
        assert store.check() == []
        assert list(store.memories) == list(restored.memories)
        assert store.memories.get("demo-cause").importance == 0.95
    assert OmegaStore.verify_backup(f"{path}.backup") == []
    assert "exists" in refused("demo", "--keep", path)[0]


def test_the_demonstration_prints_json(tmp_path: Path) -> None:
    story = printed_json("demo", "--keep", tmp_path / "demo.db")
    assert story["unexpected"] == []
    assert story["expectations"] == 18
    assert story["migration"]["moved"] == story["found"]
    assert story["found"]["memories"] == 2_000
    assert sum(story["memories_per_tier"].values()) == 2_000
    assert story["added"]["causal_edges"] == 2
    assert [answer["call"].split(".")[0] for answer in story["answers"]] == [
        *("memories", "recall", "skills", "architectures", "intelligences"),
        *("vectors", "reflexion_episodes", "causal_edges"),
    ]
    assert story["restored_counts"] == story["after_failure"] == story["before_failure"]
    assert story["seconds"].keys() == {"migrate", "add", "ask", "backup", "verify", "restore"}


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["report", "json"])
def test_a_demonstration_that_goes_wrong_says_so_and_ends_with_1(
    form: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = OmegaStore.restore

    def forgetful(backup: str, target: str) -> None:
        honest(backup, target)
        with OmegaStore(target) as store:
            store.memories.delete("demo-request")

    monkeypatch.setattr(demo_story.OmegaStore, "restore", forgetful)
    shown = run("demo", *form, code=1).stdout
    assert "the restored store has as many records of each kind" in " ".join(shown.split())
    assert "the restored store has the same records" in " ".join(shown.split())
