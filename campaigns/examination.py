"""One recorded run: cutting its power at every point, and looking at what is left."""

from __future__ import annotations

import os
from functools import lru_cache
from hashlib import blake2b
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec import Struct

from campaigns.broken import CONTROLS
from campaigns.common import Problem, scratch_folder
from campaigns.disk import Begin, Disk, Done, Event, Image, ways
from campaigns.model import Fault, History, Span
from campaigns.plans import PLANS, STORE, Run, carry_out, copies_in, newest_schema
from campaigns.recording import Recorder, write_folder
from campaigns.verdict import PROBE_HISTORY, verify, verify_copy, write_probe
from omega_persistence import OmegaStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RANDOMS = 2
"""So many random disks at every point; more where there are not enough others."""

PASSES = 20
"""So often at most: a disk built again is not another, and a short run leaves only so many."""

GO_ON = 0.25
"""So many of the stores must also take a new write and open again."""

RECOVERED, SECOND_CUTS = 0.02, 10
"""The recovery of so many stores is recorded and cut in so many ways."""

Point = tuple[int, str]
"""How many events have happened, and in which of `disk.ways` the power failed then."""


class Task(Struct, frozen=True, kw_only=True):
    """One run to examine.

    Attributes:
        seed: The seed of the campaign.
        number: The number of the run; it also chooses the plan.
        states: How many different states to look at; all of the plan's share if None.
        control: The broken store to use instead of a real one.
        only: The one point to look at: (events, way), or two of these for a second cut.
        keep: Where to keep the disks that have a problem.
    """

    seed: int
    number: int
    states: int | None = None
    control: str | None = None
    only: tuple[Point, ...] = ()
    keep: str | None = None


class Report(Struct, frozen=True, kw_only=True):
    """What one run showed; states are named by digests of content and acknowledged operations."""

    events: int
    operations: int
    states: set[bytes]
    second_states: set[bytes]
    went_on: int
    problems: list[Problem]


def examine(task: Task) -> Report:
    """Record one run, and look at what a power failure may leave of it."""
    with TemporaryDirectory(prefix="omega-persistence-", dir=scratch_folder()) as folder:
        return _Examination(task, folder).report()


class _Examination:
    def __init__(self, task: Task, folder: str) -> None:
        self._task = task
        self._folders = {name: os.path.join(folder, name) for name in ("run", "state", "again")}
        for path in self._folders.values():
            os.mkdir(path)
        plan = PLANS[task.number % len(PLANS)]
        opener = CONTROLS[task.control].opener if task.control else OmegaStore
        self._run: Run = carry_out(plan, self._seed("run"), self._folders["run"], opener)
        self._states: set[bytes] = set()
        self._second_states: set[bytes] = set()
        self._good_copies: set[bytes] = set()
        self._went_on = 0
        self._problems: list[Problem] = []

    def report(self) -> Report:
        run, task = self._run, self._task
        with newest_schema(run.plan):
            if task.only:
                self._walk(run.initial, run.events, [task.only[0]], self._first)
            else:
                self._look_around()
        return Report(
            events=len(run.events),
            operations=sum(isinstance(event, Done) for event in run.events),
            states=self._states,
            second_states=self._second_states,
            went_on=self._went_on,
            problems=self._problems,
        )

    def _look_around(self) -> None:
        """Every way at every point, or a choice of them; more random disks if more are wanted."""
        random = Random(self._seed("choice"))
        points = _points(self._run.initial, self._run.events)
        random.shuffle(points)
        if self._task.states is None:
            del points[round(len(points) * self._run.plan.share) :]
            self._walk(self._run.initial, self._run.events, sorted(points), self._first)
            return
        busy = [at for at, way in points if way.startswith("random")]
        number = RANDOMS
        for _ in range(PASSES):
            missing = self._task.states - len(self._states)
            if missing <= 0:
                break
            chosen, points = points[:missing], points[missing:]
            while len(chosen) < missing:
                chosen.append((random.choice(busy), f"random {number}"))
                number += 1
            self._walk(self._run.initial, self._run.events, sorted(chosen), self._first)

    def _walk(
        self,
        initial: Image,
        events: list[Event],
        points: list[Point],
        look: Callable[[Point, Image, list[Span]], None],
        label: str = "",
    ) -> None:
        """Let the events happen and build the disks of the points, which are in order."""
        disk = Disk(initial)
        waiting = iter(points)
        point = next(waiting, None)
        actors = 1 + max(event.actor for event in events if isinstance(event, Begin))
        begun, done = [0] * actors, [0] * actors
        for position, event in enumerate(events, 1):
            disk.apply(event)
            if isinstance(event, Begin):
                begun[event.actor] += 1
            elif isinstance(event, Done):
                done[event.actor] += 1
            while point is not None and point[0] == position:
                random = Random(self._seed(label, *point))
                image = disk.crash(point[1], event, random)
                look(point, image, list(zip(done, begun, strict=True)))
                point = next(waiting, None)

    def _first(self, point: Point, image: Image, spans: list[Span]) -> None:
        digest = _digest(image, spans)
        if digest in self._states:
            return
        self._states.add(digest)
        chance = Random(self._seed("further", *point)).random()
        go_on = chance < GO_ON or bool(self._task.only)
        self._went_on += go_on
        self._look((point,), image, self._run.histories, spans, go_on=go_on)
        if chance < RECOVERED or len(self._task.only) > 1:
            self._recover(point, image, spans)

    def _look(
        self,
        points: tuple[Point, ...],
        image: Image,
        histories: list[History],
        spans: list[Span],
        *,
        go_on: bool,
    ) -> None:
        folder = self._folders["state"]
        write_folder(folder, image)
        options = self._run.plan.options
        verdict = verify(os.path.join(folder, STORE), histories, spans, go_on=go_on, **options)
        faults = [*verdict.faults, *self._copies(image, spans[0][0], migrated=verdict.migrated)]
        for fault in faults:
            self._problems.append(self._problem(points, fault))
        if faults and self._task.keep:
            _keep(self._task.keep, f"{self._task.number}-{len(self._problems)}", image)

    def _copies(self, image: Image, done: int, *, migrated: bool) -> Iterator[Fault]:
        """A copy that was acknowledged is there; one that is there is whole."""
        there = list(copies_in(image, self._run.copies))
        for copy in self._run.copies:
            needed = not migrated if copy.after is None else done >= copy.after
            if needed and all(each is not copy for each, _ in there):
                yield Fault("copy", f"{copy.pattern} is missing")
        folder = self._folders["state"]
        for copy, name in there:
            digest = blake2b(image[name], key=copy.pattern.encode()).digest()
            if digest not in self._good_copies:
                write_folder(folder, {STORE: image[name]})
                faults = verify_copy(os.path.join(folder, STORE), copy.content)
                yield from faults
                if not faults:
                    self._good_copies.add(digest)

    def _recover(self, point: Point, image: Image, spans: list[Span]) -> None:
        """Record how a store recovers and takes a write, and cut the power again."""
        folder, label = self._folders["again"], f"{point}"
        write_folder(folder, image)
        try:
            with (
                Recorder(folder, self._seed(label)) as recorder,
                OmegaStore(os.path.join(folder, STORE), **self._run.plan.options) as store,
            ):
                recorder.begin(0)
                write_probe(store)
                recorder.done(0)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
            fault = Fault("unusable", f"{type(error).__name__}: {error}")
            self._problems.append(self._problem((point,), fault))
            return
        points = _points(recorder.initial, recorder.events)
        chosen = Random(self._seed(label, "choice")).sample(points, min(len(points), SECOND_CUTS))
        if self._task.only:
            chosen = [self._task.only[1]]

        def second(again: Point, image: Image, probed: list[Span]) -> None:
            digest = _digest(image, [*spans, *probed])
            if digest not in self._second_states:
                self._second_states.add(digest)
                histories = [*self._run.histories, PROBE_HISTORY]
                self._look((point, again), image, histories, [*spans, *probed], go_on=False)

        self._walk(recorder.initial, recorder.events, sorted(chosen), second, label)

    def _problem(self, points: tuple[Point, ...], fault: Fault) -> Problem:
        task, run = self._task, self._run
        where = ", again after ".join(f"{at} events: {way}" for at, way in points)
        repeat = "/".join(str(each) for point in points for each in point)
        control = f" --control {task.control!r}" if task.control else ""
        return Problem(
            kind=fault.kind,
            detail=f"run {task.number} ({run.plan.name}), power cut after {where}: {fault.detail}",
            repeat=f"python -m campaigns.powerloss --seed {task.seed}{control}"
            f" --repeat {f'{task.number}/{repeat}'!r}",
        )

    def _seed(self, *parts: object) -> str:
        return f"{self._task.seed} {self._task.number} {parts}"


def _points(initial: Image, events: list[Event]) -> list[Point]:
    """Every way at every point where something has changed."""
    disk = Disk(initial)
    found: list[Point] = []
    for position, event in enumerate(events, 1):
        disk.apply(event)
        if not isinstance(event, Begin):
            coming = events[position] if position < len(events) else None
            found += [(position, way) for way in ways(disk, event, coming, RANDOMS)]
    return found


def _digest(image: Image, spans: list[Span]) -> bytes:
    digest = blake2b(repr([done for done, _ in spans]).encode(), digest_size=16)
    for name in sorted(image):
        digest.update(f"/{name}/".encode())
        digest.update(_content_digest(image[name]))
    return digest.digest()


@lru_cache(maxsize=32)  # the main file stays the same for many disks
def _content_digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def _keep(folder: str, name: str, image: Image) -> None:
    path = os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    write_folder(path, image)
