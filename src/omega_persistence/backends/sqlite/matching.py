"""Which memories are worth scoring, before any is."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, LiteralString, cast

import msgspec
from msgspec.structs import replace

from omega_persistence.backends.filters import ANY
from omega_persistence.backends.sqlite.filters import condition, passes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omega_persistence.backends.filters import Filter
    from omega_persistence.backends.sqlite.session import SQLiteSession

    Match = tuple[int, str, int]
    """A memory: its row, its id, and the bytes of its text."""

LIKELY = 100
"""So many memories are scored for an answer, at least."""

NARROW = 1000
"""If no more memories than this pass a filter, these are scored, whatever they hold."""

# What an index alone can tell.
_PASSING: LiteralString = "SELECT seq FROM memories WHERE namespace = :namespace AND "

# CROSS JOIN is a join that keeps its order. NOT INDEXED leaves it the row number alone: it would
# look for each memory among all of those that pass a filter.
_MATCHES: LiteralString = """
    SELECT memories.seq, memories.id,
        octet_length(memories.content) + octet_length(memories.keywords)
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


def narrow(session: SQLiteSession, namespace: str, filter: Filter) -> list[Match] | None:
    """The memories that pass a filter, if an index tells that they are few.

    It is not asked for more than that, so this costs little where they are many.
    """
    of_session = replace(filter, tiers=None, min_importance=None, where=())
    of_tiers = replace(filter, session=None, since=None, until=None, where=())
    if of_session == of_tiers == ANY:
        return None
    passing, values = passes(of_tiers if of_session == ANY else of_session)
    sql: LiteralString = f"{_PASSING}{passing} LIMIT :limit"
    rows = session.rows(sql, namespace=namespace, limit=NARROW + 1, **values)
    if len(rows) > NARROW:
        return None
    return _passing(session, namespace, [row for (row,) in rows], filter)


def likely(
    session: SQLiteSession, namespace: str, worth: Mapping[int, float], limit: int, filter: Filter
) -> list[Match]:
    """The rows that are worth most, those of them that pass a filter: about `LIKELY`, or more.

    If fewer pass, as many as are wanted, or all. Of those that are worth the same, the first.
    """
    found: list[Match] = []
    tried = 0
    while len(found) < limit and tried < len(worth):
        further = max(LIKELY, 4 * limit, 4 * tried)
        rows = nlargest(tried + further, worth, key=worth.__getitem__)[tried:]
        found += _passing(session, namespace, rows, filter)
        tried += len(rows)
    return found


def _passing(
    session: SQLiteSession, namespace: str, rows: Sequence[int], filter: Filter
) -> list[Match]:
    passing, values = condition(filter)
    listed = msgspec.json.encode(rows).decode()
    found = session.rows(_MATCHES + passing, namespace=namespace, rows=listed, **values)
    return cast("list[Match]", found)
