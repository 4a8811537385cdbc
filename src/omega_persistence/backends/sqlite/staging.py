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

_MOST = 1000
"""Rows inserted at a time at most ..."""

_MOST_BYTES = 4 * 1024 * 1024
"""... and fewer if they have more bytes than this together, since they are held once more."""


class _Statements(Struct, frozen=True):
    create: LiteralString
    stage: LiteralString
    insert: LiteralString
    clear: LiteralString


@cache  # the statements are constants of this library
def _statements(sql: LiteralString) -> _Statements:
    """How to execute ``INSERT ... VALUES (:a, :b, ...) ...`` for many rows at once."""
    into, _, rest = sql.partition(" VALUES (")
    names, _, rest = rest.partition(")")
    width = names.count(":")
    table = cast("LiteralString", f"staged_{width}")
    columns = cast("LiteralString", ", ".join(f"c{number}" for number in range(width)))
    values = cast("LiteralString", ", ".join("?" * width))
    return _Statements(
        create=f"CREATE TEMP TABLE IF NOT EXISTS {table} ({columns})",
        stage=f"INSERT INTO temp.{table} VALUES ({values})",
        # Without WHERE, the ON of ON CONFLICT would be read as that of a join.
        insert=f"{into} SELECT {columns} FROM temp.{table} WHERE true ORDER BY rowid {rest}",
        clear=f"DELETE FROM temp.{table}",
    )


def insert(target: Target, sql: LiteralString, rows: Sequence[Row]) -> None:
    """Execute ``INSERT ... VALUES (:a, :b, ...) ...`` for all rows in their order, or for none."""
    statements = _statements(sql)
    target.execute(statements.create)
    target.execute(statements.clear)  # of what a failure may have left
    target.executemany(statements.stage, rows)
    target.execute(statements.insert)
    target.execute(statements.clear)


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
    start = 0
    while start < len(rows):
        part = rows[start : start + _MOST]
        sample = part[:: len(part) // 16 + 1]
        size = sum(len(value) for row in sample for value in row if isinstance(value, (str, bytes)))
        fitting = max(1, _MOST_BYTES * len(sample) // max(1, size))
        yield part[:fitting]
        start += min(fitting, len(part))
