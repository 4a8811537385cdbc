"""What all rounds of the concurrency campaign share: the task, its threads, the last look.

A fault here is one of ``"error"``: a call raised something else than `BusyError`; ``"busy"``: it
raised that without need, too early or too late, or did not raise it; ``"inexact"``: what the store
holds in the end is not what was acknowledged; ``"torn"``: somebody saw half a transaction;
``"stale"``: somebody did not see what had been committed; ``"order"``: a register's history is not
linearizable; ``"unfair"``: some processes wrote much more than others; ``"damaged"``: ``check()``
says so.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from random import Random
from threading import Thread
from time import monotonic, monotonic_ns, sleep
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from msgspec import Struct

from campaigns.broken import CONTROLS
from campaigns.model import Fault
from campaigns.operations import Opener
from omega_persistence import BusyError, OmegaStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from campaigns.crew import Post

P = ParamSpec("P")
T = TypeVar("T")

LONG = 60.0
"""The busy timeout where nobody holds the file for long: nothing may raise `BusyError`."""

COPIES = 2
"""A process that makes backups meanwhile makes so many."""

MAINTENANCE = 3
"""A process that looks after the file meanwhile does so so often."""


class Task(Struct, frozen=True, kw_only=True):
    """One round.

    Attributes:
        seed: The seed of the campaign.
        number: The number of the round.
        path: Where the store is, or shall be: alone in its folder.
        threads: How many threads each process has.
        length: How many operations each of them does.
        upkeep: Whether one process makes backups meanwhile, and another one looks after the file.
        control: The broken store to use instead of a real one.
        options: Further arguments of `OmegaStore`.
        seconds: How long a round lasts that is about time.
    """

    seed: int
    number: int
    path: str
    threads: int = 1
    length: int = 20
    upkeep: bool = False
    control: str | None = None
    options: dict[str, Any] = {}
    seconds: float = 5.0

    def random(self, *who: object) -> Random:
        """The same random numbers for the same round and the same actor."""
        return Random(f"{self.seed}/{self.number}/{who}")

    def open(self, *, busy_timeout: float = LONG) -> OmegaStore:
        """The store as a process of the round opens it."""
        return self.opener(self.path, busy_timeout=busy_timeout, **self.options)

    @property
    def opener(self) -> Opener:
        """What opens it."""
        return OmegaStore if self.control is None else CONTROLS[self.control].opener

    def fresh(self) -> OmegaStore:
        """The store as the round finds it, which is a sound one."""
        return OmegaStore(self.path, **self.options)

    def copy(self, number: int) -> str:
        """The name of a backup."""
        return os.path.join(os.path.dirname(self.path), f"copy-{number}.db")


class Report(Struct, kw_only=True):
    """What one thread of one process did, or all of them together.

    Attributes:
        notes: What each thread has to tell that came to its end.
        calls: How many calls of the library it made.
        worst: How long the longest took, in nanoseconds.
        ratio: How often the busiest process wrote while the laziest did so 100 times.
        copies: How many backups were made meanwhile.
        faults: What must not happen.
    """

    notes: list[Any] = []
    calls: int = 0
    worst: int = 0
    ratio: int = 0
    copies: int = 0
    faults: list[Fault] = []


class Caller:
    """One thread of one process. It times its calls of the library.

    Attributes:
        name: Another one for each thread of each process.
        random: The same numbers for the same thread of the same round.
        retry: Whether somebody may be in its way: then it calls again after a `BusyError`.
        report: What it did.
        begin: When the last call began, on the clock that all processes share.
        end: When it returned.
    """

    def __init__(self, post: Post[Task], thread: int | str, *, retry: bool = False) -> None:
        self.name = f"{post.place}.{thread}"
        self.random = post.task.random(post.place, thread)
        self.retry = retry
        self.report = Report()
        self.begin = self.end = 0

    def __call__(self, function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Call a method of the library."""
        give_up = monotonic() + LONG
        while True:
            self.begin = monotonic_ns()
            try:
                return function(*args, **options)
            except BusyError:
                if not self.retry or monotonic() > give_up:
                    raise
                sleep(0.001)
            finally:
                self.end = monotonic_ns()
                self.report.calls += 1
                self.report.worst = max(self.report.worst, self.end - self.begin)

    def fault(self, kind: str, detail: str) -> None:
        """Note what must not happen."""
        self.report.faults.append(Fault(kind, f"{self.name}: {detail}"))

    @contextmanager
    def noting(self) -> Generator[None]:
        """Do something that must not raise."""
        try:
            yield
        except BusyError as error:
            self.fault("busy", f"{error} (after {self.seconds:.3f} s)")
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
            self.fault("error", f"{type(error).__name__}: {error}")

    @property
    def seconds(self) -> float:
        """How long the last call took."""
        return (self.end - self.begin) / 1e9


def attend(
    post: Post[Task],
    work: Callable[[OmegaStore, Caller], Any],
    *,
    busy_timeout: float = LONG,
) -> Report:
    """Open the store, do the work in every thread of this process, and close it.

    With a shorter busy timeout everything is tried until nobody is in the way.
    """
    task = post.task
    caller = partial(Caller, post, retry=busy_timeout < LONG)
    opening = caller("opening")
    callers = [caller(thread) for thread in range(task.threads)]
    with opening.noting(), opening(task.open, busy_timeout=busy_timeout) as store:
        jobs = [_job(work, store, caller) for caller in callers]
        if task.upkeep and post.place < len(_UPKEEP):
            callers.append(caller("upkeep"))
            jobs.append(_job(partial(_UPKEEP[post.place], task), store, callers[-1]))
        in_threads(jobs)
    return together([opening.report, *(caller.report for caller in callers)])


def _job(
    work: Callable[[OmegaStore, Caller], Any], store: OmegaStore, caller: Caller
) -> Callable[[], None]:
    def job() -> None:
        with caller.noting():
            note = work(store, caller)
            if note is not None:
                caller.report.notes.append(note)

    return job


def _back_up(task: Task, store: OmegaStore, caller: Caller) -> None:
    for number in range(COPIES):
        sleep(caller.random.random() / 50)
        caller(store.backup, task.copy(number))
        caller.report.copies += 1


def _maintain(task: Task, _store: OmegaStore, caller: Caller) -> None:
    """What the command line does to a file in use: open it, work on all of it, close it."""
    for _ in range(MAINTENANCE):
        sleep(caller.random.random() / 50)
        with caller(task.open) as store:
            caller(caller.random.choice((store.compact, store.optimize)))
            for problem in caller(store.check):
                caller.fault("damaged", f"{problem}")


_UPKEEP = (_back_up, _maintain)


def in_threads(jobs: Sequence[Callable[[], object]]) -> None:
    """Do all of it at once."""
    threads = [Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def together(reports: Iterable[Report]) -> Report:
    """The reports of several as one."""
    whole = Report()
    for report in reports:
        whole.notes += report.notes
        whole.calls += report.calls
        whole.worst = max(whole.worst, report.worst)
        whole.copies += report.copies
        whole.faults += report.faults
    return whole


def conclude(
    task: Task,
    reports: Iterable[Report],
    *,
    final: Callable[[OmegaStore], Iterable[Fault]],
    copy: Callable[[OmegaStore], Iterable[Fault]],
) -> Report:
    """The reports of all processes, and a last look at what they left behind.

    ``final`` looks at the store and ``copy`` at each backup, unless an error has stopped a
    thread: nobody knows how far it came.
    """
    whole = together(reports)
    if any(fault.kind in {"error", "busy"} for fault in whole.faults):
        final = copy = nothing
    looks = [(task.path, final)]
    looks += [(task.copy(number), copy) for number in range(whole.copies)]
    for path, look in looks:
        try:
            with OmegaStore(path, create=False) as store:
                problems = store.check()
                whole.faults += [Fault("damaged", f"{path}: {each}") for each in problems]
                whole.faults += look(store)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
            whole.faults.append(Fault("error", f"{path}: {type(error).__name__}: {error}"))
    return whole


def nothing(_store: OmegaStore) -> Iterable[Fault]:
    """No faults, where there is nothing to look at."""
    return ()
