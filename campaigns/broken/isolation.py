"""Stores that mix up what happens at the same time."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString, cast

from campaigns.broken.altered import Altered
from omega_persistence import OmegaStore
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.entities.base import Collection

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from omega_persistence import Transaction
    from omega_persistence.backends import Session


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


class StaleCache(Altered):
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

        def put(self, record: Any) -> None:
            """What this process itself writes is read again."""
            super().put(record)
            self.kept.pop(record.id, None)

        def write(self, session: Session, records: Sequence[Any], first: int = 0) -> None:
            """The same."""
            super().write(session, records, first)
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
