"""Rounds about waiting for the one who writes: all get their turn, nobody waits for ever."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from campaigns.model import Fault
from campaigns.rounds import (
    Caller,
    Report,
    Task,
    attend,
    conclude,
    in_threads,
    nothing,
    together,
)
from omega_persistence import BusyError, OmegaStore, StoredMemory, StoredSkill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from campaigns.crew import Crew, Post

AT_MOST = 3
"""The busiest process may write so many times as often as the laziest."""

_TIMEOUTS = (0.0, 0.2, 2.0)

_SLACK = 1.0
"""Seconds, and a quarter of the timeout, that a busy machine may take to say that it is over."""


def fairness(crew: Crew, task: Task) -> Report:
    """All write as often as they can for some time: none of them falls far behind."""
    with task.fresh() as store:
        store.skills.put_many(
            StoredSkill(id=f"{place}", name=f"{place}", description="", trigger_pattern="")
            for place in crew.places
        )
    reports = crew.run(_write_on, task)
    written = [sum(report.notes) for report in reports]
    ratio = 100 * max(written) // max(1, min(written))

    def final(store: OmegaStore) -> Iterator[Fault]:
        if ratio > 100 * AT_MOST:
            yield Fault("unfair", f"the processes wrote {sorted(written)} times")
        found = [store.skills.get(f"{place}").success_count for place in crew.places]
        if found != written:
            yield Fault("inexact", f"written {written} times, the store shows {found}")

    whole = conclude(task, reports, final=final, copy=nothing)
    whole.ratio = ratio
    return whole


def _write_on(post: Post[Task]) -> Report:
    end = monotonic() + post.task.seconds
    return attend(post, partial(_write_until, end, f"{post.place}"))


def _write_until(end: float, id: str, store: OmegaStore, caller: Caller) -> int:
    number = 0
    while monotonic() < end:
        caller(store.skills.record_success, id)
        number += 1
    return number


def busy(crew: Crew, task: Task) -> Report:
    """One holds a transaction for longer than the others wait: they are told, and may try again."""
    with task.fresh() as store:
        store.memories.put(_memory("known"))
    crew.begin(_hold_or_try, task)
    crew.hear(0)  # it holds the transaction
    others = crew.places[1:]
    for _ in (_refused, _reads):
        for place in others:
            crew.say(place, None)
        for place in others:
            crew.hear(place)
    crew.say(0, None)
    reports = [crew.hear(0)]
    for place in others:
        crew.say(place, None)
    reports += map(crew.hear, others)

    def final(store: OmegaStore) -> Iterator[Fault]:
        found = {memory.id for memory in store.memories}
        expected = {id for report in reports for id in report.notes} | {"known"}
        if found != expected:
            yield Fault("inexact", f"{sorted(found)} are there instead of {sorted(expected)}")

    return conclude(task, reports, final=final, copy=nothing)


def _hold_or_try(post: Post[Task]) -> Report:
    return _hold(post) if post.place == 0 else _try(post)


def _hold(post: Post[Task]) -> Report:
    with post.task.open() as store, store.transaction() as tx:
        tx.memories.put(_memory("held"))
        post.say(None)
        post.hear()
    return Report(notes=["held"])


def _try(post: Post[Task]) -> Report:
    task = post.task
    timeout = task.random(post.place, "timeout").choice(_TIMEOUTS)
    callers = [Caller(post, thread) for thread in range(task.threads)]
    post.hear()
    with task.open(busy_timeout=timeout) as store:
        calls = [(store, caller, _call(store, caller)) for caller in callers]
        in_threads([partial(_refused, *call, timeout) for call in calls])
        post.say(None)
        post.hear()
        in_threads([partial(_reads, *call) for call in calls])
        post.say(None)
        post.hear()
        in_threads([partial(_again, *call) for call in calls])
    return together(caller.report for caller in callers)


def _call(store: OmegaStore, caller: Caller) -> Callable[[], Any]:
    """A call that writes, or has to keep the others from writing."""
    memory = _memory(caller.name)

    def in_transaction() -> None:
        with store.transaction() as tx:
            tx.memories.count()
            tx.memories.put(memory)

    storing = (
        in_transaction,
        partial(store.memories.put, memory),
        partial(store.memories.put_many, [memory]),
    )
    others = (
        partial(store.memories.delete, "unknown"),
        partial(store.memories.touch, "known"),
        store.memories.purge_expired,
        store.check,
        store.compact,
        store.optimize,
    )
    call = caller.random.choice(storing + others)
    if call in storing:
        caller.report.notes.append(memory.id)
    return call


def _refused(_store: OmegaStore, caller: Caller, call: Callable[[], Any], timeout: float) -> None:
    """Call while another process holds a transaction."""
    with caller.noting():
        try:
            caller(call)
        except BusyError as error:
            if not timeout - 0.01 < caller.seconds < 1.25 * timeout + _SLACK:
                raise
            if not error.retryable:
                caller.fault("busy", "the error is not said to be retryable")
        else:
            caller.fault("busy", f"{call} did not wait for the process that holds a transaction")


def _reads(store: OmegaStore, caller: Caller, _call: Callable[[], Any]) -> None:
    """Read while another process holds a transaction: that is no reason to wait."""
    with caller.noting():
        with store.snapshot() as snapshot:
            count = caller(snapshot.memories.count)
        found = [hit.memory.id for hit in caller(store.memories.search, "known held")]
        if (count, found) != (1, ["known"]):
            caller.fault("torn", f"a transaction that is still open shows: {count}, {found}")


def _again(_store: OmegaStore, caller: Caller, call: Callable[[], Any]) -> None:
    """Call again and again until it is done."""
    caller.retry = True
    with caller.noting():
        caller(call)


def _memory(id: str) -> StoredMemory:
    return StoredMemory(id=id, content=id, tier=1, importance=0.5)
