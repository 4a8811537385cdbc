"""Sessions that read: a pool of connections to a file, or turns at the one of a memory store."""

from __future__ import annotations

from collections import deque
from threading import Condition, get_ident
from time import monotonic, time
from typing import TYPE_CHECKING, Self

from omega_persistence.backends.sqlite.connection import Patience
from omega_persistence.backends.sqlite.connector import READER_CACHE
from omega_persistence.backends.sqlite.errors import DRIVER_ERRORS, says_damage
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.errors import BackendError, BusyError, StorageError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Protocol

    import apsw

    from omega_persistence.backends import Row
    from omega_persistence.backends.sqlite.connector import Connector
    from omega_persistence.backends.sqlite.vectors.mirrors import Mirrors
    from omega_persistence.backends.sqlite.writer import Writer

    class Readers(Protocol):
        """Where sessions that read come from."""

        def take(self) -> Reader:
            """A session for one thread, until it is given back."""
            ...

        def give_back(self, reader: Reader, /) -> None:
            """Let another thread have it."""
            ...

        def close(self) -> None:
            """Close what is not in use."""
            ...

        def forget(self) -> None:
            """Let go of the connections without closing them."""
            ...


MAX_READERS = 16
"""Connections that read at the same time; further threads wait for one."""


class Reader(SQLiteSession):
    """A session that only reads; leaving its ``with`` block gives it back."""

    def __init__(self, connection: apsw.Connection, readers: Readers, mirrors: Mirrors) -> None:
        super().__init__(connection, mirrors)
        self._readers = readers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._readers.give_back(self)


class Pool:
    """Connections to a file, opened as they are needed and kept for the next reader."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._idle: deque[Reader] = deque()
        self._count = 0
        self._waiting = 0
        self._room = Condition()

    def take(self) -> Reader:
        """A session for one thread."""
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = self._another()
        now = int(time())
        if now != reader.now:
            reader.now = now
            reader.listen()
        return reader

    def give_back(self, reader: Reader, /) -> None:
        """Keep a session for the next thread, unless it is not fit to be used again."""
        if reader.spoilt:
            self._connector.close(reader.connection)
            with self._room:
                self._count -= 1
            self._connector.tell_of_reconnect("reader", reader.cause)
        else:
            self._idle.append(reader)
        if self._waiting:
            with self._room:
                self._room.notify()
        if self._connector.refusal is not None:
            self.close()

    def close(self) -> None:
        """Close the connections that are not in use; the others follow as they are given back."""
        while self._idle:
            self._connector.close(self._idle.pop().connection)

    def forget(self) -> None:
        """Let go of the connections without closing them, in a forked child."""
        self._idle.clear()
        self._room = Condition()  # a thread that the child does not have may hold the other

    def _another(self) -> Reader:
        deadline = monotonic() + self._connector.busy_timeout
        with self._room:
            self._waiting += 1  # before looking, so that whoever gives one back knows
            try:
                while True:
                    self._connector.refuse_closed()
                    if self._idle:
                        return self._idle.pop()
                    if self._count < MAX_READERS:
                        self._count += 1
                        break
                    if not self._room.wait(deadline - monotonic()):
                        message = f"{MAX_READERS} threads read for too long"
                        raise BusyError(message, hint="Keep snapshots short.")
            finally:
                self._waiting -= 1
        try:
            return _PooledReader(self._connector, self)
        except BaseException:
            with self._room:
                self._count -= 1
                self._room.notify()
            raise


class _PooledReader(Reader):
    """A reader that looks again before it believes that the file is damaged."""

    def __init__(self, connector: Connector, pool: Pool) -> None:
        patience = Patience(connector.busy_timeout)
        super().__init__(_open_to_read(connector, patience), pool, connector.mirrors)
        self.patience = patience
        self._connector = connector

    def _after_error(self, error: Exception, sql: str, values: tuple[Any, ...], /) -> list[Row]:
        if not says_damage(error):
            return super()._after_error(error, sql, values)
        ours = self.note(error)
        # SQLite calls it damage as well when a disk fails to read.
        in_snapshot = self._in_transaction
        self._connector.close(self.connection)
        patience = Patience(self._connector.busy_timeout)
        try:
            connection = _open_to_read(self._connector, patience)
        except StorageError as again:
            self.spoil(again)
            self._lose_transaction(again)  # there is no connection to go on with
            raise
        self.use(connection, patience)
        self._connector.tell_of_reconnect("reader", ours)
        try:
            rows = self.connection.execute(sql, values).fetchall()
        except DRIVER_ERRORS as again:
            ours = self.note(again)
            if in_snapshot:
                self._lose_transaction(ours)
            raise ours from again
        if in_snapshot:
            message = "the file could not be read for a moment, and the snapshot was lost"
            ours = BackendError(message, hint="Take a new snapshot.")
            self._lose_transaction(ours)
            raise ours from error
        return rows


def _open_to_read(connector: Connector, patience: Patience) -> apsw.Connection:
    # It may write, for SQLite: the first reader after a crash has to recover the log.
    connection = connector.open("write", patience, cache=READER_CACHE)
    connection.execute("PRAGMA query_only = on")
    return connection


class Shared:
    """The one connection of a store in memory, which readers and writers take turns at."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._reader: Reader | None = None

    def take(self) -> Reader:
        """A session for one thread, which has the turn until it is given back."""
        _, writing = self._writer.take_turn()
        connection = writing.connection
        reader = self._reader
        if reader is None or reader.spoilt or reader.connection is not connection:
            reader = self._reader = Reader(connection, self, writing.mirrors)
        now = int(time())
        if now != reader.now:
            reader.now = now
            reader.listen()
        return reader

    def give_back(self, _reader: Reader, /) -> None:
        """Pass the turn on."""
        self._writer.end_turn()

    def close(self) -> None:
        """Nothing: the writer closes the connection."""

    def forget(self) -> None:
        """Nothing: every use asks the writer."""


class Snapshot:
    """``with`` a read transaction."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    def __enter__(self) -> Reader:
        self._reader = reader = self._readers.take()
        try:
            reader.begin("DEFERRED")
            reader.rows("SELECT 1 FROM sqlite_schema LIMIT 1")  # BEGIN alone fixes nothing
        except BaseException:
            reader.rollback()
            self._readers.give_back(reader)
            raise
        self.since, self.thread = reader.now, get_ident()
        self._writer.hold(self.thread)
        self._writer.held.add(self)
        return reader

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.let_go(self.thread)
        self._writer.held.discard(self)
        self._reader.rollback()
        self._readers.give_back(self._reader)
