"""The writer connection, and the transactions that threads share on it."""

from __future__ import annotations

from contextlib import suppress
from threading import get_ident
from time import monotonic, time
from typing import TYPE_CHECKING

from omega_persistence.backends import events
from omega_persistence.backends.sqlite import checkpoints
from omega_persistence.backends.sqlite.checkpoints import Checkpoints
from omega_persistence.backends.sqlite.connection import Patience, slim
from omega_persistence.backends.sqlite.connector import WRITER_CACHE
from omega_persistence.backends.sqlite.errors import DRIVER_ERRORS
from omega_persistence.backends.sqlite.held import Held
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.backends.sqlite.turns import Offer, Ticket, Turns
from omega_persistence.errors import BackendError, StorageError, TransactionError

if TYPE_CHECKING:
    import apsw

    from omega_persistence.backends.sqlite.connector import Connector


Turn = tuple[Ticket, SQLiteSession]


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
        self._session = SQLiteSession(connection, self._connector.mirrors)
        self._session.patience = self.patience
        self._checkpoints.watch(connection)
        return self._session

    def begin(self, *, alone: bool, several: bool) -> Turn:
        """Wait for the turn and open a transaction, or join the one that others have open.

        `end` must follow.

        Args:
            alone: Share the transaction with nobody.
            several: There may be several statements, to be undone without those of others; a
                single one undoes itself when it fails, and needs no transaction around it.
        """
        asked = self._ask()
        ticket, session = turn = self.take_turn(alone=alone)
        self._start(ticket, session, asked, several=several)
        if alone:
            ticket.since = session.now
            self.held.add(ticket)
        return turn

    def begin_insert(self, offer: Offer) -> Turn | None:
        """The same for one row, unless another thread inserts it with its own: then None.

        Raises:
            StorageError: it did, and the commit failed.
        """
        asked = self._ask()
        ticket = self._take(offer=offer)
        if ticket.accepted:
            if ticket.interruption is not None:
                raise ticket.interruption
            ticket.raise_failure()
            return None
        session = self._session_for_turn()
        self._start(ticket, session, asked, several=False)
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
        if session.spoilt:
            session.give_up()
        elif not ticket.alone:
            self._insert_for_others(ticket, session)
        try:
            if session.lost is None and self._turns.pass_on(ticket):
                self._raise_interruption(ticket, error)
                return
        except StorageError as failed:
            self._raise_interruption(ticket, failed)
            raise
        lost, failure = session.lost, None
        try:
            session.commit()
        except BaseException as caught:  # noqa: BLE001 - raised again below, to everybody
            failure = caught
        self._settle(lost or failure)
        self._raise_interruption(ticket, failure or error)
        if failure is not None and (error is None or lost is None):
            raise failure

    def take_turn(self, *, alone: bool = True) -> Turn:
        """Wait for the writer connection, without a transaction; `end_turn` must follow."""
        return self._take(alone=alone), self._session_for_turn()

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

    def _ask(self) -> float:
        """Refuse those who may not write; returns when their wait begins."""
        self.refuse_holder()
        self._connector.refuse_read_only()
        return monotonic()

    def _take(self, *, alone: bool = False, offer: Offer | None = None) -> Ticket:
        self._connector.refuse_closed()
        return self._turns.take(self._connector.busy_timeout, alone=alone, offer=offer)

    def _session_for_turn(self) -> SQLiteSession:
        try:
            self._connector.refuse_closed()  # it may have been closed meanwhile
            if self._session is not None:
                return self._session
            return self.use(self._connector.open("write", self.patience, cache=WRITER_CACHE))
        except BaseException:
            self._turns.settle(None)
            raise

    def _start(
        self, ticket: Ticket, session: SQLiteSession, asked: float, *, several: bool
    ) -> None:
        # From now on, so that whoever handles an event and writes to the store does not wait for
        # himself.
        self.hold(ticket.thread)
        try:
            if ticket.interruption is not None:
                raise ticket.interruption  # noqa: TRY301 - the turn must end well first
            if ticket.queued and session.timer is not None:
                from omega_persistence.backends.sqlite.timing import tell_of_wait  # noqa: PLC0415

                tell_of_wait(self._connector.address, monotonic() - asked, "thread")
            now = int(time())
            if now != session.now:
                session.now = now
                session.listen()
            # The caller's timeout covers both queues: the threads here and the other processes.
            self.patience.deadline = asked + self._connector.busy_timeout
            if self._turns.group:
                if several:
                    session.run("SAVEPOINT turn")
                    ticket.savepoint = True
            elif (not ticket.alone and self._turns.has_company()) or several:
                session.begin("IMMEDIATE")
                self.patience.deadline = None
            else:
                # Nobody to share a commit with: the statement is a transaction by itself, which
                # spares SQLite keeping what the pages held before it. It has yet to wait.
                ticket.alone = True
        except BaseException as error:
            self.end(ticket, session, error)
            raise

    def _insert_for_others(self, ticket: Ticket, session: SQLiteSession) -> None:
        """Insert the rows of those who wait for their turn to do so."""
        while session.lost is None and (offering := self._turns.offers()):
            offers = [each.offer for each in offering if each.offer is not None]
            try:
                session.run_together(offers[0].sql, [offer.row for offer in offers])
            except BaseException as error:  # noqa: BLE001 - raised when the turn has ended well
                # The statement has undone itself. Each executes its own, and sees what is wrong.
                self._turns.decline(offering)
                if not isinstance(error, StorageError):
                    ticket.interruption = error
                return
            self._turns.accept(offering)

    @staticmethod
    def _raise_interruption(ticket: Ticket, error: BaseException | None) -> None:
        """Raise what was put off, rather than an error that is on its way out."""
        if ticket.interruption is not None and ticket.interruption is not error:
            raise ticket.interruption from error

    def _settle(self, failure: BaseException | None) -> None:
        """End the turn; after an I/O error the next one gets a new connection."""
        session, log = self._session, self._checkpoints
        if session is not None and not session.spoilt and self._connector.refusal is None:
            slim(session.connection)
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
