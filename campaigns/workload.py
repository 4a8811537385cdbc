"""Operations on a store, made from a seed, and what they must leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from campaigns.model import TABLES, History, Model, State
from campaigns.operations import (
    Backup,
    Count,
    Delete,
    DeleteNamespace,
    Driver,
    Maintain,
    Operation,
    Put,
    PutMany,
    Reopen,
    Restore,
    Together,
    Verb,
)
from campaigns.records import ENTITIES, Records
from omega_persistence import StoredMemory, StoredSkill

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

Extra = Literal["reopen", "compact", "optimize", "backup", "restore"]


_VERBS: tuple[Verb, ...] = ("touch", "record_success", "record_failure")


class Workload:
    """One actor's operations, the same for the same source of random numbers.

    Attributes:
        operations: In the order in which they are to be run.
        history: What they must leave behind.
        copies: Backup -> the number of the operation that makes it, from 0.
    """

    def __init__(
        self,
        random: Random,
        length: int,
        *,
        namespaces: tuple[str, ...] = ("default", "agent-7"),
        start: State | None = None,
        extras: tuple[Extra, ...] = (),
        every: int = 3,
    ) -> None:
        """Make a workload for a store that holds ``start``; one of ``every`` is an extra."""
        self._random = random
        self._namespaces = namespaces
        self._records = Records(random)
        self._model = Model(start)
        self.operations: list[Operation] = []
        self.history = History(namespaces, [self._model.state()])
        self.copies: dict[str, int] = {}
        turns = iter(extras * length)
        for number in range(length):
            extra = next(turns, None) if number % every == every - 1 else None
            operation = self._any() if extra is None else self._extra(extra)
            operation.change(self._model)
            self.operations.append(operation)
            self.history.states.append(self._model.state())

    def _any(self) -> Operation:
        kinds = {
            self._step: 6,
            self._batch: 3,
            self._refused: 1,
            self._delete: 2,
            self._together: 3,
            self._forget: 0.3,
        }
        (make,) = self._random.choices(list(kinds), list(kinds.values()))
        return make(self._model)

    def _extra(self, extra: Extra) -> Operation:
        if extra == "reopen":
            return Reopen()
        if extra == "backup" or (extra == "restore" and not self.copies):
            name = f"copy-{len(self.copies)}.db"
            self.copies[name] = len(self.operations)
            return Backup(name)
        if extra == "restore":
            name = self._random.choice(list(self.copies))
            return Restore(name, self.history.states[self.copies[name]])
        return Maintain(extra)

    def _step(self, model: Model) -> Operation:
        if self._random.random() < 0.3:
            namespace = self._random.choice(self._namespaces)
            verb = self._random.choice(_VERBS)
            entity = StoredMemory if verb == "touch" else StoredSkill
            known = list(model.rows(namespace, TABLES[entity]))
            if known:
                return Count(namespace, verb, self._random.choice(known), self._records.time())
        namespace, entity = self._place(model)
        return Put(namespace, self._records.make(entity, model, namespace))

    def _batch(self, model: Model) -> PutMany:
        namespace, entity = self._place(model)
        records = self._records.batch(entity, model, namespace, self._random.randint(2, 9))
        return PutMany(namespace, tuple(records))

    def _refused(self, model: Model) -> Operation:
        batch = self._batch(model)
        orphan = self._records.orphan(batch.records[0])
        if orphan is None:
            return batch
        return PutMany(batch.namespace, (*batch.records, orphan), refused=True)

    def _delete(self, model: Model) -> Operation:
        namespace = self._random.choice(self._namespaces)
        entity = self._random.choice(ENTITIES)
        rows = model.rows(namespace, TABLES[entity])
        used = {each.arch_id for each in model.rows(namespace, "intelligences").values()}
        free = [id for id in rows if id not in used] if TABLES[entity] == "architectures" else rows
        if not free:
            return self._step(model)
        ids = self._random.sample(list(free), min(len(free), self._random.choice((1, 1, 2, 3))))
        return Delete(namespace, entity, tuple(ids))

    def _together(self, model: Model) -> Operation:
        inside = Model(model.state())
        parts: list[tuple[tuple[Operation, ...], bool]] = []
        for _ in range(self._random.randint(1, 3)):
            tried = Model(inside.state())
            steps: list[Operation] = []
            for _ in range(self._random.randint(1, 4)):
                step = self._random.choice((self._step, self._batch, self._delete))(tried)
                step.change(tried)
                steps.append(step)
            undone = self._random.random() < 0.25
            parts.append((tuple(steps), undone))
            inside = inside if undone else tried
        return Together(tuple(parts))

    def _forget(self, _model: Model) -> Operation:
        return DeleteNamespace(self._random.choice(self._namespaces))

    def _place(self, model: Model) -> tuple[str, type[Any]]:
        """A namespace, and a kind of record whose parents it has."""
        namespace = self._random.choice(self._namespaces)
        entity = self._records.entity(model, namespace)
        return namespace, entity


def run_all(driver: Driver, operations: Iterable[Operation]) -> None:
    """Run operations one after the other."""
    for operation in operations:
        operation.run(driver)
