"""A store whose writers are killed, life after life, and what is left of it after each."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from campaigns.actors import Board, Child, ChildError, in_child, wait_until, work
from campaigns.aftermath import look
from campaigns.broken import CONTROLS
from campaigns.common import Problem
from campaigns.model import Fault, History
from campaigns.operations import Backup, Driver, Maintain, Operation, Reopen, Restore
from campaigns.plans import (
    STORE,
    Copy,
    Plan,
    checkpoints,
    newest_schema,
    owned,
    prepare,
    workloads_of,
)
from campaigns.recording import read_folder, write_folder
from campaigns.stores import Report
from campaigns.workload import run_all
from omega_persistence import OmegaStore

OPERATIONS = 30
"""A life lasts up to so long as a writer needs for so many operations."""

LENGTH = 30
"""So many operations an actor has for each life: those who survive get more done."""

SURVIVED = 2
"""So many operations each survivor must still get done."""

RECOVERIES = 0.2
"""So many of the stores are opened by another process that is killed in its turn."""

_LONG = {"busy_timeout": 60.0}


class Setting(Struct, frozen=True):
    """How writers live.

    Attributes:
        plan: What they do to which store; its threads are spread over the processes.
        processes: How many there are; one of them is killed, and the others go on.
        afresh: Each life begins with the plan's start, and ends about when that is opened;
            otherwise with what the life before has left.
    """

    plan: Plan
    processes: int = 1
    afresh: bool = False


SETTINGS = (
    Setting(Plan(name="records")),
    Setting(Plan(name="records of three", threads=3, options=_LONG), 3),
    Setting(Plan(name="creation", start="nothing"), afresh=True),
    Setting(Plan(name="threads", threads=8, options=_LONG)),
    Setting(Plan(name="checkpoints", checkpoint=12)),
    Setting(Plan(name="checkpoints of three", threads=3, checkpoint=12, options=_LONG), 3),
    Setting(Plan(name="crate", start="crate"), afresh=True),
    Setting(Plan(name="maintenance", extras=("compact", "optimize"))),
    Setting(
        Plan(name="creation by three", start="nothing", threads=3, options=_LONG), 3, afresh=True
    ),
    Setting(Plan(name="copies", extras=("backup", "restore"))),
    Setting(Plan(name="older schema", start="older"), afresh=True),
    Setting(Plan(name="threads of three", threads=9, checkpoint=50, options=_LONG), 3),
    Setting(Plan(name="truncate", options={"journal": "truncate"})),
    Setting(Plan(name="durability normal", checkpoint=50, options={"durability": "normal"})),
    Setting(Plan(name="page checksums", checkpoint=50, options={"checksums": True})),
    Setting(Plan(name="maintenance of three", threads=3, extras=("compact",), options=_LONG), 3),
)

_NAMES: dict[type[Operation], str] = {
    Backup: "copying",
    Restore: "copying",
    Maintain: "maintenance",
    Reopen: "reopening",
}


class Task(Struct, frozen=True, kw_only=True):
    """Lives of one store.

    Attributes:
        seed: The seed of the campaign.
        number: The number of the store; it also chooses the setting.
        lives: How many.
        control: The broken store that the writers use instead of a real one.
        keep: Where to keep the folder of a store that has a problem.
    """

    seed: int
    number: int
    lives: int
    control: str | None = None
    keep: str | None = None


def live(task: Task) -> Report:
    """Kill writers of one store again and again, and look at it after each kill."""
    setting = SETTINGS[task.number % len(SETTINGS)]
    with TemporaryDirectory(prefix="omega-persistence-") as folder:  # where syncs take their time
        lives = _Lives(task, setting, folder)
        with newest_schema(setting.plan), checkpoints(setting.plan.checkpoint):
            return lives.report()


class _Lives:
    def __init__(self, task: Task, setting: Setting, folder: str) -> None:
        self._task, self._setting = task, setting
        self._folder = os.path.join(folder, "store")
        self._scratch = os.path.join(folder, "scratch")
        os.mkdir(self._folder)
        os.mkdir(self._scratch)
        self._path = os.path.join(self._folder, STORE)
        self._opener = CONTROLS[task.control].opener if task.control else OmegaStore
        self._random = Random(f"{task.seed} {task.number}")
        plan = replace(setting.plan, length=LENGTH * (1 if setting.afresh else task.lives))
        content, self._copies = in_child(prepare, plan, self._random, self._path)
        self._initial = read_folder(self._folder)
        workloads = workloads_of(plan, self._random, content)
        self._operations = [workload.operations for workload in workloads]
        self._histories = [
            History(owned(plan, actor), workload.history.states)
            for actor, workload in enumerate(workloads)
        ]
        self._copies += [
            Copy(name, number + 1, workloads[0].history.states[number])
            for name, number in workloads[0].copies.items()
        ]
        self._shown = [0] * plan.threads
        self._probed = False
        self._counts: Counter[str] = Counter()
        self._slowest = 0.0
        self._problems: list[Problem] = []

    def report(self) -> Report:
        """Live as often as the task says, or until there is a problem."""
        self._opening, self._life = self._rehearsed()
        for number in range(self._task.lives):
            where, faults = self._live()
            for fault in faults:
                self._problems.append(self._problem(f"life {number + 1}, {where}", fault))
            if faults:
                break
        return Report(counts=self._counts, slowest=self._slowest, problems=self._problems)

    def _rehearsed(self) -> tuple[float, float]:
        """How long opening the store takes here and now, and how long a life."""
        write_folder(self._scratch, self._initial)
        path = os.path.join(self._scratch, STORE)
        sample = self._operations[0][:OPERATIONS]
        opening, rest = in_child(_timed, path, sample, **self._setting.plan.options)
        return opening, 1.5 * opening if self._setting.afresh else opening + rest

    def _live(self) -> tuple[str, list[Fault]]:
        """One life and what is left of it; also tells in the midst of what it ended."""
        setting, random = self._setting, self._random
        if setting.afresh:
            write_folder(self._folder, self._initial)
            self._shown = [0] * len(self._shown)
            self._probed = False
        actors, processes = range(len(self._shown)), setting.processes
        board = Board(len(actors))
        crews = [actors[first::processes] for first in range(processes)]
        random.shuffle(crews)
        writers = [self._started(board, crew) for crew in crews]
        where = "at work"
        try:
            sleep(random.uniform(0, self._life * processes))
            writers[0].kill()
            where = self._killed(board, crews[0])
            self._survive(board, writers[1:], [actor for crew in crews[1:] for actor in crew])
            if random.random() < RECOVERIES:
                self._kill_while_opening()
            return where, self._looked_at(board)
        except ChildError as error:
            return where, [Fault("unusable", f"{error}")]
        finally:
            for writer in writers:
                writer.end()

    def _started(self, board: Board, crew: range) -> Child[None]:
        """A process whose actors go on where they were when they were killed."""
        shares = {actor: self._operations[actor][self._shown[actor] :] for actor in crew}
        return Child(work, board, shares, self._path, self._opener, **self._setting.plan.options)

    def _killed(self, board: Board, crew: range) -> str:
        """Count a kill; returns in the midst of what it was."""
        begun, done = board.all_begun(), board.all_done()
        cut = [
            self._operations[actor][self._shown[actor] + done[actor]]
            for actor in crew
            if begun[actor] > done[actor]
        ]
        where = "opening" if not any(begun[actor] for actor in crew) else "between operations"
        if cut:
            where = _NAMES.get(type(cut[0]), "writing")
        self._counts["kills"] += 1
        self._counts["kills_of_three"] += self._setting.processes == 3
        self._counts[f"kills_{where}".replace(" ", "_")] += 1
        self._counts["in_flight"] += len(cut)
        return where

    def _survive(self, board: Board, writers: list[Child[None]], actors: list[int]) -> None:
        """Those who were not killed go on, also while another opens the store, until stopped."""
        goals = {
            actor: min(done + SURVIVED, len(self._operations[actor]) - self._shown[actor])
            for actor, done in enumerate(board.all_done())
            if actor in actors
        }
        if writers:
            in_child(_visit, self._path, **self._setting.plan.options)

        def ready() -> bool:
            done = board.all_done()
            return all(done[actor] >= goal for actor, goal in goals.items())

        wait_until(lambda: ready() or any(writer.ended for writer in writers))
        board.stop()
        for writer in writers:
            writer.answer()

    def _kill_while_opening(self) -> None:
        """A process that opens the store, perhaps in the midst of recovering it."""
        options = self._setting.plan.options
        visitor = Child(work, Board(0), {}, self._path, OmegaStore, **options)
        sleep(self._random.uniform(0, self._opening))
        visitor.kill()
        self._counts["kills"] += 1
        self._counts["kills_recovering"] += 1

    def _looked_at(self, board: Board) -> list[Fault]:
        """Let another process look at what is left."""
        begun, done = board.all_begun(), board.all_done()
        spans = [
            (before + last, before + first)
            for before, last, first in zip(self._shown, done, begun, strict=True)
        ]
        # Those made in this life, and what migrations leave.
        copies = [each for each in self._copies if not each.after or each.after > self._shown[0]]
        kept = read_folder(self._folder) if self._task.keep else {}
        found = in_child(
            look,
            *(self._folder, self._scratch, self._histories, spans, copies),
            probed=self._probed,
            **self._setting.plan.options,
        )
        if found.faults:
            if self._task.keep:
                folder = os.path.join(self._task.keep, f"{self._task.number}")
                os.makedirs(folder, exist_ok=True)
                write_folder(folder, kept)
            return found.faults
        for copy in copies:
            if copy.after and copy.after > spans[0][0]:
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._folder, copy.pattern))  # it will be made again
        self._counts["acknowledged"] += sum(done)
        self._counts["applied"] += sum(
            shown > last for shown, (last, _) in zip(found.shown, spans, strict=True)
        )
        self._shown = found.shown
        self._slowest = max(self._slowest, found.seconds)
        # A copy that is restored may have been made before.
        self._probed = "restore" not in self._setting.plan.extras
        return []

    def _problem(self, where: str, fault: Fault) -> Problem:
        task, plan = self._task, self._setting.plan
        control = f" --control {task.control!r}" if task.control else ""
        return Problem(
            kind=fault.kind,
            detail=f"store {task.number} ({plan.name}), {where}: {fault.detail}",
            repeat=f"python -m campaigns.kills --seed {task.seed}{control}"
            f" --repeat {task.number} --kills {task.lives}",
        )


def _timed(path: str, operations: list[Operation], **options: Any) -> tuple[float, float]:
    """How long opening takes, and running some operations."""
    start = perf_counter()
    driver = Driver(path, **options)
    opened = perf_counter()
    run_all(driver, operations)
    ended = perf_counter()
    driver.store.close()
    return opened - start, ended - opened


def _visit(path: str, **options: Any) -> None:
    """Open a store that others have open, and look for damage."""
    with OmegaStore(path, **options) as store:
        if problems := store.check():
            raise ValueError(f"{problems[0]}")
