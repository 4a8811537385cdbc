"""The vectors closest to a query: codes suggest them, rows of the same snapshot decide."""

from __future__ import annotations

from itertools import islice
from math import isqrt, sqrt
from operator import itemgetter
from typing import TYPE_CHECKING, LiteralString

import msgspec
import numpy as np
from msgspec.structs import asdict

from omega_persistence.backends.filters import ANY
from omega_persistence.backends.sqlite import filters, matching
from omega_persistence.backends.sqlite.errors import ascending
from omega_persistence.backends.sqlite.vectors import codes
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from omega_persistence.backends import Row
    from omega_persistence.backends.filters import Filter
    from omega_persistence.backends.sqlite.session import SQLiteSession
    from omega_persistence.backends.sqlite.vectors.mirrors import Space
    from omega_persistence.backends.sqlite.vectors.scan import Scan

    Found = tuple[str, str, float]
    """A memory, the one of its vectors that is closest, and their cosine."""

NEAR = 5
"""Of n codes with 384 levels, so many times the square root of n are scored.

That is 1,600 of 100,000, where recall@10 is 0.997 on sentences. Of shorter ones as many more, at
the same cost, since they have fewer bits to go by.
"""

FEWEST, REACH = 400, 3200
"""But at least the first of these, and at most the second ..."""

PLACES = 20
"""... and never fewer than so many for each place of the answer."""

NARROW = 2000
"""If no more memories pass a filter (without a mirror, vectors), only theirs are looked through."""

LITTLE = 8
"""The same if fewer than one in so many suggestions passes ..."""

TRIED = 100
"""... among the first of them, so many or `LITTLE` for each place if that is more."""

MANY = 1000
"""From this limit on, reading every vector costs less than testing so many."""

_SMALLEST = 1e-300  # less than the length of any vector that is not zero

_PAGE = 2048  # vectors read at a time when all are

# CROSS JOIN is a join that keeps its order, and + keeps a column from being looked up by an index:
# these go from what is named to its vectors, not through all of the space.
_COLUMNS = "SELECT vectors.memory_id, vectors.id, vectors.data_blob, vectors.seq"

_MEMORY = """
    CROSS JOIN memories
      ON memories.namespace = vectors.namespace AND memories.id = vectors.memory_id"""

_OF_SPACE = "+vectors.space = :space AND +vectors.dimensions = :dimensions"

_SUGGESTED = f"{_COLUMNS} FROM json_each(:seqs) CROSS JOIN vectors ON vectors.seq = json_each.value"

_THERE = f"WHERE +vectors.namespace = :namespace AND {_OF_SPACE}"

_VISIBLE_SUGGESTED = f"{_SUGGESTED} {_MEMORY} {_THERE} AND {filters.VISIBLE}"

# Where all pass the filter and nothing has expired, their memories need not be visited.
_UNEXPIRED_SUGGESTED = f"""{_SUGGESTED} {_THERE} AND (
    NOT EXISTS (SELECT 1 FROM memories WHERE namespace = :namespace AND expires_at <= :now)
    OR EXISTS (
        SELECT 1 FROM memories
        WHERE memories.namespace = vectors.namespace AND memories.id = vectors.memory_id
          AND {filters.VISIBLE}))"""

_OF_MEMORIES = f"""{_COLUMNS}
    FROM json_each(:ids) CROSS JOIN vectors ON vectors.memory_id = json_each.value
    WHERE vectors.namespace = :namespace AND {_OF_SPACE}"""

_PAGE_OF_ALL = f"""{_COLUMNS}
    FROM vectors {_MEMORY}
    WHERE vectors.namespace = :namespace AND vectors.space = :space
      AND vectors.dimensions = :dimensions AND vectors.seq > :after AND {filters.VISIBLE}"""

# Expiry is looked at later, of those that are close only.
_VECTORS_OF_PASSING = """
    SELECT vectors.seq
    FROM memories CROSS JOIN vectors
      ON vectors.namespace = memories.namespace AND vectors.memory_id = memories.id
    WHERE memories.namespace = :namespace AND +vectors.space = :space"""


class Search:
    """One question to the vectors of a space, within one session that is in a transaction."""

    def __init__(
        self, session: SQLiteSession, space: Space, query: bytes, filter: Filter = ANY
    ) -> None:
        self._session = session
        self._space = space
        passing, values = filters.passes(filter)
        self._filtered: LiteralString = f" AND {passing}" if passing else ""
        self._values = {**values, **asdict(space)}
        self._filter = filter
        numbers = np.frombuffer(query, "<f4").astype(np.float64)
        length = sqrt(numbers.dot(numbers))
        self._query = numbers / length if length else numbers
        self._directed = bool(length)

    def nearest(self, limit: int, *, exact: bool) -> list[Found]:
        """The memories whose vectors are closest, best first, ties by id."""
        if not limit:
            return []
        coded = not exact and self._directed
        if self._filter != ANY:
            at_hand = coded and self._space in self._session.mirrors
            few = self._of_few(limit) if at_hand else self._of_few_vectors(limit)
            if few is not None:
                return few
        if not coded or limit >= MANY:
            return self._of_all(limit)
        return self._suggested(limit)

    def similarities(self, memory_ids: Sequence[str]) -> dict[str, float]:
        """The cosine of the closest vector of each of these memories that has one."""
        rows = self._session.rows(_OF_MEMORIES, ids=_json(memory_ids), **asdict(self._space))
        found: dict[str, float] = {}
        for id, _, cosine in self._scored(rows):
            found[id] = max(cosine, found.get(id, -1.0))
        return found

    def _of_few(self, limit: int) -> list[Found] | None:
        """The best of what passes the filter, by the codes; None if no index tells that it is few.

        The index is asked first, since the rest of a filter may take a visit to every memory.
        """
        few = self._by_index(NARROW)
        if few is None:
            return None
        listed, passed = few
        narrow = listed if passed else self._passing()
        return None if narrow is None else self._suggested(limit, narrow, passed=True)

    def _of_few_vectors(self, limit: int) -> list[Found] | None:
        """The best of what passes the filter, by reading all its vectors; None if they are many."""
        passing: LiteralString = _VECTORS_OF_PASSING + self._filtered
        few = matching.listed(self._session, passing, NARROW, **self._values)
        if few is None:
            return None
        seqs = _numbers(few)
        found, _ = self._test(seqs, len(seqs), passed=True)
        return best(found, limit)

    def _by_index(self, most: int) -> tuple[str, bool] | None:
        """The memories that may pass the filter, and whether all do, if an index has so few."""
        return matching.narrow(self._session, self._space.namespace, self._filter, most)

    def _passing(self) -> str | None:
        """The memories that pass the filter, expired ones too; None if they are many."""
        return matching.passing(self._session, self._space.namespace, self._filter, NARROW)

    def _of_all(self, limit: int) -> list[Found]:
        """Every vector read and scored; memory stays constant."""
        kept: list[Found] = []
        after = -(2**63)
        sql: LiteralString = f"{_PAGE_OF_ALL}{self._filtered} ORDER BY vectors.seq LIMIT :limit"
        while rows := self._session.rows(sql, after=after, limit=_PAGE, **self._values):
            kept = best([*kept, *self._scored(rows)], limit)
            after = ascending(rows[-1][3], after)
        return kept

    def _suggested(
        self, limit: int, memories: str | None = None, *, passed: bool = False
    ) -> list[Found]:
        """The best among the memories that the codes suggest, of all, or of some that may pass.

        The codes know nothing of filters, nor which vectors are of one memory: they suggest more
        and more until about as many have passed as would be scored without a filter, and enough
        different memories are among them. If few turn out to pass, these are listed if they can be.

        Args:
            limit: How many are wanted.
            memories: Only these, as `matching.listed`, are looked through; all by default.
            passed: Whether all of these pass the filter; they may have expired.
        """
        scan, query = self._scan(), self._query.astype(np.float32)
        slots = None if memories is None else scan.slots_of(_numbers(memories))
        passed = self._filter == ANY or (passed and slots is not None)
        count = scan.filled if slots is None else len(slots)
        few = min(REACH, max(FEWEST, NEAR * isqrt(count)))
        reach = enough = max(few, few * 384 // self._space.dimensions, PLACES * limit)
        unsure = memories is None and not passed
        while True:
            suggested = scan.nearest(query, reach, slots)
            first = suggested[: max(TRIED, LITTLE * limit)] if unsure else suggested
            found, tested = self._test(first, limit, passed=passed)
            if unsure and len(found) * LITTLE < tested:
                little = self._of_little(limit, scan.filled, len(found) / tested)
                if little is not None:
                    return little
            if tested == len(first) < len(suggested):
                found, tested = self._test(suggested, limit, passed=passed)
            unsure = False
            # So many of these would pass, at a guess.
            passing = len(suggested) * max(1, len(found)) // max(1, tested)
            chosen = best(found, limit)
            if reach >= count or (passing >= enough // 2 and len(chosen) == limit):
                return chosen
            reach = max(4 * reach, reach * enough // max(1, passing))

    def _of_little(self, limit: int, count: int, share: float) -> list[Found] | None:
        """The best of what passes the filter, by the codes, if that can be listed.

        Args:
            limit: How many are wanted.
            count: How many vectors there are.
            share: Which part of them passes, by an estimate.
        """
        if count * share <= NARROW and filters.indexed(self._filter) != [self._filter]:
            narrow = self._passing()
            if narrow is not None:
                return self._suggested(limit, narrow, passed=True)
        few = self._by_index(count // LITTLE)
        if few is None:
            return None
        listed, passed = few
        return self._suggested(limit, listed, passed=passed)

    def _scan(self) -> Scan:
        return self._session.mirrors.scan(self._session, self._space)

    def _test(
        self, seqs: NDArray[np.int64], limit: int, *, passed: bool
    ) -> tuple[list[Found], int]:
        """Score suggestions in their order until enough pass; how many were tested.

        The order of codes is right but for neighbours of about the same cosine, so a few more are
        scored than are wanted.
        """
        sql: LiteralString = _UNEXPIRED_SUGGESTED
        if not passed:
            sql = _VISIBLE_SUGGESTED + self._filtered
        wanted = limit + limit // 4 + 2
        found: list[Found] = []
        tested = 0
        while tested < len(seqs) and len({memory_id for memory_id, _, _ in found}) < wanted:
            step = seqs[tested : tested + max(wanted, tested)]
            rows = self._session.rows(sql, seqs=_json(step.tolist()), **self._values)
            found += self._scored(rows)
            tested += len(step)
        return found, tested

    def _scored(self, rows: Sequence[Row]) -> list[Found]:
        """The cosines of rows of `_COLUMNS`; 0 if either vector is zero.

        Rows that are alike get the same number wherever they stand, which a matrix product does
        not promise, so that ties are ties.
        """
        if not rows:
            return []
        ids, vector_ids, blobs, _ = zip(*rows, strict=True)
        if set(map(type, ids + vector_ids)) != {str}:
            raise CorruptionError("the id of a vector is not text", hint="See check().")
        vectors = codes.matrix(blobs, self._space.dimensions).astype(np.float64)
        lengths = np.sqrt(np.vecdot(vectors, vectors))
        cosines = np.vecdot(vectors, self._query) / np.maximum(lengths, _SMALLEST)
        return list(zip(ids, vector_ids, cosines.clip(-1, 1).tolist(), strict=True))


def best(found: Iterable[Found], limit: int) -> list[Found]:
    """The first by cosine, ties by ids; each memory once, with the closest of its vectors."""
    once: dict[str, Found] = {}
    for each in sorted(sorted(found), key=itemgetter(2), reverse=True):  # sorting is stable
        once.setdefault(each[0], each)
    return list(islice(once.values(), limit))


def _numbers(listed: str) -> NDArray[np.int64]:
    """The numbers of `matching.listed`."""
    return np.fromstring(listed, np.int64, sep=",")


def _json(values: Sequence[int] | Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()
