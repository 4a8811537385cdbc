"""BM25 of a few memories from their texts, the same that FTS5 makes of its index.

An index leads from a word to all memories that hold it. To score a few of them by it is to pass by
the others, and of common words these are most of the file: twice, as FTS5 counts before it scores.
Once the words are counted, it is cheaper to take a few short texts apart.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import msgspec

from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from omega_persistence.backends.sqlite.session import SQLiteSession

K1, B = 1.2, 0.75  # which FTS5 does not let anybody choose

# The namespace is one more word.
_TEXTS = """
    SELECT seq, content || ' ' || keywords || ' ' || search_terms || ' ' || scope FROM memories
    WHERE seq IN (SELECT value FROM json_each(:rows))"""

# The record of averages: the number of rows, then that of the words in each column.
_TOTALS = "SELECT block FROM memories_fts_data WHERE id = 1"


def worthwhile(size: int, matches: float) -> bool:
    """Whether texts of so many bytes cost less than an index in which so many memories match.

    To take a text apart costs 0.03 microseconds a byte, to pass by a match at least 0.1.
    """
    return size < 3 * matches


def rarity(rows: int, matches: int) -> float:
    """How much a word tells that so many of the rows hold; never nothing."""
    others = max(0, rows - matches)  # in a damaged file more may match than there are
    return max(1e-6, log((others + 0.5) / (matches + 0.5)))


def scores(
    session: SQLiteSession, rows: Collection[int], matches: Mapping[str, int]
) -> dict[int, float]:
    """The scores of those of some memories that hold any of the words, in whatever column.

    Args:
        session: Within which the words were counted: that writes the totals down as well.
        rows: The memories.
        matches: How many memories of the file hold a word, by its form in the index.
    """
    number, words = _totals(session)
    worth = {form: (K1 + 1) * rarity(number, held) for form, held in matches.items() if held}
    fixed, by_length = K1 * (1 - B), K1 * B * number / words
    found: dict[int, float] = {}
    listed = msgspec.json.encode(list(rows)).decode()
    for row, text in session.rows(_TEXTS, rows=listed):
        tokens = session.tokenizer.forms(text)
        held = [token for token in tokens if token in worth]
        if held:
            usual = fixed + by_length * len(tokens)
            score = 0.0
            for form, value in worth.items():
                times = held.count(form)
                score += value * times / (times + usual)
            found[row] = score
    return found


def _totals(session: SQLiteSession) -> tuple[int, int]:
    """How many rows the index has, and how many words in all of them."""
    row = session.row(_TOTALS)
    rows, *words = _varints(row[0]) if row and isinstance(row[0], bytes) else (0,)
    if rows < 1 or sum(words) < 1:
        raise CorruptionError("the full-text index has lost its totals", hint="See check().")
    return rows, sum(words)


def _varints(record: bytes) -> Iterator[int]:
    """Whole numbers as SQLite packs them: seven bits in a byte, the last without the eighth."""
    number = 0
    for byte in record:
        number = number << 7 | byte & 127
        if byte < 128:
            yield number
            number = 0
