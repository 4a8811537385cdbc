"""Full-text search over memories with FTS5.

Ranking (BM25) costs ten times as much per memory as telling that it matches, and most of the
memories that match do so by common words alone. So the rarer words are ranked first. What that
finds tells how good the answer is at least, hence which of the common words cannot bring a memory
into it by themselves: only memories that hold one of the other words are ranked then. The idea is
MaxScore (Turtle and Flood, 1995).
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, LiteralString, cast

import apsw
import msgspec

from omega_persistence.backends.filters import ANY
from omega_persistence.backends.sqlite.filters import condition
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from omega_persistence.backends.filters import Filter
    from omega_persistence.backends.questions import Question
    from omega_persistence.backends.sqlite.session import SQLiteSession

    Ranked = list[tuple[str, float]]
    """Memory ids and scores, best first, ties by id."""

    Token = tuple[int, int, str]
    """A word of a text: where it begins, where it ends, and its form in the index."""

RARE = 500
"""Words that are in at most so many memories together are ranked before the others."""

SMALL = 5000
"""In a namespace of at most so many memories all words are rare: to count them costs more."""

AHEAD = 200
"""How many of the best by rare words are looked at for their common words, at least."""

MOST = 2.2
"""k1 + 1 of FTS5's BM25: no word adds as much to a score as this times its rarity."""

_SCORE: LiteralString = "-bm25(memories_fts, :content, :keywords, :content, 0.0)"

# CROSS JOIN is a join that keeps its order: the planner would ask for the words anew with each
# memory of what it takes for a small namespace. NOT INDEXED leaves it the row number alone: it
# would look for each memory among all of those that pass a filter.
_RANKED: LiteralString = f"""
    SELECT memories.id, {_SCORE} AS score
    FROM memories_fts
    CROSS JOIN memories NOT INDEXED ON memories.seq = memories_fts.rowid
    WHERE memories_fts MATCH :query AND """

# + keeps the rows out of the full-text query, which would be asked anew for each of them.
_ONLY: LiteralString = "+memories_fts.rowid IN (SELECT value FROM json_each(:rows))"

_BEST: LiteralString = """
    AND memories.namespace = :namespace
    ORDER BY score DESC, id
    LIMIT :limit"""

# The best of all, whoever may see them: without a visit of each memory.
_FIRST: LiteralString = f"""
    SELECT memories.id FROM (
        SELECT rowid, {_SCORE} AS score FROM memories_fts WHERE memories_fts MATCH :query
        ORDER BY score DESC, rowid LIMIT :several
    ) AS found
    CROSS JOIN memories NOT INDEXED ON memories.seq = found.rowid
    WHERE """

_IN_ORDER: LiteralString = """
    AND memories.namespace = :namespace
    ORDER BY found.score DESC, found.rowid
    LIMIT :limit"""

_AT_LEAST: LiteralString = f"""
    SELECT rowid FROM memories_fts
    WHERE memories_fts MATCH :query AND {_SCORE} >= :least"""

_SCORED: LiteralString = f"""
    SELECT rowid, {_SCORE} FROM memories_fts
    WHERE memories_fts MATCH :query AND {_ONLY}"""

_ROWS: LiteralString = """
    SELECT seq FROM memories
    WHERE namespace = :namespace AND id IN (SELECT value FROM json_each(:ids))"""

_FREQUENCY: LiteralString = "SELECT doc FROM memories_words WHERE term = :word"

# The number of memories in the file, at most; and how many of 32 of them, at even distances in
# the order of arrival, are in the namespace.
_SAMPLE: LiteralString = """
    WITH RECURSIVE sample (number, newest) AS (
        SELECT 1, (SELECT max(seq) FROM memories)
        UNION ALL
        SELECT number + 1, newest FROM sample WHERE number < 32
    )
    SELECT newest, sum(:namespace = (
        SELECT namespace FROM memories WHERE seq >= newest * number / 32 ORDER BY seq LIMIT 1))
    FROM sample"""


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
    rows = session.rows(_ADMITTED + passing, namespace=namespace, ids=_json(ids), **values)
    return {id for (id,) in rows}


class Search:
    """One question to one namespace, in one session.

    Attributes:
        words: Those of the question that the index has, each stem once; rarest first.
        rare: The first of them: as many as are in at most `RARE` memories together, or one.
    """

    def __init__(self, session: SQLiteSession, namespace: str, question: Question) -> None:
        self._session = session
        self._namespace = namespace
        self._question = question
        self._weights = {"content": question.content, "keywords": question.keywords}
        rows, share = session.rows(_SAMPLE, namespace=namespace)[0]
        self._rows, part = rows or 0, max(1, share or 0) / 32
        # To pass by the memories of others costs more than it saves if there are few.
        self._scope = "" if part >= 1 / 4 else f'"\ue000{namespace.encode().hex()}" AND '
        small = self._rows * part <= SMALL
        self._frequencies = self._count(question.words, counted=not small)
        self.words = sorted(self._frequencies, key=self._frequencies.__getitem__)
        number, seen = 0, 0.0
        for word in self.words:
            seen += self._frequencies[word] * (part if self._scope else 1)
            if number and seen > RARE:
                break
            number += 1
        self.rare = self.words[:number]

    def _count(self, words: Iterable[str], *, counted: bool) -> dict[str, int]:
        """In how many memories of the file each word is, words of one stem once.

        0 without a count, and for what the index takes for several words.
        """
        found: dict[tuple[str, ...], tuple[str, int]] = {}
        for word in words:
            stem = tuple(token for *_, token in self._session.tokens(word))
            if stem and stem not in found:
                known = counted and len(stem) == 1 and self._session.row(_FREQUENCY, word=stem[0])
                found[stem] = word, known[0] if known else 0
        return dict(found.values())

    def best(self, limit: int, filter: Filter = ANY) -> Ranked:
        """The memories that hold any of the words, best first."""
        if not self.words or not limit:
            return []
        if len(self.rare) == len(self.words) or limit > AHEAD:
            return self._ranked(self.words, limit, filter)
        ahead = self._rows_of(self._first(AHEAD, filter))
        found = self._ranked(self.words, limit, filter, ahead)
        if len(found) < limit:
            return self._ranked(self.words, limit, filter)
        # The answer is at least as good as this. Words are left out, from the commonest on, while
        # those left out cannot add up to it.
        sure, left, by_common = found[-1][1], len(self.words), 0.0
        while left and by_common + self._most(self.words[left - 1]) < sure:
            left -= 1
            by_common += self._most(self.words[left])
        # Rounding must not lose what is as good as the last.
        rows = self._session.rows(
            _AT_LEAST,
            query=self._query(self.words[:left]),
            least=(sure - by_common) * (1 - 1e-9),
            **self._weights,
        )
        return self._ranked(self.words, limit, filter, [row for (row,) in rows])

    def _most(self, word: str) -> float:
        """More than the word adds to any score.

        There may be fewer memories than it is reckoned with, which makes words rarer.
        """
        frequency = self._frequencies[word]
        return MOST * max(1e-6, log((self._rows - frequency + 0.5) / (frequency + 0.5)))

    def candidates(self, limit: int, at_least: int, filter: Filter = ANY) -> list[str]:
        """Ids of the best by the rarer words, or of the best if those are not enough."""
        found = self._first(limit, filter) if self.rare and limit else []
        if len(found) < at_least and len(self.rare) < len(self.words):
            found = [id for id, _ in self.best(at_least, filter)]
        return found

    def _first(self, limit: int, filter: Filter) -> list[str]:
        """The best by the rare words."""
        if filter == ANY:
            # To visit a memory costs more than to rank it.
            admitted, values = condition(filter)
            rows = self._session.rows(
                _FIRST + admitted + _IN_ORDER,
                query=self._query(self.rare),
                namespace=self._namespace,
                limit=limit,
                several=4 * limit,
                **self._weights,
                **values,
            )
            if len(rows) == limit:
                return [id for (id,) in rows]
        return [id for id, _ in self._ranked(self.rare, limit, filter)]

    def scores(self, seqs: Collection[int]) -> tuple[dict[int, float], dict[int, float]]:
        """BM25 of these memories: for the words, and for the pairs as phrases."""
        phrases = [
            f"{first} {second}"
            for first, second in self._question.pairs
            if self._telling(first) or self._telling(second)
        ]
        return self._scored(self.words, seqs), self._scored(phrases, seqs)

    def _scored(self, phrases: Sequence[str], seqs: Collection[int]) -> dict[int, float]:
        if not phrases:
            return {}
        query, rows = self._query(phrases), _json(list(seqs))
        return dict(self._session.rows(_SCORED, query=query, rows=rows, **self._weights))

    def _telling(self, word: str) -> bool:
        """Whether it is worth its cost to look for a phrase with the word."""
        return self._frequencies.get(word, 0) <= RARE

    def _rows_of(self, ids: Iterable[str]) -> list[int]:
        rows = self._session.rows(_ROWS, namespace=self._namespace, ids=_json(list(ids)))
        return [row for (row,) in rows]

    def _ranked(
        self,
        phrases: Sequence[str],
        limit: int,
        filter: Filter,
        rows: Sequence[int] | None = None,
    ) -> Ranked:
        """The best by some words or phrases, among all memories or those of some rows."""
        if not phrases or rows == []:
            return []
        admitted, values = condition(filter)
        among: LiteralString = "" if rows is None else f"{_ONLY} AND "
        found = self._session.rows(
            _RANKED + among + admitted + _BEST,
            query=self._query(phrases),
            namespace=self._namespace,
            limit=limit,
            rows=_json(rows),
            **self._weights,
            **values,
        )
        return cast("Ranked", found)

    def _query(self, phrases: Iterable[str]) -> str:
        """An FTS5 query for any of these, each a string: nothing in them is syntax."""
        strings = " OR ".join('"' + phrase.replace('"', '""') + '"' for phrase in phrases)
        return f"{self._scope}({strings})"


def _json(values: Sequence[str] | Sequence[int] | None) -> str:
    return msgspec.json.encode(values).decode()


class Tokenizer:
    """Takes a text apart as the index of a connection does."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._tokenize = connection.fts5_tokenizer(
            "porter", ["unicode61", "remove_diacritics", "2"]
        )

    def __call__(self, text: str) -> list[Token]:
        """Its words, with their places in characters."""
        if type(text) is not str:
            raise CorruptionError("the text of a memory is not text", hint="See check().")
        encoded = text.encode()
        found = self._tokenize(encoded, apsw.FTS5_TOKENIZE_DOCUMENT, None, include_colocated=False)
        tokens = cast("list[Token]", found)
        return tokens if len(encoded) == len(text) else list(_in_characters(encoded, tokens))


def _in_characters(text: bytes, tokens: Iterable[Token]) -> Iterator[Token]:
    """The same words, whose places were counted in bytes."""
    seen = characters = 0
    for start, end, token in tokens:
        first = characters + len(text[seen:start].decode())
        characters = first + len(text[start:end].decode())
        seen = end
        yield first, characters, token
