"""The other side of every comparison: what a careful programmer writes with apsw alone.

Tuples in and out, statements that apsw keeps prepared, the same file, columns and durability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

from omega_persistence.entities.memories import Memories

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega_persistence import StoredMemory

NAMESPACE = "default"

_COLUMNS = (
    "id, content, tier, importance, embedding_blob, created_at, last_accessed,"
    " session, keywords, metadata_json, expires_at, access_count"
)

# Not even an upsert, which the library's put is.
INSERT = (
    f"INSERT INTO memories (namespace, {_COLUMNS}, search_terms) VALUES ({', '.join('?' * 14)})"
)

GET = f"SELECT {_COLUMNS} FROM memories WHERE namespace = ? AND id = ?"

BY_TIER = (
    f"SELECT {_COLUMNS} FROM memories WHERE namespace = ? AND tier = ? ORDER BY importance DESC, id"
)

ALL = f"SELECT {_COLUMNS} FROM memories WHERE namespace = ? ORDER BY id"

CHECK_FULL_TEXT = "INSERT INTO memories_fts (memories_fts, rank) VALUES ('integrity-check', 1)"

DROP_FULL_TEXT_TRIGGERS = """
    DROP TRIGGER memories_fts_insert;
    DROP TRIGGER memories_fts_update;
    DROP TRIGGER memories_fts_delete;
"""

# Also the text of a program that is measured in a process of its own.
SETTINGS = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
"""


def connect(path: str) -> apsw.Connection:
    """A connection on which a commit is durable, as on the library's."""
    connection = apsw.Connection(path)
    connection.set_busy_timeout(5000)
    connection.execute(SETTINGS).fetchall()  # else it stops at the first that returns a row
    return connection


def rows(memories: Iterable[StoredMemory]) -> list[tuple[Any, ...]]:
    """What INSERT takes, with the columns that the full-text index needs."""
    return Memories.table.rows(NAMESPACE, memories)
