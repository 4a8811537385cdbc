"""doctor examines a store, also one that cannot be opened."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import apsw

from cli.support import printed_json, refused, run

if TYPE_CHECKING:
    from pathlib import Path

LEAVE = """
import os, sys
from omega_persistence import OmegaStore, StoredMemory

store = OmegaStore(sys.argv[1])
store.memories.put(StoredMemory(content="kept", tier=1, importance=0.5))
os._exit(0)
"""


def test_doctor_says_where_a_healthy_store_lies(path: Path) -> None:
    text = run("doctor", path).stdout
    assert "Nothing to note" in text
    assert f"SQLite {apsw.sqlite_lib_version()}" in text
    document = printed_json("doctor", path)
    assert document["usable"] is True
    assert document["notes"] == []
    assert document["surroundings"]["file_bytes"] == path.stat().st_size


def test_doctor_says_why_a_damaged_file_cannot_be_opened(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(5000))
    document = printed_json("doctor", path, code=1)
    assert document["usable"] is False
    assert document["notes"][0]["kind"] == "damaged"
    assert "damaged" in run("doctor", path, code=1).stdout


def test_doctor_says_how_a_file_of_the_rust_crate_is_opened(crate: Path) -> None:
    before = crate.read_bytes()
    (first, *_) = printed_json("doctor", crate, code=1)["notes"]
    assert first["kind"] == "cannot_open"
    assert "Rust crate" in first["text"]
    assert "omega-persistence migrate" in run("doctor", crate, code=1).stdout
    assert crate.read_bytes() == before


def test_doctor_says_that_a_file_was_made_by_a_newer_program(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO schema_migrations VALUES (99, 'from_the_future', 'digest')")
    connection.close()
    (first, *_) = printed_json("doctor", path, code=1)["notes"]
    assert first["kind"] == "cannot_open"
    assert "schema 99" in first["text"]
    assert "Upgrade" in first["hint"]


def test_doctor_finds_nothing_to_examine_where_there_is_no_store(tmp_path: Path) -> None:
    assert refused("doctor", tmp_path / "none.db")[0].startswith("there is no store")
    assert "is a folder" in refused("doctor", tmp_path)[0]


def test_doctor_notes_a_store_that_was_not_closed(tmp_path: Path) -> None:
    path = tmp_path / "left.db"
    subprocess.run([sys.executable, "-c", LEAVE, str(path)], check=True)
    (note,) = printed_json("doctor", path)["notes"]
    assert note["kind"] == "unclean_shutdown"
    assert "`omega-persistence check`" in run("doctor", path).stdout
