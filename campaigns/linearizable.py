"""Whether a history of reads and writes of a register is linearizable, exactly and quickly.

A history is linearizable if every operation can be given a moment between its begin and its end so
that, in the order of these moments, each read returns what was written last before it. To find
such moments is NP-complete in general, but easy if no value is written twice: then it is known
which write each read saw. The method is that of Gibbons and Korach, "Testing shared memories", SIAM
Journal on Computing 26 (1997).

A write and the reads of its value stand together in every such order, as a cluster. Let f be the
earliest end among them and s the latest begin. One of two clusters must come before the other if
it has an operation that ends before one of the other begins: if its f is less than the other's s.
So two clusters contradict each other if that is so both ways. If no two do, there is an order:
suppose there were a circle of clusters of which each must come before the next, and take the one
with the least f. Its f is less than the s of every other, as each other's s is greater than the f
of the one before; so it must come before the one that precedes it in the circle, and those two
contradict each other.

Where f < s, the time from f to s is a forward zone: the register has the value throughout. Two of
them must not overlap. Otherwise the time from s to f is a backward zone: some moment in it is
enough, unless it lies within one forward zone of another value. Two backward ones never contradict
each other. Sorting the zones finds a contradiction in n log n steps.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable


class Operation(Struct, frozen=True, kw_only=True):
    """A read or a write of one register that has returned.

    Attributes:
        value: What was read or written; no two writes write the same.
        writes: Whether it is a write.
        begin: When it was called, on a clock that all who took part share.
        end: When it returned. One that begins at that very moment is taken for simultaneous.
        actor: Who called it, for people.
    """

    value: str
    writes: bool
    begin: int
    end: int
    actor: str = ""

    def __str__(self) -> str:
        """For people."""
        verb = "writes" if self.writes else "reads"
        return f"{self.actor} {verb} {self.value!r} from {self.begin} to {self.end}"


class Zone(Struct, frozen=True):
    """The operations of one value, by the two that matter.

    Attributes:
        ends: The one that ends first.
        begins: The one that begins last.
    """

    ends: Operation
    begins: Operation

    @property
    def forward(self) -> bool:
        """Whether the register must have the value throughout, from one end to the other."""
        return self.ends.end < self.begins.begin

    def contradicts(self, other: Zone) -> bool:
        """Whether each must come before the other."""
        first = self.ends.end < other.begins.begin
        return first and other.ends.end < self.begins.begin


def contradiction(operations: Iterable[Operation]) -> str | None:
    """Why the history of one register is not linearizable; None if it is.

    The history begins with a write, as nothing can be read before. Several registers are
    linearizable together if each of them is.
    """
    clusters: dict[str, list[Operation]] = {}
    for operation in operations:
        clusters.setdefault(operation.value, []).append(operation)
    zones: list[Zone] = []
    for cluster in clusters.values():
        writes = [operation for operation in cluster if operation.writes]
        if not writes:
            return f"{cluster[0]}, which nobody writes"
        if len(writes) > 1:
            message = f"{writes[0].value!r} is written twice"
            raise ValueError(message)
        first = min(cluster, key=lambda each: each.end)
        if first.end < writes[0].begin:
            return f"{first}, before {writes[0]}"
        zones.append(Zone(first, max(cluster, key=lambda each: each.begin)))
    pair = _contradictory(zones)
    if pair is None:
        return None
    one, other = pair
    return f"{one.ends} before {other.begins}, but {other.ends} before {one.begins}"


def _contradictory(zones: list[Zone]) -> tuple[Zone, Zone] | None:
    forward = sorted((zone for zone in zones if zone.forward), key=lambda zone: zone.ends.end)
    for pair in pairwise(forward):
        if pair[0].contradicts(pair[1]):
            return pair
    starts = [zone.ends.end for zone in forward]  # which do not overlap
    for zone in zones:
        if not zone.forward:
            at = bisect_left(starts, zone.begins.begin) - 1
            if at >= 0 and forward[at].contradicts(zone):
                return forward[at], zone
    return None
