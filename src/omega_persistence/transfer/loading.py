"""Writing what lines held, in batches, under a policy for what is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, LiteralString, TypeVar

import msgspec

from omega_persistence.backends.scopes import Joined
from omega_persistence.entities import Collections, quarantine
from omega_persistence.errors import ConflictError, InvalidDataError
from omega_persistence.transfer.lines import QuarantineRecord, at_line

if TYPE_CHECKING:
    from omega_persistence.backends import Session
    from omega_persistence.entities.base import Collection
    from omega_persistence.entities.record import Record
    from omega_persistence.transfer import OnConflict

BATCH = 1000
"""Records written at a time, at most ..."""

BATCH_BYTES = 4 * 1024 * 1024
"""... and fewer if their lines are longer than this together, so that memory stays constant."""

T = TypeVar("T")


class Batch(Generic[T]):
    """What waits to be written, with the numbers of its lines."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.numbers: list[int] = []
        self._length = 0

    def has_room(self, length: int) -> bool:
        """Whether a line of so many bytes fits."""
        return len(self.items) < BATCH and self._length + length <= BATCH_BYTES

    def add(self, item: T, number: int, length: int) -> None:
        """Let it wait as well."""
        self.items.append(item)
        self.numbers.append(number)
        self._length += length


class RecordLoader:
    """Writes records into an open transaction.

    Attributes:
        added: Collection -> records that were not in the store.
        updated: Collection -> records that were, and were stored again.
        skipped: Collection -> records that were left out for one that was in the store.
    """

    def __init__(self, session: Session, on_conflict: OnConflict) -> None:
        self._session = session
        self._scope = Joined(session, writable=True)
        self._policy: OnConflict = on_conflict
        self.added = {each.table.name: 0 for each in Collections(self._scope, "").all()}
        self.updated = self.added.copy()
        self.skipped = self.added.copy()
        self._kind: str = ""
        self._namespace: str = ""
        self._batch: Batch[Record] = Batch()

    def add(self, kind: str, namespace: str, record: Record, number: int, length: int) -> None:
        """Take a checked record; it is written with its batch, or at the next `flush`."""
        same = kind == self._kind and namespace == self._namespace
        if not same or not self._batch.has_room(length):
            self.flush()
            self._kind, self._namespace = kind, namespace
        self._batch.add(record, number, length)

    def flush(self) -> None:
        """Write the batch.

        Raises:
            ConflictError: a row stands in the way of one of its records.
        """
        if not self._batch.items:
            return
        collections = Collections(self._scope, self._namespace).all()
        collection = next(each for each in collections if each.table.name == self._kind)
        batch = self._admitted(collection)
        self._batch = Batch()
        try:
            if batch.items:
                collection.write(self._session, batch.items)
        except (ConflictError, InvalidDataError) as error:
            at_line(error, batch.numbers[error.index or 0])
            raise

    def _admitted(self, collection: Collection[Any]) -> Batch[Record]:
        """The records of the batch that are to be written, which are counted."""
        table, policy = collection.table, self._policy
        ids = self._stored(table.name, "id")
        # A record that is not skipped may not take the name of another: writing it would say so.
        names = table.unique if policy == "skip" else ()
        taken = {name: self._stored(table.name, name) for name in names}
        admitted: Batch[Record] = Batch()
        for record, number in zip(self._batch.items, self._batch.numbers, strict=True):
            known = record.id in ids
            if known and policy == "error":
                raise at_line(self._exists(record), number)
            if policy == "skip" and (
                known or any(getattr(record, name) in taken[name] for name in names)
            ):
                self.skipped[table.name] += 1
                continue
            (self.updated if known else self.added)[table.name] += 1
            ids.add(record.id)
            for name in names:
                taken[name].add(getattr(record, name))
            admitted.add(record, number, 0)
        return admitted

    def _stored(self, table: LiteralString, field: LiteralString) -> set[str]:
        """Those of the batch's values of a field that rows of the store have, expired or not."""
        values = [getattr(record, field) for record in self._batch.items]
        rows = self._session.rows(
            f"SELECT {field} FROM {table} WHERE namespace = :namespace"
            f" AND {field} {self._session.among}",
            namespace=self._namespace,
            ids=msgspec.json.encode(values).decode(),
        )
        return {value for (value,) in rows}

    def _exists(self, record: Record) -> ConflictError:
        kind = type(record).__name__
        return ConflictError(
            f"{kind} {record.id!r:.80} is in namespace {self._namespace!r:.80} already",
            hint="Skip or update what is there: on_conflict='skip' or 'update'.",
            kind=kind,
            id=record.id,
            field="id",
        )


class QuarantineLoader:
    """Writes quarantined rows into an open transaction, but for those that are there already.

    Attributes:
        added: How many it wrote.
    """

    def __init__(self, session: Session) -> None:
        self.added = 0
        self._session = session
        self._last = quarantine.last(session)
        self._batch: Batch[QuarantineRecord] = Batch()

    def add(self, row: QuarantineRecord, number: int, length: int) -> None:
        """Take a checked row; it is written with its batch, or at the next `flush`."""
        if not self._batch.has_room(length):
            self.flush()
        self._batch.add(row, number, length)

    def flush(self) -> None:
        """Write the batch."""
        batch, self._batch = self._batch, Batch()
        rows = [(row.table, row.raw, row.reason) for row in batch.items]
        try:
            self.added += quarantine.add_missing(self._session, rows, self._last)
        except InvalidDataError as error:
            at_line(error, batch.numbers[error.index or 0])
            raise
