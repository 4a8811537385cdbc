"""A copy in memory of the codes of one space, which follows every change of the file.

Triggers log each change of a code in ``vector_changes``: a number, the vector's ``seq``, and a
random token. So the newest entry that a session sees names the state that it sees, whether that is
committed, its own and not yet committed, an older snapshot, or what a restore brought; and since
numbers are given in order, an entry that two states share is one that all before it agree in.

A mirror visits the states of the sessions that ask for it, one after the other, and keeps their
entries. To reach one that it has not visited, it goes on from the last entry that the session's log
has as well, and reads again only what has changed since, in either. Codes are added and never
removed; with each stand the visits from which and up to which it is there, so that a state that
was visited before, for an older snapshot, is still at hand.
"""

from __future__ import annotations

import struct
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import asdict

from omega_persistence.backends.sqlite.errors import ascending
from omega_persistence.backends.sqlite.vectors import codes, scan
from omega_persistence.backends.sqlite.vectors.scan import ByMemory, Scan
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega_persistence.backends import Row
    from omega_persistence.backends.sqlite.session import SQLiteSession
    from omega_persistence.backends.sqlite.vectors.mirrors import Space

    _Read = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.void]]
    """Of several codes: the ``seqs`` of the vectors, those of their memories, and the codes."""

_PAGE = 512  # codes read at a time: they fit into a processor's cache

_STOPS = 1000  # states that are kept in mind, for the snapshots that may still be open

_FEW = 1000  # changes or outdated codes for which it is not worth while to read all again

_SMALLEST = 1024  # codes for which a new block has room

# From the last stop on, whose entry comes first if the session's log has it.
_SINCE = "SELECT number, seq, token FROM vector_changes WHERE number >= :number ORDER BY number"

_NEWEST = """
    SELECT number, token FROM vector_changes
    WHERE number = (SELECT max(number) FROM vector_changes)"""

_AT = "SELECT token FROM vector_changes WHERE number = :number"

_CODES = """
    SELECT vectors.seq, vector_codes.memory, vector_codes.code
    FROM vectors CROSS JOIN vector_codes ON vector_codes.seq = vectors.seq
    WHERE vectors.namespace = :namespace AND vectors.space = :space
      AND vectors.dimensions = :dimensions AND vectors.seq """

_PAGE_OF_CODES = _CODES + "> :after ORDER BY vectors.seq LIMIT :limit"

_CHANGED_CODES = _CODES + "IN (SELECT value FROM json_each(:seqs))"


class Stop(NamedTuple):
    """A state that was visited: when, the token of its newest entry, and what led to it."""

    visit: int
    token: int
    changed: frozenset[int]


class Mirror:
    """The codes of one space; any thread may ask for them, with any session."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._lock = Lock()
        self._scan = _nothing()
        self._stops: dict[int, Stop] = {}
        self._fitted = 0
        self._buried = False

    @property
    def size(self) -> int:
        """Bytes, about; what is reserved but not filled yet takes no memory."""
        return self._scan.filled * (self._space.dimensions * 9 // 8 + 44)

    @property
    def loaded(self) -> bool:
        """Whether there is a state to go on from."""
        return bool(self._stops)

    def scan(self, session: SQLiteSession) -> Scan:
        """The codes as a session sees them, which is in a transaction."""
        with self._lock:
            number = next(reversed(self._stops), 0)
            entries = session.rows(_SINCE, number=number) if number else []
            if entries and self._knows(entries[0][0], entries[0][2]):
                if len(entries) > 1:
                    changed = {seq for _, seq, _ in entries[1:]}
                    self._move(session, changed, number, entries[-1][0], entries[-1][2])
                return self._scan
            newest = session.row(_NEWEST)
            if newest is None:  # no vector was ever written
                return _nothing()
            if self._knows(*newest):
                return self._scan._replace(visit=self._stops[newest[0]].visit, whole=False)
            shared = self._shared(session)
            if shared is None:
                self._load(session, *newest)
            else:
                self._move(session, self._changed(session, shared), shared, *newest)
            return self._scan

    def _knows(self, number: int, token: int) -> bool:
        return number in self._stops and self._stops[number].token == token

    def _shared(self, session: SQLiteSession) -> int | None:
        """The last stop that is in the session's past too.

        Later ones are not if a transaction was rolled back, a file restored, or if the session is
        an older snapshot.
        """
        for number, stop in reversed(self._stops.items()):
            row = session.row(_AT, number=number)
            if row is not None and row[0] == stop.token:
                return number
        return None

    def _changed(self, session: SQLiteSession, since: int) -> set[int]:
        """What changed since a shared stop, in the past of the mirror or in that of the session."""
        there = {seq for _, seq, _ in session.rows(_SINCE, number=since)[1:]}
        return there.union(*(stop.changed for n, stop in self._stops.items() if n > since))

    def _load(self, session: SQLiteSession, number: int, token: int) -> None:
        """Read all codes."""
        self._stops.clear()
        self._scan, self._fitted, self._buried = _nothing(), 0, False
        after = -(2**63)
        while rows := session.rows(_PAGE_OF_CODES, after=after, limit=_PAGE, **asdict(self._space)):
            room = len(rows) if len(rows) < _PAGE else scan.BLOCK
            self._add(_decoded(rows, self._space.dimensions), room)
            after = ascending(rows[-1][0], after)
        self._stand(number, token, frozenset())

    def _move(
        self, session: SQLiteSession, changed: set[int], since: int, number: int, token: int
    ) -> None:
        """Go on from a shared stop to the state of a session, which differs in these vectors.

        After an error in the middle of it the next session reads all codes again.
        """
        if len(changed) > max(_FEW, self._scan.filled // 4) or self._wasteful():
            self._load(session, number, token)
            return
        rows = session.rows(
            _CHANGED_CODES,
            seqs=msgspec.json.encode(list(changed)).decode(),
            **asdict(self._space),
        )
        read = _decoded(rows, self._space.dimensions) if rows else None
        try:
            self._bury(changed)
            if read:
                self._add(read, len(rows))
            for later in [stop for stop in reversed(self._stops) if stop > since]:
                del self._stops[later]
            self._stand(number, token, frozenset(changed))
        except BaseException:
            self._stops.clear()  # the scan may be between two states
            raise

    def _bury(self, changed: set[int]) -> None:
        seqs, died = (each[: self._scan.filled] for each in (self._scan.seqs, self._scan.died))
        gone = np.isin(seqs, np.fromiter(changed, np.int64, len(changed)))
        gone &= died == scan.NEVER
        died[gone] = self._scan.visit + 1
        self._buried = self._buried or bool(gone.any())

    def _wasteful(self) -> bool:
        """Whether so many codes are outdated that all had better be read again."""
        gone = np.count_nonzero(self._scan.died[: self._scan.filled] != scan.NEVER)
        return int(gone) > max(_FEW, self._scan.filled // 4)

    def _add(self, read: _Read, room: int) -> None:
        """Fill the next slots; a new block is made for that many codes if it has to be."""
        seqs, memories, coded = read
        count, blocks = self._scan.filled, self._scan.blocks
        done = 0
        while done < len(seqs):
            end = blocks[-1].start + len(blocks[-1].scales) if blocks else 0
            if count == end:
                most = scan.of_length(scan.BLOCK, self._space.dimensions)
                rows = min(most, max(_SMALLEST, count, room - done))
                self._make_room(end + rows)
                blocks = (*blocks, scan.empty(self._space.dimensions, rows, end))
                end += rows
            block = blocks[-1]
            these = slice(done, done + min(len(seqs) - done, end - count))
            inside = slice(count - block.start, count - block.start + these.stop - done)
            block.levels[inside] = coded["levels"][these]
            block.scales[inside] = coded["scale"][these]
            if self._scan.averages is not None:
                block.planes[:, inside] = scan.words(block.levels[inside], self._scan.averages)
            slots = slice(count, count + these.stop - done)
            self._scan.seqs[slots] = seqs[these]
            self._scan.memories[slots] = memories[these]
            self._scan.born[slots] = self._scan.visit + 1
            self._scan.died[slots] = scan.NEVER
            count = slots.stop
            done = these.stop
        first = self._scan.filled
        follows = not first or self._scan.seqs[first - 1] < seqs[0]
        ordered = bool(self._scan.ordered and follows and (seqs[1:] > seqs[:-1]).all())
        self._scan = self._scan._replace(filled=count, ordered=ordered, blocks=blocks, whole=False)

    def _make_room(self, end: int) -> None:
        """Let there be slots up to this one; a quarter more, so that they are seldom copied."""
        present = self._scan
        if end <= len(present.seqs):
            return
        rows = max(end - len(present.seqs), len(present.seqs) // 4)
        self._scan = present._replace(
            seqs=np.concatenate([present.seqs, np.empty(rows, np.int64)]),
            memories=np.concatenate([present.memories, np.empty(rows, np.int64)]),
            born=np.concatenate([present.born, np.empty(rows, np.uint32)]),
            died=np.concatenate([present.died, np.empty(rows, np.uint32)]),
        )

    def _stand(self, number: int, token: int, changed: frozenset[int]) -> None:
        """Note the state that was reached."""
        if self._scan.filled >= 2 * max(self._fitted, _SMALLEST // 2):
            self._scan, self._fitted = scan.with_bits(self._scan), self._scan.filled
        if self._scan.filled > len(self._scan.by_memory.slots) + max(_FEW, self._scan.filled // 8):
            self._scan = scan.sorted_by_memory(self._scan)
        self._scan = self._scan._replace(visit=self._scan.visit + 1, whole=not self._buried)
        self._stops[number] = Stop(self._scan.visit, token, changed)
        if len(self._stops) > _STOPS:
            del self._stops[next(iter(self._stops))]


def _nothing() -> Scan:
    return Scan(
        filled=0,
        blocks=(),
        seqs=np.empty(0, np.int64),
        memories=np.empty(0, np.int64),
        by_memory=ByMemory(np.empty(0, np.int64), np.empty(0, np.intp), single=False),
        ordered=True,
        visit=0,
        whole=True,
        born=np.empty(0, np.uint32),
        died=np.empty(0, np.uint32),
        averages=None,
    )


def _decoded(rows: list[Row], dimensions: int) -> _Read:
    seqs, memories, blobs = zip(*rows, strict=True)
    try:
        # A third of the time of np.array, which would take 1.5 for 1.
        numbers = struct.pack(f"{len(seqs)}q{len(memories)}q", *seqs, *memories)
    except struct.error as error:
        message = "the code of a vector names its memory by something else than a whole number"
        raise CorruptionError(message, hint="See check().") from error
    read = np.frombuffer(numbers, np.int64).reshape(2, -1)
    return read[0], read[1], codes.decode(blobs, dimensions)
