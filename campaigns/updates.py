"""Rounds in which all processes change the same few records, which must come out exact."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from campaigns.model import Fault
from campaigns.rounds import Caller, Report, Task, attend, conclude
from omega_persistence import OmegaStore, StoredMemory, StoredSkill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from random import Random

    from campaigns.crew import Crew, Post

Tally = Counter[tuple[str, str]]
"""(what, of which record) -> how often it was counted."""

_COUNTED = ("a", "b", "c")
"""Ids of skills and of memories that everybody counts with."""

_ACCOUNTS = 6
_TOTAL = 1000


def counters(crew: Crew, task: Task) -> Report:
    """All count the same things, by single calls and by reading and writing in a transaction."""
    with task.fresh() as store:
        store.skills.put_many(
            StoredSkill(id=id, name=id, description="0", trigger_pattern="") for id in _COUNTED
        )
        store.memories.put_many(
            StoredMemory(id=id, content="0", tier=1, importance=0.5) for id in _COUNTED
        )
    reports = crew.run(_count, task)
    expected: Tally = Counter()
    for report in reports:
        for counted in report.notes:
            expected.update(counted)

    def final(store: OmegaStore) -> Iterator[Fault]:
        found = _shown(store, *_COUNTED)
        for what in found | expected:
            if found[what] != expected[what]:
                detail = f"{what} was counted {expected[what]} times and shows {found[what]}"
                yield Fault("inexact", detail)

    def copy(store: OmegaStore) -> Iterator[Fault]:
        if not _shown(store, *_COUNTED) <= expected:
            yield Fault("torn", "a backup made meanwhile has counted further than the store")

    return conclude(task, reports, final=final, copy=copy)


def transfers(crew: Crew, task: Task) -> Report:
    """All move amounts between accounts and look at all accounts: the sum is always the same."""
    with task.fresh() as store:
        balances = [_TOTAL // _ACCOUNTS + (n < _TOTAL % _ACCOUNTS) for n in range(_ACCOUNTS)]
        store.memories.put_many(_account(f"{n}", balance) for n, balance in enumerate(balances))
    reports = crew.run(_transfer, task)

    def balanced(store: OmegaStore) -> Iterator[Fault]:
        found = _sum(store.memories)
        if found != _TOTAL:
            yield Fault("torn", f"in the end the accounts hold {found}, not {_TOTAL}")

    return conclude(task, reports, final=balanced, copy=balanced)


class _UndoneError(Exception):
    """Leaves a transaction so that it is undone."""


def _count(post: Post[Task]) -> Report:
    return attend(post, partial(_count_on, post.task.length))


def _count_on(length: int, store: OmegaStore, caller: Caller) -> Tally:
    counted: Tally = Counter()
    least: Tally = Counter()
    for _ in range(length):
        id, what = caller.random.choice(_COUNTED), caller.random.choice(list(_WAYS))
        caller(_WAYS[what], store, id)
        counted[what, id] += 1
        least[what, id] += 1
        if caller.random.random() < 0.3:
            shown = caller(_shown, store, id)
            for each, number in shown.items():
                if number < least[each]:
                    caller.fault("stale", f"{each} shows {number} after {least[each]}")
            least |= shown
    return counted


def _rewrite(store: OmegaStore, id: str) -> None:
    """Read, then write: nobody else may come in between."""
    with store.transaction() as tx:
        skill = tx.skills.get(id)
        tx.skills.put(replace(skill, description=f"{int(skill.description) + 1}"))


def _rewrite_in_parts(store: OmegaStore, id: str) -> None:
    """The same in a part of a transaction, after a part that is undone."""
    with store.transaction() as tx:
        with suppress(_UndoneError), tx.transaction() as part:
            part.memories.delete(id)
            raise _UndoneError
        with tx.transaction() as part:
            memory = part.memories.get(id)
            part.memories.put(replace(memory, content=f"{int(memory.content) + 1}"))


_WAYS: dict[str, Callable[[OmegaStore, str], None]] = {
    "successes": lambda store, each: store.skills.record_success(each),
    "accesses": lambda store, each: store.memories.touch(each),
    "description": _rewrite,
    "content": _rewrite_in_parts,
}


def _shown(store: OmegaStore, *ids: str) -> Tally:
    shown: Tally = Counter()
    for id in ids:
        skill, memory = store.skills.get(id), store.memories.get(id)
        shown["successes", id] = skill.success_count
        shown["accesses", id] = memory.access_count
        shown["description", id] = int(skill.description)
        shown["content", id] = int(memory.content)
    return shown


def _transfer(post: Post[Task]) -> Report:
    return attend(post, partial(_transfer_on, post.task.length))


def _transfer_on(length: int, store: OmegaStore, caller: Caller) -> None:
    for number in range(length):
        if caller.random.random() < 0.5:
            with suppress(_UndoneError):
                caller(_move, store, caller.random, f"{caller.name}.{number}")
        else:
            way = caller.random.choice(list(_SUMS))
            found = caller(_SUMS[way], store)
            if found != _TOTAL:
                caller.fault("torn", f"the accounts hold {found}, not {_TOTAL}, by {way}")


def _move(store: OmegaStore, random: Random, new: str) -> None:
    """Move an amount to another account, or to a new one, or close one; one in eight is undone."""
    with store.transaction() as tx:
        ids = [account.id for account in tx.memories.scan(limit=None)]
        one, other = (tx.memories.get(id) for id in random.sample(ids, 2))
        amount = random.randint(0, max(0, _balance(one)))
        way = random.randrange(8)
        if way == 0:
            tx.memories.put(_account(one.id, _balance(one) - amount))
            raise _UndoneError
        if way == 1 and len(ids) > 2:
            tx.memories.delete(one.id)
            tx.memories.put(_account(other.id, _balance(other) + _balance(one)))
        elif way == 2:
            tx.memories.put(_account(one.id, _balance(one) - amount))
            tx.memories.put(_account(new, amount))
        else:
            less = _account(one.id, _balance(one) - amount)
            more = _account(other.id, _balance(other) + amount)
            tx.memories.put_many([less, more])


def _account(id: str, balance: int) -> StoredMemory:
    return StoredMemory(id=id, content=f"account {balance}", tier=1, importance=0.5)


def _balance(account: StoredMemory) -> int:
    return int(account.content.split()[1])


def _sum(accounts: Iterable[StoredMemory]) -> int:
    return sum(map(_balance, accounts))


def _by_snapshot(store: OmegaStore) -> int:
    """One by one, from one snapshot."""
    with store.snapshot() as snapshot:
        ids = [account.id for account in snapshot.memories]
        return _sum(snapshot.memories.get(id) for id in ids)


def _by_transaction(store: OmegaStore) -> int:
    with store.transaction() as tx:
        return _sum(tx.memories)


# Each of them is one state of the store.
_SUMS: dict[str, Callable[[OmegaStore], int]] = {
    "snapshot": _by_snapshot,
    "transaction": _by_transaction,
    "scan": lambda store: _sum(store.memories.scan(limit=None)),
    "tier": lambda store: _sum(store.memories.by_tier(1, limit=None)),
    "search": lambda store: _sum(
        hit.memory for hit in store.memories.search("account", limit=1000)
    ),
}
