"""`check` finds every kind of damage that can be done to a file, and nothing in an intact one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from omega_persistence import CorruptionError, OmegaStore, TransactionError
from omega_persistence.backends.sqlite import checksums
from samples import architecture, edge, intelligence, memory, skill, vector
from sqlite.support import Holder, damaged, execute

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store at rest with records of several kinds."""
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.memories.put_many(memory(f"m{n:03}", content=f"apple{n} " * 100) for n in range(200))
        store.vectors.put(vector("v", "m000", 1.0, 2.0, space="model"))
        store.causal_edges.put(edge("e", "m000", "m001"))
        store.skills.put(skill("s"))
        store.architectures.put(architecture("a"))
        store.intelligences.put(intelligence("i", "a"))
        assert store.check() == []
    return path


def kinds(path: Path, *, read_only: bool = False) -> list[tuple[str, str | None]]:
    """What `check` finds: the kind and the table of each problem."""
    with OmegaStore(path, read_only=read_only) as store:
        problems = store.check()
        assert all(problem.detail for problem in problems)
        return sorted({(problem.kind, problem.table) for problem in problems})


def test_noise_on_some_pages_is_found(path: Path) -> None:
    assert {kind for kind, _ in kinds(damaged(path))} >= {"integrity"}


@pytest.mark.parametrize("checksums", [False, True])
@pytest.mark.parametrize("lost", [1, 8, 4095])
@pytest.mark.parametrize("size", [10, 3000, 9000])
def test_a_file_that_lost_its_last_bytes_is_found(
    tmp_path: Path, checksums: bool, lost: int, size: int
) -> None:
    """Also if they were zeros, or the checksum of the page, which SQLite then does not verify.

    Of some pages SQLite makes up the rest, of those of long values it cannot be read.
    """
    path = tmp_path / "store.db"
    with OmegaStore(path, checksums=checksums) as store:
        store.memories.put_many(memory(f"m{n:03}", content="x" * size) for n in range(12))
        assert store.check() == []
    path.write_bytes(path.read_bytes()[:-lost])
    with OmegaStore(path) as store:
        assert "the file ends within its last page" in {each.detail for each in store.check()}
    problems = OmegaStore.verify_backup(path)
    assert "the file ends within its last page" in {each.detail for each in problems}


def test_a_schema_that_was_altered_under_an_open_store_is_listed(tmp_path: Path) -> None:
    """Its pages have the right checksums, so these have nothing to add."""
    path = tmp_path / "store.db"
    with OmegaStore(path, checksums=True) as store:
        store.memories.put(memory("m"))
        other = checksums.open_file(str(path), apsw.SQLITE_OPEN_READWRITE)
        other.execute(
            """
            PRAGMA writable_schema = on;
            UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'memories_by_tier';
            PRAGMA schema_version = 99;
            """
        )
        other.close()
        details = {each.detail for each in store.check()}
        assert any("malformed database schema" in detail for detail in details)


def test_what_another_store_has_just_written_is_no_damage(tmp_path: Path) -> None:
    """FTS5 remembers how its index was laid out when it was last searched."""
    path = tmp_path / "store.db"
    with OmegaStore(path, durability="normal") as store, OmegaStore(path) as other:
        for size in range(0, 6000, 300):
            store.memories.put_many(memory(f"m{n}", content="y" * size) for n in range(40))
            assert other.check() == []
            with OmegaStore(path, read_only=True) as reader:
                assert reader.check() == []


def test_one_letter_changed_inside_a_text_is_found(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"apple150 ", b"apply150 ", 1))
    assert kinds(path) == [("full_text", "memories_fts")]


def test_an_index_that_lacks_a_row_is_found(path: Path) -> None:
    """As a program leaves it that writes to a table without the index, or a lost write."""
    ((page,),) = execute(
        path, "SELECT rootpage FROM sqlite_schema WHERE name = 'skills_by_success_count'"
    )
    content = bytearray(path.read_bytes())
    empty_leaf = bytes((10, 0, 0, 0, 0, 16, 0, 0)).ljust(4096, b"\0")
    content[(page - 1) * 4096 : page * 4096] = empty_leaf
    path.write_bytes(content)
    with OmegaStore(path) as store:
        problems = store.check()
    assert {problem.kind for problem in problems} == {"integrity"}
    assert all("skills_by_success_count" in problem.detail for problem in problems)


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("UPDATE memories SET tier = 13 WHERE id = 'm000'", "memories"),
        ("UPDATE memories SET metadata_json = 'not JSON' WHERE id = 'm000'", "memories"),
        ("UPDATE architectures SET fitness_json = '[]'", "architectures"),
        ("UPDATE vectors SET data_blob = x'00'", "vectors"),
        ("UPDATE causal_edges SET weight = 9e999", "causal_edges"),
        ("UPDATE skills SET success_count = -1", "skills"),
    ],
)
def test_a_row_that_breaks_a_rule_is_found(change: str, table: str, path: Path) -> None:
    execute(path, f"PRAGMA ignore_check_constraints = on; {change}")
    with OmegaStore(path) as store:
        (problem,) = store.check()
    assert problem.kind == "integrity"
    assert f"CHECK constraint failed in {table}" in problem.detail


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("DELETE FROM memories WHERE id = 'm001'", "causal_edges"),
        ("DELETE FROM architectures", "intelligences"),
        ("UPDATE vectors SET memory_id = 'gone'", "vectors"),
        ("UPDATE vectors SET namespace = 'elsewhere'", "vectors"),
    ],
)
def test_a_child_without_its_parent_is_found(change: str, table: str, path: Path) -> None:
    execute(path, f"PRAGMA foreign_keys = off; {change}")
    assert kinds(path) == [("foreign_key", table)]


FULL_TEXT_DAMAGE = {
    "a_memory_left_out": """
        INSERT INTO memories_fts (memories_fts, rowid, content, keywords)
        SELECT 'delete', seq, content, keywords FROM memories WHERE id = 'm007'""",
    "a_memory_that_is_not_there": """
        INSERT INTO memories_fts (rowid, content) VALUES (12345, 'a word of no memory')""",
    "a_memory_indexed_under_other_words": """
        INSERT INTO memories_fts (memories_fts, rowid, content, keywords)
        SELECT 'delete', seq, content, keywords FROM memories WHERE id = 'm007';
        INSERT INTO memories_fts (rowid, content, keywords)
        SELECT seq, 'other words', keywords FROM memories WHERE id = 'm007'""",
}


@pytest.mark.parametrize("change", FULL_TEXT_DAMAGE.values(), ids=FULL_TEXT_DAMAGE)
def test_full_text_that_differs_from_the_memories_is_found(change: str, path: Path) -> None:
    execute(path, change)
    assert kinds(path) == [("full_text", "memories_fts")]


def test_a_space_of_two_lengths_is_found(path: Path) -> None:
    execute(
        path,
        "INSERT INTO vectors (namespace, id, memory_id, dimensions, data_blob, space)"
        " VALUES ('default', 'w', 'm000', 1, x'00000000', 'model')",
    )
    with OmegaStore(path) as store:
        problem, uncoded = store.check()
    assert (problem.kind, problem.table) == ("vector", "vectors")
    assert "'model'" in problem.detail
    assert (uncoded.kind, uncoded.table) == ("vector", "vector_codes")


def test_everything_that_is_wrong_is_told_at_once(path: Path) -> None:
    execute(
        path,
        "PRAGMA ignore_check_constraints = on; UPDATE memories SET tier = 13 WHERE id = 'm000';"
        "UPDATE vectors SET memory_id = 'gone';"
        "INSERT INTO memories_fts (rowid, content) VALUES (12345, 'a word of no memory')",
    )
    found = [("foreign_key", "vectors"), ("full_text", "memories_fts"), ("integrity", None)]
    assert kinds(path) == found


def test_a_store_opened_to_read_is_checked_but_for_full_text(path: Path) -> None:
    assert kinds(path, read_only=True) == []
    execute(path, "PRAGMA foreign_keys = off; UPDATE vectors SET memory_id = 'gone'")
    assert kinds(path, read_only=True) == [("foreign_key", "vectors")]


def test_a_check_lets_readers_go_on_and_changes_nothing(path: Path) -> None:
    with OmegaStore(path) as store, Holder(store, "snapshot"):
        assert store.check() == []
    before = path.read_bytes()
    with OmegaStore(path) as store:
        assert store.check() == []
        with store.transaction(), pytest.raises(TransactionError):
            store.check()
    assert path.read_bytes() == before


def test_a_text_with_a_nul_character_is_found(path: Path) -> None:
    """The library stores none, so an export of it could not be imported."""
    execute(path, "UPDATE skills SET description = 'a' || char(0) || 'b'")
    assert kinds(path) == [("integrity", "skills")]


def test_a_number_in_json_that_no_reader_can_hold_is_found(path: Path) -> None:
    """SQLite calls it valid; the library stores none, so an export could not be imported."""
    execute(path, """UPDATE skills SET metadata_json = '{"a": 1e999}'""")
    assert kinds(path) == [("integrity", "skills")]


@pytest.mark.parametrize("table", ["memories", "skills"])
def test_what_is_not_text_where_text_must_be_is_damage_to_every_reader(
    path: Path, table: str
) -> None:
    """As one wrong byte in a row's header makes it."""
    connection = apsw.Connection(str(path))
    connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)
    definition = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
    strict = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).get
    connection.execute(definition, (str(strict).removesuffix(" STRICT"), table))
    connection.execute("PRAGMA writable_schema = RESET")
    if table == "skills":
        connection.execute("UPDATE skills SET trigger_pattern = x'28'")
    else:
        connection.execute("UPDATE memories SET content = x'28', keywords = 'apple'")
    connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)
    connection.execute(definition, (strict, table))
    connection.close()
    assert ("integrity", None) in kinds(path)
    with OmegaStore(path) as store, pytest.raises(CorruptionError, match="not text"):
        _ = store.skills.triggered_by("(") if table == "skills" else store.memories.search("apple")
    if table == "skills":
        with OmegaStore(path) as store, pytest.raises(CorruptionError, match="not text"):
            store.doctor()


@pytest.mark.parametrize(
    ("offset", "number", "wrong"),
    [(56, 0x80, "no encoding"), (44, 2, "without descending indexes")],
)
def test_a_header_with_which_sqlite_cannot_compact_the_file_is_found(
    offset: int, number: int, wrong: str, tmp_path: Path
) -> None:
    """SQLite reads on, and fails when it compacts the file."""
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.memories.put(memory("m"))
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = number.to_bytes(4, "big")
    path.write_bytes(content)
    (problem,) = OmegaStore.verify_backup(path)
    assert wrong in problem.detail
