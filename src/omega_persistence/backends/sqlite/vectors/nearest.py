"""The vectors closest to a query: codes suggest them, rows of the same snapshot decide."""

from __future__ import annotations

from heapq import nsmallest
from math import isqrt
from typing import TYPE_CHECKING, LiteralString

import msgspec
import numpy as np
from msgspec.structs import asdict

from omega_persistence.backends.filters import ANY
from omega_persistence.backends.sqlite import filters
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
"""So many times the square root of their number are scored of codes with 384 levels.

That is 1,600 of 100,000, where recall@10 is 0.997 on sentences. Of shorter ones as many more, at
the same cost, since they have fewer bits to go by.
"""

FEWEST, REACH = 400, 3200
"""But never fewer than the one of these, nor more than the other ..."""

PLACES = 20
"""... and never fewer than so many for each place of the answer."""

NARROW = 1000
"""A filter that no more vectors pass than this is cheaper to look through than the codes."""

MANY = 1000
"""From this limit on, reading every vector costs less than testing so many."""

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

_ALL_SUGGESTED = f"{_SUGGESTED} {_THERE}"

_VISIBLE_SUGGESTED = f"{_SUGGESTED} {_MEMORY} {_THERE} AND "

_EXPIRED = "SELECT 1 FROM memories WHERE namespace = :namespace AND expires_at <= :now LIMIT 1"

_OF_MEMORIES = f"""{_COLUMNS}
    FROM json_each(:ids) CROSS JOIN vectors ON vectors.memory_id = json_each.value
    WHERE vectors.namespace = :namespace AND {_OF_SPACE}"""

_PAGE_OF_ALL = f"""{_COLUMNS}
    FROM vectors {_MEMORY}
    WHERE vectors.namespace = :namespace AND vectors.space = :space
      AND vectors.dimensions = :dimensions AND vectors.seq > :after AND """

# What indexes alone can tell: whether a memory has expired is for those that are close.
_PASSING = """
    SELECT vectors.seq
    FROM memories CROSS JOIN vectors
      ON vectors.namespace = memories.namespace AND vectors.memory_id = memories.id
    WHERE memories.namespace = :namespace AND +vectors.space = :space AND """


class Search:
    """One question to the vectors of a space, within one session that is in a transaction."""

    def __init__(
        self, session: SQLiteSession, space: Space, query: bytes, filter: Filter = ANY
    ) -> None:
        self._session = session
        self._space = space
        condition, values = filters.condition(filter)
        self._condition: LiteralString = condition
        self._values = {**values, **asdict(space)}
        self._filter = filter
        numbers = np.frombuffer(query, "<f4").astype(np.float64)
        length = np.sqrt(np.square(numbers).sum())
        self._query = numbers / length if length else numbers

    def nearest(self, limit: int, *, exact: bool) -> list[Found]:
        """The memories whose vectors are closest, best first, ties by id."""
        if not limit:
            return []
        few = None if self._filter == ANY else self._passing()
        if few is not None:
            return self._of_few(few, limit, exact=exact)
        if exact or limit >= MANY or not self._query.any():
            return self._of_all(limit)
        return self._suggested(limit)

    def similarities(self, memory_ids: Sequence[str]) -> dict[str, float]:
        """The cosine of the closest vector of each of these memories that has one."""
        rows = self._session.rows(_OF_MEMORIES, ids=_json(memory_ids), **asdict(self._space))
        found: dict[str, float] = {}
        for id, _, cosine in self._scored(rows):
            found[id] = max(cosine, found.get(id, -1.0))
        return found

    def _passing(self) -> NDArray[np.int64] | None:
        """The vectors that pass the filter and perhaps have expired; None if they are many."""
        passing, values = filters.passes(self._filter)
        sql: LiteralString = f"{_PASSING}{passing} LIMIT :limit"
        rows = self._session.rows(sql, limit=NARROW + 1, **asdict(self._space), **values)
        return np.array(rows, np.int64).reshape(-1) if len(rows) <= NARROW else None

    def _of_few(self, seqs: NDArray[np.int64], limit: int, *, exact: bool) -> list[Found]:
        """The best of so few that all may be read, unless their codes are at hand already."""
        if exact or not self._query.any() or self._space not in self._session.mirrors:
            found, _ = self._test(seqs, len(seqs), passing=True)
        else:
            suggested = self._scan().among(seqs, self._query.astype(np.float32))
            found, _ = self._test(suggested, limit, passing=True)
        return best(found, limit)

    def _of_all(self, limit: int) -> list[Found]:
        """Every vector read and scored; memory stays constant."""
        kept: list[Found] = []
        after = -(2**63)
        sql: LiteralString = f"{_PAGE_OF_ALL}{self._condition} ORDER BY vectors.seq LIMIT :limit"
        while rows := self._session.rows(sql, after=after, limit=_PAGE, **self._values):
            kept = best([*kept, *self._scored(rows)], limit)
            after = ascending(rows[-1][3], after)
        return kept

    def _suggested(self, limit: int) -> list[Found]:
        """The best among the memories that the codes suggest.

        The codes know nothing of filters, nor which vectors are of one memory: they suggest more
        until about as many as are scored without a filter would have passed, and memories enough
        are among them.
        """
        scan, query = self._scan(), self._query.astype(np.float32)
        few = min(REACH, max(FEWEST, NEAR * isqrt(scan.filled)))
        enough = max(few, few * 384 // self._space.dimensions, PLACES * limit)
        reach = enough
        while True:
            suggested = scan.nearest(query, reach)
            found, tested = self._test(suggested, limit, passing=self._filter == ANY)
            passing = len(suggested) * len(found) // max(1, tested)
            chosen = best(found, limit)
            if reach >= scan.filled or (passing >= enough // 2 and len(chosen) == limit):
                return chosen
            reach = max(4 * reach, reach * enough // max(1, passing))

    def _scan(self) -> Scan:
        return self._session.mirrors.scan(self._session, self._space)

    def _test(
        self, seqs: NDArray[np.int64], limit: int, *, passing: bool
    ) -> tuple[list[Found], int]:
        """Score suggestions in their order until enough pass; how many were tested.

        The order of codes is right but for neighbours of about the same cosine, so a few more are
        scored than are wanted. Where all pass the filter and nothing has expired, the memories
        need not be visited.
        """
        sql: LiteralString = _VISIBLE_SUGGESTED + self._condition
        if passing and self._session.row(_EXPIRED, namespace=self._space.namespace) is None:
            sql = _ALL_SUGGESTED
        wanted = limit + limit // 4 + 2
        found: list[Found] = []
        tested = 0
        while tested < len(seqs) and len({memory_id for memory_id, _, _ in found}) < wanted:
            step = seqs[tested : tested + max(wanted, tested)]
            found += self._scored(
                self._session.rows(sql, seqs=_json(step.tolist()), **self._values)
            )
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
        if {*map(type, ids), *map(type, vector_ids)} != {str}:
            raise CorruptionError("the id of a vector is not text", hint="See check().")
        vectors = codes.matrix(blobs, self._space.dimensions).astype(np.float64)
        products = np.vecdot(vectors, self._query)
        lengths = np.sqrt(np.vecdot(vectors, vectors))
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        return list(zip(ids, vector_ids, cosines.clip(-1, 1).tolist(), strict=True))


def best(found: Iterable[Found], limit: int) -> list[Found]:
    """The first of what was found, each memory once with the closest of its vectors."""
    once: dict[str, Found] = {}
    for each in found:
        known = once.get(each[0])
        if known is None or (-each[2], each[1]) < (-known[2], known[1]):
            once[each[0]] = each
    return nsmallest(limit, once.values(), key=lambda each: (-each[2], each[0]))


def _json(values: Sequence[int] | Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()
