"""Writing records as JSON Lines."""

from __future__ import annotations

import io
import os
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, LiteralString, get_args, get_type_hints

import msgspec

from omega_persistence.backends import EVERYTHING, files
from omega_persistence.backends.scopes import Joined
from omega_persistence.entities import Collections, namespaces, quarantine
from omega_persistence.entities.base import following
from omega_persistence.errors import InvalidDataError
from omega_persistence.transfer.lines import (
    END,
    FORMAT,
    QUARANTINE,
    VERSION,
    Header,
    Line,
    QuarantineRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from msgspec import Struct

    from omega_persistence.backends import Backend, Progress, Session
    from omega_persistence.backends.table import Table
    from omega_persistence.entities.base import Collection
    from omega_persistence.transfer import Writable

PAGE = 1000
"""Records read at a time, at most ..."""

PAGE_BYTES = 4 * 1024 * 1024
"""... and fewer if they have more bytes than this together, so that memory stays constant."""


def export(
    backend: Backend,
    target: str | os.PathLike[str] | Writable,
    *,
    namespace: str | None,
    overwrite: bool,
    progress: Progress | None,
) -> int:
    """Write one namespace, or the whole store for None; see `OmegaStore.export_jsonl`."""
    if not isinstance(target, (str, os.PathLike)):
        if isinstance(target, io.TextIOBase) or not hasattr(target, "write"):
            message = f"a path or a binary file object is needed, not {type(target).__name__}"
            raise InvalidDataError(message, field="target")
        return _export(backend, target, namespace, progress)
    path = files.absolute(target)
    files.require_foreign(path, backend.address)
    written = 0

    def write(temporary: str) -> None:
        nonlocal written
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            written = _export(backend, file, namespace, progress)

    files.write_beside(path, write, overwrite=overwrite)
    return written


def _export(
    backend: Backend, target: Writable, namespace: str | None, progress: Progress | None
) -> int:
    with backend.snapshot() as session:
        session.now = EVERYTHING
        header = Header(FORMAT, VERSION, backend.schema_version(session))
        return _Export(session, target, progress).write(header, namespace)


class _Export:
    """One export, written from one snapshot."""

    def __init__(self, session: Session, target: Writable, progress: Progress | None) -> None:
        self._session = session
        self._target = target
        self._progress = progress
        self._counts: Counter[str] = Counter()
        self._done = self._total = 0
        self._encoder = msgspec.json.Encoder()

    def write(self, header: Header, namespace: str | None) -> int:
        """Everything from the header to the end; returns how many records."""
        session = self._session
        scope = Joined(session, writable=False)
        whole = namespace is None
        names = namespaces(session, Collections(scope, "")) if whole else [namespace]
        if self._progress is not None:
            self._total = quarantine.count(session) if whole else 0
            self._total += sum(
                collection.count()
                for name in names
                for collection in Collections(scope, name).all()
            )
        self._write([header])
        for name in names:
            for collection in Collections(scope, name).all():
                self._write_collection(name, collection)
        if whole:
            self._write_quarantine()
        self._write([Line(END, counts=dict(self._counts))])
        self._report()
        return self._done

    def _write_collection(self, namespace: str, collection: Collection[Any]) -> None:
        table = collection.table
        sizes = _sizes(table)
        after = ""
        while rows := self._session.rows(sizes, namespace=namespace, after=after, limit=PAGE):
            for fitting in _pages(size for (size,) in rows):
                page = collection.scan(after=after, limit=fitting)
                after = following(page, after)
                self._write_page(table.name, namespace, page)

    def _write_quarantine(self) -> None:
        number = 0
        while rows := quarantine.rows_after(self._session, number, 1):
            for row in rows:
                number = row.number
                record = QuarantineRecord(row.table, row.raw, row.reason)
                self._write_page(QUARANTINE, None, [record])

    def _write_page(self, kind: str, namespace: str | None, page: Sequence[object]) -> None:
        self._write([Line(kind, namespace, record) for record in page])
        self._counts[kind] += len(page)
        self._done += len(page)
        self._report()

    def _write(self, lines: Sequence[Struct]) -> None:
        rest = self._encoder.encode_lines(lines)
        while rest:
            taken = self._target.write(rest)  # a raw file may take less than it was given
            rest = rest[taken:] if isinstance(taken, int) else b""

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total)


@cache
def _sizes(table: Table[Any]) -> LiteralString:
    """A query for the bytes in the texts and blobs of each row; it does not read long ones."""
    hints = get_type_hints(table.entity)
    sizes: list[LiteralString] = [
        f"coalesce(octet_length({field}), 0)"
        for field in table.fields
        if {str, bytes} & {hints[field], *get_args(hints[field])}
    ]
    return (
        f"SELECT {' + '.join(sizes)} FROM {table.name}"
        " WHERE namespace = :namespace AND id > :after ORDER BY id LIMIT :limit"
    )


def _pages(sizes: Iterable[int]) -> Iterator[int]:
    """How many rows of these sizes to read at a time: as many as fit, one at least."""
    count = together = 0
    for size in sizes:
        if count and together + size > PAGE_BYTES:
            yield count
            count = together = 0
        count += 1
        together += size
    yield count
