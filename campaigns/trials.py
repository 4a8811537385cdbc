"""A store at work while calls to the operating system fail below it."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from hashlib import blake2b
from random import Random
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import apsw
from msgspec import Struct
from msgspec.structs import replace

from campaigns.callers import BrokenError, Caller, require, unclean
from campaigns.failing import ABOVE
from campaigns.filecalls import FileSystemCalls, SystemCalls
from campaigns.model import Fault, History, judge, read
from campaigns.operations import Driver
from campaigns.plans import STORE, checkpoints, newest_schema, prepare, workloads_of
from campaigns.recording import read_folder, write_folder
from campaigns.verdict import PROBE, PROBE_MEMORY
from omega_persistence import CorruptionError, OmegaStore, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from campaigns.failing import Failure
    from campaigns.model import Span
    from campaigns.operations import Opener
    from campaigns.plans import Plan

T = TypeVar("T")

PATIENCE = 0.02
"""Seconds that a store waits for a lock, which some failures make unobtainable."""

TOO_LONG = 30
"""Seconds that a trial may take; most take a fortieth of one."""


class Outcome(Struct):
    """What one trial showed.

    Attributes:
        hits: How many calls failed.
        errors: How many operations raised.
        applied: How many of those had taken place all the same.
        seconds: How long it took.
        fault: The promise that was broken, which ended the trial.
    """

    hits: int = 0
    errors: int = 0
    applied: int = 0
    seconds: float = 0.0
    fault: Fault | None = None


class Trials:
    """A plan, to be carried out any number of times in an empty folder."""

    def __init__(self, plan: Plan, seed: str, folder: str, opener: Opener = OmegaStore) -> None:
        """Make what the plan begins with."""
        random = Random(seed)
        self.plan = plan
        self.opener = opener
        self.folder = folder
        self.path = os.path.join(folder, STORE)
        content, self.copies = prepare(plan, random, self.path)
        self.workloads = workloads_of(plan, random, content)
        self.good_copies: set[bytes] = set()
        self._initial = read_folder(folder)

    def census(self) -> dict[str, int]:
        """Kind of call -> how many of them carrying the plan out takes."""
        above = FileSystemCalls(None)
        self._carry_out(above, None)
        if self.plan.threads > 1:
            return dict(above.counts)
        below = SystemCalls(None, self.folder)
        self._carry_out(below, None)
        return {**below.counts, "file.sync": above.counts["file.sync"]}

    def run(self, failure: Failure) -> Outcome:
        """Carry the plan out once while calls fail, and look at everything afterwards."""
        if failure.call in ABOVE:
            return self._carry_out(FileSystemCalls(failure), failure)
        return self._carry_out(SystemCalls(failure, self.folder), failure)

    def _carry_out(self, calls: FileSystemCalls | SystemCalls, failure: Failure | None) -> Outcome:
        write_folder(self.folder, self._initial)
        start = perf_counter()
        with newest_schema(self.plan), checkpoints(self.plan.checkpoint):
            trial = Trial(self, calls, failure)
            try:
                trial.run()
            except BrokenError as broken:
                trial.outcome.fault = broken.fault
        trial.outcome.hits = calls.hits
        trial.outcome.seconds = seconds = perf_counter() - start
        if seconds > TOO_LONG and trial.outcome.fault is None:
            trial.outcome.fault = Fault("unusable", f"it took {seconds:.0f} s")
        return trial.outcome


class Trial:
    """One time that a plan is carried out.

    Attributes:
        alone: Whether one caller has the store to itself.
        probes: What was stored besides the plan, and acknowledged.
        copies: Pattern of a name -> what a file of such a name, which must be there, holds.
        driver: The store.
        forget: Makes every connection read from the disk again.
    """

    driver: Driver
    forget: Callable[[], None]

    def __init__(
        self, trials: Trials, calls: FileSystemCalls | SystemCalls, failure: Failure | None
    ) -> None:
        self.calls = calls
        self.failure = failure
        self.outcome = Outcome()
        self.path = trials.path
        self.options: dict[str, Any] = {"busy_timeout": PATIENCE} | trials.plan.options
        self.alone = trials.plan.threads == 1
        self.probes: set[str] = set()
        self.copies: dict[str, tuple[History, Span]] = {}
        self._tried: set[str] = set()
        self._open_before = _open_files(trials.folder)
        self._opener = trials.opener
        self._good_copies = trials.good_copies
        self._callers = [
            Caller(self, f"caller-{number}", workload)
            for number, workload in enumerate(trials.workloads)
        ]
        for copy in trials.copies:
            history = History(self._callers[0].history.namespaces, [copy.content])
            self.copies[copy.pattern] = history, (0, 0)

    def run(self) -> None:
        """Carry it out, and look at the store while it is still open and after that."""
        with self.calls, _forgetful() as self.forget:
            self._open()
            try:
                if self.outcome.errors == 0:
                    self._work()
                self.calls.lift()
                self.must("go on", self._go_on)
            except BrokenError:
                self.calls.lift()
                with suppress(StorageError):
                    self.driver.store.close()
                raise
            self.must("close", self.driver.store.close)
        self.must("open again", self._look_again)
        names = os.listdir(os.path.dirname(self.path))
        self._look_for_leftovers(names)
        for pattern, (history, span) in self.copies.items():
            there = [name for name in names if fnmatch(name, pattern)]
            if not there:
                raise BrokenError("copy", f"{pattern} is missing")
            for name in there:
                self._look_at_copy(name, history, span)

    def probe(self, id: str) -> None:
        """Store what nobody else stores."""
        self._tried.add(id)
        self.driver.store.in_namespace(PROBE).memories.put(replace(PROBE_MEMORY, id=id))
        self.probes.add(id)

    def remove_copy(self, name: str, history: History, span: Span) -> None:
        """Remove what a backup that raised has left: nothing, or all of it."""
        path = self.driver.beside(name)
        if os.path.exists(path):
            self._look_at_copy(name, history, span)
            os.unlink(path)

    def must(self, what: str, function: Callable[[], T]) -> T:
        """Call what must succeed, now that nothing fails any more."""
        try:
            return function()
        except BrokenError:
            raise
        except Exception as error:
            kind = "damaged" if isinstance(error, CorruptionError) else "unusable"
            message = f"could not {what} afterwards: {type(error).__name__}: {error}"
            raise BrokenError(kind, message) from error

    def _open(self) -> None:
        def attempt() -> Driver:
            return Driver(self.path, self._opener, **self.options)

        try:
            self.driver = attempt()
        except StorageError:
            self.outcome.errors += 1
            self.calls.lift()
            self.driver = self.must("open", attempt)
        except Exception as error:
            raise unclean("opening", error) from error

    def _work(self) -> None:
        if self.alone:
            self._callers[0].work()
            return
        broken: list[BaseException] = []

        def work(caller: Caller) -> None:
            try:
                caller.work()
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                broken.append(error)

        threads = [Thread(target=work, args=(caller,)) for caller in self._callers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in broken:
            raise error

    def _go_on(self) -> None:
        self.probe("last")
        self._compare(self.driver.store)

    def _look_again(self) -> None:
        with OmegaStore(self.path, create=False, migrate=False) as store:
            for problem in store.check():
                raise BrokenError("damaged", f"{problem.kind}: {problem.detail}")
            self._compare(store)

    def _compare(self, store: OmegaStore) -> None:
        """It holds what was done."""
        found = read(store)
        probes = found.pop((PROBE, "memories"), {}).keys()
        if not self.probes <= probes <= self._tried:
            raise BrokenError("lost", "what was stored besides is not what was acknowledged")
        histories = [caller.history for caller in self._callers]
        spans = [(caller.done, caller.done) for caller in self._callers]
        for fault in judge(found, histories, spans):
            raise BrokenError(fault.kind, fault.detail)

    def _look_for_leftovers(self, names: list[str]) -> None:
        """Nothing is still open, and nothing is there that was needed for a while only."""
        for path in _open_files(os.path.dirname(self.path)) - self._open_before:
            raise BrokenError("unusable", f"{path} is still open")
        for name in names:
            if ".partial" in name and "unlink" not in str(self.failure):
                raise BrokenError("copy", f"{name} was left")

    def _look_at_copy(self, name: str, history: History, span: Span) -> None:
        path = self.driver.beside(name)
        with open(path, "rb") as file:  # nobody has it open
            digest = blake2b(file.read(), key=f"{name} {span}".encode()).digest()
        if digest in self._good_copies:
            return
        try:
            with OmegaStore(path, create=False) as copy:
                details = [problem.detail for problem in copy.check()]
                require(read(copy), history, span)
        except (BrokenError, StorageError) as error:
            raise BrokenError("copy", f"{name}: {error}") from error
        if details:
            raise BrokenError("copy", f"{name}: {details[0]}")
        self._good_copies.add(digest)


def _open_files(folder: str) -> set[str]:
    """What this process has open in a folder, as far as the system tells."""
    found: list[str] = []
    with suppress(FileNotFoundError):
        for descriptor in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):  # what `listdir` itself had open
                found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return {path for path in found if path.startswith(folder + os.sep)}


@contextmanager
def _forgetful() -> Generator[Callable[[], None]]:
    """Gives a function that makes every connection read from the disk again."""
    opened: WeakSet[apsw.Connection] = WeakSet()

    def forget() -> None:
        for connection in opened:
            with suppress(apsw.ConnectionClosedError):
                connection.release_memory()

    apsw.connection_hooks.append(opened.add)
    try:
        yield forget
    finally:
        apsw.connection_hooks.remove(opened.add)
