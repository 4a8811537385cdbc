"""What every collection does: put, get, delete, count and scan records by id."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Generic, LiteralString

import msgspec
from msgspec.structs import astuple

from omega_persistence.entities.record import R, checked
from omega_persistence.errors import (
    ConflictError,
    CorruptionError,
    InvalidDataError,
    NotFoundError,
    StorageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omega_persistence.backends import Row, Scope, Session, Value
    from omega_persistence.backends.table import Table
    from omega_persistence.entities.record import Record

ALL = 2**60
"""A limit above every count, also of some more; SQL has no portable word for "no limit"."""

SHARED = 100
"""Batches up to this size share a commit with other threads; larger ones keep them waiting."""

PART = 512
"""Records of a batch that are written together, with all that is made of them: while the pages
that they fill are in memory."""

PAGE = 1000
"""Records read at a time when a collection is iterated, at most ..."""

PAGE_BYTES = 4 * 1024 * 1024
"""... and fewer if they have more bytes than this together, going by a sample of the last page."""

FIRST_PAGE = 64
"""How many come first, before anything is known of their size."""


class Collection(Generic[R]):
    """Records of one type in one namespace, keyed by ``id``.

    Each method is one transaction of its own on a store, and part of the surrounding one on a
    transaction or snapshot.
    """

    table: ClassVar[Table[Any]]

    def __init__(self, scope: Scope, namespace: str) -> None:
        self._scope = scope
        self._namespace = namespace

    def put(self, record: R) -> None:
        """Store a record; one with the same id is updated in place and keeps its children.

        Counters and last uses keep the greater value, ``created_at`` the lesser; for every other
        field the new record is the truth.

        Raises:
            InvalidDataError: a field breaks a rule; nothing reached the file.
            ConflictError: a parent is missing, a unique name belongs to another record, or a
                child would move to another memory.
        """
        plain = checked(record, self.table.entity)
        try:
            self._put(plain)
        except StorageError as error:
            error.index = None  # there is no batch
            raise

    def put_many(self, records: Iterable[R]) -> int:
        """Put all of them in one transaction, or none; returns how many.

        Every record is checked before the first is written, so all are held in memory. Errors
        carry the position in ``records`` as ``index``, from 0.
        """
        entity = self.table.entity
        plain = [checked(record, entity, index) for index, record in enumerate(records)]
        if plain:
            with self._scope.atomic(alone=len(plain) > SHARED) as session:
                self.write(session, plain)
        return len(plain)

    def get(self, id: str) -> R:
        """The record with this id.

        Raises:
            NotFoundError: there is none, or it has expired.
        """
        if type(id) is not str:
            require_kind("id", id)
        with self._scope.read() as session:
            row = session.row(self.table.get, namespace=self._namespace, id=id)
        if row is None:
            raise self._missing(id)
        return self.table.load([row])[0]

    def get_many(self, ids: Iterable[str]) -> list[R]:
        """Those of the ids that exist, in the order asked; a repeated id is repeated."""
        wanted = several(ids)
        with self._scope.read() as session:
            return self._get_among(session, wanted)

    def delete(self, id: str) -> bool:
        """Delete a record and what hangs on it; returns whether there was one.

        Raises:
            ConflictError: others depend on it that must not go with it.
        """
        require_kind("id", id)
        with self._scope.write() as session:
            return self._delete(session, id)

    def delete_many(self, ids: Iterable[str]) -> int:
        """Delete all of these in one transaction, or none; returns how many there were."""
        unwanted = list(dict.fromkeys(several(ids)))
        with self._scope.atomic(alone=len(unwanted) > SHARED) as session:
            return sum(self._delete(session, id) for id in unwanted)

    def count(self) -> int:
        """How many records there are; linear in their number, from an index alone."""
        with self._scope.read() as session:
            return self._count(session)

    def scan(self, *, after: str = "", limit: int | None = 100) -> list[R]:
        """Records in the order of their ids, from the first id greater than ``after``.

        Page through a collection by giving the last id seen: records that are there throughout
        are seen exactly once.
        """
        return self._select(" AND id > :after ORDER BY id LIMIT :limit", limit, after=after)

    def __iter__(self) -> Iterator[R]:
        """Every record in the order of ids, read in pages: memory stays constant.

        Each page is a snapshot of its own, and no cursor stays open in between.
        """
        return chain.from_iterable(self._pages())

    def _pages(self) -> Iterator[list[R]]:
        after, limit = "", FIRST_PAGE
        while True:
            page = self.scan(after=after, limit=limit)
            yield page
            if len(page) < limit:
                return
            after, limit = following(page, after), min(PAGE, 8 * limit, _fitting(page))

    def _select(self, clause: LiteralString, limit: int | None, /, **params: Value) -> list[R]:
        table = self.table
        for name, value in params.items():
            require_kind(name, value)
        with self._scope.read() as session:
            rows = session.rows(
                table.select + clause,
                namespace=self._namespace,
                limit=checked_limit(limit),
                **params,
            )
        return table.load(rows)

    def _get_among(self, session: Session, ids: Sequence[str]) -> list[R]:
        rows = session.rows(
            f"{self.table.select} AND id {session.among}",
            namespace=self._namespace,
            ids=json_array(ids),
        )
        found = {record.id: record for record in self.table.load(rows)}
        return [found[id] for id in ids if id in found]

    def _count(self, session: Session) -> int:
        row = session.row(self.table.count, namespace=self._namespace)
        return row[0] if row else 0

    def write(self, session: Session, records: Sequence[R], first: int = 0) -> None:
        """Write checked records into an open transaction; one that is refused is explained.

        The part of `put` and `put_many` under the lock. Their positions in the caller's batch begin
        with ``first``.
        """
        for start in range(0, len(records), PART):
            part = records[start : start + PART]
            try:
                self._admit(session, part)
                self._insert(session, part, self.table.rows(self._namespace, part))
            except (ConflictError, InvalidDataError) as error:
                error.index = first + start + (error.index or 0)
                raise

    def _put(self, record: R) -> None:
        """Write one checked record: a single statement, since `_admit` has nothing to ask."""
        rows = self.table.rows(self._namespace, [record])
        with self._scope.insert(self.table.upsert, rows[0]) as session:
            if session is not None:
                self._insert(session, [record], rows)

    def _insert(self, session: Session, records: Sequence[R], rows: Sequence[Row]) -> None:
        try:
            session.run_many(self.table.upsert, rows)
        except (ConflictError, InvalidDataError) as error:
            from omega_persistence.entities.conflicts import explain  # noqa: PLC0415 - not at the start

            index = error.index or 0
            reason = explain(session, self.table, self._namespace, records[index], error)
            reason.index = index
            raise reason from error

    def _admit(self, session: Session, records: Sequence[R]) -> None:
        """Refuse what no constraint of the schema can: overridden where there is such a rule."""

    def _delete(self, session: Session, id: str) -> bool:
        return session.run(self.table.delete, namespace=self._namespace, id=id) > 0

    def _update(self, sql: LiteralString, id: str, /, **params: Value) -> None:
        require_kind("id", id)
        with self._scope.write() as session:
            if not session.run(sql, namespace=self._namespace, id=id, **params):
                raise self._missing(id)

    def _missing(self, id: str) -> NotFoundError:
        kind = self.table.entity.__name__
        return NotFoundError(
            f"no {kind} has the id {id!r:.80} in namespace {self._namespace!r}", kind=kind, id=id
        )


class Children(Collection[R]):
    """Records that belong to memories: an expired memory takes no new ones."""

    def _put(self, record: R) -> None:
        with self._scope.atomic() as session:
            self.write(session, [record])

    def _admit(self, session: Session, records: Sequence[R]) -> None:
        if session.row(_EXPIRED, namespace=self._namespace) is None:
            return
        fields = [f for f, parents in self.table.references.items() if parents == "memories"]
        rows = session.rows(
            _EXPIRED_AMONG + session.among,
            namespace=self._namespace,
            ids=json_array({getattr(record, field) for record in records for field in fields}),
        )
        if not rows:
            return
        from omega_persistence.entities.conflicts import conflict  # noqa: PLC0415 - not at the start

        expired: set[str] = {id for (id,) in rows}
        known = {record.id for record in self._get_among(session, [r.id for r in records])}
        for index, record in enumerate(records):
            for field in fields:
                parent = getattr(record, field)
                if parent in expired and record.id not in known:
                    message = f"names {parent!r:.80}, which is not in memories: it has expired"
                    hint = "Put the memory again with a later expires_at, or with none."
                    reason = conflict(record, field, message, hint)
                    reason.index = index
                    raise reason


_EXPIRED = "SELECT 1 FROM memories WHERE namespace = :namespace AND expires_at <= :now LIMIT 1"

# The condition is turned round so that it is looked up by id, not among all that has expired.
_EXPIRED_AMONG = """
    SELECT id FROM memories
    WHERE namespace = :namespace AND NOT (expires_at IS NULL OR expires_at > :now) AND id """


def following(page: Sequence[R], after: str) -> str:
    """The last id of a page, behind which the next one begins.

    Raises:
        CorruptionError: an index is so damaged that the pages might never end.
    """
    last: object = page[-1].id if page else None
    if type(last) is not str or last <= after:
        raise CorruptionError(f"the ids after {after!r:.80} are out of order", hint="See check().")
    return last


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "tier": ((int,), "a whole number"),
    "before": ((int,), "a whole number"),
    "at_least": ((int, float), "a number"),
}
_TEXT = ((str,), "text")


def require_kind(name: str, value: object) -> None:
    """Refuse an argument of another type than the column it is compared with.

    SQLite would take 7 for "7" and True for 1.
    """
    kinds, words = _KINDS.get(name, _TEXT)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise InvalidDataError(f"{name} must be {words}: {value!r:.80}", field=name)


def checked_limit(limit: int | None) -> int:
    """A limit as SQL takes it; None means all."""
    if limit is None:
        return ALL
    if type(limit) is not int or limit < 0:
        raise InvalidDataError(
            f"limit must be a whole number from 0, or None for all: {limit!r:.80}", field="limit"
        )
    return min(limit, ALL)


def _fitting(page: Sequence[Record]) -> int:
    """How many records like these make a page."""
    sample = page[:: len(page) // 8 + 1]
    values = [value for record in sample for value in astuple(record)]
    size = sum(len(value) for value in values if isinstance(value, (str, bytes)))
    return max(1, PAGE_BYTES * len(sample) // max(1, size))


def several(ids: Iterable[str]) -> list[str]:
    """Ids given by a caller; one text alone, whose letters would be taken for ids, is refused."""
    if isinstance(ids, (str, bytes)):
        raise InvalidDataError(f"several ids are needed, not {ids!r:.80}", field="ids")
    listed = list(ids)
    for id in listed:
        require_kind("id", id)
    return listed


def json_array(ids: Iterable[str]) -> str:
    """The parameter ``:ids`` of `Session.among`."""
    try:
        return msgspec.json.encode(list(ids)).decode()
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidDataError(
            f"ids must be text without lone surrogates: {error}", field="id"
        ) from error
