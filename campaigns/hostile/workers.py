"""Worker processes that may crash or hang: it is known at what, and they are replaced."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
from collections import deque
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from msgspec import Struct

from campaigns.common import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

MEMORY = 1024**3
"""Bytes of addresses that a worker may have: what asks for more gets an error, and is noticed."""


class Death(Struct, frozen=True):
    """A worker ended at a task: by a signal, or because it took longer than the limit."""

    number: int
    kind: Literal["crash", "hang"]
    detail: str


def watched(
    make: Callable[[str], Callable[[int], T]],
    numbers: Sequence[int],
    *,
    limit: float,
    jobs: int | None = None,
) -> Iterator[T | Death]:
    """What becomes of each numbered task, as it becomes ready; a `Death` for what ends a worker.

    Args:
        make: Called once in every process with an empty folder; returns what does a task.
        numbers: Of the tasks.
        limit: Seconds after which a task counts as hung, if it does so twice: the machine may have
            been busy, what really hangs will hang again.
        jobs: How many processes; one a processor by default.
    """
    jobs = jobs or os.cpu_count() or 1
    with TemporaryDirectory(prefix="omega-persistence-", dir=scratch_folder()) as folder:
        shares = [numbers[first::jobs] for first in range(min(jobs, len(numbers)))]
        workers = [_Worker(make, share, limit, f"{folder}/{n}") for n, share in enumerate(shares)]
        try:
            while workers:
                ready = wait([worker.pipe for worker in workers])
                for worker in [worker for worker in workers if worker.pipe in ready]:
                    result = worker.take()
                    if result is not None:
                        yield result
                    if not worker.left:
                        workers.remove(worker)
                        worker.end()
        finally:
            for worker in workers:
                worker.end()


class _Worker(Generic[T]):
    """The processes that do a share of the tasks, one after the other."""

    def __init__(
        self,
        make: Callable[[str], Callable[[int], T]],
        share: Sequence[int],
        limit: float,
        folder: str,
    ) -> None:
        self.left = deque(share)
        self._make, self._limit, self._folder = make, limit, folder
        self._trace = f"{folder}.trace"
        self._slow: int | None = None
        self._start()

    def take(self) -> T | Death | None:
        """The result that is ready; None if a task that was too slow is to be tried again."""
        try:
            result: T = self.pipe.recv()
        except EOFError:
            return self._bury()
        self.left.popleft()
        return result

    def end(self) -> None:
        """End the process, which may be at work."""
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _start(self) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe(duplex=False)
        arguments = (theirs, self._make, list(self.left), self._limit, self._folder, self._trace)
        self._process: Any = context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def _bury(self) -> Death | None:
        self._process.join()
        self.pipe.close()
        with open(self._trace, encoding="utf-8", errors="replace") as file:
            trace = file.read()
        number, code, death = self.left[0], self._process.exitcode, None
        if not trace.startswith("Timeout"):
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            death = Death(number, "crash", f"{how}\n{trace}")
        elif self._slow == number:
            death = Death(number, "hang", f"longer than {self._limit} s\n{trace}")
        self._slow = number
        if death is not None:
            self.left.popleft()
        if self.left:
            self._start()
        return death


def _work(
    pipe: Connection,
    make: Callable[[str], Callable[[int], object]],
    numbers: list[int],
    limit: float,
    folder: str,
    trace: str,
) -> None:
    """The life of a worker process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(trace, "w", encoding="utf-8") as file:
        faulthandler.enable(file)
        with TemporaryDirectory(prefix=f"{folder}-") as empty:
            work = make(empty)
            for number in numbers:
                # Watched by a thread that needs neither the interpreter nor SQLite.
                faulthandler.dump_traceback_later(limit, exit=True, file=file)
                result = work(number)
                faulthandler.cancel_dump_traceback_later()
                pipe.send(result)
        faulthandler.disable()
