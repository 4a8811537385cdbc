"""Full-text search over memories with FTS5."""

from __future__ import annotations

# Ranking sorts every memory that matches: that is what finding the best means. CROSS JOIN is a
# join that keeps its order: the planner would ask for the words anew with each memory of what it
# takes for a small namespace.
MATCH = """
    SELECT memories.id, -bm25(memories_fts) AS score
    FROM memories_fts
    CROSS JOIN memories ON memories.seq = memories_fts.rowid
    WHERE memories_fts MATCH :query
      AND memories.namespace = :namespace
      AND (memories.expires_at IS NULL OR memories.expires_at > :now)
    ORDER BY score DESC, id
    LIMIT :limit
"""


def any_of(words: list[str]) -> str:
    """An FTS5 query for any of the words, each a string: nothing in them is syntax."""
    quoted = (word.replace('"', '""') for word in words)
    return " OR ".join(f'"{word}"' for word in quoted)
