"""A store that processes write into all the time, and the copies that are made of it meanwhile."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from campaigns.actors import Child, ChildError, in_child, wait_until, work
from campaigns.broken import CONTROLS
from campaigns.common import Problem
from campaigns.model import Fault, History, judge, read
from campaigns.moments import Moments, judge_moment
from campaigns.plans import STORE, checkpoints
from campaigns.stores import Report
from campaigns.verdict import verify
from campaigns.workload import Workload
from omega_persistence import OmegaStore, StoredMemory

if TYPE_CHECKING:
    from campaigns.model import Span, State
    from campaigns.operations import Opener

PROCESSES, THREADS = 3, 2
"""Who writes; each thread into a namespace of its own."""

OPERATIONS = 25
"""So many operations each thread has for a backup; when all have run out there are no more."""

OVERWRITTEN = 0.4
"""So many backups take the place of the one before; the others get a new name."""

VERIFIED = 0.5
"""So many backups are verified by the store as it makes them."""

RESTORED = 0.25
"""So many backups are restored, into a store that is open."""


class Setting(Struct, frozen=True, kw_only=True):
    """What kind of store is under load.

    Attributes:
        name: What is special about it.
        ballast: So many memories of a page each that nobody changes, so that copying takes long.
        checkpoint: Pages in the log after which a checkpoint follows a commit; None for 1,000.
        options: Further arguments of `OmegaStore`.
    """

    name: str
    ballast: int = 0
    checkpoint: int | None = None
    options: dict[str, Any] = {}


SETTINGS = (
    Setting(name="large", ballast=1000, checkpoint=50),
    Setting(name="small"),
    Setting(name="checkpoints", ballast=100, checkpoint=12),
    Setting(name="page checksums", ballast=300, options={"checksums": True}),
    Setting(name="truncate", ballast=300, options={"journal": "truncate"}),
)

_BALLAST = "ballast"


class Task(Struct, frozen=True, kw_only=True):
    """Copies of one store.

    Attributes:
        seed: The seed of the campaign.
        number: The number of the store; it also chooses the setting.
        backups: How many at most.
        control: The broken store whose backups are made instead of a real one's.
    """

    seed: int
    number: int
    backups: int
    control: str | None = None


def copy_under_load(task: Task) -> Report:
    """Copy a store again and again while others write, and look at each copy."""
    setting = SETTINGS[task.number % len(SETTINGS)]
    with (
        checkpoints(setting.checkpoint),
        TemporaryDirectory(prefix="omega-persistence-") as folder,  # where syncs take their time
    ):
        return _Load(task, setting, folder).report()


class _Load:
    def __init__(self, task: Task, setting: Setting, folder: str) -> None:
        self._task, self._setting, self._folder = task, setting, folder
        self._path = os.path.join(folder, STORE)
        self._opener: Opener = CONTROLS[task.control].opener if task.control else OmegaStore
        self._options: dict[str, Any] = {"busy_timeout": 60.0, **setting.options}
        self._random = Random(f"{task.seed} {task.number}")
        length = OPERATIONS * task.backups
        workloads = [
            Workload(self._random, length, namespaces=(f"agent-{actor}",))
            for actor in range(PROCESSES * THREADS)
        ]
        self._operations = [workload.operations for workload in workloads]
        self._ballast = [_memory(number) for number in range(setting.ballast)]
        rows = {memory.id: memory for memory in self._ballast}
        ballast = History([_BALLAST], [{(_BALLAST, "memories"): rows} if rows else {}])
        self._histories = [*(workload.history for workload in workloads), ballast]
        self._board = Moments(len(workloads), length)
        self._name = 0
        self._mirror: OmegaStore | None = None
        self._counts: Counter[str] = Counter()
        self._slowest = 0.0
        self._problems: list[Problem] = []

    def report(self) -> Report:
        """Start the writers and the process that copies, and wait for its report."""
        in_child(self._make)
        board, shares = self._board, list(enumerate(self._operations))
        writers = [
            Child(work, board, dict(share), self._path, OmegaStore, **self._options)
            for share in (shares[number::PROCESSES] for number in range(PROCESSES))
        ]
        try:
            wait_until(lambda: all(board.all_done()) or any(each.ended for each in writers))
            report = in_child(self._copied)
            board.stop()
            for writer in writers:
                writer.answer()
            report.counts["acknowledged"] += sum(board.all_done())
            report.problems.extend(in_child(self._looked_at_last))
        except ChildError as error:
            problem = self._problem("at work", Fault("unusable", f"{error}"))
            report = Report(counts=Counter(), slowest=0, problems=[problem])
        finally:
            for writer in writers:
                writer.end()
        return report

    def _make(self) -> None:
        with OmegaStore(self._path, **self._options) as store:
            store.in_namespace(_BALLAST).memories.put_many(self._ballast)

    def _copied(self) -> Report:
        """Make backups and look at each, until there are enough or nobody writes any more."""
        total = [len(operations) for operations in self._operations]
        with ExitStack() as stack:
            store = stack.enter_context(self._opener(self._path, **self._options))
            while self._counts["backups"] < self._task.backups:
                copy, spans = self._backed_up(store)
                faults = self._look(copy, spans)
                if not faults and self._random.random() < RESTORED:
                    faults = self._restored(copy, spans, stack)
                where = f"backup {self._counts['backups']}"
                self._problems += [self._problem(where, fault) for fault in faults]
                if faults or self._board.all_done() == total:
                    break
        return Report(counts=self._counts, slowest=self._slowest, problems=self._problems)

    def _backed_up(self, store: OmegaStore) -> tuple[str, list[Span]]:
        """A new copy, and how much it must and may hold."""
        overwrite = self._name > 0 and self._random.random() < OVERWRITTEN
        self._name += not overwrite
        copy = os.path.join(self._folder, f"copy-{self._name}.db")
        verified = self._random.random() < VERIFIED
        done, start = self._board.all_done(), perf_counter()
        store.backup(copy, overwrite=overwrite, verify=verified)
        self._slowest = max(self._slowest, perf_counter() - start)
        begun = self._board.all_begun()
        self._counts["backups"] += 1
        self._counts["overwritten"] += overwrite
        self._counts["verified"] += verified
        self._counts["begun_meanwhile"] += sum(begun) - sum(done)
        return copy, list(zip(done, begun, strict=True))

    def _look(self, path: str, spans: list[Span]) -> list[Fault]:
        """Whether a store that nobody else has open is whole and of one moment."""
        verdict = verify(path, self._histories, [*spans, (0, 0)], go_on=False)
        return verdict.faults or self._judge_moment(verdict.found, spans)

    def _restored(self, copy: str, spans: list[Span], stack: ExitStack) -> list[Fault]:
        """Restore a copy into a store that is open; the first time it makes the store."""
        path = os.path.join(self._folder, "restored.db")
        OmegaStore.restore(copy, path, overwrite=True)
        self._counts["restored"] += 1
        if self._mirror is None:
            self._mirror = stack.enter_context(OmegaStore(path, **self._options))
        found = read(self._mirror)
        faults = judge(found, self._histories, [*spans, (0, 0)])
        faults += [Fault("damaged", each.detail) for each in self._mirror.check()]
        return faults or self._judge_moment(found, spans)

    def _judge_moment(self, found: State, spans: list[Span]) -> list[Fault]:
        return judge_moment(found, self._histories[:-1], spans, self._board)

    def _looked_at_last(self) -> list[Problem]:
        """What the writers themselves have left."""
        done = self._board.all_done()
        faults = self._look(self._path, list(zip(done, done, strict=True)))
        return [self._problem("afterwards", fault) for fault in faults]

    def _problem(self, where: str, fault: Fault) -> Problem:
        task = self._task
        control = f" --control {task.control!r}" if task.control else ""
        return Problem(
            kind=fault.kind,
            detail=f"store {task.number} ({self._setting.name}), {where}: {fault.detail}",
            repeat=f"python -m campaigns.backups --seed {task.seed}{control}"
            f" --repeat {task.number} --backups {task.backups}",
        )


def _memory(number: int) -> StoredMemory:
    return StoredMemory(
        id=f"{number}",
        content="ballast " * 400,
        tier=1,
        importance=0.5,
        created_at=1,
        last_accessed=1,
    )
