"""Bringing a file of an older schema up to date, with steps that do not exist yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega_persistence import OmegaStore, SchemaError
from omega_persistence.backends import migrate
from omega_persistence.backends.migrate import Step
from samples import memory
from sqlite.support import execute

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    AddSteps = Callable[..., None]

PLANS = "CREATE TABLE plans (namespace TEXT NOT NULL, id TEXT NOT NULL) STRICT;"
INDEX = "CREATE INDEX plans_by_id ON plans (namespace, id);"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store at rest, of the schema that exists."""
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.memories.put(memory("m"))
    return path


@pytest.fixture
def add_steps(monkeypatch: pytest.MonkeyPatch) -> AddSteps:
    """Make the library one that knows further steps of the schema."""
    known = migrate.steps("sqlite")

    def add(*scripts: str) -> None:
        more = [
            Step(number, f"step_{number}", sql, f"digest {number}")
            for number, sql in enumerate(scripts, start=len(known) + 1)
        ]

        def steps(dialect: str) -> tuple[Step, ...]:
            return (*known, *more)

        monkeypatch.setattr(migrate, "steps", steps)

    return add


def tables(path: Path) -> set[str]:
    return {name for (name,) in execute(path, "SELECT name FROM sqlite_schema")}


def test_an_older_file_is_brought_up_to_date_and_a_copy_stays(
    path: Path, add_steps: AddSteps
) -> None:
    add_steps(PLANS, INDEX)
    with OmegaStore(path) as store:
        done = store.migration
        assert done is not None
        assert (done.from_version, done.to_version) == (1, 3)
        assert done.steps == ["step_2", "step_3"]
        assert (done.moved, done.quarantined) == ({}, {})
        assert store.statistics().schema_version == 3
        assert store.memories.get("m") == memory("m")
        assert store.check() == []
    assert tables(path) >= {"plans", "plans_by_id"}
    digests = execute(path, "SELECT version, name, digest FROM schema_migrations ORDER BY 1")
    assert digests[1:] == [(2, "step_2", "digest 2"), (3, "step_3", "digest 3")]
    (backup,) = path.parent.glob("store.db.v1-*.backup")
    assert done.backup == str(backup)
    assert "plans" not in tables(backup)
    assert backup.stat().st_mode & 0o777 == 0o600


def test_the_copy_of_an_older_file_opens_with_the_older_library(
    path: Path, add_steps: AddSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_steps(PLANS)
    OmegaStore(path).close()
    monkeypatch.undo()
    (backup,) = path.parent.glob("*.backup")
    assert OmegaStore.verify_backup(backup) == []
    with OmegaStore(backup, migrate=False) as store:
        assert store.memories.get("m") == memory("m")
    with pytest.raises(SchemaError, match="has schema 2, this library knows up to 1"):
        OmegaStore(path)


def test_opening_again_finds_nothing_to_do(path: Path, add_steps: AddSteps) -> None:
    add_steps(PLANS)
    OmegaStore(path).close()
    with OmegaStore(path, migrate=False) as store:
        assert store.migration is None
    assert len(list(path.parent.glob("*.backup"))) == 1


def test_a_new_file_gets_every_step_and_needs_no_copy(tmp_path: Path, add_steps: AddSteps) -> None:
    add_steps(PLANS)
    with OmegaStore(tmp_path / "new.db") as store:
        assert store.migration is None
        assert store.statistics().schema_version == 2
    assert "plans" in tables(tmp_path / "new.db")
    assert [each.name for each in tmp_path.iterdir()] == ["new.db"]


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE memories (a);",
        "this is no SQL;",
        "UPDATE memories SET tier = 99;",
        "CREATE UNIQUE INDEX one_namespace ON memories (namespace);",
    ],
)
def test_a_step_that_fails_undoes_all_of_them(script: str, path: Path, add_steps: AddSteps) -> None:
    with OmegaStore(path) as store:
        store.memories.put(memory("another"))
    before = path.read_bytes()
    add_steps(PLANS, "UPDATE memories SET content = 'changed';" + script)
    with pytest.raises(SchemaError, match="does not fit into the file"):
        OmegaStore(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("read_only", [False, True])
def test_an_older_file_that_may_not_be_migrated_is_refused_with_the_command(
    read_only: bool, path: Path, add_steps: AddSteps
) -> None:
    before = path.read_bytes()
    add_steps(PLANS)
    with pytest.raises(SchemaError, match="older schema") as refused:
        OmegaStore(path, migrate=False, read_only=read_only)
    assert refused.value.hint == f"Run `omega-persistence migrate {path}`."
    assert path.read_bytes() == before


def test_a_rehearsal_tells_what_would_be_done_and_undoes_it(
    path: Path, add_steps: AddSteps
) -> None:
    before = path.read_bytes()
    add_steps(PLANS)
    rehearsed = OmegaStore.rehearse_migration(path)
    assert rehearsed is not None
    assert (rehearsed.steps, rehearsed.backup) == (["step_2"], None)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_rehearsal_of_a_step_that_fails_fails(path: Path, add_steps: AddSteps) -> None:
    before = path.read_bytes()
    add_steps("this is no SQL;")
    with pytest.raises(SchemaError):
        OmegaStore.rehearse_migration(path)
    assert path.read_bytes() == before


def test_copies_made_within_one_second_do_not_replace_each_other(
    path: Path, add_steps: AddSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    from omega_persistence.backends.sqlite import schema

    monkeypatch.setattr(schema, "gmtime", lambda: (2026, 1, 1, 0, 0, 0, 0, 1, 0))
    (path.parent / "store.db.v1-20260101T000000Z.backup").write_text("an earlier one")
    add_steps(PLANS)
    with OmegaStore(path) as store:
        assert store.migration is not None
        assert store.migration.backup == f"{path}.v1-20260101T000000Z-2.backup"
    assert (path.parent / "store.db.v1-20260101T000000Z.backup").read_text() == "an earlier one"


def test_numbers_of_steps_run_from_one_without_gaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_FOLDER", str(tmp_path))
    read = migrate.steps.__wrapped__  # without what it has found before
    for name in ("0001_first", "0003_third"):
        (tmp_path / f"{name}.sqlite.sql").write_text("SELECT 1;\n")
    with pytest.raises(SchemaError, match="migration 0002 is missing, found 0003"):
        read("sqlite")
    (tmp_path / "0002_second.sqlite.sql").write_text("\nSELECT 1;  \n\n")
    first, second, third = read("sqlite")
    assert [step.name for step in (first, second, third)] == ["first", "second", "third"]
    assert first.digest == second.digest == third.digest  # blanks at the end do not count
