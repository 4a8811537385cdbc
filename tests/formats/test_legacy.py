"""Opening the files of the Rust crate: all that is valid arrives, all else is kept whole."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from formats.legacy_files import (
    RawRow,
    backup_beside,
    copy_of,
    rewrite,
    rows_in,
    rows_of,
    stored_rows,
    typed,
)
from omega_persistence import OmegaStore, SchemaError

if TYPE_CHECKING:
    from pathlib import Path

REASONS = {
    ("memories", "mem-tier-13"): "tier is refused: expected `int` <= 12; it is 13",
    ("memories", "mem-tier-negative"): "tier is refused: expected `int` >= 1; it is -5",
    ("memories", "mem-imp-inf"): "importance is refused: expected `float` <= 1.0; it is inf",
    ("memories", "mem-uni-nul"): "content holds a NUL character",
    ("memories", ""): "id is refused: expected `str` of length >= 1",
    ("skills", "skill-empty-name"): "name is refused: expected `str` of length >= 1",
    ("skills", "skill-nul-pattern"): "trigger_pattern holds a NUL character",
    ("skills", "skill-negative"): "success_count is refused: expected `int` >= 0; it is -7",
    ("architectures", "arch-json-notjson"): "fitness_json is not JSON",
    ("architectures", "arch-json-nan"): "fitness_json is not JSON",
    ("architectures", "arch-json-array"): "fitness_json must hold a JSON object; it is '[]'",
    ("intelligences", "intel-mat-2"): "maturity is refused: expected `float` <= 1.0; it is 2.0",
    ("intelligences", "intel-json-range"): "memories_json must hold a JSON array",
    ("vectors", "vec-short"): "data_blob has 12 bytes, not 4 * dimensions = 3072",
    ("vectors", "vec-negdim"): "dimensions is refused: expected `int` >= 1; it is -4",
    ("vectors", "vec-nan"): "data_blob holds NaN or infinity",
    ("reflexion_episodes", "ref-nul"): "trigger holds a NUL character",
    ("causal_edges", "edge-w-inf"): "weight is refused: expected `float` <= 1.797",
}


@pytest.mark.parametrize("name", ["clean", "small"])
def test_the_description_of_a_fixture_says_what_is_in_it(name: str, tmp_path: Path) -> None:
    in_file = rows_in(copy_of(name, tmp_path))
    for table, rows in rows_of(name).items():
        assert list(map(typed, rows)) == list(map(typed, in_file[table]))


def test_every_row_of_a_clean_file_arrives_equal(tmp_path: Path) -> None:
    expected = rows_of("clean")
    counts = {table: len(rows) for table, rows in expected.items()}
    with OmegaStore(copy_of("clean", tmp_path)) as store:
        stored = stored_rows(store)
        assert store.quarantine() == []
        assert store.statistics().counts == counts
        assert store.migration is not None
        assert store.migration.moved == counts
        assert set(store.migration.quarantined.values()) == {0}
        assert store.check() == []
    for table, rows in expected.items():
        assert list(map(typed, stored[table])) == list(map(typed, _by_id(rows)))


def test_records_of_the_crate_have_the_defaults_of_what_it_did_not_know(tmp_path: Path) -> None:
    with OmegaStore(copy_of("clean", tmp_path)) as store:
        memory = next(iter(store.memories))
        assert (memory.session, memory.keywords) == (None, "")
        assert (memory.metadata, memory.expires_at, memory.access_count) == ({}, None, 0)
        assert {vector.space for vector in store.vectors} == {""}
        assert {skill.failure_count for skill in store.skills} == {0}
        assert {edge.evidence_count for edge in store.causal_edges} == {1}


def test_memories_of_the_crate_are_found_by_their_words(tmp_path: Path) -> None:
    with OmegaStore(copy_of("clean", tmp_path)) as store:
        hits = store.memories.search("replication error rate", limit=5)
        assert len(hits) == 5
        assert "replication" in hits[0].memory.content.lower()


def test_the_copy_beside_a_migrated_file_holds_what_the_file_held(tmp_path: Path) -> None:
    path = copy_of("clean", tmp_path)
    original = rows_in(path)
    with OmegaStore(path) as store:
        assert store.migration is not None
        assert store.migration.backup == str(backup_beside(path))
    assert rows_in(backup_beside(path)) == original
    assert OmegaStore.verify_backup(backup_beside(path)) == []
    assert backup_beside(path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["clean", "small"])
def test_a_rehearsal_reports_what_opening_does_and_leaves_every_byte(
    name: str, tmp_path: Path
) -> None:
    path = copy_of(name, tmp_path)
    before = path.read_bytes()
    rehearsed = OmegaStore.rehearse_migration(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with OmegaStore(path) as store:
        done = store.migration
    assert rehearsed is not None
    assert done is not None
    assert (rehearsed.moved, rehearsed.quarantined) == (done.moved, done.quarantined)
    assert (rehearsed.from_version, rehearsed.to_version) == (done.from_version, done.to_version)
    assert rehearsed.backup is None
    assert OmegaStore.rehearse_migration(path) is None


def test_every_row_of_a_file_full_of_edge_cases_is_stored_or_kept_whole(tmp_path: Path) -> None:
    with OmegaStore(copy_of("small", tmp_path)) as store:
        stored = stored_rows(store)
        kept = store.quarantine()
        assert store.check() == []
    for table, rows in rows_of("small").items():
        arrived = [typed(row) for row in stored[table]]
        aside = [typed(row.row) for row in kept if row.table == table]
        # As a multiset: none missing, none altered, none twice.
        assert Counter(arrived + aside) == Counter(map(typed, rows))
        assert arrived
        assert aside


def test_quarantine_keeps_the_bytes_that_stood_in_the_file(tmp_path: Path) -> None:
    with OmegaStore(copy_of("small", tmp_path)) as store:
        kept = {(row.table, row.id): row for row in store.quarantine()}
    for (table, id), row in kept.items():
        (expected,) = (each for each in rows_of("small")[table] if each["id"] == id)
        assert row.raw == {column: _raw(value) for column, value in expected.items()}


def test_the_reason_names_the_rule_that_a_row_breaks(tmp_path: Path) -> None:
    with OmegaStore(copy_of("small", tmp_path)) as store:
        kept = {(row.table, row.id): row for row in store.quarantine()}
    for key, reason in REASONS.items():
        assert reason in kept[key].reason
    for row in kept.values():
        assert any(column in row.reason for column in row.row)


def test_children_of_a_quarantined_row_follow_it(tmp_path: Path) -> None:
    path = copy_of("clean", tmp_path)
    rows = rows_of("clean")
    parent = rows["vectors"][0]["memory_id"]
    children = {
        *(row["id"] for row in rows["vectors"] if row["memory_id"] == parent),
        *(row["id"] for row in rows["reflexion_episodes"] if row["memory_id"] == parent),
        *(row["id"] for row in rows["causal_edges"] if parent in row.values()),
    }
    rewrite(path, f"UPDATE memories SET tier = 99 WHERE id = '{parent}'")
    with OmegaStore(path) as store:
        kept = {row.id: row for row in store.quarantine()}
    assert kept.keys() == {parent, *children}
    for child in children:
        assert f"names '{parent}', which is not in memories" in kept[child].reason


def test_quarantined_rows_can_be_forgotten_one_by_one(tmp_path: Path) -> None:
    path = copy_of("small", tmp_path)
    with OmegaStore(path) as store:
        numbers = [row.number for row in store.quarantine()]
        assert store.statistics().quarantine_count == len(numbers)
        assert store.delete_quarantined([*numbers[:3], 10**6]) == 3
    with OmegaStore(path) as store:
        assert [row.number for row in store.quarantine()] == numbers[3:]
        assert [row.number for row in store.quarantine(limit=2)] == numbers[3:5]


@pytest.mark.parametrize("options", [{"migrate": False}, {"read_only": True}])
def test_a_file_that_may_not_be_migrated_is_refused_with_the_command_to_run(
    options: dict[str, Any], tmp_path: Path
) -> None:
    path = copy_of("small", tmp_path)
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="written by the Rust crate") as refused:
        OmegaStore(path, **options)
    assert refused.value.hint == f"Run `omega-persistence migrate {path}`."
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_rows_arrive_in_the_namespace_given_at_that_open(tmp_path: Path) -> None:
    path = copy_of("clean", tmp_path)
    with OmegaStore(path, namespace="agent-7") as store:
        assert store.memories.count() == 2000
        assert store.in_namespace("default").memories.count() == 0
    with OmegaStore(path) as store:
        assert store.migration is None
        assert store.namespaces() == ["agent-7"]


def test_a_migrated_file_is_a_store_like_any_other(tmp_path: Path) -> None:
    path = copy_of("clean", tmp_path)
    with OmegaStore(path) as store:
        memory = next(iter(store.memories))
        store.memories.touch(memory.id, 2**40)
        store.memories.delete(rows_of("clean")["memories"][-1]["id"])
    with OmegaStore(path, migrate=False) as store:
        assert store.memories.get(memory.id).last_accessed == 2**40
        assert store.memories.count() == 1999
        store.compact()
        assert store.statistics().free_bytes == 0
        assert store.check() == []


def _by_id(rows: list[RawRow]) -> list[RawRow]:
    return sorted(rows, key=lambda row: row["id"].encode())


def _raw(value: object) -> tuple[str, bytes]:
    """A value as quarantine keeps it: its storage class and its bytes."""
    if value is None:
        return "null", b""
    if isinstance(value, int):
        return "integer", struct.pack("<q", value)
    if isinstance(value, float):
        return "real", struct.pack("<d", value)
    if isinstance(value, str):
        return "text", value.encode()
    assert isinstance(value, bytes)
    return "blob", value
