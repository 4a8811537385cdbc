"""Full-text search over memories with FTS5.

Ranking (BM25) costs ten times as much per memory as telling that it matches, and most of the
memories that match do so by common words alone. So of the rarer words it is only told who matches,
and those that hold most of them are scored. That tells how good the answer is at least, hence which
of the common words cannot bring a memory into it by themselves: only memories that hold one of the
other words are ranked then. The idea is MaxScore (Turtle and Flood, 1995).
"""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, LiteralString, cast

import msgspec

from omega_persistence.backends.filters import ANY
from omega_persistence.backends.sqlite import bm25, matching
from omega_persistence.backends.sqlite.filters import condition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from omega_persistence.backends.filters import Filter
    from omega_persistence.backends.questions import Question
    from omega_persistence.backends.sqlite.matching import Match
    from omega_persistence.backends.sqlite.session import SQLiteSession

    Ranked = list[tuple[str, float]]
    """Memory ids and scores, best first, ties by id."""

FEW = 2000
"""If the words are in at most so many memories together, to rank all of these costs least."""

SMALL = 5000
"""In a namespace of at most so many memories all are ranked: to count the words costs more."""

PASSED = 10_000
"""Of so many memories that match it is told which hold most; rarer words are taken first."""

RARE = 500
"""A phrase is looked for if one of its words is in at most so many memories."""

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

_MATCHING: LiteralString = """
    SELECT json_group_array(rowid) FROM memories_fts WHERE memories_fts MATCH :query"""

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


class Search:
    """One question to one namespace, in one session."""

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
        self._forms: dict[str, str] = {}
        self._frequencies = self._count(question.words, counted=not small)
        # Those that the index has, each stem once, rarest first.
        self._words = sorted(self._frequencies, key=self._frequencies.__getitem__)
        self._share = part if self._scope else 1.0
        matches = sum(self._frequencies.values()) * self._share
        self._few = small or matches <= FEW or len(self._words) == 1

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
                if len(stem) == 1:
                    self._forms[word] = stem[0]
        return dict(found.values())

    def best(self, limit: int, filter: Filter = ANY) -> Ranked:
        """The memories that hold any of the words, best first."""
        if not self._words or not limit:
            return []
        if self._few or limit > matching.LIKELY:
            return self._ranked(self._words, limit, filter)
        narrow = matching.narrow(self._session, self._namespace, filter)
        if narrow is not None:
            return self._best_of(narrow, limit)
        ahead = self._best_of(self._likely(limit, filter), limit)
        if len(ahead) < limit:
            return self._ranked(self._words, limit, filter)
        # The answer is at least as good as this. Words are left out, from the commonest on, while
        # those left out cannot add up to it.
        sure, left, by_common = ahead[-1][1], len(self._words), 0.0
        while left and by_common + self._most(self._words[left - 1]) < sure:
            left -= 1
            by_common += self._most(self._words[left])
        # Rounding must not lose what is as good as the last.
        rows = self._session.rows(
            _AT_LEAST,
            query=self._query(self._words[:left]),
            least=(sure - by_common) * (1 - 1e-9),
            **self._weights,
        )
        return self._ranked(self._words, limit, filter, [row for (row,) in rows])

    def _most(self, word: str) -> float:
        """More than the word adds to any score.

        There may be fewer memories than it is reckoned with, which makes words rarer.
        """
        return (bm25.K1 + 1) * bm25.rarity(self._rows, self._frequencies[word])

    def candidates(self, limit: int, at_least: int, filter: Filter = ANY) -> list[str]:
        """Ids of the best among the likely ones, or of the best if those are not enough."""
        if not self._words or not limit:
            return []
        if self._few:
            return self._first(limit, filter)
        narrow = matching.narrow(self._session, self._namespace, filter)
        likely = self._likely(limit, filter) if narrow is None else narrow
        found = self._best_of(likely, 2 * limit)
        if narrow is None and len(found) < at_least:
            found = self.best(at_least, filter)
        return [id for id, _ in found]

    def _first(self, limit: int, filter: Filter) -> list[str]:
        """The best, whose scores are not needed."""
        if filter == ANY:
            # To visit a memory costs more than to rank it.
            admitted, values = condition(filter)
            rows = self._session.rows(
                _FIRST + admitted + _IN_ORDER,
                query=self._query(self._words),
                namespace=self._namespace,
                limit=limit,
                several=4 * limit,
                **self._weights,
                **values,
            )
            if len(rows) == limit:
                return [id for (id,) in rows]
        return [id for id, _ in self._ranked(self._words, limit, filter)]

    def _likely(self, limit: int, filter: Filter) -> list[Match]:
        return matching.likely(self._session, self._namespace, self._worth(), limit, filter)

    def _best_of(self, those: Sequence[Match], limit: int) -> Ranked:
        """The best of some memories."""
        scores = self._of_words({row: size for row, _, size in those})
        found = [(id, scores[row]) for row, id, _ in those if row in scores]
        return nsmallest(limit, found, key=lambda each: (-each[1], each[0]))

    def _worth(self) -> dict[int, float]:
        """How much the rarer words tell that a memory holds, by its row.

        Of memories that hold the same words, the newest comes first.
        """
        worth: dict[int, float] = {}
        passed = 0
        for number, word in enumerate(self._words):
            if number > 1 and passed + self._frequencies[word] * self._share > PASSED:
                break
            ((listed,),) = self._session.rows(_MATCHING, query=self._query([word]))
            rows = msgspec.json.decode(listed, type=list[int])
            passed += len(rows)
            more = bm25.rarity(self._rows, self._frequencies[word] or len(rows))
            for row in reversed(rows):
                worth[row] = worth.get(row, 0.0) + more
        return worth

    def scores(self, sizes: Mapping[int, int]) -> tuple[dict[int, float], dict[int, float]]:
        """BM25 of these memories: for the words, and for the pairs as phrases."""
        phrases = [
            f"{first} {second}"
            for first, second in self._question.pairs
            if self._telling(first) or self._telling(second)
        ]
        return self._of_words(sizes), self._scored(phrases, sizes)

    def _of_words(self, sizes: Mapping[int, int]) -> dict[int, float]:
        """By the texts of the memories if that costs less than by the index."""
        if not sizes:
            return {}
        matches = {
            self._forms[word]: self._frequencies[word]
            for word in self._words
            if self._frequencies[word]
        }
        passed = sum(matches.values()) * self._share
        cheap = bm25.worthwhile(sum(sizes.values()), passed)
        if not cheap or {*self._weights.values()} != {1.0}:
            return self._scored(self._words, sizes)
        found = bm25.scores(self._session, sizes, matches)
        several = [word for word in self._words if word not in self._forms]
        for seq, score in self._scored(several, sizes).items():
            found[seq] = found.get(seq, 0.0) + score
        return found

    def _scored(self, phrases: Sequence[str], seqs: Collection[int]) -> dict[int, float]:
        if not phrases:
            return {}
        query, rows = self._query(phrases), _json(list(seqs))
        return dict(self._session.rows(_SCORED, query=query, rows=rows, **self._weights))

    def _telling(self, word: str) -> bool:
        """Whether it is worth its cost to look for a phrase with the word."""
        return self._frequencies.get(word, 0) <= RARE

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
