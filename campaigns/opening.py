"""Rounds in which all processes open the same file at once: a new one, or an older one."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import TYPE_CHECKING

from campaigns.common import scratch_folder
from campaigns.model import Fault, State, read
from campaigns.plans import PLANS, newest_schema, prepare
from campaigns.rounds import LONG, Caller, Report, Task, attend, conclude
from omega_persistence import OmegaStore, StoredMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.crew import Crew, Post

_FORMATS = Path(__file__).parent.parent / "tests" / "formats"

_OLDER = next(plan for plan in PLANS if plan.start == "older")

_STARTS = ("legacy-small.db", "legacy-clean.db", "older schema", "older schema")
"""Files of the Rust crate, one full of oddities and a larger one; a store one step behind."""

_OWN = "race"
"""The namespace that the processes write into."""


def creation(crew: Crew, task: Task) -> Report:
    """All create the same file at once and write: what each has written is there."""
    reports = crew.run(_open_and_write, task)
    return conclude(
        task,
        reports,
        final=lambda store: _exactly(store, reports),
        copy=lambda store: _only(store, reports),
    )


def migration(crew: Crew, task: Task) -> Report:
    """All open the same older file at once: one of them migrates it, and nothing is lost."""
    start = _start(task)
    if start == _OLDER.name:
        content, _ = prepare(_OLDER, task.random("content"), task.path)
    else:
        shutil.copyfile(_FORMATS / start, task.path)
        content = _content(start)
    reports = crew.run(_migrate_and_write, task)

    def final(store: OmegaStore) -> Iterator[Fault]:
        yield from _exactly(store, reports)
        yield from _kept(store, content)
        # Nobody, if whoever did was in a hurry and had to open it again.
        if sum(migrated for report in reports for _, migrated in report.notes) > task.threads:
            yield Fault("inexact", "several processes say that they migrated the file")
        folder, name = os.path.split(task.path)
        before = [each for each in os.listdir(folder) if fnmatch(each, f"{name}.*.backup")]
        if len(before) != 1:
            yield Fault("inexact", f"copies of the file as it was: {before}")

    def copy(store: OmegaStore) -> Iterator[Fault]:
        yield from _only(store, reports)
        yield from _kept(store, content)

    with _library(start):
        return conclude(task, reports, final=final, copy=copy)


def _migrate_and_write(post: Post[Task]) -> Report:
    with _library(_start(post.task)):
        return _open_and_write(post)


def _open_and_write(post: Post[Task]) -> Report:
    task = post.task
    random = task.random(post.place, "delay")
    sleep(random.choice((0, 0.002, 0.02)) * random.random())
    busy_timeout = random.choice((LONG, LONG, 0.0))
    return attend(post, partial(_write, task.length), busy_timeout=busy_timeout)


def _write(length: int, store: OmegaStore, caller: Caller) -> tuple[list[str], bool]:
    """Returns what was written, and whether this process has migrated the file."""
    mine = store.in_namespace(_OWN)
    written: list[str] = []
    for number in range(length):
        id = f"{caller.name}.{number}"
        memory = StoredMemory(id=id, content=f"by {caller.name}", tier=1, importance=0.5)
        caller(mine.memories.put, memory)
        written.append(id)
        if caller(mine.memories.get, id) != memory:
            caller.fault("stale", f"{id} is not what was just put")
    return written, store.migration is not None


def _start(task: Task) -> str:
    return task.random("start").choice(_STARTS)


def _library(start: str) -> AbstractContextManager[None]:
    """This one, or one that is a schema step ahead."""
    return newest_schema(_OLDER) if start == _OLDER.name else nullcontext()


@cache
def _content(start: str) -> State:
    """What a file of the Rust crate holds once it has been migrated."""
    with TemporaryDirectory(prefix="omega-persistence-", dir=scratch_folder()) as folder:
        path = shutil.copy(_FORMATS / start, folder)
        with OmegaStore(path) as store:
            return read(store)


def _exactly(store: OmegaStore, reports: list[Report]) -> Iterator[Fault]:
    """Whether what was written is there and nothing else."""
    found = {memory.id for memory in store.in_namespace(_OWN).memories}
    written = _written(reports)
    if found != written:
        lost, extra = sorted(written - found), sorted(found - written)
        yield Fault("inexact", f"lost {lost[:5]}, nobody wrote {extra[:5]}")


def _only(store: OmegaStore, reports: list[Report]) -> Iterator[Fault]:
    """Whether a backup made meanwhile holds nothing else; of each thread, what came first."""
    written = _written(reports)
    found = {memory.id for memory in store.in_namespace(_OWN).memories}
    for id in found:
        thread, _, number = id.rpartition(".")
        earlier = {f"{thread}.{before}" for before in range(int(number))}
        if id not in written or not earlier <= found:
            yield Fault("torn", f"a backup holds {id} and not all that its thread wrote before")
            return


def _written(reports: list[Report]) -> set[str]:
    return {id for report in reports for written, _ in report.notes for id in written}


def _kept(store: OmegaStore, content: State) -> Iterator[Fault]:
    found = read(store)
    found.pop((_OWN, "memories"), None)
    if found != content:
        yield Fault("inexact", "what the older file held has changed")
