"""The writer connection, and whose turn it is."""

from __future__ import annotations

from threading import Lock, get_ident
from time import monotonic, time
from typing import TYPE_CHECKING

from omega_persistence.backends.sqlite.connection import Patience
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.errors import BusyError, TransactionError

if TYPE_CHECKING:
    from types import TracebackType

    import apsw

    from omega_persistence.backends.sqlite.connector import Connector


class Writer:
    """The one connection that writes. Threads take turns at it; other processes wait in SQLite."""

    def __init__(self, connector: Connector) -> None:
        self.patience = Patience(connector.busy_timeout)
        self._connector = connector
        self._session: SQLiteSession | None = None
        self._turn = Lock()
        self._owner = 0
        self._holders: set[int] = set()

    def use(self, connection: apsw.Connection) -> SQLiteSession:
        """Make this the writer connection."""
        self._session = SQLiteSession(connection)
        return self._session

    def begin(self) -> SQLiteSession:
        """Wait for the turn and open a transaction; `end` must follow."""
        self.refuse_holder()
        self._connector.refuse_read_only()
        # The caller's timeout covers both queues: the threads here and the other processes.
        deadline = monotonic() + self._connector.busy_timeout
        session = self.take_turn()
        try:
            session.now = int(time())
            self.patience.deadline = deadline
            session.begin("IMMEDIATE")
        except BaseException:
            self.end_turn()
            raise
        finally:
            self.patience.deadline = None
        self._owner = get_ident()
        self.hold(self._owner)
        return session

    def end(self, session: SQLiteSession, error: BaseException | None) -> None:
        """Commit, or roll back after an error, and pass the turn on."""
        try:
            if error is None:
                session.commit()
            else:
                session.rollback()
        finally:
            self.let_go(self._owner)
            self.end_turn()

    def take_turn(self) -> SQLiteSession:
        """Wait for the writer connection, outside any transaction; `end_turn` must follow."""
        self._acquire()
        try:
            return self._session or self.use(self._connector.open("write", self.patience))
        except BaseException:
            self._turn.release()
            raise

    def end_turn(self) -> None:
        """Pass the turn on; after an I/O error the next one gets a new connection."""
        session = self._session
        if session is not None and session.spoilt:
            self._drop()
            if self._connector.in_memory:
                self._connector.refusal = f"an error took its only connection: {session.cause}"
        self._turn.release()

    def hold(self, thread: int) -> None:
        """Note that a thread has a transaction or snapshot open."""
        self._holders.add(thread)

    def let_go(self, thread: int) -> None:
        """Note that it has none any more."""
        self._holders.discard(thread)

    def refuse_holder(self) -> None:
        """Raise if this thread has a transaction or snapshot open: it would wait for itself."""
        if self._holders and get_ident() in self._holders:
            raise TransactionError(
                "this thread has a transaction or snapshot open on the store",
                hint="Use that one until its block ends.",
            )

    def close(self, refusal: str) -> None:
        """Close the connection when the last transaction has ended, and refuse further ones."""
        self.refuse_holder()
        self._acquire()
        try:
            self._connector.refusal = refusal
            self._drop()
        finally:
            self._turn.release()

    def _acquire(self) -> None:
        connector = self._connector
        connector.refuse_closed()
        if not self._turn.acquire(timeout=connector.busy_timeout):
            raise BusyError(
                f"another thread wrote for longer than {connector.busy_timeout} s",
                hint="Try again, or keep transactions short.",
            )
        try:
            connector.refuse_closed()  # it may have been closed meanwhile
        except BaseException:
            self._turn.release()
            raise

    def _drop(self) -> None:
        if self._session is not None:
            self._connector.close(self._session.connection)
            self._session = None


class Writing:
    """``with`` a write transaction."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def __enter__(self) -> SQLiteSession:
        self._session = self._writer.begin()
        return self._session

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.end(self._session, error)
