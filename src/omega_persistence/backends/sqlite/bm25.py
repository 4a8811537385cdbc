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

_BYTES = 6  # of an English word and the blank after it

# The record of averages: the number of rows, then that of the words in each column.
_TOTALS = "SELECT block FROM memories_fts_data WHERE id = 1"


def size(texts: int, matches: float, totals: tuple[int, int]) -> float:
    """Up to how many bytes texts are taken apart sooner than an index is asked; -1 if none is.

    To take a text apart costs 0.03 microseconds a byte, to pass by a match at least 0.1. How long
    the texts are is known on average only, so very long ones are left to the index.

    Args:
        texts: How many are to be scored.
        matches: How many memories hold one of the words.
        totals: Of the index.
    """
    rows, words = totals
    usual = _BYTES * words / max(1, rows)
    return 20 * usual if texts * usual < 3 * matches else -1


def rarity(rows: int, matches: int) -> float:
    """How much a word tells that so many of the rows hold; never nothing."""
    others = max(0, rows - matches)  # in a damaged file more may match than there are
    return max(1e-6, log((others + 0.5) / (matches + 0.5)))


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
    worth = {form: (K1 + 1) * rarity(rows, number) for form, number in matches.items()}
    fixed, by_length = K1 * (1 - B), K1 * B * rows / words
    found: dict[int, float] = {}
    for row, text in texts:
        tokens = forms(text)
        times: dict[str, int] = {}
        for token in tokens:
            if token in worth:
                times[token] = times.get(token, 0) + 1
        if times:
            usual = fixed + by_length * len(tokens)
            # In the order of the question, so that rounding is the same for every text.
            found[row] = sum(
                value * times[form] / (times[form] + usual)
                for form, value in worth.items()
                if form in times
            )
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
