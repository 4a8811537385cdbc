"""Rows that no longer hold what was stored are damage to those who reckon with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from large_store import as_in_a_large_store
from omega_persistence import CorruptionError, OmegaStore
from sqlite.support import execute

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CALLS: dict[str, Callable[[OmegaStore], object]] = {
    "recall": lambda store: store.recall("pear", vector=[1, 2]),
    "explain": lambda store: store.recall("pear", explain=True),
    "nearest": lambda store: store.vectors.nearest([1, 2]),
    "where": lambda store: store.recall("pear", where={"a": 1}),
    "merge": lambda store: store.remember("An apple", on_duplicate="merge"),
    "skip": lambda store: store.remember("A pear", on_duplicate="skip"),
    "again": lambda store: store.remember("A plum", id="pear"),
    "reembed": lambda store: store.vectors.reembed(None, "new", lambda texts: [[1]] * len(texts)),
    "reindex": lambda store: store.reindex(),
}


def spoil(path: Path, table: str, change: str) -> None:
    """Change rows in a way that the types and rules of the schema do not allow."""
    execute(
        path,
        f"""
        PRAGMA writable_schema = on;
        PRAGMA ignore_check_constraints = on;
        UPDATE sqlite_schema SET sql = replace(replace(sql, 'STRICT', ''), 'NOT NULL', '/*null*/')
        WHERE name = '{table}';
        PRAGMA writable_schema = reset;
        UPDATE {table} SET {change};
        PRAGMA writable_schema = on;
        UPDATE sqlite_schema SET sql = replace(sql, '/*null*/', 'NOT NULL') || 'STRICT'
        WHERE name = '{table}'
        """,
    )


@pytest.mark.parametrize(
    ("table", "change", "call"),
    [
        ("memories", "importance = 'high'", "recall"),
        ("memories", "importance = 'high'", "merge"),
        ("memories", "created_at = 'now'", "recall"),
        ("memories", "created_at = 'now'", "merge"),
        ("memories", "session = x'ff'", "recall"),
        ("memories", "keywords = NULL", "recall"),
        ("memories", "content = x'706561720a'", "explain"),
        ("memories", "metadata_json = '{\"speaker\": 1'", "skip"),
        ("memories", "metadata_json = '{\"speaker\": 1'", "again"),
        ("memories", "metadata_json = '{\"speaker\": 1'", "reembed"),
        ("memories", "metadata_json = '{\"speaker\": 1'", "where"),
        ("memories", "metadata_json = '[\"speaker\"]'", "reembed"),
        ("memories", "content = NULL", "reembed"),
        ("memories", "content = x'61'", "again"),
        ("vectors", "memory_id = x'6d'", "nearest"),
        ("vectors", "id = NULL", "nearest"),
        ("vectors", "data_blob = NULL", "nearest"),
        ("vectors", "data_blob = NULL", "reindex"),
        ("vectors", "data_blob = 'eight by'", "reindex"),
    ],
)
def test_a_row_of_other_types_is_damage(table: str, change: str, call: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.remember("An apple", vector=[1, 1], session="s", id="apple")
        store.remember("A pear", vector=[1, 2], session="s", id="pear")
    spoil(path, table, change)
    with OmegaStore(path) as store:
        assert store.check() != []
        with pytest.raises(CorruptionError):
            CALLS[call](store)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM memories_fts_data WHERE id = 1",
        "UPDATE memories_fts_data SET block = x'0000' WHERE id = 1",
        "UPDATE memories_fts_data SET block = x'' WHERE id = 1",
        "UPDATE memories_fts_data SET block = x'0101010101' WHERE id = 1",
        "UPDATE memories_fts_data SET block = x'ffffffffffffffffff7f0201010101' WHERE id = 1",
        "UPDATE memories_fts_data SET block = NULL WHERE id = 1",
    ],
)
def test_a_full_text_index_without_its_totals_is_damage(change: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.remember_many([{"content": "a pear"}, {"content": "a pear, a plum"}])
    execute(path, change)
    with OmegaStore(path) as store, as_in_a_large_store():
        with pytest.raises(CorruptionError):
            store.memories.search("pear plum")
        with pytest.raises(CorruptionError):
            store.recall("pear plum")
        assert store.check()


@pytest.mark.parametrize("change", ["id = x'ff' || id", "content = NULL", "keywords = NULL"])
@pytest.mark.parametrize("narrow", [0, 1000])
def test_a_row_of_other_types_is_damage_in_a_large_store_too(
    change: str, narrow: int, tmp_path: Path
) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.remember_many([{"content": "a pear"}, {"content": "a plum"}])
    spoil(path, "memories", change)
    with (
        OmegaStore(path) as store,
        as_in_a_large_store(narrow=narrow),
        pytest.raises(CorruptionError),
    ):
        store.recall("pear plum", tiers=range(1, 13))
