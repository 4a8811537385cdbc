"""Negative controls: deliberately broken stores that the campaigns must flag.

"Nothing was found" means little unless the same campaign finds what is wrong with these.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString, cast

from msgspec import Struct

from campaigns.operations import Opener
from omega_persistence import ConflictError, OmegaStore, StorageError
from omega_persistence.backends.sqlite.connection import SYNCHRONOUS
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.entities.base import Collection

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from omega_persistence import Transaction
    from omega_persistence.backends import Session
    from omega_persistence.backends.sqlite import SQLiteBackend


class Control(Struct, frozen=True, kw_only=True):
    """A broken store.

    Attributes:
        name: What is wrong with it, in a word or three.
        flaw: The same in a sentence.
        campaigns: Who must flag it.
        kinds: As what (see `campaigns.model.Fault`); any other kind would be a surprise.
        opener: Opens it, with the arguments of `OmegaStore`.
    """

    name: str
    flaw: str
    campaigns: frozenset[str]
    kinds: frozenset[str]
    opener: Opener


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


class _Altered(OmegaStore):
    """A store whose collections are of altered classes, in every namespace."""

    alteration: type[Collection[Any]]

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options)
        self._alter(self)

    def in_namespace(self, namespace: str) -> OmegaStore:
        other = super().in_namespace(namespace)
        self._alter(other)
        return other

    def _alter(self, store: OmegaStore) -> None:
        for collection in store.all():
            kind = type(collection)
            collection.__class__ = type(kind.__name__, (self.alteration, kind), {})


class InPieces(_Altered):
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


class AcknowledgedEarly(_Altered):
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


_POWER_LOSS = frozenset(("powerloss",))
_POWER_LOSS_AND_KILLS = frozenset(("powerloss", "kills"))


class DeferredBegin(OmegaStore):
    """A store whose transactions take the lock when they write, not when they begin."""

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it."""
        super().__init__(path, **options)
        session = _writing_session(self)
        session.begin = partial(_begin_deferred, session)


class UnfairWait(OmegaStore):
    """A store whose writers wait as SQLite does: whoever has waited for long sleeps for long."""

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it."""
        super().__init__(path, **options)
        timeout = round(1000 * options["busy_timeout"])
        _writing_session(self).connection.set_busy_timeout(timeout)


class StaleCache(_Altered):
    """A store that keeps what it has read, and does not look whether others have written."""

    class Keeping(Collection[Any]):
        """Reads each record once."""

        kept: dict[str, Any]

        def get(self, id: str) -> Any:
            """The record as it was when it was first read."""
            if id not in self.kept:
                self.kept[id] = super().get(id)
            return self.kept[id]

        def get_many(self, ids: Iterable[str]) -> list[Any]:
            """The same."""
            return [self.get(id) for id in ids]

        def write(self, session: Session, records: Sequence[Any]) -> None:
            """What this process itself writes is read again."""
            super().write(session, records)
            for record in records:
                self.kept.pop(record.id, None)

    alteration = Keeping

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it."""
        self._kept: dict[tuple[str, str], dict[str, Any]] = {}
        super().__init__(path, **options)

    def _alter(self, store: OmegaStore) -> None:
        super()._alter(store)
        for collection in store.all():
            key = store.namespace, collection.table.name
            cast("StaleCache.Keeping", collection).kept = self._kept.setdefault(key, {})


class LostUpdate(OmegaStore):
    """A store whose transactions get records as they were before it was their turn."""

    @contextmanager
    def transaction(self) -> Generator[Transaction]:
        """A transaction that got everything too early."""
        before = [{record.id: record for record in collection} for collection in self.all()]
        with super().transaction() as transaction:
            for collection, records in zip(transaction.all(), before, strict=True):
                vars(collection)["get"] = partial(_get_first_from, records, collection)
            yield transaction


def _get_first_from(records: dict[str, Any], collection: Collection[Any], id: str) -> Any:
    return records.get(id) or type(collection).get(collection, id)


def _begin_deferred(session: SQLiteSession, kind: LiteralString) -> None:  # noqa: ARG001
    SQLiteSession.begin(session, "DEFERRED")


def _writing_session(store: OmegaStore) -> SQLiteSession:
    backend: Any = vars(store)["_backend"]
    return backend._writer._session


_POWER_LOSS = frozenset(("powerloss",))
_HISTORIES = frozenset(("histories",))


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


class SwallowsErrors(_Altered):
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


_FAULTS = frozenset(("faults",))

CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control(
            name="synchronous off",
            flaw="Nothing is ever synced.",
            campaigns=_POWER_LOSS,
            kinds=frozenset(("lost", "torn", "damaged", "unusable")),
            opener=NeverSynced,
        ),
        Control(
            name="durability normal",
            flaw="Not broken, but only promised to survive a crash of the process.",
            campaigns=_POWER_LOSS,
            kinds=frozenset(("lost",)),
            opener=SyncedAtCheckpoints,
        ),
        Control(
            name="acknowledge early",
            flaw="A put returns before it has been done.",
            campaigns=_POWER_LOSS_AND_KILLS,
            kinds=frozenset(("lost",)),
            opener=AcknowledgedEarly,
        ),
        Control(
            name="batch in pieces",
            flaw="Each record of a batch is a transaction of its own.",
            campaigns=_POWER_LOSS_AND_KILLS,
            kinds=frozenset(("torn",)),
            opener=InPieces,
        ),
        Control(
            name="live copy as backup",
            flaw="A backup is a copy of the main file while it is in use.",
            campaigns=frozenset(("backups",)),
            kinds=frozenset(("lost", "torn", "damaged", "unusable")),
            opener=LiveCopy,
        ),
        Control(
            name="deferred begin",
            flaw="A transaction takes the lock when it first writes.",
            campaigns=_HISTORIES,
            kinds=frozenset(("busy",)),
            opener=DeferredBegin,
        ),
        Control(
            name="unfair wait",
            flaw="Whoever has waited for the lock for long looks seldom whether it is free.",
            campaigns=_HISTORIES,
            kinds=frozenset(("unfair",)),
            opener=UnfairWait,
        ),
        Control(
            name="stale cache",
            flaw="What was read once is not read again, though another process may write.",
            campaigns=_HISTORIES,
            kinds=frozenset(("stale", "order")),
            opener=StaleCache,
        ),
        Control(
            name="lost update",
            flaw="What a transaction gets was read before it began.",
            campaigns=_HISTORIES,
            kinds=frozenset(("inexact", "stale", "torn")),
            opener=LostUpdate,
        ),
        Control(
            name="keep the connection",
            flaw="After an I/O error the same connection goes on writing.",
            campaigns=_FAULTS,
            kinds=frozenset(("damaged",)),
            opener=KeepsConnection,
        ),
        Control(
            name="swallow errors",
            flaw="A put that fails returns as if it had been done.",
            campaigns=_FAULTS,
            kinds=frozenset(("lost", "torn")),
            opener=SwallowsErrors,
        ),
    )
}


def controls_of(campaign: str) -> list[Control]:
    """The broken stores that a campaign must flag."""
    return [control for control in CONTROLS.values() if campaign in control.campaigns]
