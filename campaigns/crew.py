"""Processes that stand by for the rounds of a campaign, and how one conducts them."""

from __future__ import annotations

import signal
from contextlib import suppress
from multiprocessing import get_context
from time import monotonic_ns, sleep
from traceback import format_exc
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

T = TypeVar("T")
U = TypeVar("U")

LEAD = 20_000_000
"""Nanoseconds from giving out a task to the moment at which all begin with it."""

PATIENCE = 300.0
"""Seconds without a word after which a process is taken to hang."""


class CrewError(Exception):
    """A process hangs, ended or failed; all have been replaced."""


class Post(Generic[T]):
    """Where a process stands in a round.

    Attributes:
        task: What the round is about.
        place: The number of the process, from 0.
    """

    def __init__(self, task: T, place: int, line: Connection) -> None:
        self.task = task
        self.place = place
        self._line = line

    def say(self, message: Any) -> None:
        """Tell the conductor something."""
        self._line.send((message, None))

    def hear(self) -> Any:
        """Wait for what the conductor says; the process ends if that is nothing any more."""
        try:
            return self._line.recv()
        except (EOFError, OSError):
            raise SystemExit from None


class Crew:
    """So many processes, started afresh and not forked; they end with the ``with`` block."""

    def __init__(self, size: int) -> None:
        self.places = range(size)
        self._lines: list[Any] = []
        self._processes: list[SpawnProcess] = []
        self._start()

    def run(self, work: Callable[[Post[T]], U], task: T) -> list[U]:
        """What the work returns in each process; all begin at the same moment."""
        self.begin(work, task)
        return self.hear_all()

    def begin(self, work: Callable[[Post[T]], Any], task: T) -> None:
        """Let every process begin; `say` and `hear` follow, and the last word is the result."""
        moment = monotonic_ns() + LEAD
        for place in self.places:
            self.say(place, (moment, work, task))

    def say(self, place: int, message: Any) -> None:
        """Tell a process something; `hear` finds out if it is gone."""
        with suppress(OSError):
            self._lines[place].send(message)

    def hear(self, place: int) -> Any:
        """Wait for what a process says.

        Raises:
            CrewError: it says nothing for too long, is gone, or raised an error.
        """
        line = self._lines[place]
        message, failure = None, f"process {place} has said nothing for {PATIENCE:.0f} s"
        if line.poll(PATIENCE):
            try:
                message, failure = line.recv()
            except (EOFError, OSError):
                failure = f"process {place} is gone"
        if failure is not None:
            self._end(1)
            self._start()
            raise CrewError(failure)
        return message

    def hear_all(self) -> list[Any]:
        """What each process says."""
        return [self.hear(place) for place in self.places]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._end(10 if kind is None else 1)

    def _start(self) -> None:
        context = get_context("spawn")
        for place in self.places:
            here, there = context.Pipe()
            process = context.Process(target=_stand_by, args=(place, there), daemon=True)
            process.start()
            there.close()
            self._lines.append(here)
            self._processes.append(process)

    def _end(self, patience: float) -> None:
        for line in self._lines:
            line.close()
        for process in self._processes:
            process.join(patience)
            process.kill()  # if it has not ended by itself
            process.join()
            process.close()
        self._lines.clear()
        self._processes.clear()


def _stand_by(place: int, line: Connection) -> None:
    """What a process does until the conductor hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the conductor
    while True:
        try:
            moment, work, task = line.recv()
        except (EOFError, OSError):
            return
        sleep(max(0, moment - monotonic_ns()) / 1e9)
        try:
            answer = work(Post(task, place, line)), None
        except Exception:  # noqa: BLE001 - the conductor raises it
            answer = None, format_exc()
        line.send(answer)
