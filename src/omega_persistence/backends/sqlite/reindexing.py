"""Building anew what is derived from the records: the full-text index and the vector codes."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from omega_persistence.backends.sqlite.errors import ascending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega_persistence.backends import Progress
    from omega_persistence.backends.sqlite.session import SQLiteSession

PAGE = 1000
"""Rows between two calls of progress."""

_COUNT = "SELECT (SELECT count(*) FROM memories) + (SELECT count(*) FROM vectors)"

_EMPTY = "INSERT INTO memories_fts (memories_fts) VALUES ('delete-all')"

# FTS5's own 'rebuild' says nothing until it is done.
_FILL = """
    INSERT INTO memories_fts (rowid, content, keywords, search_terms, scope)
    SELECT seq, content, keywords, search_terms, scope FROM memories
    WHERE seq > :after AND seq <= :last
"""

_LAST = """
    SELECT max(seq), count(*) FROM (
        SELECT seq FROM memories WHERE seq > :after ORDER BY seq LIMIT :limit) AS page
"""

_ORPHANS = "DELETE FROM vector_codes WHERE seq NOT IN (SELECT seq FROM vectors)"

_VECTORS = """
    SELECT seq, namespace, id, dimensions, data_blob FROM vectors
    WHERE seq > :after ORDER BY seq LIMIT :limit
"""


def reindex(session: SQLiteSession, progress: Progress | None) -> None:
    """Build both anew within the open transaction; progress is in memories and vectors."""
    ((total,),) = session.rows(_COUNT)
    done = 0
    for build in (_text, _codes):
        for count in build(session):
            done += count
            if progress is not None:
                progress(done, total)


def _text(session: SQLiteSession) -> Iterator[int]:
    session.rows(_EMPTY)
    after = 0
    while True:
        ((last, count),) = session.rows(_LAST, after=after, limit=PAGE)
        if not count:
            return
        session.rows(_FILL, after=after, last=last)
        after = ascending(last, after)
        yield count


def _codes(session: SQLiteSession) -> Iterator[int]:
    session.rows(_ORPHANS)
    after = 0
    while page := session.rows(_VECTORS, after=after, limit=PAGE):
        for namespace, rows in groupby(page, itemgetter(1)):
            session.index_vectors(namespace, [(id, *numbers) for _, _, id, *numbers in rows])
        after = ascending(page[-1][0], after)
        yield len(page)
