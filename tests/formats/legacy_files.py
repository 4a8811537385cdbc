"""The Rust crate's files beside this module: copies to work on, and what is in them."""

from __future__ import annotations

import json
import shutil
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import apsw
from msgspec.structs import asdict

from omega_persistence.backends.sqlite.schema import REFERENCE_TABLES

if TYPE_CHECKING:
    from omega_persistence import OmegaStore

RawRow = dict[str, Any]

_HERE = Path(__file__).parent
_BLOBS = ("embedding_blob", "data_blob")
_REALS = ("importance", "maturity", "weight")


def copy_of(name: str, folder: Path) -> Path:
    """A database of the crate to work on."""
    return Path(shutil.copyfile(_HERE / f"legacy-{name}.db", folder / f"{name}.db"))


@cache
def rows_of(name: str) -> dict[str, list[RawRow]]:
    """What a database of the crate holds: table -> rows, as Python values."""
    document = json.loads((_HERE / f"legacy-{name}.json").read_bytes())
    return {
        table: [{column: _value(column, value) for column, value in row.items()} for row in rows]
        for table, rows in document["tables"].items()
    }


def rows_in(path: Path) -> dict[str, list[RawRow]]:
    """What a database of the crate holds, read from the file itself."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return {
            table: [
                dict(zip(columns, row, strict=True))
                for row in connection.execute(_rows(table, columns))
            ]
            for table, columns in REFERENCE_TABLES.items()
        }
    finally:
        connection.close()


def rewrite(path: Path, sql: str) -> Path:
    """Change a database of the crate as another program might; returns its path."""
    connection = apsw.Connection(str(path))
    try:
        connection.execute(sql)
    finally:
        connection.close()
    return path


def with_encoding(source: Path, encoding: LiteralString, target: Path) -> Path:
    """The same tables and rows in a new database whose text has another encoding."""
    old, new = apsw.Connection(str(source)), apsw.Connection(str(target))
    try:
        new.execute(f"PRAGMA encoding = '{encoding}'")
        for (sql,) in old.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL"):
            new.execute(str(sql))
        for table, columns in REFERENCE_TABLES.items():
            places = ", ".join("?" * len(columns))
            with new:
                rows = old.execute(_rows(table, columns))
                new.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
    finally:
        old.close()
        new.close()
    return target


def stored_rows(store: OmegaStore) -> dict[str, list[RawRow]]:
    """The store's records with the fields that the crate knows, by table, in the order of ids."""
    found: dict[str, list[RawRow]] = {}
    for collection in store.all():
        columns = REFERENCE_TABLES[collection.table.name]
        records = [asdict(record) for record in collection]
        found[collection.table.name] = [
            {column: record[column] for column in columns} for record in records
        ]
    return found


def typed(row: RawRow) -> tuple[tuple[str, str, Any], ...]:
    """A row to compare by: 1, 1.0 and True are different here."""
    return tuple((column, type(value).__name__, value) for column, value in sorted(row.items()))


def backup_beside(path: Path) -> Path:
    """The one copy that a migration has left."""
    (backup,) = path.parent.glob(f"{path.name}.*.backup")
    return backup


def _rows(table: str, columns: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(columns)} FROM {table} ORDER BY rowid"


def _value(column: str, value: Any) -> Any:
    if value is None:
        return None
    if column in _BLOBS:
        return b64decode(value)
    return float(value) if column in _REALS else value
