"""Reading an exported file into a store, as one transaction."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, get_args

import msgspec

from omega_persistence.backends import EVERYTHING, files
from omega_persistence.backends.scopes import Joined
from omega_persistence.entities import Collections, quarantine
from omega_persistence.entities.record import check_namespace, check_text
from omega_persistence.errors import InvalidDataError, NotFoundError
from omega_persistence.transfer import ImportReport, OnConflict
from omega_persistence.transfer.lines import (
    END,
    QUARANTINE,
    Line,
    LineReader,
    QuarantineRecord,
    at_line,
)
from omega_persistence.transfer.loading import QuarantineLoader, RecordLoader
from omega_persistence.transfer.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Generator

    from omega_persistence.backends import Backend, Progress, Session
    from omega_persistence.transfer import Readable


_PARTS = {END: ["counts"], QUARANTINE: ["record"]}
_PARTS_OF_RECORDS = ["namespace", "record"]


class _Undone(Exception):  # noqa: N818 - no error: it ends the transaction of a dry run
    def __init__(self, report: ImportReport) -> None:
        self.report = report


def import_lines(
    backend: Backend,
    source: str | os.PathLike[str] | Readable,
    *,
    into: str | None,
    on_conflict: OnConflict,
    dry_run: bool,
    progress: Progress | None,
) -> ImportReport:
    """Store what an exported file holds; see `OmegaStore.import_jsonl`."""
    if on_conflict not in get_args(OnConflict):
        message = f"on_conflict is one of {', '.join(get_args(OnConflict))}: {on_conflict!r:.80}"
        raise InvalidDataError(message, field="on_conflict")
    if into is not None:
        check_namespace(into, "into")
    with _opened(source, backend.address) as (stream, total):
        lines = LineReader(stream)
        schema = lines.header().schema  # before the lock: another kind of file shows here
        try:
            with backend.atomic(alone=True) as session:
                session.now = EVERYTHING
                newer = schema > backend.schema_version(session)
                importing = _Import(session, lines, into, on_conflict, newer=newer)
                importing.run(progress, total)
                report = importing.report(dry_run=dry_run)
                if dry_run:
                    raise _Undone(report)  # noqa: TRY301 - the transaction must see it
        except _Undone as undone:
            return undone.report
        return report


@contextmanager
def _opened(
    source: str | os.PathLike[str] | Readable, address: str
) -> Generator[tuple[Readable, int]]:
    """The source, and how many bytes it has, or 0 if that is not known."""
    if not isinstance(source, (str, os.PathLike)):
        if not hasattr(source, "read"):
            message = f"a path or a binary file object is needed, not {type(source).__name__}"
            raise InvalidDataError(message, field="source")
        yield source, 0
        return
    path = files.absolute(source)
    # Opening and closing a database would drop the locks that this process has on it.
    files.require_foreign(path, address)
    files.require_at_rest(path)
    try:
        # As it was given: what /dev/stdin leads to need not have a path.
        file = open(source, "rb", buffering=0)  # noqa: SIM115 - closed below
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except OSError as error:
        raise InvalidDataError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield file, os.fstat(file.fileno()).st_size


class _Import:
    """The lines after the header, and where they go."""

    def __init__(
        self,
        session: Session,
        lines: LineReader,
        into: str | None,
        on_conflict: OnConflict,
        *,
        newer: bool,
    ) -> None:
        self._lines = lines
        self._into = into
        self._hint = (
            "A newer version exported the file: upgrade omega-persistence." if newer else None
        )
        collections = Collections(Joined(session, writable=True), "").all()
        self._shapes = {each.table.name: Shape(each.table.entity) for each in collections}
        self._records = RecordLoader(session, on_conflict)
        self._quarantine = QuarantineLoader(session)
        self._namespace = ""
        self._counts: Counter[str] = Counter()
        self._ended = False

    def run(self, progress: Progress | None, total: int) -> None:
        """Load every line, and see that none is missing."""
        lines = self._lines
        reported = 0
        for text in lines:
            self._take(text)
            if progress is not None and lines.bytes_read > reported:
                reported = lines.bytes_read
                progress(reported, total)
        if not self._ended:
            raise lines.refusal("the file ends without its closing line: it was cut off")
        if progress is not None:
            progress(lines.bytes_read, total)

    def report(self, *, dry_run: bool) -> ImportReport:
        """What was done."""
        return ImportReport(
            added=self._records.added,
            updated=self._records.updated,
            skipped=self._records.skipped,
            quarantined=self._quarantine.added,
            dry_run=dry_run,
        )

    def _take(self, text: bytes) -> None:
        lines = self._lines
        if self._ended:
            raise lines.refusal("the file goes on after its closing line")
        line = lines.decode(text, Line)
        kind = line.kind
        shape = self._shapes.get(kind)
        if shape is None and kind not in _PARTS:
            raise lines.refusal(f"there is no collection {kind!r:.80}", self._hint)
        parts = [part for part in Line.__struct_fields__[1:] if getattr(line, part) is not None]
        if parts != _PARTS.get(kind, _PARTS_OF_RECORDS):
            expected = " and ".join(_PARTS.get(kind, _PARTS_OF_RECORDS))
            raise lines.refusal(f"a line of kind {kind!r} has {expected}, and nothing else")
        self._counts[kind] += 1
        if shape is not None:
            self._take_record(line, shape, len(text))
        elif kind == QUARANTINE:
            self._take_quarantined(line, len(text))
        else:
            self._end(line.counts or {})

    def _take_record(self, line: Line, shape: Shape, length: int) -> None:
        number = self._lines.number
        namespace = self._into or line.namespace or ""
        try:
            record = shape.record(line.record)
            if namespace != self._namespace:
                self._namespace = check_namespace(namespace)
        except InvalidDataError as error:
            if self._hint:
                error.hint = self._hint
                error.add_note(self._hint)
            at_line(error, number)
            raise
        self._records.add(line.kind, namespace, record, number, length)

    def _take_quarantined(self, line: Line, length: int) -> None:
        number = self._lines.number
        try:
            row = msgspec.convert(line.record, QuarantineRecord)
            check_text("table", row.table)
            check_text("reason", row.reason)
            quarantine.check_raw(row.raw)
        except msgspec.ValidationError as error:
            raise self._lines.refusal(f"not a quarantined row: {error}") from error
        except InvalidDataError as error:
            at_line(error, number)
            raise
        self._quarantine.add(row, number, length)

    def _end(self, counts: dict[str, int]) -> None:
        self._records.flush()
        self._quarantine.flush()
        self._ended = True
        del self._counts[END]
        for kind in sorted(self._counts.keys() | counts.keys()):
            if counts.get(kind, 0) != self._counts[kind]:
                raise self._lines.refusal(
                    f"the closing line counts {counts.get(kind, 0)} of kind {kind!r:.80}, the file"
                    f" has {self._counts[kind]}: lines were lost or added"
                )
