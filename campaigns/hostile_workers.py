"""Worker processes that may crash or hang: which task they were at is known, and they are replaced."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnProcess

T = TypeVar("T")

Work = "Callable[[int], T]"

MEMORY = 4 * 1024**3
"""Bytes of address space of a worker: a file that asks for more is noticed, and the machine lives."""


class Death(Struct, frozen=True):
    """A worker ended at a task: by a signal, or since it took longer than the limit."""

    task: int
    hung: bool
    detail: str


class _Worker(Generic[T]):
    """One process, and the task that it is at."""

    def __init__(self, folder: Path, number: int, make: Callable[[Path], Work], limit: float) -> None:
        self.task = -1
        self.since = 0.0
        self.trace = folder / f"trace-{number}"
        mine = folder / f"worker-{number}"
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, make, mine, self.trace, limit)
        self.process: SpawnProcess = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def give(self, task: int) -> None:
        """Let it begin a task."""
        self.task, self.since = task, monotonic()
        self.pipe.send(task)

    def death(self, limit: float) -> Death:
        """What became of a process that answers no more."""
        self.process.join()
        code = self.process.exitcode or 0
        trace = self.trace.read_text(errors="replace") if self.trace.exists() else ""
        if trace.startswith("Timeout") or code == -signal.SIGKILL:
            return Death(self.task, hung=True, detail=f"longer than {limit} s\n{trace}")
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return Death(self.task, hung=False, detail=f"{how}\n{trace}")

    def end(self) -> None:
        """Let the process end."""
        self.pipe.close()
        self.process.join()


def watched(
    tasks: range, make: Callable[[Path], Work], folder: Path, *, jobs: int, limit: float
) -> Iterator[T | Death]:
    """What the work makes of each task, as they become ready; a `Death` for what kills a worker.

    Args:
        tasks: Numbers of tasks.
        make: Called in each process, with a folder of its own, for the function that does the work.
        folder: Where those folders are made.
        jobs: How many processes.
        limit: Seconds after which a task counts as hung. It is tried again once, alone in a new
            process: a machine may be busy, a file that hangs will hang again.
    """
    waiting = iter(tasks)
    again: list[int] = []
    tried: set[int] = set()
    workers: dict[Connection, _Worker[T]] = {}
    number = 0

    def hire() -> None:
        nonlocal number
        task = again.pop() if again else next(waiting, None)
        if task is not None:
            worker: _Worker[T] = _Worker(folder, number, make, limit)
            number += 1
            workers[worker.pipe] = worker
            worker.give(task)

    try:
        for _ in range(min(jobs, len(tasks))):
            hire()
        while workers:
            for pipe in wait(list(workers), timeout=1.0):
                worker = workers[pipe]  # pyright: ignore[reportArgumentType]
                try:
                    result: T = worker.pipe.recv()
                except EOFError:
                    death = worker.death(limit)
                    del workers[worker.pipe]
                    worker.end()
                    if death.hung and death.task not in tried:
                        tried.add(death.task)
                        again.append(death.task)
                    else:
                        yield death
                    hire()
                    continue
                yield result
                task = again.pop() if again else next(waiting, None)
                if task is not None:
                    worker.give(task)
                else:
                    del workers[worker.pipe]
                    worker.end()
            for worker in workers.values():
                # Its own alarm should have ended it, unless it is in the kernel.
                if monotonic() - worker.since > 4 * limit + 30:
                    worker.process.kill()
    finally:
        for worker in workers.values():
            worker.process.kill()
            worker.end()


def _serve(
    pipe: Connection, make: Callable[[Path], Work], folder: Path, trace: Path, limit: float
) -> None:
    """The life of a worker."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder.mkdir()
    with trace.open("w") as file:
        faulthandler.enable(file)
        work = make(folder)
        while True:
            try:
                task = pipe.recv()
            except EOFError:
                break
            # A thread of its own, which needs neither the interpreter nor SQLite, ends the process.
            faulthandler.dump_traceback_later(limit, exit=True, file=file)
            result = work(task)
            faulthandler.cancel_dump_traceback_later()
            pipe.send(result)
        faulthandler.disable()
    os._exit(0)  # what an exercise left open need not be closed in order
