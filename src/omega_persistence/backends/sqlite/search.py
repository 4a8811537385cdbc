"""Full-text search over memories with FTS5.

Ranking (BM25) costs ten times as much per memory as telling that it matches, and most of the
memories that match do so by common words alone. So the matches of the rarer words are listed, and
the memories that hold most of them are scored. That tells how good the answer is at least, hence
which of the common words cannot bring a memory into it by themselves: only memories that hold one
of the other words are ranked then. The idea is MaxScore (Turtle and Flood, 1995).
"""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, LiteralString, cast

import msgspec

from omega_persistence.backends.filters import ANY
from omega_persistence.backends.sqlite import bm25, matching
from omega_persistence.backends.sqlite.filters import condition
from omega_persistence.backends.sqlite.terms import Terms
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from omega_persistence.backends import Row
    from omega_persistence.backends.filters import Filter
    from omega_persistence.backends.questions import Question
    from omega_persistence.backends.sqlite.matching import Text
    from omega_persistence.backends.sqlite.session import SQLiteSession

    Ranked = list[tuple[str, float]]
    """Memory ids and scores, best first, ties by id."""

FEW = 2000
"""If the words are in at most so many memories together, to rank all of these costs least ..."""

MANY = 200
"""... and so it does from this limit on."""

MATCHES = 10_000
"""So many matches of the rarer words are listed, to see which memories hold most of them."""

MOST = 1_000_000
"""But of one word never more than these, the newest."""

MORE = 20
"""So many more candidates are given among many memories: the order by words alone says less."""

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
    SELECT json_group_array(rowid) FROM (
        SELECT rowid FROM memories_fts WHERE memories_fts MATCH :query
        ORDER BY rowid DESC LIMIT :most)"""


class Search:
    """One question to one namespace, in one session."""

    def __init__(self, session: SQLiteSession, namespace: str, question: Question) -> None:
        self._session = session
        self._namespace = namespace
        self._pairs = question.pairs
        self._weights = {"content": question.content, "keywords": question.keywords}
        self._terms = terms = Terms(session, namespace, question.words)
        plain = question.content == question.keywords == 1
        self._budget = bm25.budget(terms.matches) if plain else 0
        # Scores by words, 0 for those that hold none.
        self._known: dict[int, float] = {}
        self._few = terms.matches <= FEW or len(terms.words) == 1

    def best(self, limit: int, filter: Filter = ANY) -> Ranked:
        """The memories that hold any of the words, best first."""
        if not self._terms.words or not limit:
            return []
        if self._few or limit > MANY:
            return self._ranked(limit, filter)
        ahead, all_of_them = self._ahead(limit, limit, filter)
        if all_of_them:
            return ahead
        if len(ahead) < limit:
            return self._ranked(limit, filter)
        # The answer is at least as good as this. Words are left out, from the commonest on, while
        # those left out cannot add up to it.
        sure, left, by_common = ahead[-1][1], self._terms.rarest_first(), 0.0
        while left and by_common + self._most(left[-1]) < sure:
            by_common += self._most(left.pop())
        # Rounding must not lose what is as good as the last.
        least = (sure - by_common) * (1 - 1e-9)
        rows = self._session.rows(
            _AT_LEAST, query=self._terms.query(left), least=least, **self._weights
        )
        return self._ranked(limit, filter, [row for (row,) in rows])

    def _most(self, word: str) -> float:
        """More than the word adds to any score."""
        return (bm25.K1 + 1) * bm25.rarity(self._terms.totals[0], self._terms.counts[word] or 0)

    def candidates(self, limit: int, at_least: int, filter: Filter = ANY) -> list[str]:
        """Ids of the best among the likely ones, or of the best if those are not enough."""
        if not self._terms.words or not limit:
            return []
        if self._few:
            return self._first(limit, filter)
        found, all_of_them = self._ahead(limit, limit + MORE, filter)
        if not all_of_them and len(found) < at_least:
            found = self._ranked(at_least, filter)
        return [id for id, _ in found]

    def _first(self, limit: int, filter: Filter) -> list[str]:
        """The best, whose scores are not needed."""
        if filter == ANY:
            # To visit a memory costs more than to rank it.
            admitted, values = condition(filter)
            rows = self._session.rows(
                _FIRST + admitted + _IN_ORDER,
                query=self._terms.query(self._terms.words),
                namespace=self._namespace,
                limit=limit,
                several=4 * limit,
                **self._weights,
                **values,
            )
            if len(rows) == limit:
                return [id for (id,) in rows]
        return [id for id, _ in self._ranked(limit, filter)]

    def _ahead(self, enough: int, limit: int, filter: Filter) -> tuple[Ranked, bool]:
        """The best of some memories that pass the filter, and whether no others can be better.

        All of them are looked at if the filter is narrow, otherwise those that hold most of the
        rarer words, until enough pass it or that has taken too long.
        """
        few = matching.narrow(self._session, self._namespace, filter, matching.NARROW)
        narrow = None if few is None else msgspec.json.decode(f"[{few[0]}]", type=list[int])
        worth, whole = self._worth(enough) if narrow is None else ({}, True)
        found: list[Text] = []
        tried = 0
        for rows in [narrow] if narrow is not None else matching.likely(worth, enough):
            found += self._texts(rows, filter)
            tried += len(rows)
            if len(found) >= enough:
                break
        scores = self._by_texts(found)
        ranked = ((id, scores[row]) for row, id, _ in found if row in scores)
        best = nsmallest(limit, ranked, key=lambda each: (-each[1], each[0]))
        return best, whole and tried >= len(worth)

    def _texts(self, rows: Collection[int], filter: Filter = ANY) -> list[Text]:
        """Those of some rows that pass, with their texts so far as none has more than its share."""
        share = self._budget / max(1, len(rows))
        return matching.texts(self._session, self._namespace, rows, filter, share)

    def _worth(self, enough: int) -> tuple[dict[int, float], bool]:
        """How much the rarer words tell that a memory holds, by its row; whether all words do.

        Of memories that hold the same words, the newest comes first.
        """
        worth: dict[int, float] = {}
        listed, costly = 0, False
        words = self._terms.rarest_first()
        for number, word in enumerate(words):
            costly = costly or (
                listed + self._terms.expected(word) > MATCHES and len(worth) >= enough
            )
            if costly and number > 1:
                break
            # Who holds both words is told in a fifth of the time of who holds this one.
            query = self._terms.query([word], words[:1] if costly else ())
            ((numbers,),) = self._session.rows(_MATCHING, query=query, most=MOST)
            rows = msgspec.json.decode(numbers, type=list[int])
            listed += len(rows)
            costly = costly or len(rows) == MOST
            there = self._terms.totals[0]
            more = bm25.rarity(there, min(there, self._terms.counts[word] or len(rows)))
            for row in rows:
                worth[row] = worth.get(row, 0.0) + more
        return worth, not costly

    def scores(self, seqs: Collection[int]) -> tuple[dict[int, float], dict[int, float]]:
        """BM25 of these memories: for the words, and for the pairs as phrases."""
        phrases = [
            f"{first} {second}" for first, second in self._pairs if self._telling(first, second)
        ]
        if not self._terms.matches:
            return self._scored(self._terms.words, seqs), self._scored(phrases, seqs)
        unknown = [seq for seq in seqs if seq not in self._known]
        self._by_texts(self._texts(unknown))
        by_words = {seq: score for seq in seqs if (score := self._known.get(seq))}
        return by_words, self._scored(phrases, seqs)

    def _telling(self, first: str, second: str) -> bool:
        """Whether it is worth its cost to look for two words as a phrase."""
        counts = (self._terms.counts[first], self._terms.counts[second])
        return 0 not in counts and min(count or 0 for count in counts) <= RARE

    def _by_texts(self, those: Sequence[Text]) -> dict[int, float]:
        """BM25 of memories by their texts, or by the index if that costs less."""
        rows = [row for row, _, _ in those]
        if sum(text if isinstance(text, int) else len(text) for *_, text in those) > self._budget:
            found = self._scored(self._terms.words, rows)
        else:
            long = [row for row, _, text in those if isinstance(text, int)]
            if long:
                read = matching.texts(self._session, self._namespace, long, ANY, self._budget)
                those = [*those, *read]
            texts = ((row, text) for row, _, text in those if isinstance(text, str))
            forms, terms = self._session.tokenizer.forms, self._terms
            found = bm25.scores(forms, texts, terms.counted, terms.totals)
            others = [word for word in self._terms.words if not self._terms.counts[word]]
            for row, score in self._scored(others, rows).items():
                found[row] = found.get(row, 0.0) + score
        self._known.update((row, found.get(row, 0.0)) for row in rows)
        return found

    def _scored(self, phrases: Sequence[str], seqs: Collection[int]) -> dict[int, float]:
        if not phrases or not seqs:
            return {}
        query, rows = self._terms.query(phrases), _json(list(seqs))
        return dict(_sound(self._session.rows(_SCORED, query=query, rows=rows, **self._weights)))

    def _ranked(self, limit: int, filter: Filter, rows: Sequence[int] | None = None) -> Ranked:
        """The best of all memories, or of some rows."""
        if rows == []:
            return []
        admitted, values = condition(filter)
        among: LiteralString = "" if rows is None else f"{_ONLY} AND "
        found = self._session.rows(
            _RANKED + among + admitted + _BEST,
            query=self._terms.query(self._terms.words),
            namespace=self._namespace,
            limit=limit,
            rows=_json(rows),
            **self._weights,
            **values,
        )
        return cast("Ranked", _sound(found))


def _sound(rows: list[Row]) -> list[Row]:
    """The same rows, whose second column are scores."""
    if any(row[1] is None for row in rows):
        raise CorruptionError("the full-text index has lost count", hint="See check().")
    return rows


def _json(values: Sequence[str] | Sequence[int] | None) -> str:
    return msgspec.json.encode(values).decode()
