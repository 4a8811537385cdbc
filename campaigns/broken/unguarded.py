"""Stores that do not guard themselves against what they are given."""

from __future__ import annotations

import os
import signal
from threading import Event
from typing import TYPE_CHECKING, Any, LiteralString

from campaigns.broken.altered import Altered
from omega_persistence import OmegaStore, Problem, StorageError
from omega_persistence.entities.base import Collection

if TYPE_CHECKING:
    from omega_persistence.backends import Value


class Unchecked(Altered):
    """A store that writes records as they are given."""

    class Unexamined(Collection[Any]):
        """Leaves it to SQLite to refuse a value, or to change it."""

        def put(self, record: Any) -> None:
            """Put a record that has not been checked."""
            with self._scope.write() as session:
                self.write(session, [record])

    alteration = Unexamined


class DriverErrors(Altered):
    """A store whose queries raise what the driver raises."""

    class Untranslated(Collection[Any]):
        """Lets the driver's own errors out."""

        def _select(self, clause: LiteralString, limit: int | None, /, **params: Value) -> Any:
            try:
                return super()._select(clause, limit, **params)
            except StorageError as error:
                raise error.__cause__ or error from None

    alteration = Untranslated


class Blind(OmegaStore):
    """A store that calls every file whole."""

    def check(self) -> list[Problem]:
        """Find nothing."""
        return []


class Crashing(OmegaStore):
    """A store that ends the process."""

    def namespaces(self) -> list[str]:
        """Crash."""
        os.kill(os.getpid(), signal.SIGSEGV)
        return []


class Hanging(OmegaStore):
    """A store that never answers."""

    def namespaces(self) -> list[str]:
        """Wait for ever."""
        Event().wait()
        return []
