"""Rounds in which a process commits, tells the others, and their very next call must show it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from campaigns.model import TABLES, Fault, State, read
from campaigns.operations import Driver, Operation
from campaigns.rounds import LONG, Report, Task, conclude, nothing
from campaigns.workload import Extra, Workload
from omega_persistence import OmegaStore, StoredMemory
from omega_persistence.entities.base import FIRST_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from random import Random

    from campaigns.crew import Crew, Post

_NAMESPACES = ("default", "agent-7")

_EXTRAS: tuple[Extra, ...] = ("backup", "optimize", "restore", "reopen", "compact")

_PAGED = "paged"
"""The namespace of the records that are read in pages."""


class Question(Struct, frozen=True):
    """What a process shall look at, in one of several ways."""

    way: str
    namespace: str
    ids: list[str]
    word: str


def freshness(crew: Crew, task: Task) -> Report:
    """One after the other writes; each time, all others look at once and see it."""
    random = task.random("questions")
    workload = Workload(
        task.random("operations"), task.length, namespaces=_NAMESPACES, extras=_EXTRAS
    )
    whole = Report()
    task.fresh().close()
    crew.begin(_converse, task)
    for operation, state in zip(workload.operations, workload.history.states[1:], strict=True):
        writer = random.choice(crew.places)
        crew.say(writer, operation)
        crew.hear(writer)
        asked = {place: _question(random, state) for place in crew.places if place != writer}
        for place, question in asked.items():
            crew.say(place, question)
        for place, question in asked.items():
            expected = _EXPECTED[question.way](state, question)
            for answer in crew.hear(place):
                whole.calls += 1
                if answer != expected:
                    detail = f"after {operation!r:.300} {question!r:.300} shows {answer!r:.300}"
                    whole.faults.append(Fault("stale", detail))
    for place in crew.places:
        crew.say(place, None)
    crew.hear_all()
    whole.faults += _pages(crew, task)

    def final(store: OmegaStore) -> Iterator[Fault]:
        store.delete_namespace(_PAGED)
        if read(store) != workload.history.states[-1]:
            yield Fault("inexact", "in the end it is not what was written")

    return conclude(task, [whole], final=final, copy=nothing)


def _converse(post: Post[Task]) -> None:
    """Do an operation or answer a question, the latter in all threads, until there is no more."""
    task = post.task
    driver = Driver(task.path, task.opener, busy_timeout=LONG, **task.options)
    with ThreadPoolExecutor(task.threads) as pool:
        while (message := post.hear()) is not None:
            if isinstance(message, Operation):
                message.run(driver)
                post.say(None)
            else:
                store = driver.store.in_namespace(message.namespace)
                look = partial(_SEEN[message.way], store, message)
                looks = [pool.submit(look) for _ in range(task.threads)]
                post.say([each.result() for each in looks])
    driver.store.close()


def _question(random: Random, state: State) -> Question:
    namespace = random.choice(_NAMESPACES)
    memories: dict[str, StoredMemory] = state.get((namespace, "memories"), {})
    words = [word for memory in memories.values() for word in _words(memory) if word.isascii()]
    return Question(
        way=random.choice(list(_SEEN)),
        namespace=namespace,
        ids=list(memories),
        word=random.choice(words) if words else "nothing",
    )


def _words(memory: StoredMemory) -> list[str]:
    return [*memory.content.split(), memory.keywords]


def _by_id(records: Iterable[Any]) -> dict[str, Any]:
    return {record.id: record for record in records}


def _everything(store: OmegaStore, _: Question) -> dict[str, Any]:
    return {
        collection.table.name: rows for collection in store.all() if (rows := _by_id(collection))
    }


def _in_snapshot(store: OmegaStore, _: Question) -> dict[str, Any]:
    with store.snapshot() as snapshot:
        return _by_id(snapshot.memories)


def _in_transaction(store: OmegaStore, _: Question) -> dict[str, Any]:
    with store.transaction() as tx:
        return _by_id(tx.memories)


# How to look, and what must be seen then.
_SEEN: dict[str, Callable[[OmegaStore, Question], Any]] = {
    "get": lambda store, asked: _by_id(store.memories.get(id) for id in asked.ids),
    "get_many": lambda store, asked: _by_id(store.memories.get_many(asked.ids)),
    "snapshot": _in_snapshot,
    "transaction": _in_transaction,
    "everything": _everything,
    "search": lambda store, asked: {
        hit.memory.id for hit in store.memories.search(asked.word, limit=10_000)
    },
    "statistics": lambda store, _: store.statistics().counts,
    "counts": lambda store, _: {each.table.name: each.count() for each in store.all()},
    "top skills": lambda store, _: [skill.id for skill in store.skills.top(limit=None)],
    "namespaces": lambda store, _: store.namespaces(),
}


def _rows(state: State, asked: Question, table: str = "memories") -> dict[str, Any]:
    return state.get((asked.namespace, table), {})


def _counts(state: State, asked: Question) -> dict[str, int]:
    return {table: len(_rows(state, asked, table)) for table in TABLES.values()}


def _found(state: State, asked: Question) -> set[str]:
    rows = _rows(state, asked)
    return {id for id, memory in rows.items() if asked.word in _words(memory)}


def _top_skills(state: State, asked: Question) -> list[str]:
    rows = _rows(state, asked, "skills")
    return sorted(rows, key=lambda each: (-rows[each].success_count, each))


_EXPECTED: dict[str, Callable[[State, Question], Any]] = {
    **dict.fromkeys(("get", "get_many", "snapshot", "transaction"), _rows),
    "everything": lambda state, asked: {
        table: rows for (namespace, table), rows in state.items() if namespace == asked.namespace
    },
    "search": _found,
    **dict.fromkeys(("statistics", "counts"), _counts),
    "top skills": _top_skills,
    "namespaces": lambda state, _: sorted({namespace for namespace, _ in state}),
}


def _pages(crew: Crew, task: Task) -> Iterator[Fault]:
    """An iteration that is open while another process writes shows it from the next page on."""
    before = {f"{n:03}": "before" for n in range(4 * FIRST_PAGE)}
    after = {id: "after" for n, id in enumerate(before) if n % 3}
    after |= {f"{n:03} and more": "after" for n in range(0, 4 * FIRST_PAGE, 5)}
    with task.fresh() as store:
        store.in_namespace(_PAGED).memories.put_many(_memories(before))
    crew.begin(_read_in_pages, task)
    crew.hear_all()  # all have begun to read, but for the first one
    crew.say(0, after)
    crew.hear(0)
    first = sorted(before.items())[:FIRST_PAGE]
    expected = [*first, *(each for each in sorted(after.items()) if each[0] > first[-1][0])]
    for place in crew.places[1:]:
        crew.say(place, None)
        found = crew.hear(place)
        if found != expected:
            yield Fault("stale", f"an iteration of process {place} shows {found!r:.300}")


def _read_in_pages(post: Post[Task]) -> list[tuple[str, str]]:
    """The first process changes what the others read meanwhile; returns what one has read."""
    with post.task.open() as store:
        memories = store.in_namespace(_PAGED).memories
        pages = iter(memories)
        seen = list(islice(pages, 3))
        post.say(None)
        after = post.hear()
        if after is not None:
            with store.transaction() as tx:
                inside = tx.in_namespace(_PAGED).memories
                inside.delete_many([each.id for each in inside if each.id not in after])
                inside.put_many(_memories(after))
        return [(each.id, each.content) for each in chain(seen, pages)]


def _memories(contents: dict[str, str]) -> list[StoredMemory]:
    return [
        StoredMemory(id=id, content=content, tier=1, importance=0.5)
        for id, content in contents.items()
    ]
