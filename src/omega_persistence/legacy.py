"""Moving the rows of a file that the Rust crate wrote into the tables of this library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString, cast

from omega_persistence.backends.scopes import Joined
from omega_persistence.backends.sqlite.schema import REFERENCE_TABLES, reference_name
from omega_persistence.entities import Collections, quarantine
from omega_persistence.entities.record import checked
from omega_persistence.errors import ConflictError, CorruptionError, InvalidDataError

if TYPE_CHECKING:
    from omega_persistence.backends import Row, Session
    from omega_persistence.entities.base import Collection

PAGE = 1000


def adopt(session: Session, encoding: str, namespace: str) -> tuple[dict[str, int], dict[str, int]]:
    """Move every row into a namespace, or whole into quarantine if it breaks a rule.

    Parents come first, so that children of a quarantined row follow it there.

    Args:
        session: Inside a write transaction in which the old tables have been renamed.
        encoding: The text encoding of the file, as SQLite names it.
        namespace: Where the records go.

    Returns:
        How many rows were moved, and how many were quarantined, by table.
    """
    moved: dict[str, int] = {}
    quarantined: dict[str, int] = {}
    for collection in Collections(Joined(session, writable=True), namespace).all():
        if collection.table.name in REFERENCE_TABLES:
            good, bad = _move(session, encoding, collection)
            moved[collection.table.name] = good
            quarantined[collection.table.name] = bad
    return moved, quarantined


def _move(session: Session, encoding: str, collection: Collection[Any]) -> tuple[int, int]:
    columns = REFERENCE_TABLES[collection.table.name]
    # Text comes as the bytes that stand in the file: some of it may not be text at all.
    values = ", ".join(
        f"typeof({column}), CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB)"
        f" ELSE {column} END"
        for column in columns
    )
    page: LiteralString = (
        f"SELECT rowid, {values} FROM {reference_name(collection.table.name)}"
        " WHERE rowid >= :first ORDER BY rowid LIMIT :limit"
    )
    good = bad = 0
    first = -(2**63)
    while first < 2**63 and (rows := session.rows(page, first=first, limit=PAGE)):
        if rows[-1][0] < first:
            message = f"the rows of {collection.table.name} are out of order"
            raise CorruptionError(message, hint="The file was not changed.")
        first = rows[-1][0] + 1
        for row in rows:
            reason = _put(session, encoding, collection, columns, row)
            if reason is None:
                good += 1
            else:
                bad += 1
                text = "text" if encoding == "UTF-8" else f"text/{encoding}"
                kinds = [text if kind == "text" else kind for kind in row[1::2]]
                raw = quarantine.raw_row(columns, kinds, row[2::2])
                quarantine.add(session, collection.table.name, raw, reason)
    return good, bad


def _put(
    session: Session,
    encoding: str,
    collection: Collection[Any],
    columns: tuple[str, ...],
    row: Row,
) -> str | None:
    """Store a row as a record; returns what stands against it, or None."""
    fields: dict[str, Any] = {}
    for column, kind, value in zip(columns, row[1::2], row[2::2], strict=True):
        if kind == "text":
            try:
                fields[column] = cast("bytes", value).decode(encoding)
            except UnicodeDecodeError as error:
                return f"{column} is not valid {encoding}: {error.reason}"
        else:
            fields[column] = value
        if column.endswith("_json") and kind != "text":
            return f"{column} is not text but {kind}"
    try:
        record = checked(collection.table.entity(**fields), collection.table.entity)
        collection.write(session, [record])
    except (ConflictError, InvalidDataError) as error:
        return str(error)
    return None
