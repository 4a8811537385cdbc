"""A store at work while calls to the operating system fail below it."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from random import Random
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import ref

import apsw
from msgspec import Struct
from msgspec.structs import replace

from campaigns.filecalls import FileCalls
from campaigns.model import Fault, read
from campaigns.operations import Backup, Driver, Operation, Reopen
from campaigns.plans import STORE, checkpoints, newest_schema, prepare, workloads_of
from campaigns.recording import read_folder, write_folder
from campaigns.verdict import PROBE, PROBE_MEMORY, verify_copy
from omega_persistence import OmegaStore, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from campaigns.filecalls import Failure
    from campaigns.model import State
    from campaigns.operations import Opener
    from campaigns.plans import Plan
    from campaigns.workload import Workload

PATIENCE = 0.02
"""Seconds that a store waits for a lock, which some failures make unobtainable."""


class Outcome(Struct):
    """What one trial showed.

    Attributes:
        calls: Kind of call -> how many there were.
        hits: How many calls failed.
        errors: How many operations raised.
        applied: How many of those had taken place all the same.
        seconds: How long it took.
        faults: Promises that were broken; the trial ends at the first.
    """

    calls: dict[str, int]
    hits: int = 0
    errors: int = 0
    applied: int = 0
    seconds: float = 0.0
    faults: list[Fault] = []


class _BrokenError(Exception):
    """A promise was broken."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = Fault(kind, detail)


class Trials:
    """A plan, to be carried out any number of times in an empty folder."""

    def __init__(self, plan: Plan, seed: str, folder: str, opener: Opener = OmegaStore) -> None:
        """Make what the plan begins with."""
        random = Random(seed)
        self.plan = plan
        self.opener = opener
        self.path = os.path.join(folder, STORE)
        content, _ = prepare(plan, random, self.path)
        self.workloads = workloads_of(plan, random, content)
        self._folder = folder
        self._initial = read_folder(folder)

    def census(self) -> dict[str, int]:
        """Kind of call -> how many of them carrying the plan out takes."""
        return {**self.run(None).calls, **self.run(None, syncs=True).calls}

    def run(self, failure: Failure | None, *, syncs: bool = False) -> Outcome:
        """Carry the plan out once; without a failure, the calls are only counted."""
        write_folder(self._folder, self._initial)
        start = perf_counter()
        with newest_schema(self.plan), checkpoints(self.plan.checkpoint):
            trial = _Trial(self, failure, syncs=syncs or (failure and failure.call) == "sync")
            try:
                trial.run()
            except _BrokenError as broken:
                trial.outcome.faults.append(broken.fault)
        trial.outcome.seconds = perf_counter() - start
        return trial.outcome


class _Trial:
    """One time."""

    def __init__(self, trials: Trials, failure: Failure | None, *, syncs: bool) -> None:
        self.syncs = syncs
        self.outcome = Outcome({})
        self.path = trials.path
        self.failure = failure
        self.options: dict[str, Any] = {"busy_timeout": PATIENCE} | trials.plan.options
        self.probes: State = {}
        self.tried_probes: set[str] = set()
        self._trials = trials
        self.actors = [_Actor(self, number, each) for number, each in enumerate(trials.workloads)]

    def run(self) -> None:
        folder = os.path.dirname(self.path)
        with FileCalls(folder, syncs=self.syncs) as calls, _forgetful() as forget:
            self.calls, self.forget = calls, forget
            calls.arm(self.failure)
            self.driver = self._open()
            try:
                self._work()
                calls.lift()
                self.outcome.calls, self.outcome.hits = dict(calls.counts), calls.hits
                self.must("go on", self._go_on)
            finally:
                calls.lift()
                self.must("close", self.driver.store.close)
        self.must("open again", self._look_again)
        self._copies()

    def _open(self) -> Driver:
        def attempt() -> Driver:
            return Driver(self.path, self._trials.opener, **self.options)

        try:
            return attempt()
        except StorageError:
            self.outcome.errors += 1
        except Exception as error:
            raise _unclean("opening", error) from error
        self.calls.lift()
        return self.must("open", attempt)

    def _work(self) -> None:
        if len(self.actors) == 1:
            self.actors[0].work()
            return
        threads = [Thread(target=actor.work_in_thread) for actor in self.actors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for actor in self.actors:
            if actor.broken is not None:
                raise actor.broken

    def _go_on(self) -> None:
        """The open store is whole, and takes another write."""
        self._compare(self.driver.store)
        self.probe("last")
        self._compare(self.driver.store)

    def _look_again(self) -> None:
        with OmegaStore(self.path, create=False, migrate=False) as store:
            self._compare(store)

    def _compare(self, store: OmegaStore) -> None:
        problems = store.check()
        if problems:
            raise _BrokenError("damaged", f"{problems[0].kind}: {problems[0].detail}")
        expected: State = {}
        for actor in self.actors:
            expected |= actor.states[-1]
        found = read(store)
        probes = found.pop((PROBE, "memories"), {})
        if found != expected:
            raise _BrokenError("torn", "the store does not hold what was done")
        if self.probes.keys() - probes.keys() or probes.keys() - self.tried_probes:
            raise _BrokenError("lost", "writes that were acknowledged meanwhile are not there")

    def probe(self, id: str) -> None:
        """Store what nobody else stores."""
        record = replace(PROBE_MEMORY, id=id)
        self.tried_probes.add(id)
        self.driver.store.in_namespace(PROBE).memories.put(record)
        self.probes[id] = record

    def _copies(self) -> None:
        for workload in self._trials.workloads:
            for name, number in workload.copies.items():
                path = os.path.join(os.path.dirname(self.path), name)
                for fault in verify_copy(path, workload.history.states[number]):
                    raise _BrokenError(fault.kind, fault.detail)

    def must(self, what: str, function: Callable[[], Any]) -> Any:
        """Call what must succeed, now that nothing fails any more."""
        try:
            return function()
        except _BrokenError:
            raise
        except Exception as error:
            message = f"could not {what} afterwards: {_tell(error)}"
            raise _BrokenError("unusable", message) from error


class _Actor:
    """Who carries out one workload, and goes on after an error as a caller would."""

    def __init__(self, trial: _Trial, number: int, workload: Workload) -> None:
        self.states = [*workload.history.states, workload.history.states[-1]]
        self.broken: _BrokenError | None = None
        self._trial = trial
        self._number = number
        self._alone = len(trial._trials.workloads) == 1
        self._namespaces = workload.history.namespaces | ({""} if number == 0 else set())
        closing = [Reopen()] if self._alone else []
        self._operations: list[Operation] = [*workload.operations, *closing]

    def work_in_thread(self) -> None:
        try:
            self.work()
        except _BrokenError as broken:
            self.broken = broken

    def work(self) -> None:
        for number, operation in enumerate(self._operations):
            if self._alone:
                self._trial.forget()
            try:
                operation.run(self._trial.driver)
            except StorageError:
                self._recover(number, operation)
            except Exception as error:
                raise _unclean(type(operation).__name__, error) from error

    def _recover(self, number: int, operation: Operation) -> None:
        """After an error: what is there is from before or after the operation; do it again."""
        trial, before_or_after = self._trial, self.states[number : number + 2]
        trial.outcome.errors += 1
        if trial.failure is not None and trial.failure.sticky:
            self._insist(before_or_after)
        trial.calls.lift()
        if isinstance(operation, Reopen):
            trial.must("open again", trial.driver.reopen)
        found = trial.must("read", self._read)
        if found not in before_or_after:
            raise _BrokenError("torn", f"{type(operation).__name__} is there in part")
        if isinstance(operation, Backup):
            with suppress(FileNotFoundError):
                os.unlink(trial.driver.beside(operation.name))
        elif found == before_or_after[1] != before_or_after[0]:
            trial.outcome.applied += 1
            return
        trial.must(f"do {type(operation).__name__}", lambda: operation.run(trial.driver))
        if trial.must("read", self._read) != before_or_after[1]:
            detail = f"{type(operation).__name__} did not do the same the second time"
            raise _BrokenError("torn", detail)

    def _insist(self, before_or_after: list[State]) -> None:
        """Go on while calls fail: whatever does not raise must be right."""
        trial, store = self._trial, self._trial.driver.store
        number = len(trial.tried_probes)
        found = self._try(self._read)
        if found is not None and found not in before_or_after:
            raise _BrokenError("torn", "a read that succeeded showed a part")
        self._try(lambda: store.memories.search("amber"))
        self._try(lambda: trial.probe(f"{self._number} {number}"))
        self._try(lambda: store.backup(f"{trial.path}.copy-{self._number}", overwrite=True))
        self._try(lambda: OmegaStore(trial.path, create=False, **trial.options).close())
        self._try(lambda: trial.probe(f"{self._number} {number + 1}"))

    def _try(self, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except StorageError:
            return None
        except _BrokenError:
            raise
        except Exception as error:
            raise _unclean("a call after the first error", error) from error

    def _read(self) -> State:
        found = read(self._trial.driver.store)
        return {key: rows for key, rows in found.items() if key[0] in self._namespaces}


def _unclean(what: str, error: Exception) -> _BrokenError:
    return _BrokenError("unclean", f"{what} raised {_tell(error)}")


def _tell(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def _forgetful() -> Generator[Callable[[], None]]:
    """Gives a function that makes every connection read from the disk again."""
    opened: list[ref[apsw.Connection]] = []

    def hook(connection: apsw.Connection) -> None:
        opened.append(ref(connection))

    def forget() -> None:
        for connection in [each() for each in opened]:
            if connection is not None:
                with suppress(apsw.ConnectionClosedError):
                    connection.release_memory()

    apsw.connection_hooks.append(hook)
    try:
        yield forget
    finally:
        apsw.connection_hooks.remove(hook)
