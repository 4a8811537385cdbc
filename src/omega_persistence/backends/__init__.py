"""The seam: what everything above needs from a database.

Only the modules below this package know a driver. Grow these protocols with a decision record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, LiteralString, Protocol

from msgspec import Struct

from omega_persistence.backends.filters import ANY, Filter

if TYPE_CHECKING:
    import os
    from contextlib import AbstractContextManager

    from omega_persistence.backends.questions import Question
    from omega_persistence.backends.surroundings import Surroundings

Value = str | int | float | bytes | None
Row = tuple[Any, ...]
Progress = Callable[[int, int], None]
"""Called with (done, total) in a unit that the caller of the function states."""

EVERYTHING = -1
"""A time before every expiry: a session whose ``now`` is this sees expired rows as well."""


class Problem(Struct, frozen=True, kw_only=True):
    """One finding of ``check()``: the file is damaged here.

    ``kind`` is one of ``"schema"``, ``"integrity"``, ``"foreign_key"``, ``"full_text"``,
    ``"vector"``, ``"checksum"``.
    """

    kind: str
    table: str | None = None
    detail: str


class FileSizes(Struct, frozen=True, kw_only=True):
    """Bytes: the main file, the write-ahead log beside it, and free pages within the file."""

    file_bytes: int
    wal_bytes: int
    free_bytes: int


class Hold(Struct, frozen=True, kw_only=True):
    """A snapshot, transaction or backup that is open, and for how long by which thread."""

    seconds: int
    thread: str


class TextSearch(Protocol):
    """One question to the text of the memories of a namespace."""

    def best(self, limit: int, filter: Filter = ANY) -> list[tuple[str, float]]:
        """Memories that hold any of the words: (id, score), best first, ties by id.

        The score is BM25 with the statistics of the whole database, above zero.
        """
        ...

    def candidates(self, limit: int, at_least: int, filter: Filter = ANY) -> list[str]:
        """Ids of so many memories that hold any of the words, most of them and the rarest first.

        Cheaper than `best`, which is to be believed about the order. Among many memories some more
        than asked for, since there the order by words alone says less; at least ``at_least``, if
        there are so many.
        """
        ...

    def scores(self, seqs: Collection[int]) -> tuple[dict[int, float], dict[int, float]]:
        """The scores that `best` gives to memories, and those of the pairs of words as phrases.

        Memories, here by their ``seq``, that hold none are left out, and so may be phrases of
        common words.
        """
        ...


class Session(Protocol):
    """One open connection. Statements are portable SQL with ``:name`` parameters.

    ``:now`` is bound by the session itself: the Unix time at which its scope was entered, so that
    everything read in one snapshot agrees on what has expired.
    """

    now: int

    @property
    def among(self) -> LiteralString:
        """SQL condition: the value is one of the strings of the JSON array ``:ids``."""
        ...

    def rows(self, sql: LiteralString, /, **params: Value) -> list[Row]:
        """Every row of a query."""
        ...

    def row(self, sql: LiteralString, /, **params: Value) -> Row | None:
        """The first row of a query, or None."""
        ...

    def run(self, sql: LiteralString, /, **params: Value) -> int:
        """Execute a statement; returns the number of rows that it changed itself."""
        ...

    def run_many(self, sql: LiteralString, rows: Sequence[Row], /) -> None:
        """Execute once per row, whose values stand in the order of first mention in the SQL.

        An error carries the position of its row as ``index``; the rows before it are applied, so
        call this within ``atomic`` (or for one row).
        """
        ...

    def search(self, namespace: str, question: Question) -> TextSearch:
        """A question to the text of memories, for as long as the session's scope."""
        ...

    def admitted(self, namespace: str, filter: Filter, ids: Sequence[str]) -> set[str]:
        """Those of some memories that pass a filter and have not expired."""
        ...

    def tokens(self, text: str) -> list[tuple[int, int, str]]:
        """The words of a text as the index knows them: (start, end, word) in characters."""
        ...

    def same_memory(self, namespace: str, content: str, speaker: str | None) -> str | None:
        """The id of the first memory to arrive with this very content and metadata's speaker."""
        ...

    def index_vectors(self, namespace: str, vectors: Sequence[tuple[str, int, bytes]], /) -> None:
        """Let `nearest` find vectors: (id, dimensions, float32 numbers), as they were just written.

        Belongs to the transaction that wrote them; deleted ones are forgotten by themselves.
        """
        ...

    def nearest(
        self,
        namespace: str,
        space: str,
        query: bytes,
        limit: int,
        *,
        filter: Filter = ANY,
        exact: bool = False,
    ) -> list[tuple[str, str, float]]:
        """Memories by the cosine of their closest vector: (memory id, vector id, cosine).

        Best first, ties by id, each memory once. Among the vectors of the space that have as many
        dimensions as the query, which is float32, little-endian. Needs a session of `snapshot` or
        `atomic`. The cosines are those of the vectors; unless it is ``exact``, the search may now
        and then miss one that belongs in the answer. A zero vector has the cosine 0 with any.
        """
        ...

    def similarities(
        self, namespace: str, space: str, query: bytes, memory_ids: Sequence[str], /
    ) -> dict[str, float]:
        """The cosine of the closest vector of each of these memories that has one."""
        ...


class Scope(Protocol):
    """Where collections get their sessions: a backend, or a transaction already open."""

    def read(self) -> AbstractContextManager[Session]:
        """For one query, or several that need not agree with each other."""
        ...

    def snapshot(self) -> AbstractContextManager[Session]:
        """For several queries that must see the same data."""
        ...

    def write(self) -> AbstractContextManager[Session]:
        """For one writing statement and nothing else; durable when it exits cleanly."""
        ...

    def insert(self, sql: LiteralString, row: Row, /) -> AbstractContextManager[Session | None]:
        """The same for ``run_many`` of this statement with this row.

        None says that there is nothing left to do: another thread has inserted the row together
        with its own, and it is durable.
        """
        ...

    def atomic(self, *, alone: bool = False) -> AbstractContextManager[Session]:
        """For several writing statements: all of them or none; durable when it exits cleanly.

        Short ones may share a commit with those of other threads. One that takes its time, or
        runs a caller's code, is ``alone``, so as not to keep the others waiting.
        """
        ...


class Backend(Scope, Protocol):
    """A database that can hold a store."""

    @property
    def address(self) -> str:
        """Where it is, for people: a path, or ``:memory:``."""
        ...

    @property
    def checksums(self) -> bool:
        """Whether pages are compared with their checksums when they are read."""
        ...

    def schema_version(self, session: Session) -> int:
        """The number of the newest schema step."""
        ...

    def backup(
        self,
        target: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        verify: bool = True,
        progress: Progress | None = None,
    ) -> None:
        """Copy one snapshot into a file; progress is in pages."""
        ...

    def check(self) -> list[Problem]:
        """What is damaged."""
        ...

    def sizes(self, session: Session) -> FileSizes:
        """How much room it takes."""
        ...

    def oldest_hold(self) -> Hold | None:
        """What has been open for the longest time in this process."""
        ...

    def surroundings(self) -> Surroundings:
        """Where it is, and how it is used; never waits for others."""
        ...

    def compact(self) -> None:
        """Give back free room."""
        ...

    def optimize(self) -> None:
        """Bring indexes and statistics into shape."""
        ...

    def reindex(self, progress: Progress | None) -> None:
        """Build what is derived from the records anew; progress is in memories and vectors."""
        ...

    def close(self) -> None:
        """Release everything; no scope can be entered afterwards."""
        ...
