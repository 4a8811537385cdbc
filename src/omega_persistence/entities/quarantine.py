"""Quarantine: rows of an older program that break the rules, kept whole and out of the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import msgspec
from msgspec import Struct

from omega_persistence.errors import CorruptionError, InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omega_persistence.backends import Session, Value

RawRow = dict[str, tuple[str, bytes]]
"""Column -> (storage class, bytes): what stood in the file, also where it is not valid text.

Whole numbers are 8 bytes, little-endian; reals are IEEE doubles, little-endian; text is in UTF-8,
or in the encoding named after ``text/``.
"""


class QuarantinedRow(Struct, frozen=True, kw_only=True):
    """One row that could not become a record.

    Attributes:
        number: Names the row to `OmegaStore.delete_quarantined`.
        table: The table it was in.
        id: Its id, if that was text.
        row: Its columns as Python values; text that cannot be decoded is bytes.
        raw: Its columns as they stood in the file.
        reason: The rule it breaks, or the parent it lacks.
    """

    number: int
    table: str
    id: str | None
    row: dict[str, str | int | float | bytes | None]
    raw: RawRow
    reason: str


_ADD = """
    INSERT INTO quarantine (source, row_json, reason) VALUES (:source, :row_json, :reason)
"""

_LIST = """
    SELECT seq, source, row_json, reason FROM quarantine WHERE seq > :after
    ORDER BY seq LIMIT :limit
"""

_COUNT = "SELECT count(*) FROM quarantine"

_LAST = "SELECT coalesce(max(seq), 0) FROM quarantine"

_AMONG: LiteralString = """
    SELECT source, row_json, reason FROM quarantine WHERE seq <= :last AND row_json """

_DELETE: LiteralString = "DELETE FROM quarantine WHERE seq = :number"


def add(session: Session, table: str, raw: RawRow, reason: str) -> None:
    """Keep a row."""
    row_json = msgspec.json.encode(raw).decode()
    session.run(_ADD, source=table, row_json=row_json, reason=reason)


def last(session: Session) -> int:
    """The number of the newest row, 0 when there is none."""
    row = session.row(_LAST)
    return row[0] if row else 0


def add_missing(session: Session, rows: Sequence[tuple[str, RawRow, str]], last: int) -> int:
    """Keep those (table, raw row, reason) that are not among the rows up to a number.

    Returns how many; their bytes must have passed `check_raw`. An error carries the position of
    its row as ``index``. Reads the whole quarantine once.
    """
    new = [(table, msgspec.json.encode(raw).decode(), reason) for table, raw, reason in rows]
    texts = msgspec.json.encode([row_json for _, row_json, _ in new]).decode()
    known = set(session.rows(_AMONG + session.among, last=last, ids=texts) if last else [])
    added = 0
    for position, row in enumerate(new):
        if row not in known:
            try:
                session.run_many(_ADD, [row])
            except InvalidDataError as error:
                error.index = position
                raise
            added += 1
    return added


def check_raw(raw: RawRow) -> None:
    """Refuse a row that `rows_after` could not read.

    Raises:
        InvalidDataError: a storage class is unknown, or its bytes have the wrong length.
    """
    for column, (kind, value) in raw.items():
        if kind in _WIDTHS and len(value) != _WIDTHS[kind]:
            message = f"{column!r:.80} is {kind} of {len(value)} bytes, not {_WIDTHS[kind]}"
            raise InvalidDataError(message, field="raw")
        if kind not in _WIDTHS and kind not in _ANY_WIDTH:
            message = f"{column!r:.80} has the unknown storage class {kind!r:.80}"
            raise InvalidDataError(message, field="raw")


_WIDTHS = {"null": 0, "integer": 8, "real": 8}
_ANY_WIDTH = frozenset(("text", "text/UTF-16le", "text/UTF-16be", "blob"))


def rows_after(session: Session, number: int, limit: int) -> list[QuarantinedRow]:
    """The rows after a number, in the order in which they were found."""
    rows = session.rows(_LIST, after=number, limit=limit)
    if rows and rows[-1][0] <= number:  # a caller that goes on from there might never end
        raise CorruptionError("the rows in quarantine are out of order", hint="See check().")
    return [_load(*row) for row in rows]


def count(session: Session) -> int:
    """How many rows are in quarantine."""
    row = session.row(_COUNT)
    return row[0] if row else 0


def delete(session: Session, numbers: Iterable[int]) -> int:
    """Forget rows; returns how many there were."""
    return sum(session.run(_DELETE, number=number) for number in numbers)


def raw_row(columns: Iterable[str], kinds: Iterable[str], values: Iterable[Value]) -> RawRow:
    """A row for `add`, of columns, their storage classes and values; text is given as bytes."""
    return {
        column: (kind, _pack(kind, value))
        for column, kind, value in zip(columns, kinds, values, strict=True)
    }


def _load(number: int, table: str, row_json: str, reason: str) -> QuarantinedRow:
    try:
        raw = msgspec.json.decode(row_json, type=RawRow)
        check_raw(raw)
    except (msgspec.MsgspecError, InvalidDataError, TypeError) as error:
        # Damage: one such row must not keep the others from being seen.
        raw: RawRow = {"row_json": ("text", str(row_json).encode())}
        reason = f"{reason}; what was kept of the row is damaged: {error}"
    row = {column: _unpack(kind, value) for column, (kind, value) in raw.items()}
    identity = row.get("id")
    return QuarantinedRow(
        number=number,
        table=table,
        id=identity if isinstance(identity, str) else None,
        row=row,
        raw=raw,
        reason=reason,
    )


def _pack(kind: str, value: Value) -> bytes:
    import struct  # noqa: PLC0415 - most files have no quarantine

    if kind == "integer":
        return struct.pack("<q", value)
    if kind == "real":
        return struct.pack("<d", value)
    return value if isinstance(value, bytes) else b""


def _unpack(kind: str, value: bytes) -> str | int | float | bytes | None:
    import struct  # noqa: PLC0415 - likewise

    if kind == "null":
        return None
    if kind == "integer":
        return int(struct.unpack("<q", value)[0])
    if kind == "real":
        return float(struct.unpack("<d", value)[0])
    if kind.startswith("text"):
        try:
            return value.decode(kind.partition("/")[2] or "utf-8")
        except UnicodeDecodeError:
            return value
    return value
