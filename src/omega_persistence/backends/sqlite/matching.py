"""Which memories are worth scoring, before any is."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, LiteralString

import msgspec

from omega_persistence.backends.sqlite.filters import condition, indexed, passes
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from omega_persistence.backends import Value
    from omega_persistence.backends.filters import Filter
    from omega_persistence.backends.sqlite.session import SQLiteSession

    Text = tuple[int, str, str | int]
    """A memory: its row, its id, and its text, or how many bytes that has if they are many."""

LIKELY = 100
"""So many memories are scored for an answer, at least."""

ROUNDS = 3
"""So often more of them are looked at until enough pass a filter."""

NARROW = 1000
"""If no more memories than this pass a filter, these are scored, whatever they hold."""

# What an index alone can tell.
_PASSING: LiteralString = "SELECT seq FROM memories WHERE namespace = :namespace AND "

# CROSS JOIN is a join that keeps its order. NOT INDEXED leaves it the row number alone: it would
# look for each memory among all of those that pass a filter.
# The text is all that the index has of the memory, the word of its namespace too.
_TEXTS: LiteralString = """
    SELECT memories.seq, memories.id, CASE
        WHEN octet_length(content) + octet_length(keywords) + octet_length(search_terms) <= :bytes
        THEN content || ' ' || keywords || ' ' || search_terms || ' ' || scope
        ELSE octet_length(content) + octet_length(keywords) + octet_length(search_terms) END
    FROM json_each(:rows)
    CROSS JOIN memories NOT INDEXED ON memories.seq = json_each.value
    WHERE memories.namespace = :namespace AND """

# The condition of a filter follows, which must not become the way to the memories.
_ADMITTED: LiteralString = """
    SELECT memories.id FROM json_each(:ids)
    CROSS JOIN memories ON memories.namespace = :namespace AND memories.id = json_each.value
    WHERE """


def admitted(
    session: SQLiteSession, namespace: str, filter: Filter, ids: Sequence[str]
) -> set[str]:
    """Those of some memories that pass a filter and have not expired."""
    passing, values = condition(filter)
    listed = msgspec.json.encode(ids).decode()
    rows = session.rows(_ADMITTED + passing, namespace=namespace, ids=listed, **values)
    return {id for (id,) in rows}


def narrow(
    session: SQLiteSession, namespace: str, filter: Filter, most: int
) -> tuple[str, bool] | None:
    """The rows of the memories that may pass a filter, if an index tells that they are so few.

    As `listed`, and whether all of them pass it. The index is read no further than `most`, so this
    costs little where they are many.
    """
    for part in indexed(filter):
        rows = passing(session, namespace, part, most)
        if rows is not None:
            return rows, part == filter
    return None


def passing(session: SQLiteSession, namespace: str, filter: Filter, most: int) -> str | None:
    """The rows of the memories that pass a filter, expired ones too; None if they are many."""
    condition, values = passes(filter)
    return listed(session, f"{_PASSING}{condition}", most, namespace=namespace, **values)


def listed(session: SQLiteSession, sql: LiteralString, most: int, /, **values: Value) -> str | None:
    """The numbers in the column ``seq`` of a query, with commas; None if more than `most`.

    One text takes half as long as to fetch rows.
    """
    together: LiteralString = f"SELECT count(*), group_concat(seq) FROM ({sql} LIMIT :limit)"
    ((count, seqs),) = session.rows(together, limit=most + 1, **values)
    return (seqs or "") if count <= most else None


def likely(worth: Mapping[int, float], enough: int) -> Iterator[list[int]]:
    """The rows that are worth most: first `LIKELY` of them or more, then four times as many.

    Those that are worth the same stay in their order.
    """
    tried = 0
    further = max(LIKELY, 4 * enough)
    for _ in range(ROUNDS):
        if tried >= len(worth):
            break
        rows = nlargest(tried + further, worth, key=worth.__getitem__)[tried:]
        yield rows
        tried += len(rows)
        further *= 4


def texts(
    session: SQLiteSession, namespace: str, rows: Collection[int], filter: Filter, size: float
) -> list[Text]:
    """Those of some memories that pass a filter and have not expired.

    With the texts of those that have no more bytes than `size`.
    """
    passing, values = condition(filter)
    listed = msgspec.json.encode(list(rows)).decode()
    found = session.rows(_TEXTS + passing, namespace=namespace, rows=listed, bytes=size, **values)
    try:
        return msgspec.convert(found, list[tuple[int, str, str | int]])
    except msgspec.ValidationError as error:
        message = f"a memory is not as it was stored: {error}"
        raise CorruptionError(message, hint="See check().") from error
