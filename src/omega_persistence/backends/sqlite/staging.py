"""Many rows inserted by one statement.

In a transaction, a statement that fires triggers is a savepoint, and at each savepoint FTS5 writes
out the words that it had gathered: rows that are inserted one by one cost three times as much as
rows that one statement takes from a temporary table, which is in memory.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, LiteralString, cast

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Protocol

    from omega_persistence.backends import Row

    class Target(Protocol):
        """A connection."""

        def execute(self, sql: str, /) -> Any:
            """Execute a statement."""
            ...

        def executemany(self, sql: str, rows: Iterable[Row], /) -> Any:
            """Execute a statement once per row."""
            ...


_FEWEST = 3
"""Rows from which on it pays."""

_MOST_BYTES = 4 * 1024 * 1024
"""Bytes of rows inserted at a time, since they are held once more."""


class _Stage(Struct, frozen=True):
    create: LiteralString
    fill: LiteralString
    clear: LiteralString


@cache
def _stage(width: int) -> _Stage:
    """A temporary table for rows of so many values."""
    table = cast("LiteralString", f"staged_{width}")
    values = cast("LiteralString", ", ".join("?" * width))
    return _Stage(
        create=f"CREATE TEMP TABLE IF NOT EXISTS {table} ({_columns(width)})",
        fill=f"INSERT INTO temp.{table} VALUES ({values})",
        clear=f"DELETE FROM temp.{table}",
    )


def _columns(width: int) -> LiteralString:
    return cast("LiteralString", ", ".join(f"c{number}" for number in range(width)))


@cache  # the statements are constants of this library
def _inserting(sql: LiteralString) -> LiteralString:
    """``INSERT ... VALUES (:a, :b, ...) ...`` for all rows that are staged."""
    into, _, rest = sql.partition(" VALUES (")
    names, _, rest = rest.partition(")")
    width = names.count(":")
    rows = cast("LiteralString", f"SELECT {_columns(width)} FROM temp.staged_{width}")
    # Without WHERE, the ON of ON CONFLICT would be read as that of a join.
    return f"{into} {rows} WHERE true ORDER BY rowid {rest}"


def fill(target: Target, rows: Sequence[Row]) -> None:
    """Offer rows, all of one width, to the next statement.

    Rows of three values are in ``temp.staged_3`` (``c0``, ``c1``, ``c2``), in the order of
    ``rowid``. They are held in memory until `clear`.
    """
    stage = _stage(len(rows[0]))
    target.execute(stage.create)
    target.execute(stage.clear)  # of what a failure may have left
    target.executemany(stage.fill, rows)


def clear(target: Target, rows: Sequence[Row]) -> None:
    """Take them away."""
    target.execute(_stage(len(rows[0])).clear)


def insert(target: Target, sql: LiteralString, rows: Sequence[Row]) -> None:
    """Execute ``INSERT ... VALUES (:a, :b, ...) ...`` for all rows in their order, or for none."""
    fill(target, rows)
    target.execute(_inserting(sql))
    clear(target, rows)


def key(row: Row) -> Row:
    """What tells rows apart that do not replace each other: namespace and id.

    One statement may not insert two with the same key: foreign keys are checked at its end, and
    the second would hide that the first names a parent which does not exist.
    """
    return row[:2]


def worthwhile(sql: LiteralString, rows: Sequence[Row]) -> bool:
    """Whether a statement names the values of a row, and these are many with different keys."""
    return len(rows) >= _FEWEST and " VALUES (" in sql and len(set(map(key, rows))) == len(rows)


def parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in pieces of a size to be inserted at once."""
    if len(rows) < _FEWEST:
        yield rows
        return
    sample = rows[:: len(rows) // 16 + 1]
    size = sum(len(value) for row in sample for value in row if isinstance(value, (str, bytes)))
    fitting = max(1, _MOST_BYTES * len(sample) // max(1, size))
    for start in range(0, len(rows), fitting):
        yield rows[start : start + fitting]
