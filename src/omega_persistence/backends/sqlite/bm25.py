"""BM25 of a few memories from their texts, the same that FTS5 makes of its index.

An index leads from a word to all memories that hold it. To score a few of them by it is to pass by
the others, and of common words these are most of the file: twice, as FTS5 counts before it scores.
Once the words are counted, it is cheaper to take a few short texts apart.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from omega_persistence.backends.sqlite.session import SQLiteSession

K1, B = 1.2, 0.75  # which FTS5 does not let anybody choose

# The record of averages: the number of rows, then that of the words in each column.
_TOTALS = "SELECT block FROM memories_fts_data WHERE id = 1"


def budget(matches: float) -> float:
    """How many bytes of text are taken apart in the time of a pass by so many matches.

    A byte takes 0.03 microseconds, a match at least 0.1.
    """
    return 3 * matches


def rarity(rows: int, matches: int) -> float:
    """How much a word tells that so many of the rows hold; never nothing."""
    return max(1e-6, log((rows - matches + 0.5) / (matches + 0.5)))


def totals(session: SQLiteSession) -> tuple[int, int]:
    """How many rows the index has, and how many words in all of them.

    Within a transaction that writes, as they were when words were last counted.
    """
    row = session.row(_TOTALS)
    numbers = _varints(row[0]) if row and isinstance(row[0], bytes) else []
    rows, words = numbers[0] if numbers else 0, sum(numbers[1:])
    if rows < 1 or words < 1 or max(numbers) >= 2**56:
        raise CorruptionError("the full-text index has lost its totals", hint="See check().")
    return rows, words


def scores(
    forms: Callable[[str], list[str]],
    texts: Iterable[tuple[int, str]],
    matches: Mapping[str, int],
    totals: tuple[int, int],
) -> dict[int, float]:
    """The scores of those of some memories that hold any of the words, in whatever column.

    Args:
        forms: Takes a text apart as the index does.
        texts: The rows of the memories, and all that the index has of them.
        matches: How many memories of the file hold a word, by its form in the index.
        totals: Of the index, when the words were counted.
    """
    rows, words = totals
    average = words / rows
    worth = {form: rarity(rows, number) for form, number in matches.items()}
    found: dict[int, float] = {}
    for row, text in texts:
        tokens = forms(text)
        times: dict[str, int] = {}
        for token in tokens:
            if token in worth:
                times[token] = times.get(token, 0) + 1
        if times:
            # Word by word and step by step as FTS5 has it, for the same to the last bit.
            usual, score = K1 * (1 - B + B * len(tokens) / average), 0.0
            for form, value in worth.items():
                held = times.get(form)
                if held:
                    score += value * (held * (K1 + 1) / (held + usual))
            found[row] = score
    return found


def _varints(record: bytes) -> list[int]:
    """Whole numbers as SQLite packs them: seven bits in a byte, the last without the eighth."""
    found: list[int] = []
    number = 0
    for byte in record[:100]:
        number = number << 7 | byte & 127
        if byte < 128:
            found.append(number)
            number = 0
    return found
