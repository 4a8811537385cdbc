"""The store: opening a file, its collections, namespaces and transactions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, Self

from omega_persistence.backends.scopes import Joined
from omega_persistence.backends.sqlite import SQLiteBackend
from omega_persistence.entities import namespaces, spaces
from omega_persistence.entities.record import check_namespace
from omega_persistence.flat import FlatMethods
from omega_persistence.recall.recalling import Recalling
from omega_persistence.remembering import Remembering
from omega_persistence.whole_file import WholeFile

if TYPE_CHECKING:
    import os
    from collections.abc import Generator
    from types import TracebackType

    from omega_persistence.backends import Backend, Session
    from omega_persistence.backends.migrate import Migration
    from omega_persistence.backends.sqlite.connection import Durability, Journal
    from omega_persistence.backends.sqlite.schema import Adopt
    from omega_persistence.entities.embedding import Embed, Embedder


class Snapshot(Recalling):
    """One state of the store, for reading: every collection sees the same data.

    It belongs to the thread that opened it, for the length of its block.
    """

    _scope: Joined

    def in_namespace(self, namespace: str) -> Self:
        """The same snapshot or transaction, for the records of another namespace."""
        return type(self)(self._scope, check_namespace(namespace), self._embedder)


class Transaction(Remembering, Snapshot):
    """Several writes as one: all of them are durable when the block ends, or none took place.

    It sees its own writes; others see them when it is over. It belongs to the thread that opened
    it, for the length of its block.
    """

    _scope: Joined

    @contextmanager
    def transaction(self) -> Generator[Transaction]:
        """A part that can fail alone (a savepoint); it takes this one's place until it ends."""
        with self._scope.nested() as inner:
            yield Transaction(inner, self.namespace, self._embedder)


class OmegaStore(FlatMethods, Remembering, WholeFile):
    """An agent's memories, skills, architectures and the rest, in one file.

    Any thread may call any method; any number of processes may open the same file. A write that
    has returned is durable. ``with`` closes the store.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        namespace: str = "default",
        create: bool = True,
        migrate: bool = True,
        read_only: bool = False,
        durability: Durability = "full",
        journal: Journal = "wal",
        busy_timeout: float = 5.0,
        embedder: Embed | Embedder | None = None,
        checksums: bool = False,
    ) -> None:
        """Open a file, and bring it to the schema of this version if it has an older one.

        Args:
            path: The file; ``":memory:"`` for a store that lives as long as this object.
            namespace: Whose records are read and written.
            create: Make the file if there is none.
            migrate: Bring an older file, or one of the Rust crate, up to date. A copy of it as it
                was stays beside it; see ``migration``.
            read_only: Refuse writes; nothing of the file is changed.
            durability: ``"full"``: what was acknowledged survives a power cut. ``"normal"``: it
                survives a crash of the process; a power cut may undo the last writes, never
                tear them.
            journal: ``"wal"``; ``"truncate"`` only for file systems that cannot share memory.
            busy_timeout: Seconds to wait for another thread or process before `BusyError`.
            embedder: Turns texts into vectors, for `remember` and `recall`: an `Embedder`, or a
                function whose own name, or attribute ``space``, names the model.
            checksums: Give a new file page checksums, so that a bit that flips on the disk is
                damage when it is read. A file that has them keeps them, whatever is said here.

        Raises:
            NotFoundError: there is no such file or folder.
            SchemaError: the file is another program's, newer, or older and may not be migrated.
            CorruptionError: the file is damaged.
            UnsupportedError: it lies on a network file system, or shall have page checksums and
                was made without.
        """
        namespace = check_namespace(namespace)
        model = None if embedder is None else _checked_embedder(embedder)
        backend = SQLiteBackend(
            path,
            adopt=_adopt(namespace),
            create=create,
            may_migrate=migrate,
            read_only=read_only,
            durability=durability,
            journal=journal,
            busy_timeout=busy_timeout,
            checksums=checksums,
        )
        self.migration: Migration | None = backend.migration
        self._bind(backend, namespace, model, owner=True)

    @classmethod
    def new_in_memory(cls) -> Self:
        """A store without a file, for tests."""
        return cls(":memory:")

    @classmethod
    def rehearse_migration(
        cls, path: str | os.PathLike[str], *, namespace: str = "default"
    ) -> Migration | None:
        """What opening the file would migrate, found out by doing it and undoing it.

        The file stays as it is; None if it is up to date.
        """
        backend = SQLiteBackend(path, adopt=_adopt(namespace), create=False, rehearse=True)
        backend.close()
        return backend.migration

    def _bind(
        self, backend: Backend, namespace: str, embedder: Embedder | None, *, owner: bool
    ) -> None:
        Recalling.__init__(self, backend, namespace, embedder)
        self._backend = backend
        self._owner = owner

    # Namespaces

    def in_namespace(self, namespace: str) -> OmegaStore:
        """The same store for the records of another namespace.

        It shares the connections; only the store that opened them closes them.
        """
        other = object.__new__(OmegaStore)
        other.migration = self.migration
        other._bind(self._backend, check_namespace(namespace), self._embedder, owner=False)
        return other

    def namespaces(self) -> list[str]:
        """The namespaces that have records, sorted; a few microseconds for each."""
        with self._backend.snapshot() as session:
            return namespaces(session, self)

    def delete_namespace(self, namespace: str) -> int:
        """Delete every record of a namespace in one transaction; returns how many there were."""
        check_namespace(namespace)
        deleted = 0
        with self._backend.atomic(alone=True) as session:
            for collection in reversed(self.all()):
                deleted += session.run(collection.table.delete_namespace, namespace=namespace)
            spaces.forget(session, namespace)
        return deleted

    # Several operations as one

    @contextmanager
    def transaction(self) -> Generator[Transaction]:
        """Several writes as one: ``with store.transaction() as tx: tx.memories.put(...)``.

        They are durable when the block ends; an exception undoes them all. Other threads and
        processes wait with their writes meanwhile, and read what was before. This thread must use
        ``tx`` and not the store within the block.
        """
        with self._backend.atomic(alone=True) as session:
            scope = Joined(session, writable=True)
            try:
                yield Transaction(scope, self.namespace, self._embedder)
            finally:
                scope.end()

    @contextmanager
    def snapshot(self) -> Generator[Snapshot]:
        """Several reads of one state: ``with store.snapshot() as snap: snap.memories.count()``.

        Writers go on meanwhile, but the log beside the file can only grow; keep it short.
        """
        with self._backend.snapshot() as session:
            scope = Joined(session, writable=False)
            try:
                yield Snapshot(scope, self.namespace, self._embedder)
            finally:
                scope.end()

    def close(self) -> None:
        """Close the connections; what returned is durable. Closing again does nothing.

        A store made by `in_namespace` leaves them open.

        Raises:
            TransactionError: this thread has a transaction or snapshot open.
            BusyError: another thread had one for longer than the busy timeout.
        """
        if self._owner:
            self._backend.close()

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """The address and the namespace."""
        return f"{type(self).__name__}({self._backend.address!r}, namespace={self.namespace!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling: connections cannot travel."""
        message = "an OmegaStore cannot be pickled; open the file again where it is needed"
        raise TypeError(message)


def _checked_embedder(embedder: Embed | Embedder) -> Embedder:
    from omega_persistence.entities.embedding import embedder_of  # noqa: PLC0415 - not all have one

    return embedder_of(embedder)


def _adopt(namespace: str) -> Adopt:
    """Moves a file of the Rust crate into a namespace; loaded when there is one."""

    def adopt(session: Session, encoding: str) -> tuple[dict[str, int], dict[str, int]]:
        from omega_persistence.legacy import adopt as move  # noqa: PLC0415 - seldom needed

        return move(session, encoding, namespace)

    return adopt
