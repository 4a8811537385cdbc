"""Finding a memory by its whole content, without an index that every put would pay for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega_persistence.backends.sqlite.filters import VISIBLE

if TYPE_CHECKING:
    from omega_persistence.backends.sqlite.session import SQLiteSession

_WORDS = 4
"""How many words of a content are looked up: the fewer memories hold them all, the better."""

_LOOKED_AT = 2000
"""Characters of a content from which they are chosen."""

_SAME = f"""
      AND memories.namespace = :namespace
      AND memories.content = :content
      AND CASE WHEN json_type(memories.metadata_json, '$.speaker') = 'text'
          THEN memories.metadata_json ->> '$.speaker' END IS :speaker
      AND {VISIBLE}
"""

SAME_BY_WORDS = f"""
    SELECT memories.id
    FROM memories_fts
    CROSS JOIN memories ON memories.seq = memories_fts.rowid
    WHERE memories_fts MATCH :query {_SAME}
    ORDER BY memories_fts.rowid
    LIMIT 1
"""

SAME_BY_SCAN = f"SELECT memories.id FROM memories WHERE TRUE {_SAME} ORDER BY seq LIMIT 1"


def first_of(
    session: SQLiteSession, namespace: str, content: str, speaker: str | None
) -> str | None:
    """The first memory to arrive that has exactly this content and speaker."""
    query = _query(session, content)
    sql = SAME_BY_SCAN if query is None else SAME_BY_WORDS
    found = session.row(sql, query=query, namespace=namespace, content=content, speaker=speaker)
    return found[0] if found else None


def _query(session: SQLiteSession, content: str) -> str | None:
    """An FTS5 query that every memory of this content matches; None if it has no words.

    Of its numbers and names with digits, then of its longest words, since those are the rare ones:
    at 100,000 memories the four longest find a content ten times as fast as all words do.
    """
    beginning = content[:_LOOKED_AT]
    places = session.tokens(beginning)
    if len(content) > len(beginning):
        places = places[:-1]  # which may be cut off
    words = {beginning[start:end] for start, end, _ in places}
    chosen = sorted(words, key=lambda word: (word.isalpha(), -len(word), word))[:_WORDS]
    return " AND ".join(f'content : "{word}"' for word in chosen) or None
