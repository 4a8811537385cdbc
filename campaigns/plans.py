"""The runs whose power is cut: how each begins, what is done, what must be there afterwards."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from random import Random
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal
from unittest.mock import patch

import apsw
from msgspec import Struct

from campaigns.disk import Event, Image
from campaigns.model import History, State, read
from campaigns.operations import Driver, Opener
from campaigns.recording import Recorder, read_folder, write_folder
from campaigns.workload import Extra, Workload, run_all
from omega_persistence import OmegaStore
from omega_persistence.backends import migrate
from omega_persistence.backends.migrate import Step
from omega_persistence.backends.sqlite import checkpoints as limits
from omega_persistence.backends.sqlite.schema import REFERENCE_TABLES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

STORE = "store.db"

_LEGACY = Path(__file__).parent.parent / "tests" / "formats" / "legacy-small.db"


class Plan(Struct, frozen=True, kw_only=True):
    """A kind of run.

    Attributes:
        name: What is special about it.
        start: An empty folder; a store with some records; a file of the Rust crate; a store whose
            schema is one step behind.
        length: How many operations each thread runs.
        threads: How many threads share the store, each with a namespace of its own.
        extras: Operations of special kinds, which are done in turn.
        every: One of so many operations is the next of these.
        checkpoint: Pages in the log after which a checkpoint follows a commit; None for 1,000.
        options: Further arguments of `OmegaStore`.
        share: Which part of the disks to look at: less than all where looking takes long.
        rows: How many rows of each table of the Rust crate's file to begin with; None for all.
    """

    name: str
    start: Literal["nothing", "store", "crate", "older"] = "store"
    length: int = 9
    threads: int = 1
    extras: tuple[Extra, ...] = ()
    every: int = 3
    checkpoint: int | None = None
    options: dict[str, Any] = {}
    share: float = 1.0
    rows: int | None = None


ON_RECORDS = Plan(name="records")

PLANS = (
    Plan(name="creation", start="nothing", length=4, extras=("reopen",)),
    ON_RECORDS,
    Plan(name="threads", length=4, threads=4, options={"busy_timeout": 60.0}),
    Plan(name="checkpoints", length=12, checkpoint=12),
    Plan(name="reopening", extras=("reopen",)),
    Plan(name="backups", length=6, extras=("backup", "restore")),
    Plan(name="maintenance", length=6, extras=("optimize", "compact")),
    Plan(name="truncate", start="nothing", length=6, options={"journal": "truncate"}),
    Plan(name="crate", start="crate", length=2, share=0.25),
    Plan(name="older schema", start="older", length=3),
)


class Copy(Struct, frozen=True):
    """A file that must be whole whenever it is there.

    Attributes:
        pattern: What its name looks like.
        after: It must be there once so many operations are acknowledged; None for the copy that
            a migration makes, which must be there once the store has been migrated.
        content: What it holds.
    """

    pattern: str
    after: int | None
    content: State


class Run(Struct, frozen=True):
    """A plan carried out once, and recorded."""

    plan: Plan
    initial: Image
    events: list[Event]
    histories: list[History]
    copies: list[Copy]


def carry_out(plan: Plan, seed: str, folder: str, opener: Opener = OmegaStore) -> Run:
    """Carry a plan out in an empty folder and record what happens to the disk."""
    random = Random(seed)
    path = os.path.join(folder, STORE)
    content, copies = prepare(plan, random, path)
    workloads = workloads_of(plan, random, content)
    for name, number in workloads[0].copies.items():
        # What counts as acknowledged first is that the store was opened.
        copies.append(Copy(name, number + 2, workloads[0].history.states[number]))
    histories = [
        History(owned(plan, thread), [workload.history.states[0], *workload.history.states])
        for thread, workload in enumerate(workloads)
    ]
    with newest_schema(plan), checkpoints(plan.checkpoint), Recorder(folder, seed) as recorder:
        for actor in range(plan.threads):
            recorder.begin(actor)
        driver = Driver(path, opener, **plan.options)
        for actor in range(plan.threads):
            recorder.done(actor)
        _work(recorder, driver, workloads)
        driver.store.close()
    return Run(plan, recorder.initial, recorder.events, histories, copies)


def workloads_of(plan: Plan, random: Random, content: State) -> list[Workload]:
    """What each thread does to a store that holds this content."""
    return [
        Workload(
            random,
            plan.length,
            namespaces=_namespaces(plan, thread),
            start={key: rows for key, rows in content.items() if key[0] in owned(plan, thread)},
            extras=plan.extras,
            every=plan.every,
        )
        for thread in range(plan.threads)
    ]


@contextmanager
def newest_schema(plan: Plan) -> Generator[None]:
    """A library that is one schema step ahead of this one, for a plan that needs it."""
    if plan.start != "older":
        yield
        return
    known = migrate.steps

    def steps(dialect: str) -> tuple[Step, ...]:
        number = len(known(dialect)) + 1
        return (*known(dialect), Step(number, "campaign", _STEP, "campaign"))

    with patch.object(migrate, "steps", steps):
        yield


# Touches every row of a table, as a real step may, and makes new pages.
_STEP = """
    CREATE TABLE campaign (id TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO campaign SELECT namespace || '/' || id, content FROM memories;
    ALTER TABLE skills ADD COLUMN campaign INTEGER NOT NULL DEFAULT 0;
    UPDATE skills SET campaign = success_count;
    CREATE INDEX campaign_by_content ON campaign (content);
"""


def copies_in(image: Image, copies: list[Copy]) -> Iterator[tuple[Copy, str]]:
    """The copies that are in a folder, and under which name."""
    for copy in copies:
        for name in image:
            if fnmatch(name, copy.pattern):
                yield copy, name


def prepare(plan: Plan, random: Random, path: str) -> tuple[State, list[Copy]]:
    """Make what the plan begins with; returns what it holds once it is opened."""
    if plan.start == "nothing":
        return {}, []
    if plan.start == "crate":
        shutil.copyfile(_LEGACY, path)
        if plan.rows is not None:
            _keep(plan.rows, path)
        content = _migrated(path)
        return content, [Copy(f"{STORE}.reference-*.backup", None, content)]
    driver = Driver(path, **plan.options)
    for thread in range(plan.threads):
        run_all(driver, Workload(random, 8, namespaces=_namespaces(plan, thread)).operations)
    content = read(driver.store)
    driver.store.close()
    copies = [Copy(f"{STORE}.v*.backup", None, content)] if plan.start == "older" else []
    return content, copies


def _keep(rows: int, path: str) -> None:
    connection = apsw.Connection(path)
    for table in REFERENCE_TABLES:
        first = f"SELECT rowid FROM {table} ORDER BY rowid LIMIT {rows}"
        connection.execute(f"DELETE FROM {table} WHERE rowid NOT IN ({first})")
    connection.execute("VACUUM")
    connection.close()


def _migrated(path: str) -> State:
    """What a file of the crate holds once it is opened; the file stays as it is."""
    folder = os.path.dirname(path)
    before = read_folder(folder)
    with OmegaStore(path) as store:
        content = read(store)
    write_folder(folder, before)
    return content


def _namespaces(plan: Plan, thread: int) -> tuple[str, ...]:
    return ("default", "agent-7") if plan.threads == 1 else (f"agent-{thread}",)


def owned(plan: Plan, thread: int) -> tuple[str, ...]:
    """Where only this thread writes.

    The quarantine counts as the namespace ""; no operation of a workload changes it.
    """
    return (*_namespaces(plan, thread), *([""] if thread == 0 else []))


@contextmanager
def checkpoints(pages: int | None) -> Generator[None]:
    """Make every store checkpoint after so many pages, and empty the log each time."""
    if pages is None:
        yield
        return
    with patch.multiple(limits, PAGES=pages, PAGES_UNDER_LOAD=2 * pages, LARGE=0):
        yield


def _work(recorder: Recorder, driver: Driver, workloads: list[Workload]) -> None:
    failures: list[BaseException] = []

    def work(actor: int) -> None:
        try:
            for operation in workloads[actor].operations:
                recorder.begin(actor)
                operation.run(driver)
                recorder.done(actor)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            failures.append(error)

    threads = [Thread(target=work, args=(actor,)) for actor in range(len(workloads))]
    if len(threads) == 1:
        work(0)
    else:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
