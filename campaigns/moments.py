"""Whether what a copy shows of several actors can have been so at one moment."""

from __future__ import annotations

from array import array
from mmap import mmap
from typing import TYPE_CHECKING

from campaigns.actors import Board
from campaigns.model import Fault

if TYPE_CHECKING:
    from campaigns.model import History, Span, State


class Moments(Board):
    """Also notes, when an actor begins an operation, what all of them have done by then."""

    def __init__(self, actors: int, length: int) -> None:
        """Make room for so many operations of each actor."""
        super().__init__(actors)
        self._width, self._length = actors, length
        self._known = memoryview(mmap(-1, 8 * actors * actors * length)).cast("q")

    def begin(self, actor: int) -> None:
        """Note that an actor begins its next operation."""
        row = self._row(actor, self.all_begun()[actor])
        self._known[row] = array("q", self.all_done())
        super().begin(actor)

    def known(self, actor: int, number: int) -> list[int]:
        """How much every actor had done when one began this operation of its own, from 0."""
        return list(self._known[self._row(actor, number)])

    def _row(self, actor: int, number: int) -> slice:
        start = (actor * self._length + number) * self._width
        return slice(start, start + self._width)


def judge_moment(
    found: State, histories: list[History], spans: list[Span], moments: Moments
) -> list[Fault]:
    """Whether a state with an operation also has all that was acknowledged before it began.

    Of two numbers of operations after which an actor's records are the same, the one is taken that
    accuses nobody. Each actor's records must be those of a number within its span.
    """
    shown: list[list[int]] = []
    for history, (done, begun) in zip(histories, spans, strict=True):
        part = {key: rows for key, rows in found.items() if key[0] in history.namespaces}
        shown.append([k for k in range(done, begun + 1) if history.states[k] == part])
    faults: list[Fault] = []
    for actor, (least, *_) in enumerate(shown):
        if least == 0:
            continue
        for other, needed in enumerate(moments.known(actor, least - 1)):
            if shown[other][-1] < needed:
                faults.append(
                    Fault(
                        "torn",
                        f"operation {least} of actor {actor} is there, but not {needed} of actor"
                        f" {other}, which was acknowledged before the former began",
                    )
                )
    return faults
