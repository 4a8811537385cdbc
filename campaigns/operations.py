"""What a caller may ask of a store, and what that must leave behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from campaigns.model import TABLES, Model, State, table_of
from omega_persistence import ConflictError, OmegaStore, Transaction

if TYPE_CHECKING:
    from omega_persistence.entities.base import Collection

Opener = Callable[..., OmegaStore]
"""Opens a store: `OmegaStore`, or one of the deliberately broken ones."""


Verb = Literal["touch", "record_success", "record_failure"]


class Driver:
    """A store at work: opened, operated, opened again."""

    def __init__(self, path: str, opener: Opener = OmegaStore, **options: Any) -> None:
        self.path = path
        self._opener, self._options = opener, options
        self.store: OmegaStore = opener(path, **options)

    def reopen(self) -> None:
        """Close the store and open it again."""
        self.store.close()
        self.store = self._opener(self.path, **self._options)

    def beside(self, name: str) -> str:
        """A file in the folder of the store."""
        return os.path.join(os.path.dirname(self.path), name)


class Operation(Struct, frozen=True):
    """What a caller asks for once: it takes place whole or not at all."""

    def run(self, driver: Driver) -> None:
        """Do it."""
        self.act(driver.store)

    def act(self, scope: OmegaStore | Transaction) -> None:
        """Do it on the store or within a transaction."""

    def change(self, model: Model) -> None:
        """Make the model what the store must be."""


class Put(Operation, frozen=True):
    """One record."""

    namespace: str
    record: Any

    def act(self, scope: OmegaStore | Transaction) -> None:
        """Put it."""
        _collection(scope, self.namespace, table_of(self.record)).put(self.record)

    def change(self, model: Model) -> None:
        """It is there."""
        model.put(self.namespace, self.record)


class PutMany(Operation, frozen=True):
    """Records of one kind as a batch; ``refused`` because the last of them breaks a rule."""

    namespace: str
    records: tuple[Any, ...]
    refused: bool = False

    def act(self, scope: OmegaStore | Transaction) -> None:
        """Put them."""
        collection = _collection(scope, self.namespace, table_of(self.records[0]))
        try:
            collection.put_many(self.records)
        except ConflictError:
            if not self.refused:
                raise

    def change(self, model: Model) -> None:
        """All are there, or none."""
        if not self.refused:
            for record in self.records:
                model.put(self.namespace, record)


class Delete(Operation, frozen=True):
    """Records of one kind, as one call."""

    namespace: str
    entity: type[Any]
    ids: tuple[str, ...]

    def act(self, scope: OmegaStore | Transaction) -> None:
        """Delete them."""
        collection = _collection(scope, self.namespace, TABLES[self.entity])
        if len(self.ids) == 1:
            collection.delete(self.ids[0])
        else:
            collection.delete_many(self.ids)

    def change(self, model: Model) -> None:
        """They are gone, and what hung on them."""
        for id in self.ids:
            model.delete(self.namespace, TABLES[self.entity], id)


class Count(Operation, frozen=True):
    """An access of a memory, a success or a failure of a skill."""

    namespace: str
    verb: Verb
    id: str
    at: int

    def act(self, scope: OmegaStore | Transaction) -> None:
        """Count it."""
        inside = scope.in_namespace(self.namespace)
        owner = inside.memories if self.verb == "touch" else inside.skills
        getattr(owner, self.verb)(self.id, self.at)

    def change(self, model: Model) -> None:
        """It is counted."""
        model.count(self.namespace, self.verb, self.id, self.at)


class DeleteNamespace(Operation, frozen=True):
    """Every record of a namespace."""

    namespace: str

    def run(self, driver: Driver) -> None:
        """Delete them."""
        driver.store.delete_namespace(self.namespace)

    def change(self, model: Model) -> None:
        """They are gone."""
        model.delete_namespace(self.namespace)


class _UndoneError(Exception):
    """Leaves a transaction so that it is undone."""


class Together(Operation, frozen=True):
    """A transaction of several parts, each a savepoint; those marked are undone."""

    parts: tuple[tuple[tuple[Operation, ...], bool], ...]

    def run(self, driver: Driver) -> None:
        """Run the transaction."""
        with driver.store.transaction() as transaction:
            for steps, undone in self.parts:
                with suppress(_UndoneError), transaction.transaction() as part:
                    _act(part, steps, undone=undone)

    def change(self, model: Model) -> None:
        """What was not undone is there."""
        for steps, undone in self.parts:
            if not undone:
                for step in steps:
                    step.change(model)


def _act(part: Transaction, steps: tuple[Operation, ...], *, undone: bool) -> None:
    for step in steps:
        step.act(part)
    if undone:
        raise _UndoneError


class Reopen(Operation, frozen=True):
    """Close the store and open it again."""

    def run(self, driver: Driver) -> None:
        """Do both."""
        driver.reopen()


class Maintain(Operation, frozen=True):
    """What changes the file and not what it holds."""

    verb: Literal["compact", "optimize"]

    def run(self, driver: Driver) -> None:
        """Do it."""
        getattr(driver.store, self.verb)()


class Backup(Operation, frozen=True):
    """A copy beside the store."""

    name: str

    def run(self, driver: Driver) -> None:
        """Make it."""
        driver.store.backup(driver.beside(self.name))


class Restore(Operation, frozen=True):
    """The store becomes what a copy holds, while it is open."""

    name: str
    content: State

    def run(self, driver: Driver) -> None:
        """Restore it."""
        OmegaStore.restore(driver.beside(self.name), driver.path, overwrite=True)

    def change(self, model: Model) -> None:
        """It is as it was."""
        model.load(self.content)


def _collection(scope: OmegaStore | Transaction, namespace: str, table: str) -> Collection[Any]:
    return getattr(scope.in_namespace(namespace), table)
