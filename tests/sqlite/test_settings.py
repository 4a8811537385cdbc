"""Every connection of a store has the settings that its promises rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import apsw
import pytest

from omega_persistence import OmegaStore
from omega_persistence.backends.sqlite import SQLiteBackend
from samples import memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRAGMAS = {
    "mmap_size": 0,
    "temp_store": 2,  # memory
    "cell_size_check": 1,
    "journal_size_limit": 64 * 1024 * 1024,
    "foreign_keys": 1,
    "trusted_schema": 0,
}

CONFIG = {
    apsw.SQLITE_DBCONFIG_DEFENSIVE: 1,
    apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA: 0,
    apsw.SQLITE_DBCONFIG_ENABLE_FKEY: 1,
    apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION: 0,
    apsw.SQLITE_DBCONFIG_DQS_DML: 0,
    apsw.SQLITE_DBCONFIG_DQS_DDL: 0,
}

LIMITS = {
    apsw.SQLITE_LIMIT_LENGTH: 64 * 1024 * 1024,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 200,
    apsw.SQLITE_LIMIT_ATTACHED: 1,
}

NORMAL, EXTRA = 1, 3


def connections(store: OmegaStore) -> Iterator[apsw.Connection]:
    """The one that writes, one that reads, and one as a backup takes it."""
    backend = cast("SQLiteBackend", store._backend)
    with backend.atomic() as session:
        yield session.connection
    with backend.snapshot() as session:
        yield session.connection
    if store._backend.address != ":memory:":
        connection = backend._connector.open("write")
        yield connection
        backend._connector.close(connection)


def test_every_connection_has_every_setting(store: OmegaStore) -> None:
    for connection in connections(store):
        in_memory = store._backend.address == ":memory:"
        for name, value in PRAGMAS.items():
            if in_memory and name == "mmap_size":
                continue  # there is no file to map
            assert (name, connection.pragma(name)) == (name, value)
        for option, value in CONFIG.items():
            assert connection.config(option, -1) == value
        for limit, value in LIMITS.items():
            assert connection.limit(limit) == value


def test_a_file_is_in_wal_mode_and_every_commit_is_synced(file_store: OmegaStore) -> None:
    for connection in connections(file_store):
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == EXTRA


def test_durability_normal_is_what_was_asked_for(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db", durability="normal") as store:
        store.memories.put(memory())
        for connection in connections(store):
            assert connection.pragma("journal_mode") == "wal"
            assert connection.pragma("synchronous") == NORMAL
    with OmegaStore(tmp_path / "store.db") as store:
        assert store.memories.count() == 1


def test_readers_cannot_write(file_store: OmegaStore) -> None:
    backend = cast("SQLiteBackend", file_store._backend)
    with backend.read() as session, pytest.raises(apsw.ReadOnlyError):
        session.connection.execute("DELETE FROM memories")


def test_a_hostile_schema_has_no_rights(file_store: OmegaStore) -> None:
    for connection in connections(file_store):
        for sql in (
            "PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = ''",
            "UPDATE memories_fts_data SET block = ''",
            "SELECT load_extension('x')",
            'SELECT "not a column"',
            "ATTACH ':memory:' AS a; ATTACH ':memory:' AS b",
        ):
            with pytest.raises(apsw.Error):
                connection.execute(sql).fetchall()


def test_the_schema_is_strict_and_refuses_what_the_library_refuses(file_store: OmegaStore) -> None:
    file_store.memories.put(memory("m"))
    backend = cast("SQLiteBackend", file_store._backend)
    for change in (
        *("tier = 13", "tier = 'x'", "importance = 2.0", "importance = 9e999", "id = ''"),
        *("namespace = ''", "content = x'00'", "metadata_json = '[]'", "metadata_json = 'x'"),
        *("access_count = -1", "expires_at = -1", "session = ''", "created_at = 1.5"),
    ):
        with pytest.raises(apsw.ConstraintError), backend.atomic() as session:
            session.connection.execute(f"UPDATE memories SET {change}")
    assert file_store.memories.get("m") == memory("m")
