"""Finding a memory by its whole content, without an index that every put would pay for."""

from __future__ import annotations

import re

from omega_persistence.backends.sqlite.filters import VISIBLE

_WORDS = 4
"""How many words of a content are looked up: the fewer memories hold them all, the better."""

_LONGEST = 1000
"""Characters of a word that is looked up; one that goes on and on costs more than it tells."""

# A character that FTS5 knows as part of a word, whichever version of Unicode it was made from:
# Python's letters and digits without those that were marks when they were new.
_TOLD = re.compile(r"[^\W_\u19b0-\u19c9\u1cf2\u1cf3]")

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


def words_of(content: str) -> str | None:
    """An FTS5 query that every memory of this content matches; None if it has no words.

    Words are what stands between blanks, since nothing else ends a word for every version of
    Unicode. The longest are chosen, since those are the rare ones: at 100,000 memories the four
    longest find a content ten times as fast as all of its words do.
    """
    words = {word for word in content.split() if len(word) <= _LONGEST and _TOLD.search(word)}
    chosen = sorted(words, key=lambda word: (-len(word), word))[:_WORDS]
    quoted = (word.replace('"', '""') for word in chosen)
    return " AND ".join(f'content : "{word}"' for word in quoted) or None
