"""The scan: which of many codes are closest to a query, in two levels.

Of each code a bit per dimension says whether its level is above the average of all. How many bits
of a code differ from those of the query is nearly the order of their angles (Charikar, 2002), and
takes a twentieth of the time of a matrix product; the best by that are scored by their levels.
The bits lie in planes, 64 dimensions of each code in one word, so that numpy's `bitwise_count`
runs along the codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega_persistence.backends.sqlite.vectors import codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK = 131_072
"""Codes of 384 levels in a block at most, and as many bytes of longer ones.

Calls of numpy count with smaller ones, memory with larger ones.
"""

NEVER = 2**32 - 1
"""A visit after every other."""

_SAMPLE = 2048  # codes by which it is guessed which are close

_PIECE = 4096  # codes whose bits are made together

_SCORED = 512  # codes of 384 levels that are scored together: as floats they fit into a cache


class Block(NamedTuple):
    """Room for consecutive codes.

    Attributes:
        start: The slot of the first.
        levels: A row for each code.
        scales: One for each code.
        planes: Plane -> a word for each code; none before there are `Scan.averages`.
    """

    start: int
    levels: NDArray[np.int8]
    scales: NDArray[np.float32]
    planes: NDArray[np.uint64]


class ByMemory(NamedTuple):
    """The first slots, as many as are listed here, in the order of their memories.

    Attributes:
        memories: The memories' ``seqs``, ascending.
        slots: The slot of each, ascending for the same memory.
        single: Whether there are any, each of another memory.
    """

    memories: NDArray[np.int64]
    slots: NDArray[np.intp]
    single: bool


class Scan(NamedTuple):
    """Codes in slots numbered from 0, as they were at a visit of the mirror.

    Others may go on meanwhile: what they add goes into later slots, and what they remove stays
    where it is and is only noted as gone from a later visit on.

    Attributes:
        filled: How many slots are filled.
        blocks: Where the codes are, without gaps.
        seqs: Slot -> the vector's ``seq``.
        memories: Slot -> the ``seq`` of its memory.
        by_memory: The slots by their memories; the newest may be missing, and are looked through.
        ordered: Whether the ``seqs`` of vectors ascend.
        visit: Which of its visits.
        whole: Whether the codes of all slots are there at this visit.
        born: Slot -> the visit from which on the code is there.
        died: Slot -> the visit from which on it is not; `NEVER` if it still is.
        averages: The level in each dimension above which a bit is set; None for no bits yet.
    """

    filled: int
    blocks: tuple[Block, ...]
    seqs: NDArray[np.int64]
    memories: NDArray[np.int64]
    by_memory: ByMemory
    ordered: bool
    visit: int
    whole: bool
    born: NDArray[np.uint32]
    died: NDArray[np.uint32]
    averages: NDArray[np.int8] | None

    def nearest(
        self, query: NDArray[np.float32], reach: int, slots: NDArray[np.intp] | None = None
    ) -> NDArray[np.int64]:
        """The vectors of the codes that are closest to a unit vector, best first, ties by ``seq``.

        Args:
            query: As many numbers as the codes have levels.
            reach: About how many codes are taken from the first level to the second.
            slots: Those that are looked through, ascending; all by default.
        """
        return self._by_levels(self._by_bits(query, reach, slots), query)

    def slots_of(self, memories: NDArray[np.int64]) -> NDArray[np.intp] | None:
        """The slots of some memories, each named once, ascending; None if they are most of all."""
        memories = np.sort(memories)  # each is then looked for where the one before was
        known, slots, single = self.by_memory
        first = known.searchsorted(memories)
        if single:
            places = first[known.take(first, mode="clip") == memories]
        else:
            counts = known.searchsorted(memories, "right") - first
            until = counts.cumsum()
            total = until[-1] if len(until) else 0
            places = np.arange(total) + (first - until + counts).repeat(counts)
        if len(places) > self.filled // 2:  # to look through all is faster
            return None
        found = slots[places]
        if len(known) < self.filled:
            later = np.isin(self.memories[len(known) : self.filled], memories)
            found = np.concatenate([found, len(known) + np.flatnonzero(later)])
        found.sort()
        return found

    def _by_levels(self, slots: NDArray[np.intp], query: NDArray[np.float32]) -> NDArray[np.int64]:
        """The vectors in these slots that are there at this visit, best first, ties by ``seq``."""
        if not self.whole:
            slots = slots[(self.born[slots] <= self.visit) & (self.visit < self.died[slots])]
        seqs, distances = self.seqs[slots], 2 - self._scores(slots, query)
        if not self.ordered:
            order = seqs.argsort()
            seqs, distances = seqs[order], distances[order]
        # Cosines are at most 1, so the distances are positive, and their bits in the same order as
        # they are. With the place behind them, whole numbers are sorted; numpy takes eight times
        # as long to sort floats stably.
        keys = distances.view(np.int32).astype(np.int64) << 32 | np.arange(len(seqs))
        keys.sort()
        return seqs[keys & 0xFFFFFFFF]

    def _by_bits(
        self, query: NDArray[np.float32], reach: int, slots: NDArray[np.intp] | None
    ) -> NDArray[np.intp]:
        """The slots with the fewest bits that differ from those of a query: `reach` or more."""
        if self.averages is None or reach >= (self.filled if slots is None else len(slots)):
            return np.arange(self.filled) if slots is None else slots
        sought = words(codes.levels_of(query[np.newaxis]), self.averages)[:, 0]
        if slots is None:
            return _least(self._differing(sought), reach)
        return slots[_least(self._differing_in(slots, sought), reach)]

    def _differing_in(
        self, slots: NDArray[np.intp], query: NDArray[np.uint64]
    ) -> NDArray[np.unsignedinteger]:
        """How many bits of some codes differ from the words of a query; slots are ascending."""
        total = np.zeros(len(slots), np.uint16 if len(query) < 1024 else np.uint32)
        for block, these in self._in_blocks(slots):
            inside = slots[these] - block.start
            for plane, word in zip(block.planes, query, strict=True):
                total[these] += np.bitwise_count(plane.take(inside) ^ word)
        return total

    def _in_blocks(self, slots: NDArray[np.intp]) -> Iterator[tuple[Block, slice]]:
        """The blocks of slots, which are ascending, and which of them each has."""
        done = 0
        for block in self.blocks:
            end = int(slots.searchsorted(block.start + len(block.scales)))
            if done < end:
                yield block, slice(done, end)
            done = end

    def _differing(self, query: NDArray[np.uint64]) -> NDArray[np.unsignedinteger]:
        """How many bits of each code differ from the words of a query."""
        total = np.empty(self.filled, np.uint16 if len(query) < 1024 else np.uint32)
        size = min(BLOCK, self.filled)
        differing = np.empty(size, np.uint64)
        counts, sums = np.empty(size, np.uint8), np.empty(size, np.uint8)
        for block in self.blocks:
            length = min(len(block.scales), self.filled - block.start)
            planes, into = block.planes[:, :length], total[block.start : block.start + length]
            xor, ones, few = differing[:length], counts[:length], sums[:length]
            for first in range(0, len(query), 3):  # three counts of at most 64 fit into a byte
                np.bitwise_count(np.bitwise_xor(planes[first], query[first], out=xor), out=few)
                for plane in range(first + 1, min(first + 3, len(query))):
                    np.bitwise_xor(planes[plane], query[plane], out=xor)
                    np.add(few, np.bitwise_count(xor, out=ones), out=few)
                if first:
                    np.add(into, few, out=into)
                else:
                    np.copyto(into, few)
        return total

    def _scores(self, slots: NDArray[np.intp], query: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosine of each code, to about 0.001; slots are ascending."""
        scores = np.empty(len(slots), np.float32)
        size = of_length(_SCORED, len(query))
        for block, these in self._in_blocks(slots):
            for start in range(these.start, these.stop, size):
                part = slice(start, min(start + size, these.stop))
                inside = slots[part] - block.start
                levels = block.levels.take(inside, axis=0).astype(np.float32)
                # Not a matrix product, whose threads cost more than they save at this size.
                products = np.vecdot(levels, query)
                np.multiply(products, block.scales.take(inside), out=scores[part])
        return scores


def of_length(count: int, dimensions: int) -> int:
    """How many codes have no more bytes than so many of 384 levels, if those of these have more."""
    return max(1, count * 384 // max(384, dimensions))


def empty(dimensions: int, rows: int, start: int) -> Block:
    """A block with room for so many codes; the system gives its memory as it is filled."""
    return Block(
        start,
        np.empty((rows, dimensions), np.int8),
        np.empty(rows, np.float32),
        np.empty(((dimensions + 63) // 64, rows), np.uint64),
    )


def words(
    levels: NDArray[np.int8] | NDArray[np.float32], averages: NDArray[np.int8]
) -> NDArray[np.uint64]:
    """The bits of codes: a row for each plane, a column for each code."""
    rows, dimensions = levels.shape
    packed = np.zeros((rows, (dimensions + 63) // 64 * 8), np.uint8)
    packed[:, : (dimensions + 7) // 8] = np.packbits(levels > averages, axis=1)
    return packed.view(np.uint64).T


def _least(numbers: NDArray[np.unsignedinteger], count: int) -> NDArray[np.intp]:
    """Where the least of more than `count` numbers are, so many and what equals the last of them.

    A sample tells about how great that is, so that few are partitioned: of all, numpy compares
    many times faster than it partitions or makes a histogram.
    """
    sample = numbers[:: max(1, len(numbers) // _SAMPLE)]
    share = count * len(sample) // len(numbers)
    place = min(share + share // 4 + 2, len(sample) - 1)
    bound = np.partition(sample, place)[place]
    found = np.flatnonzero(numbers <= bound)
    while len(found) < count:
        bound += 4
        found = np.flatnonzero(numbers <= bound)
    least = numbers[found]
    return found[least <= np.partition(least, count - 1)[count - 1]]


def sorted_by_memory(scan: Scan) -> Scan:
    """The same codes with all slots in `by_memory`."""
    memories = scan.memories[: scan.filled]
    slots = memories.argsort(kind="stable")
    ordered = memories[slots]
    single = bool(len(ordered) and (ordered[1:] != ordered[:-1]).all())
    return scan._replace(by_memory=ByMemory(ordered, slots, single))


def with_bits(scan: Scan) -> Scan:
    """The same codes with bits about their present average."""
    # Codes lie in the order of arrival, so a sample is taken from all of them.
    step = max(1, scan.filled // _PIECE)
    sample = [block.levels[: scan.filled - block.start][::step] for block in scan.blocks]
    averages = np.rint(np.concatenate(sample).mean(axis=0)).astype(np.int8)
    blocks: list[Block] = []
    for block in scan.blocks:
        planes = np.empty_like(block.planes)  # others may be scanning the old ones
        for start in range(0, min(len(block.scales), scan.filled - block.start), _PIECE):
            stop = min(start + _PIECE, len(block.scales), scan.filled - block.start)
            planes[:, start:stop] = words(block.levels[start:stop], averages)
        blocks.append(block._replace(planes=planes))
    return scan._replace(blocks=tuple(blocks), averages=averages)
