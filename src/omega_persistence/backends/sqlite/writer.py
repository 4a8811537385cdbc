"""The writer connection, and the transactions that threads share on it."""

from __future__ import annotations

from contextlib import suppress
from threading import get_ident
from time import monotonic, time
from typing import TYPE_CHECKING

from omega_persistence.backends import events
from omega_persistence.backends.sqlite import checkpoints
from omega_persistence.backends.sqlite.checkpoints import Checkpoints
from omega_persistence.backends.sqlite.connection import Patience
from omega_persistence.backends.sqlite.errors import DRIVER_ERRORS
from omega_persistence.backends.sqlite.held import Held
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.backends.sqlite.timing import tell_of_wait
from omega_persistence.backends.sqlite.turns import Ticket, Turns
from omega_persistence.errors import BackendError, StorageError, TransactionError

if TYPE_CHECKING:
    from types import TracebackType

    import apsw

    from omega_persistence.backends.sqlite.connector import Connector


class Writer:
    """The one connection that writes. Threads take turns at it; other processes wait in SQLite.

    Attributes:
        held: The transactions that are open and shared with nobody; and what reads.
    """

    def __init__(self, connector: Connector) -> None:
        self.patience = Patience(connector.busy_timeout)
        self.held = Held()
        self._connector = connector
        self._session: SQLiteSession | None = None
        self._turns = Turns()
        self._holders: set[int] = set()
        self._checkpoints = Checkpoints(connector.address + "-wal", self.patience)

    def use(self, connection: apsw.Connection) -> SQLiteSession:
        """Make this the writer connection."""
        self._drop()
        self._session = SQLiteSession(connection)
        self._session.patience = self.patience
        self._checkpoints.watch(connection)
        return self._session

    def begin(self, *, alone: bool, several: bool) -> tuple[Ticket, SQLiteSession]:
        """Wait for the turn and open a transaction, or join the one that others have open.

        `end` must follow.

        Args:
            alone: Share the transaction with nobody.
            several: There may be several statements, to be undone without those of others; a
                single one undoes itself when it fails, and needs no transaction around it.
        """
        self.refuse_holder()
        self._connector.refuse_read_only()
        # The caller's timeout covers both queues: the threads here and the other processes.
        asked = monotonic()
        deadline = asked + self._connector.busy_timeout
        ticket, session = self.take_turn(alone=alone)
        # From now on, so that whoever handles an event and writes to the store does not wait for
        # himself.
        self.hold(ticket.thread)
        try:
            if ticket.interruption is not None:
                raise ticket.interruption  # noqa: TRY301 - the turn must end well first
            if ticket.queued and session.timer is not None:
                tell_of_wait(self._connector.address, monotonic() - asked, "thread")
            now = int(time())
            if now != session.now:
                session.now = now
                session.listen()
            self.patience.deadline = deadline
            if self._turns.group:
                if several:
                    session.run("SAVEPOINT turn")
                    ticket.savepoint = True
            elif several or self._turns.wanted():
                session.begin("IMMEDIATE")
                self.patience.deadline = None
            else:
                # Nobody to share a commit with: the statement is a transaction by itself, which
                # spares SQLite keeping what the pages held before it. It has yet to wait.
                ticket.alone = True
        except BaseException as error:
            self.end(ticket, session, error)
            raise
        if alone:
            ticket.since = session.now
            self.held.add(ticket)
        return ticket, session

    def end(self, ticket: Ticket, session: SQLiteSession, error: BaseException | None) -> None:
        """Commit, alone or with others, and pass the turn on; after an error, undo this part.

        Raises:
            StorageError: the commit failed, for everybody who shared it.
        """
        self.patience.deadline = None
        self.let_go(ticket.thread)
        if ticket.alone:
            self.held.discard(ticket)
        if error is not None and not self._turns.group:
            session.rollback()
            self._settle(None)
            return
        if ticket.savepoint:
            with suppress(TransactionError):  # then all is lost, which shows below
                session.run("RELEASE turn" if error is None else "ROLLBACK TO turn")
        if session.lost is None and self._turns.pass_on(ticket):
            return
        lost, failure = session.lost, None
        try:
            session.commit()
        except BaseException as caught:  # noqa: BLE001 - raised again below, to everybody
            failure = caught
        self._settle(lost or failure)
        if failure is not None and (error is None or lost is None):
            raise failure

    def take_turn(self, *, alone: bool = True) -> tuple[Ticket, SQLiteSession]:
        """Wait for the writer connection, without a transaction; `end_turn` must follow."""
        connector = self._connector
        connector.refuse_closed()
        ticket = self._turns.take(connector.busy_timeout, alone=alone)
        try:
            connector.refuse_closed()  # it may have been closed meanwhile
            return ticket, self._session or self.use(connector.open("write", self.patience))
        except BaseException:
            self._turns.settle(None)
            raise

    def end_turn(self) -> None:
        """Pass the turn on."""
        self._settle(None)

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
        self._connector.refuse_closed()
        self._turns.take(self._connector.busy_timeout, alone=True)
        self._connector.refusal = self._connector.refusal or refusal
        stuck = 0
        try:
            if self._session is not None and self._checkpoints.pages:
                # SQLite does it only for the last process to close the file.
                stuck = self._checkpoint(self._session, cut=True)
        finally:
            self._drop()
            self._turns.settle(None)
        self._tell_of_stuck(stuck)

    def _settle(self, failure: BaseException | None) -> None:
        """End the turn; after an I/O error the next one gets a new connection."""
        session, log = self._session, self._checkpoints
        if failure is None and log.pages < log.due and not (session and session.spoilt):
            self._turns.settle(None)
            return
        stuck = 0
        try:
            if failure is None and session is not None and log.pages >= log.due:
                stuck = self._checkpoint_in_time(session)
        finally:
            if session is not None and session.spoilt:
                self._drop()
                if self._connector.in_memory:
                    self._connector.refusal = f"an error took its only connection: {session.cause}"
            if failure is not None and not isinstance(failure, StorageError):
                failure = BackendError("the commit was interrupted; it may have taken place")
            self._turns.settle(failure)
        # Only now, so that a handler may use the store.
        if stuck:
            self._tell_of_stuck(stuck)
        if session is not None and session.spoilt and not self._connector.in_memory:
            self._connector.tell_of_reconnect("writer", session.cause)

    def _checkpoint_in_time(self, session: SQLiteSession) -> int:
        pages = self._checkpoints.pages - self._checkpoints.due + checkpoints.PAGES
        if self._turns.wanted() and pages < checkpoints.PAGES_UNDER_LOAD:
            return 0
        self._turns.answer()
        return self._checkpoint(session)

    def _checkpoint(self, session: SQLiteSession, *, cut: bool = False) -> int:
        """Shorten the log; returns how many pages had to stay."""
        if session.spoilt:
            return 0
        try:
            return self._checkpoints.run(session.connection, cut=cut)
        except DRIVER_ERRORS as error:
            session.note(error)  # and no more: what was written is durable, in the log
        except StorageError:  # the log could not be looked at
            pass
        return 0

    def _tell_of_stuck(self, pages: int) -> None:
        if pages:
            oldest = self.held.oldest()
            events.tell(
                events.INFO,
                "checkpoint_unfinished",
                "%(pages)d pages stay in the log of %(store)s: somebody reads what was before",
                store=self._connector.address,
                pages=pages,
                oldest_hold_seconds=oldest and oldest.seconds,
            )

    def _drop(self) -> None:
        if self._session is not None:
            self._connector.close(self._session.connection)
            self._session = None


class Writing:
    """``with`` a write transaction, of its own or shared with other threads."""

    def __init__(self, writer: Writer, *, alone: bool, several: bool) -> None:
        self._writer = writer
        self._alone = alone
        self._several = several

    def __enter__(self) -> SQLiteSession:
        self._ticket, self._session = self._writer.begin(alone=self._alone, several=self._several)
        return self._session

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.end(self._ticket, self._session, error)
