"""Callers of a store below which calls fail: what they do after an error, and what they expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from campaigns.model import Fault, History, judge, read
from campaigns.operations import Backup, Driver, Operation, Reopen, Restore
from omega_persistence import OmegaStore, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns.model import Span, State
    from campaigns.trials import Trial
    from campaigns.workload import Workload


class BrokenError(Exception):
    """A promise was broken."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = Fault(kind, detail)


def unclean(what: str, error: Exception) -> BrokenError:
    """What to raise for an error that is not of the library's own types."""
    return BrokenError("unclean", f"{what} raised {type(error).__name__}: {error}")


def require(found: State, history: History, span: Span) -> State:
    """Raise unless an actor's records are as its history has them; returns those."""
    own = {key: rows for key, rows in found.items() if key[0] in history.namespaces}
    for fault in judge(own, [history], [span]):
        raise BrokenError(fault.kind, fault.detail)
    return own


class _Look(Operation, frozen=True):
    """Reading what there is, in several ways."""

    history: History
    done: int

    def run(self, driver: Driver) -> None:
        """Read it."""
        require(read(driver.store), self.history, (self.done, self.done))
        driver.store.memories.search("amber", limit=1)
        driver.store.statistics()


class Caller:
    """Carries out a workload. After an error it expects what everybody may expect of a store.

    Attributes:
        history: What it leaves behind.
        done: How many of its operations have taken place.
    """

    def __init__(self, trial: Trial, name: str, workload: Workload) -> None:
        states, namespaces = workload.history.states, workload.history.namespaces
        self._trial = trial
        self._name = name
        if trial.alone:
            namespaces = namespaces.union([""])  # the quarantine, which no operation changes
        self.history = History(namespaces, [*states, states[-1], states[-1]])
        self.done = 0
        self._operations: list[Operation] = list(workload.operations)
        if trial.alone:
            self._operations += [_Look(self.history, len(self._operations)), Reopen()]

    def work(self) -> None:
        """Run the operations until the first error; nothing fails any more after that."""
        trial = self._trial
        for operation in self._operations:
            if trial.alone:
                trial.forget()
            raised = False
            try:
                operation.run(trial.driver)
            except StorageError:
                raised = True
                self._recover(operation)
            except BrokenError:
                raise
            except Exception as error:
                raise unclean(type(operation).__name__, error) from error
            self.done += 1
            if isinstance(operation, Backup):
                trial.copies[operation.name] = self.history, (self.done, self.done)
            elif isinstance(operation, Restore):
                trial.probes.clear()
            if raised:
                break

    def _recover(self, operation: Operation) -> None:
        """An operation that raised has taken place whole or not at all, and can be repeated."""
        trial = self._trial
        trial.outcome.errors += 1
        if trial.failure is not None and trial.failure.sticky:
            self._insist()
        trial.calls.lift()
        if isinstance(operation, Reopen):
            trial.must("open again", trial.driver.reopen)
        found = trial.must("read", self._read)
        before, after = self.history.states[self.done : self.done + 2]
        if found == after != before:
            trial.outcome.applied += 1
            return
        if isinstance(operation, Backup):
            trial.remove_copy(operation.name, self.history, (self.done, self.done))
        trial.must(f"repeat {type(operation).__name__}", lambda: operation.run(trial.driver))

    def _insist(self) -> None:
        """Go on while calls fail: what does not raise must be right."""
        trial, store = self._trial, self._trial.driver.store
        self._try(self._read)
        self._try(lambda: store.memories.search("amber", limit=1))
        self._try(lambda: trial.probe(f"{self._name} before"))
        self._try(self._back_up)
        self._try(lambda: OmegaStore(trial.path, create=False, **trial.options).close())
        self._try(lambda: trial.probe(f"{self._name} after"))

    def _try(self, function: Callable[[], Any]) -> None:
        try:
            function()
        except StorageError:
            pass
        except BrokenError:
            raise
        except Exception as error:
            raise unclean("a call after the first error", error) from error

    def _read(self) -> State:
        """Its records, of which the operation under way may be a part or not."""
        return require(read(self._trial.driver.store), self.history, (self.done, self.done + 1))

    def _back_up(self) -> None:
        name = f"{self._name}.db"
        self._trial.driver.store.backup(self._trial.driver.beside(name))
        self._trial.copies[name] = self.history, (self.done, self.done + 1)
