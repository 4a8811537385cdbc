"""Building anew what is derived from the records: the full-text index."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omega_persistence.backends import Progress
    from omega_persistence.backends.sqlite.session import SQLiteSession

PAGE = 1000
"""Rows between two calls of progress."""

_COUNT = "SELECT count(*) FROM memories"

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


def reindex(session: SQLiteSession, progress: Progress | None) -> None:
    """Build the index anew within the open transaction; progress is in memories."""
    ((total,),) = session.rows(_COUNT)
    session.rows(_EMPTY)
    after = done = 0
    while True:
        ((last, count),) = session.rows(_LAST, after=after, limit=PAGE)
        if not count:
            return
        session.rows(_FILL, after=after, last=last)
        after, done = last, done + count
        if progress is not None:
            progress(done, total)
