"""What may be opened as a store, and what becomes of a file that may not."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np
import pytest

from omega_persistence import (
    CorruptionError,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    SchemaError,
    StorageError,
)
from samples import memory
from sqlite.support import execute, python

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A store at rest that takes many pages."""
    path = tmp_path / "filled.db"
    with OmegaStore(path) as store:
        store.memories.put_many(memory(f"m{n:03}", content=f"word{n} " * 50) for n in range(300))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The current folder of the process."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def assert_refused(path: Path, error: type[StorageError], match: str, **options: Any) -> None:
    """Opening raises, and neither the file nor its folder has changed."""
    before, beside = path.read_bytes(), sorted(path.parent.iterdir())
    with pytest.raises(error, match=match):
        OmegaStore(path, **options)
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == beside


# Paths


def test_a_mistyped_path_is_not_created_with_create_false(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no store at") as refused:
        OmegaStore(tmp_path / "typo.db", create=False)
    assert refused.value.hint == "Create one with `omega-persistence init`."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["", "a\0b", "a\udcffb", b"store.db"])
def test_a_path_that_names_no_file_is_refused(path: Any, folder: Path) -> None:
    with pytest.raises(InvalidDataError):
        OmegaStore(path)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["file:x?mode=memory", "file:store.db", "x?immutable=1", "100%25.db", "a b#c.db"]
)
def test_a_path_is_never_read_as_a_uri(name: str, folder: Path) -> None:
    with OmegaStore(name) as store:
        store.memories.put(memory())
    assert [each.name for each in folder.iterdir()] == [name]
    with OmegaStore(name, create=False) as store:
        assert store.memories.count() == 1
    with OmegaStore(name, read_only=True) as store:
        assert store.memories.count() == 1


def test_a_relative_path_stays_the_same_file_after_a_change_of_folder(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    with OmegaStore("store.db") as store:
        os.chdir(folder / "elsewhere")
        store.memories.put(memory())
        assert store.memories.count() == 1  # through a connection opened only now
        store.backup(folder / "copy.db")
    assert [each.name for each in (folder / "elsewhere").iterdir()] == []


def test_a_symbolic_link_is_followed_so_that_there_is_one_log(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "real" / "store.db")
    with OmegaStore(link) as first, OmegaStore(tmp_path / "real" / "store.db") as second:
        first.memories.put(memory())
        assert second.memories.count() == 1
        assert sorted(each.name for each in tmp_path.iterdir()) == ["link.db", "real"]
    assert link.is_symlink()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="is a folder"):
        OmegaStore(tmp_path)


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no folder"):
        OmegaStore(tmp_path / "missing" / "store.db")
    assert list(tmp_path.iterdir()) == []


def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(InvalidDataError, match="is not a regular file"):
            OmegaStore(path)


# Files


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE mine (a)",
        "CREATE TABLE memories (id, content)",
        "PRAGMA journal_mode = wal; CREATE TABLE mine (a)",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
    ],
)
def test_the_database_of_another_program_is_refused_untouched(sql: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    connection = apsw.Connection(str(path))
    connection.execute(sql).fetchall()
    connection.close()
    assert_refused(path, SchemaError, "another program")
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="another program"):
        OmegaStore(path, read_only=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Dear diary, this is no database.\n" * 100, "notes.txt: file is not a database"),
        (b"short", "malformed|not a database"),
        (b"SQLite format 3\0" + bytes(84), "malformed|not a database"),
    ],
)
def test_a_file_that_is_no_database_is_refused_untouched(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert_refused(path, CorruptionError, message)


def test_a_file_with_a_broken_first_page_is_refused_untouched(filled: Path) -> None:
    good = filled.read_bytes()
    for bad in (b"X" + good[1:], good[:100] + bytes(3000) + good[3100:]):
        filled.write_bytes(bad)
        assert_refused(filled, CorruptionError, "malformed|not a database")


@pytest.mark.parametrize("missing_pages", [1, 30])
def test_a_truncated_file_is_refused_untouched(missing_pages: int, filled: Path) -> None:
    filled.write_bytes(filled.read_bytes()[: -4096 * missing_pages])
    assert_refused(filled, CorruptionError, "malformed")


def test_an_empty_file_becomes_a_store_unless_create_is_false(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    assert_refused(path, NotFoundError, "holds no store", create=False)
    assert_refused(path, NotFoundError, "holds no store", read_only=True)
    with OmegaStore(path) as store:
        assert store.migration is None
        store.memories.put(memory())


def test_a_file_of_a_newer_schema_is_refused_untouched(filled: Path) -> None:
    execute(filled, "INSERT INTO schema_migrations VALUES (2, 'from_the_future', 'digest')")
    assert_refused(filled, SchemaError, "has schema 2, this library knows up to 1")


def test_a_file_made_by_an_altered_schema_step_is_refused_untouched(filled: Path) -> None:
    execute(filled, "UPDATE schema_migrations SET digest = 'edited' WHERE version = 1")
    assert_refused(filled, SchemaError, "schema step 1 of the file is not the one")


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON memories BEGIN DELETE FROM skills; END", "trigger t"),
        ("CREATE VIEW v AS SELECT 1", "view v"),
        ("CREATE TABLE t (a CHECK (a > 0))", "table t"),
        ("CREATE TABLE t (a, b AS (a + 1))", "table t"),
        ("CREATE TABLE t (a DEFAULT (random()))", "table t"),
        ("CREATE TABLE t (a, b gEnErAtEd always aS (a))", "table t"),
        ("CREATE VIRTUAL TABLE t USING fts5(a)", "table t"),
        ("CREATE INDEX i ON memories (lower(content))", "index i"),
        ("CREATE INDEX i ON memories (id) WHERE content <> ''", "index i"),
        (
            """
            CREATE TABLE t (a);
            PRAGMA writable_schema = on;
            UPDATE sqlite_schema SET sql = CAST(sql AS BLOB) WHERE name = 't'
            """,
            "table t",
        ),
    ],
)
def test_a_file_in_which_something_of_others_could_run_is_refused_untouched(
    sql: str, name: str, filled: Path
) -> None:
    execute(filled, sql)
    assert_refused(filled, SchemaError, f"holds what this library did not make: .*{name}")


def test_plain_tables_and_indexes_of_others_may_stay(filled: Path) -> None:
    execute(filled, "CREATE TABLE asides (id INTEGER PRIMARY KEY, checked TEXT DEFAULT 'no', b)")
    execute(filled, "CREATE INDEX by_content ON memories (content COLLATE nocase DESC, id)")
    with OmegaStore(filled) as store:
        store.memories.put(memory("m"))
        assert store.check() == []
    assert execute(filled, "SELECT count(*) FROM asides") == [(0,)]


def test_a_file_marked_as_ours_without_a_schema_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "marked.db"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA application_id = 0x4F6D5031").fetchall()
    connection.close()
    assert_refused(path, SchemaError, "records no schema")


def test_a_new_file_is_marked_for_people_and_for_the_file_command(filled: Path) -> None:
    assert filled.read_bytes()[68:72] == b"OmP1"


def test_nobody_but_the_owner_may_read_the_file_and_what_lies_beside_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with OmegaStore(tmp_path / "store.db") as store:
            store.memories.put(memory())
            modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_the_mode_of_a_file_that_exists_is_left_to_its_owner(filled: Path) -> None:
    filled.chmod(0o640)
    with OmegaStore(filled) as store:
        store.memories.put(memory())
        assert {each.stat().st_mode & 0o777 for each in filled.parent.iterdir()} == {0o640}


# The object


def test_a_store_cannot_be_pickled_or_copied(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled"):
                attempt(store)


def test_its_representation_names_the_file_and_the_namespace(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db", namespace="agent-7") as store:
        assert repr(store) == f"OmegaStore('{tmp_path}/store.db', namespace='agent-7')"


@pytest.mark.parametrize(
    "options",
    [
        {"durability": "fast"},
        {"journal": "delete"},
        {"busy_timeout": -1},
        {"busy_timeout": float("nan")},
        {"busy_timeout": float("inf")},
        {"namespace": ""},
        {"namespace": "a\0b"},
    ],
)
def test_an_option_out_of_range_is_refused_before_anything_is_made(
    options: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InvalidDataError):
        OmegaStore(tmp_path / "store.db", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_old_sqlite_that_corrupts_is_refused_at_import() -> None:
    script = """
import apsw
import numpy as np
apsw.sqlite_lib_version = lambda: "3.51.2"
try:
    import omega_persistence
except Exception as error:
    print(type(error).__name__, error)
    """
    assert python(script).strip() == "UnsupportedError SQLite 3.51.2 can corrupt a file in WAL mode"


@pytest.mark.parametrize("option", ["durability", "journal", "busy_timeout", "namespace"])
@pytest.mark.parametrize("value", [np.zeros(3), ["full"], object(), b"wal", True])
def test_an_option_of_another_type_is_refused(option: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=option):
        OmegaStore(tmp_path / "store.db", **{option: value})
    assert list(tmp_path.iterdir()) == []


def test_an_array_is_no_path() -> None:
    path: Any = np.zeros(3)
    with pytest.raises(InvalidDataError, match="the path of a file is needed"):
        OmegaStore(path)
