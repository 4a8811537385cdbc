"""Saying which row stands in the way of a record that the schema refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from omega_persistence.errors import ConflictError

if TYPE_CHECKING:
    from omega_persistence.backends import Session
    from omega_persistence.backends.table import Table
    from omega_persistence.entities.record import Record
    from omega_persistence.errors import StorageError


def conflict(record: Record, field: str, message: str, hint: str) -> ConflictError:
    """A conflict about a field of a record."""
    kind = type(record).__name__
    return ConflictError(
        f"{kind} {record.id!r:.80}: {field} {message}",
        hint=hint,
        kind=kind,
        id=record.id,
        field=field,
    )


def explain(
    session: Session, table: Table[Any], namespace: str, record: Record, error: StorageError
) -> StorageError:
    """The reason for an error of ``table.upsert``: one query for each reason there may be."""
    error.kind, error.id = type(record).__name__, record.id

    def find(
        column: LiteralString, table_name: LiteralString, field: LiteralString, value: Any
    ) -> Any:
        row = session.row(
            f"SELECT {column} FROM {table_name} WHERE namespace = :namespace AND {field} = :value",
            namespace=namespace,
            value=value,
        )
        return row[0] if row else None

    for field, parents in table.references.items():
        parent = getattr(record, field)
        known = find(field, table.name, "id", record.id) if parents == "memories" else None
        if known not in (None, parent):
            message = f"is {known!r:.80} and cannot become {parent!r:.80}: children never move"
            return conflict(record, field, message, "Store it under another id.")
        if find("id", parents, "id", parent) is None:
            message = f"names {parent!r:.80}, which is not in {parents}"
            return conflict(record, field, message, f"Store {parent!r:.80} first.")
    for field in table.unique:
        owner = find("id", table.name, field, getattr(record, field))
        if owner not in (None, record.id):
            message = f"{getattr(record, field)!r:.80} belongs to {owner!r:.80}"
            return conflict(record, field, message, "Choose another, or update that one.")
    return error
