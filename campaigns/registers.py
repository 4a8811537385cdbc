"""Rounds in which all processes read and write the same registers, and a checker judges."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from campaigns.linearizable import Operation, contradiction
from campaigns.model import Fault
from campaigns.rounds import Caller, Report, Task, attend, conclude
from omega_persistence import OmegaStore, StoredMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from campaigns.crew import Crew, Post

Values = dict[str, str]
"""Register -> what it holds."""

_ALL: tuple[str, ...] = ("r0", "r1", "r2")


def registers(crew: Crew, task: Task) -> Report:
    """All write values that nobody else writes and read in every way: the history has an order."""
    with task.fresh() as store:
        store.memories.put_many(_memories(dict.fromkeys(_ALL, "first")))
    reports = crew.run(_use, task)
    history: dict[str, list[Operation]] = {
        register: [Operation(value="first", writes=True, begin=0, end=0)] for register in _ALL
    }
    for report in reports:
        for note in report.notes:
            for register, operation in note:
                history[register].append(operation)

    def final(store: OmegaStore) -> Iterator[Fault]:
        for register, value in _values(store.memories).items():
            after = max(operation.end for operation in history[register]) + 1
            last = Operation(value=value, writes=False, begin=after, end=after, actor="the end")
            reason = contradiction([*history[register], last])
            if reason is not None:
                yield Fault("order", f"{register}: {reason}")

    def copy(store: OmegaStore) -> Iterator[Fault]:
        for register, value in _values(store.memories).items():
            if all(operation.value != value for operation in history[register]):
                yield Fault("torn", f"a backup made meanwhile holds {value!r}")

    return conclude(task, reports, final=final, copy=copy)


def _use(post: Post[Task]) -> Report:
    return attend(post, partial(_use_all, post.task.length))


def _use_all(length: int, store: OmegaStore, caller: Caller) -> list[tuple[str, Operation]]:
    history: list[tuple[str, Operation]] = []

    def note(values: Values, *, writes: bool) -> None:
        for register, value in values.items():
            operation = Operation(
                value=value,
                writes=writes,
                begin=caller.begin,
                end=caller.end,
                actor=caller.name,
            )
            history.append((register, operation))

    for number in range(length):
        some = caller.random.sample(_ALL, caller.random.choice((1, 1, 2)))
        if caller.random.random() < 0.4:
            new = dict.fromkeys(some, f"{caller.name}.{number}")
            seen = caller(caller.random.choice(_WRITES), store, new)
            note(new, writes=True)
        else:
            seen = caller(caller.random.choice(_READS), store, some)
        note(seen, writes=False)
    return history


def _put(store: OmegaStore, new: Values) -> Values:
    for memory in _memories(new):
        store.memories.put(memory)
    return {}


def _put_many(store: OmegaStore, new: Values) -> Values:
    store.memories.put_many(_memories(new))
    return {}


def _exchange(store: OmegaStore, new: Values) -> Values:
    with store.transaction() as tx:
        seen = _values(tx.memories.get_many(new))
        for memory in _memories(new):
            tx.memories.put(memory)
    return seen


_WRITES = (_put, _put_many, _exchange)
"""Ways to write; they return what they have read before."""


def _get(store: OmegaStore, some: list[str]) -> Values:
    return _values(store.memories.get(register) for register in some)


def _get_in_snapshot(store: OmegaStore, some: list[str]) -> Values:
    with store.snapshot() as snapshot:
        return _values(snapshot.memories.get(register) for register in some)


_READS: tuple[Callable[[OmegaStore, list[str]], Values], ...] = (
    _get,
    _get_in_snapshot,
    lambda store, some: _values(store.memories.get_many(some)),
    lambda store, _: _values(store.memories),
    lambda store, _: _values(store.memories.by_tier(1)),
    lambda store, _: _values(hit.memory for hit in store.memories.search("register")),
)
"""Ways to read some registers, or more."""


def _memories(values: Values) -> list[StoredMemory]:
    return [
        StoredMemory(id=register, content=value, tier=1, importance=0.5, keywords="register")
        for register, value in values.items()
    ]


def _values(memories: Iterable[StoredMemory]) -> Values:
    return {memory.id: memory.content for memory in memories}
