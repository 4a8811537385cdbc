"""Many rows inserted by one statement, ``VALUES (...), (...)``.

In a transaction, a statement that fires triggers is a savepoint, and at each savepoint FTS5 writes
out the words that it had gathered: memories that are inserted one by one cost three times as much.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, LiteralString, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omega_persistence.backends import Row

_MOST = 256
"""Rows of a statement: with all columns of a memory its text still is one that apsw caches."""

_EVERY = 64
"""Below this there is a statement for every number of rows, from it on for powers of two.

So threads that share a commit share a statement, and few do for all larger batches, which stay
prepared.
"""

_MOST_BYTES = 512 * 1024
"""Bytes of rows in a statement: it keeps a copy of them until it is executed again."""


@cache  # the statements are constants of this library
def statement(sql: LiteralString, count: int) -> LiteralString:
    """``INSERT ... VALUES (:a, :b) ...`` for so many rows, as `parts` have."""
    before, values, rest = sql.partition("VALUES (")
    names, _, after = rest.partition(")")
    row = ", ".join("?" * names.count(":"))
    rows = cast("LiteralString", "), (".join([row] * count))
    return f"{before}{values}{rows}){after}"


def values(rows: Sequence[Row]) -> Row:
    """The values of all rows, for their statement."""
    return tuple(chain.from_iterable(rows))


def parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in pieces that there are statements for."""
    most = len(rows)
    if most > 1:
        sample = rows[:: most // 16 + 1]
        size = sum(len(value) for row in sample for value in row if isinstance(value, (str, bytes)))
        most = max(1, _MOST_BYTES * len(sample) // max(1, size))
    start = 0
    while start < len(rows):
        end = start + _fitting(min(most, len(rows) - start))
        yield rows[start:end]
        start = end


def _fitting(count: int) -> int:
    """The greatest number of rows, of so many, that there is a statement for."""
    return count if count < _EVERY else min(_MOST, 1 << (count.bit_length() - 1))


def key(row: Row) -> Row:
    """What tells rows apart that do not replace each other: namespace and id.

    One statement may not insert two with the same key: foreign keys are checked at its end, and
    the second would hide that the first names a parent which does not exist.
    """
    return row[:2]


def worthwhile(sql: LiteralString, rows: Sequence[Row]) -> bool:
    """Whether a statement names the values of a row, and these are several with different keys."""
    return len(rows) > 1 and "VALUES (" in sql and len(set(map(key, rows))) == len(rows)
