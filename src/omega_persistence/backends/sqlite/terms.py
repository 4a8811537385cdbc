"""The words of a question in the full-text index, and how common they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from omega_persistence.backends.sqlite import bm25
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega_persistence.backends.sqlite.session import SQLiteSession

SMALL = 5000
"""In a namespace of at most so many memories words are not counted: to rank all costs less."""

LONGEST = 32_768
"""Bytes of a word that FTS5 keeps."""

_FREQUENCY: LiteralString = "SELECT doc FROM memories_words WHERE term = :word"

# The number of memories in the file, at most; how many of 32 of them, at even distances in the
# order of arrival, are in the namespace; and its word in the index, whatever the encoding is.
_SAMPLE: LiteralString = """
    WITH RECURSIVE sample (number, newest) AS (
        SELECT 1, (SELECT max(seq) FROM memories)
        UNION ALL
        SELECT number + 1, newest FROM sample WHERE number < 32
    )
    SELECT newest, sum(:namespace = (
        SELECT namespace FROM memories WHERE seq >= newest * number / 32 ORDER BY seq LIMIT 1)),
      char(57344) || hex(:namespace)
    FROM sample"""


class Terms:
    """Words that are looked for in one namespace, in one session.

    Attributes:
        words: Those that the index has, each stem once, in their order.
        counted: In how many memories those are that were counted, by their form in the index.
        counts: In how many memories of the file each is, also of the words that the index does not
            have; None if that was not counted.
        matches: How many matches are met on a pass by those that were counted.
        totals: Of the index, if any was.
    """

    def __init__(self, session: SQLiteSession, namespace: str, words: Iterable[str]) -> None:
        self._session = session
        newest, share, scope = session.rows(_SAMPLE, namespace=namespace)[0]
        part = max(1, share or 0) / 32
        # To pass by the memories of others costs more than it saves if there are few.
        self._scope = "" if part >= 1 / 4 else f'scope : "{scope}" AND '
        self._share = part if self._scope else 1.0
        self._large = (newest or 0) * part > SMALL
        self.words: list[str] = []
        self.counted: dict[str, int] = {}
        self.counts = self._count(words)
        self.matches = sum(map(self.expected, self.words))
        self.totals = bm25.totals(session) if self.matches else (0, 0)
        if max(self.counted.values(), default=0) > self.totals[0]:
            message = "more memories hold a word than there are in the full-text index"
            raise CorruptionError(message, hint="See check().")

    def query(self, phrases: Iterable[str], besides: Iterable[str] = ()) -> str:
        """An FTS5 query for any of some phrases, and of the others any as well if there are some.

        Each is a string: nothing in them is syntax.
        """
        groups = (
            " OR ".join('"' + phrase.replace('"', '""') + '"' for phrase in group)
            for group in (phrases, besides)
        )
        return self._scope + " AND ".join(f"({group})" for group in groups if group)

    def expected(self, word: str) -> float:
        """In how many memories of the namespace a word may be."""
        return (self.counts[word] or 0) * self._share

    def rarest_first(self) -> list[str]:
        """The words by how many memories they may be in; what was not counted comes first."""
        return sorted(self.words, key=self.expected)

    def _count(self, words: Iterable[str]) -> dict[str, int | None]:
        known: dict[tuple[str, ...], int | None] = {}
        counts: dict[str, int | None] = {}
        for word in words:
            stem = tuple(token for *_, token in self._session.tokens(word))
            if stem and stem not in known:
                known[stem] = count = self._occurrences(stem) if self._large else None
                if count != 0:
                    self.words.append(word)
                if count:
                    self.counted[stem[0]] = count
            counts[word] = known.get(stem)
        return counts

    def _occurrences(self, stem: tuple[str, ...]) -> int | None:
        """None for what the index takes for several words, or cuts.

        A stem may end within a character, which is then replaced.
        """
        if len(stem) != 1 or len(stem[0].encode()) >= LONGEST or "\ufffd" in stem[0]:
            return None
        row = self._session.row(_FREQUENCY, word=stem[0])
        return row[0] if row else 0
