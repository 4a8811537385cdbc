"""Files of the Rust crate that another program has changed, and migrations that are cut short."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString

import numpy as np
import pytest

from formats.legacy_files import (
    backup_beside,
    copy_of,
    rewrite,
    rows_in,
    rows_of,
    stored_rows,
    typed,
    with_encoding,
)
from omega_persistence import InvalidDataError, OmegaStore, SchemaError, legacy
from samples import memory

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = "mem-tie-0"  # a valid one

OPEN_AND_REPORT = """
import sys
from omega_persistence import OmegaStore
with OmegaStore(sys.argv[1], busy_timeout=60) as store:
    print(store.migration is not None, sum(store.statistics().counts.values()))
"""

DIE_WHILE_MOVING = """
import os, sys
from omega_persistence import OmegaStore, legacy
put, left = legacy._put, 2500
def cut_short(*arguments):
    global left
    left -= 1
    return put(*arguments) if left else os._exit(9)
legacy._put = cut_short
OmegaStore(sys.argv[1])
"""

LEAVE_A_LOG = """
import apsw, os, sys
connection = apsw.Connection(sys.argv[1])
connection.execute("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0")
connection.execute("UPDATE memories SET content = 'from the log' WHERE id = 'mem-tie-0'")
os._exit(0)
"""


def test_a_file_in_wal_mode_is_migrated(tmp_path: Path) -> None:
    path = rewrite(copy_of("clean", tmp_path), "PRAGMA journal_mode = wal")
    original = rows_in(path)
    with OmegaStore(path) as store:
        assert store.memories.count() == 2000
        assert store.check() == []
    assert rows_in(backup_beside(path)) == original


def test_what_stands_only_in_the_log_of_a_crashed_program_is_migrated(tmp_path: Path) -> None:
    path = copy_of("small", tmp_path)
    subprocess.run([sys.executable, "-c", LEAVE_A_LOG, str(path)], check=True)
    assert (tmp_path / "small.db-wal").stat().st_size > 0
    with OmegaStore(path) as store:
        assert store.memories.get(MEMORY).content == "from the log"
    assert {"id": MEMORY, "content": "from the log"}.items() <= next(
        row for row in rows_in(backup_beside(path))["memories"] if row["id"] == MEMORY
    ).items()


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("name", ["clean", "small"])
def test_a_file_in_another_encoding_is_migrated_without_loss(
    encoding: LiteralString, name: str, tmp_path: Path
) -> None:
    path = with_encoding(copy_of(name, tmp_path), encoding, tmp_path / "other.db")
    with OmegaStore(path) as store:
        found = stored_rows(store)
        for kept in store.quarantine():
            found[kept.table].append(kept.row)
            texts = [column for column, value in kept.row.items() if isinstance(value, str)]
            assert {kept.raw[column][0] for column in texts} <= {f"text/{encoding}"}
        assert store.check() == []
    for table, rows in rows_of(name).items():
        assert Counter(map(typed, found[table])) == Counter(map(typed, rows))


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_words_in_a_namespace_are_found_in_a_file_of_another_encoding(
    encoding: LiteralString, tmp_path: Path
) -> None:
    """Also where so few memories are in it that the index is asked for its word."""
    path = with_encoding(copy_of("small", tmp_path), encoding, tmp_path / "other.db")
    with OmegaStore(path) as store:
        elsewhere = store.in_namespace("zürich")
        elsewhere.memories.put(memory("m", content="zebra stripes, Äpfel, 東京", session="s"))
        for text in ("zebra", "äpfel", "東京"):
            for found in (elsewhere.memories.search(text), elsewhere.recall(text)):
                assert [hit.memory.id for hit in found] == ["m"]
        assert store.memories.search("zebra") == []
        store.reindex()
        assert [hit.memory.id for hit in elsewhere.memories.search("zebra", session="s")] == ["m"]
        assert store.check() == []


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_vectors_are_found_in_a_file_of_another_encoding(
    encoding: LiteralString, tmp_path: Path
) -> None:
    """Their codes are bytes, which nothing on the way may take for text."""
    path = with_encoding(copy_of("small", tmp_path), encoding, tmp_path / "other.db")
    random = np.random.default_rng(5)
    rows = random.standard_normal((1500, 9)).astype(np.float32)
    ids = [f"{encoding} {n:04}" for n in range(len(rows))]
    with OmegaStore(path) as store:
        store.memories.put_many(memory(id, session=id[-2:]) for id in ids)
        store.vectors.put_many(rows, memory_ids=ids, ids=ids, space="of nine")
        for n in range(0, 1500, 60):
            ask = partial(store.vectors.nearest, rows[n], limit=1, space="of nine")
            for (hit,) in (ask(), ask(exact=True), ask(session=ids[n][-2:])):
                assert (hit.memory_id, hit.vector_id) == (ids[n], ids[n])
        assert store.check() == []


@pytest.mark.parametrize(
    ("change", "table", "column", "raw", "reason"),
    [
        pytest.param(
            f"UPDATE memories SET content = CAST(x'41ff42' AS TEXT) WHERE id = '{MEMORY}'",
            *("memories", "content", ("text", b"A\xffB")),
            "content is not valid UTF-8",
            id="text_that_is_not_utf_8",
        ),
        pytest.param(
            f"UPDATE memories SET content = x'00ff' WHERE id = '{MEMORY}'",
            *("memories", "content", ("blob", b"\x00\xff")),
            "content is refused",
            id="a_blob_in_a_text_column",
        ),
        pytest.param(
            "UPDATE architectures SET lineage_json = x'7b7d' WHERE id = 'arch-gen-0'",
            *("architectures", "lineage_json", ("blob", b"{}")),
            "lineage_json is not text but blob",
            id="json_in_a_blob",
        ),
        pytest.param(
            f"UPDATE memories SET created_at = '2025-01-01' WHERE id = '{MEMORY}'",
            *("memories", "created_at", ("text", b"2025-01-01")),
            "created_at is refused",
            id="a_date_in_words",
        ),
        pytest.param(
            f"UPDATE memories SET last_accessed = 1.5 WHERE id = '{MEMORY}'",
            *("memories", "last_accessed", ("real", b"\0\0\0\0\0\0\xf8\x3f")),
            "last_accessed is refused",
            id="a_real_timestamp",
        ),
        pytest.param(
            "INSERT INTO memories VALUES (NULL, 'first', 1, 0.5, NULL, 1, 1)",
            *("memories", "id", ("null", b"")),
            "id is refused: expected `str`, got `null`",
            id="no_id",
        ),
    ],
)
def test_a_value_of_the_wrong_kind_is_kept_as_it_stood(
    change: str,
    table: str,
    column: str,
    raw: tuple[str, bytes],
    reason: str,
    tmp_path: Path,
) -> None:
    with OmegaStore(rewrite(copy_of("small", tmp_path), change)) as store:
        (kept,) = (row for row in store.quarantine() if row.raw.get(column) == raw)
        assert kept.table == table
        assert reason in kept.reason
        assert store.check() == []


def test_every_row_without_an_id_is_kept(tmp_path: Path) -> None:
    row = "(NULL, 'no id', 1, 0.5, NULL, 1, 1)"
    path = rewrite(copy_of("small", tmp_path), f"INSERT INTO memories VALUES {row}, {row}")
    with OmegaStore(path) as store:
        kept = [row for row in store.quarantine() if row.row.get("content") == "no id"]
    assert [row.id for row in kept] == [None, None]


def test_a_table_beside_that_stands_alone_stays(tmp_path: Path) -> None:
    path = rewrite(
        copy_of("small", tmp_path), "CREATE TABLE notes (text); INSERT INTO notes VALUES ('kept')"
    )
    with OmegaStore(path) as store:
        assert store.memories.count() == 67
    assert rewrite(path, "UPDATE notes SET text = text WHERE text = 'kept'") == path


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("CREATE VIEW mine AS SELECT * FROM memories", "view mine"),
        ("CREATE TRIGGER mine AFTER INSERT ON memories BEGIN SELECT 1; END", "trigger mine"),
        ("CREATE VIRTUAL TABLE mine USING fts5 (content, content = 'memories')", "table mine"),
        ("CREATE TABLE mine (memory REFERENCES Memories ON DELETE CASCADE)", "table mine"),
        ("CREATE TABLE quarantine (a)", "quarantine already exists"),
        ("CREATE TABLE reference_skills (a)", "reference_skills"),
        ("CREATE TABLE schema_migrations (a)", "schema_migrations already exists"),
        ("CREATE INDEX memories_by_tier ON memories (tier)", "memories_by_tier already exists"),
        ("ALTER TABLE memories ADD COLUMN mood TEXT", "another version of the Rust crate"),
        ("ALTER TABLE skills ADD COLUMN twice AS (2)", "another version of the Rust crate"),
        ("DROP TABLE causal_edges", "another version of the Rust crate"),
        ("PRAGMA user_version = 1", "another version of the Rust crate"),
        ("PRAGMA application_id = 1", "another program"),
    ],
    ids=lambda value: value if value[:1].islower() else "",
)
def test_a_file_that_cannot_be_taken_over_whole_is_refused_and_stays(
    change: str, complaint: str, tmp_path: Path
) -> None:
    path = rewrite(copy_of("small", tmp_path), change)
    before = path.read_bytes()
    with pytest.raises(SchemaError, match=complaint) as refused:
        OmegaStore(path)
    assert refused.value.hint
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_in_the_middle_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy_of("clean", tmp_path)
    before = path.read_bytes()
    put, calls = legacy._put, iter(range(2500))

    def cut_short(*row: Any) -> str | None:
        next(calls)
        return put(*row)

    monkeypatch.setattr(legacy, "_put", cut_short)
    with pytest.raises(StopIteration):
        OmegaStore(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    with OmegaStore(path) as store:
        assert store.memories.count() == 2000


def test_a_migration_that_was_killed_is_done_at_the_next_open(tmp_path: Path) -> None:
    path = copy_of("clean", tmp_path)
    original = rows_in(path)
    killed = subprocess.run([sys.executable, "-c", DIE_WHILE_MOVING, str(path)], check=False)
    assert killed.returncode == 9
    with OmegaStore(path) as store:
        assert store.migration is not None
        assert store.migration.backup is not None
        assert store.statistics().counts == {table: len(rows) for table, rows in original.items()}
        assert store.check() == []


def test_of_several_processes_that_open_a_file_at_once_one_migrates(tmp_path: Path) -> None:
    path = copy_of("clean", tmp_path)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_REPORT, str(path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    reports = sorted(child.communicate()[0].split() for child in children)
    assert [child.returncode for child in children] == [0, 0, 0]
    assert reports == [["False", "5110"], ["False", "5110"], ["True", "5110"]]
    assert backup_beside(path).exists()


def test_a_value_too_long_for_quarantine_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    path = rewrite(
        copy_of("small", tmp_path),
        f"UPDATE memories SET embedding_blob = zeroblob(67108865) WHERE id = '{MEMORY}'",
    )
    with pytest.raises(InvalidDataError, match="too big"):
        OmegaStore(path)
    assert list(tmp_path.iterdir()) == [path]
    assert len(rows_in(path)["memories"]) == 82
