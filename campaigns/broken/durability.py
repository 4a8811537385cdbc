"""Stores that lose, tear or damage what they were given."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from campaigns.broken.altered import Altered
from omega_persistence import ConflictError, OmegaStore, StorageError
from omega_persistence.backends.sqlite.connection import SYNCHRONOUS
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.entities.base import Collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from omega_persistence.backends.sqlite import SQLiteBackend


class NeverSynced(OmegaStore):
    """A store with ``synchronous`` off: nothing is ever synced."""

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it; the name of a setting that the library does not offer is smuggled in."""
        SYNCHRONOUS["off"] = options["durability"] = "off"
        super().__init__(path, **options)


class SyncedAtCheckpoints(OmegaStore):
    """A store with ``durability="normal"``, which may lose its last writes but never tear them."""

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it."""
        options["durability"] = "normal"
        super().__init__(path, **options)


class InPieces(Altered):
    """A store that puts each record of a batch in a transaction of its own."""

    class Pieces(Collection[Any]):
        """Breaks `put_many` up."""

        def put_many(self, records: Iterable[Any]) -> int:
            """Put them one by one."""
            pieces = list(records)
            for piece in pieces:
                self.put(piece)
            return len(pieces)

    alteration = Pieces


class AcknowledgedEarly(Altered):
    """A store that says a put is done and does it when it is called again."""

    class Late(Collection[Any]):
        """Puts later."""

        later: AcknowledgedEarly

        def put(self, record: Any) -> None:
            """Put what was put before."""
            self.later.postpone(lambda: super(AcknowledgedEarly.Late, self).put(record))

        def put_many(self, records: Iterable[Any]) -> int:
            """Put what was put before."""
            batch = list(records)
            self.later.postpone(lambda: super(AcknowledgedEarly.Late, self).put_many(batch))
            return len(batch)

    alteration = Late

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it."""
        self._postponed: Callable[[], object] | None = None
        super().__init__(path, **options)

    def postpone(self, work: Callable[[], object] | None) -> None:
        """Do what was postponed before, and keep this."""
        before, self._postponed = self._postponed, work
        if before is not None:
            with suppress(ConflictError):  # of a batch that must be refused, which nobody sees now
                before()

    def transaction(self) -> Any:
        """A transaction, after what was postponed."""
        self.postpone(None)
        return super().transaction()

    def in_namespace(self, namespace: str) -> OmegaStore:
        """The same store for another namespace."""
        self.postpone(None)
        return super().in_namespace(namespace)

    def delete_namespace(self, namespace: str) -> int:
        """Delete it, after what was postponed."""
        self.postpone(None)
        return super().delete_namespace(namespace)

    def close(self) -> None:
        """Close it, after what was postponed."""
        self.postpone(None)
        super().close()

    def _alter(self, store: OmegaStore) -> None:
        super()._alter(store)
        for collection in store.all():
            cast("AcknowledgedEarly.Late", collection).later = self


class SwallowsErrors(Altered):
    """A store that says a put is done although it has failed."""

    class Silent(Collection[Any]):
        """Puts what it can."""

        def put(self, record: Any) -> None:
            """Put it, or not."""
            with suppress(StorageError):
                super().put(record)

        def put_many(self, records: Iterable[Any]) -> int:
            """Put them, or not."""
            batch = list(records)
            with suppress(StorageError):
                super().put_many(batch)
            return len(batch)

    alteration = Silent


class KeepsConnection(OmegaStore):
    """A store that goes on with its writer connection after an I/O error."""

    class Session(SQLiteSession):
        """Forgives everything."""

        def spoil(self, cause: StorageError) -> None:
            """Go on."""

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it."""
        super().__init__(path, **options)
        try:
            with cast("SQLiteBackend", self._backend).atomic(alone=True) as session:
                session.__class__ = KeepsConnection.Session
        except StorageError:
            self.close()
            raise


class LiveCopy(OmegaStore):
    """A store whose backup is a copy of the file as it lies there, in use."""

    def backup(
        self,
        target: Any,
        *,
        overwrite: bool = False,  # noqa: ARG002 - the signature of what it replaces
        verify: bool = True,  # noqa: ARG002
        progress: Any = None,  # noqa: ARG002
    ) -> None:
        """Copy it in another process: one that closes a file loses its locks on it."""
        child = os.fork()
        if child == 0:
            try:
                shutil.copyfile(self._backend.address, target)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
