"""backup, restore, export, import and check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.support import printed_json, refused, run
from omega_persistence import OmegaStore
from samples import memory

if TYPE_CHECKING:
    from pathlib import Path


def damage(path: Path) -> None:
    """Write noise over a page in the middle of a file that nobody has open."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(content)


def test_a_backup_is_restored_into_an_equal_store(path: Path, tmp_path: Path) -> None:
    copy, restored = tmp_path / "copy.db", tmp_path / "restored.db"
    assert "verified" in run("backup", path, copy).stdout
    assert run("restore", copy, restored).stdout.startswith(f"Restored {restored} from {copy}")
    theirs, ours = tmp_path / "theirs.jsonl", tmp_path / "ours.jsonl"
    run("export", restored, theirs, "--all-namespaces")
    run("export", path, ours, "--all-namespaces")
    assert theirs.read_bytes() == ours.read_bytes()


def test_backup_and_restore_tell_json_what_they_did(path: Path, tmp_path: Path) -> None:
    copy, restored = tmp_path / "copy.db", tmp_path / "restored.db"
    assert printed_json("backup", path, copy, "--no-verify") == {
        "store": str(path),
        "backup": str(copy),
        "bytes": copy.stat().st_size,
        "verified": False,
    }
    assert printed_json("restore", copy, restored) == {"backup": str(copy), "store": str(restored)}


@pytest.mark.parametrize("command", ["backup", "restore", "export"])
def test_a_file_that_exists_is_replaced_only_when_asked(
    command: str, path: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    run("backup", path, source)
    run("backup", path, target)
    before = target.read_bytes()
    message, hint = refused(command, source, target)
    assert message == f"{target} exists"
    assert "--overwrite" in hint
    assert target.read_bytes() == before
    run(command, source, target, "--overwrite")


def test_backup_does_not_make_a_store(tmp_path: Path) -> None:
    refused("backup", tmp_path / "none.db", tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_backup_is_not_restored(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    run("backup", path, copy)
    damage(copy)
    message, _ = refused("restore", copy, path, "--overwrite")
    assert "damaged" in message
    assert printed_json("stats", path)["memory_count"] == 3


def test_an_export_is_imported_into_an_equal_store(path: Path, tmp_path: Path) -> None:
    file, again, other = tmp_path / "e.jsonl", tmp_path / "again.jsonl", tmp_path / "other.db"
    done = run("export", path, file, "--all-namespaces")
    assert done.stdout == f"Exported 10 records of {path} to {file}.\n"
    assert run("import", other, file, "--create").stdout.startswith(f"Imported into {other}:\n")
    assert printed_json("export", other, again, "--all-namespaces")["records"] == 10
    assert again.read_bytes() == file.read_bytes()


def test_export_and_import_go_through_a_pipe(path: Path, tmp_path: Path) -> None:
    done = run("export", path, "-")
    assert done.stderr == f"Exported 9 records of {path}.\n"
    assert done.stdout_bytes.count(b"\n") == 11
    report = printed_json("import", tmp_path / "o.db", "-", "--create", stdin=done.stdout_bytes)
    assert sum(report["added"].values()) == 9


def test_export_to_stdout_leaves_no_room_for_other_json(path: Path) -> None:
    assert "--json" in run("export", path, "-", "--json", code=2).stderr


def test_import_into_a_namespace_takes_all_records_there(path: Path, tmp_path: Path) -> None:
    run("export", path, tmp_path / "e.jsonl")
    run("import", path, tmp_path / "e.jsonl", "-n", "copy")
    assert printed_json("stats", path, "-n", "copy")["memory_count"] == 3


def test_import_refuses_known_ids_or_skips_or_updates_them(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    run("export", path, file)
    with OmegaStore(path) as store:
        store.memories.put(memory("m1", content="Changed."))
    message, hint = refused("import", path, file)
    assert "line 2" in message
    assert hint == "Skip or update what is there: --on-conflict skip or update."
    assert printed_json("import", path, file, "--on-conflict", "skip")["skipped"]["memories"] == 3
    assert printed_json("get", path, "memories", "m1")["content"] == "Changed."
    rehearsal = printed_json("import", path, file, "--on-conflict", "update", "--dry-run")
    assert rehearsal["updated"]["memories"] == 3
    assert rehearsal["dry_run"]
    assert printed_json("get", path, "memories", "m1")["content"] == "Changed."
    shown = run("import", path, file, "--on-conflict", "update", "--dry-run").stdout
    assert shown.startswith("Would import")
    run("import", path, file, "--on-conflict", "update")
    assert printed_json("get", path, "memories", "m1")["content"] == "The disk was full."


def test_import_does_not_make_a_store_unless_asked(path: Path, tmp_path: Path) -> None:
    run("export", path, tmp_path / "e.jsonl")
    refused("import", tmp_path / "none.db", tmp_path / "e.jsonl")
    assert not (tmp_path / "none.db").exists()


def test_import_of_a_file_that_was_cut_off_stores_nothing(path: Path, tmp_path: Path) -> None:
    whole = run("export", path, "-").stdout
    cut = "".join(whole.splitlines(keepends=True)[:-1])
    refused("import", path, "-", "-n", "copy", stdin=cut)
    assert printed_json("stats", path, "-n", "copy")["memory_count"] == 0


def test_import_puts_quarantined_rows_back(crate: Path, tmp_path: Path) -> None:
    run("migrate", crate)
    run("export", crate, tmp_path / "e.jsonl", "--all-namespaces")
    shown = run("import", tmp_path / "o.db", tmp_path / "e.jsonl", "--create").stdout
    assert "76 rows put in quarantine." in shown


def test_check_of_an_intact_file_ends_with_0(path: Path, crate: Path, tmp_path: Path) -> None:
    run("backup", path, tmp_path / "copy.db")
    for file in (path, crate, tmp_path / "copy.db"):
        before = file.read_bytes()
        assert run("check", file).stdout == f"No damage found in {file}.\n"
        assert printed_json("check", file) == {"store": str(file), "ok": True, "problems": []}
        assert file.read_bytes() == before


def test_check_of_a_damaged_file_ends_with_1_and_lists_the_damage(path: Path) -> None:
    damage(path)
    found = printed_json("check", path, code=1)
    assert not found["ok"]
    assert found["problems"][0]["kind"] == "integrity"
    done = run("check", path, code=1)
    assert "is damaged" in done.stdout
    assert "omega-persistence restore" in done.stderr


def test_check_of_a_file_that_cannot_be_opened_is_damage_too(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4096])
    assert printed_json("check", path, code=1)["problems"][0]["kind"] == "integrity"


def test_check_refuses_what_is_no_store(tmp_path: Path) -> None:
    refused("check", tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []
