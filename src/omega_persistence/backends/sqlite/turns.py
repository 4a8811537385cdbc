"""Whose turn it is to write: a fair queue of threads that share commits."""

from __future__ import annotations

from collections import deque
from threading import Lock, get_ident
from time import sleep
from typing import TYPE_CHECKING, LiteralString

from msgspec import Struct

from omega_persistence.backends import Row
from omega_persistence.backends.sqlite.batches import key, parts
from omega_persistence.errors import BusyError

if TYPE_CHECKING:
    from omega_persistence.errors import StorageError

MAX_GROUP = 256
"""Writes that share a commit at the most, so that the first of them need not wait for long."""


COMPANY = 0.0001
"""Seconds that a writer waits for those who shared the last commit."""


class Offer(Struct, frozen=True):
    """An INSERT that others may execute together with theirs, by one statement for many rows."""

    sql: LiteralString
    row: Row


class Ticket:
    """One thread's place in the queue.

    Attributes:
        accepted: Whether its offer was executed by another, so that it never had the turn.
        alone: Whether its transaction is its own: it joins no group and none joins it.
        thread: Which thread it is.
        since: When its transaction was begun, in Unix seconds; set for those that are alone.
        queued: Whether it had to wait for the turn.
        savepoint: Whether its statements can be undone apart from the others'.
        interruption: What was raised in it while others relied on it to end its turn well.
        failure: Why the commit of its group failed.
        offer: What others may do in its place.
    """

    __slots__ = (
        *("accepted", "alone", "failure", "gate", "interruption", "offer", "queued", "savepoint"),
        *("since", "thread"),
    )

    since: int

    def __init__(self, *, alone: bool, offer: Offer | None = None) -> None:
        self.accepted = False
        self.alone = alone
        self.offer = offer
        self.thread = get_ident()
        self.queued = False
        self.savepoint = False
        self.failure: StorageError | None = None
        self.interruption: BaseException | None = None
        self.gate = Lock()
        self.gate.acquire()

    def raise_failure(self) -> None:
        """Raise if the commit of its group failed: a copy, since each thread adds its trace."""
        if self.failure is not None:
            from copy import copy  # noqa: PLC0415 - seldom needed

            raise copy(self.failure) from self.failure


class Turns:
    """Hands the turn from thread to thread in the order of arrival.

    Writers that wait share a commit: a thread that has executed its statements passes the turn on
    with the transaction still open and waits; the thread behind which nobody waits that could
    join commits for all, and wakes them. As LevelDB's write queue (`DBImpl::Write`), except that
    the turn travels and not the writes, so each thread executes its own statements. Only those
    that insert a row offer it to the one who has the turn: many rows are cheaper by one statement.
    A writer that finds the queue empty commits at once, unless the last commit was shared.
    """

    def __init__(self) -> None:
        self._mutex = Lock()
        self._taken = False
        self._queue: deque[Ticket] = deque()
        self.group: list[Ticket] = []
        """Those who have executed their statements in the open transaction and wait for it."""
        self._shared = False

    def take(self, timeout: float, *, alone: bool, offer: Offer | None = None) -> Ticket:
        """Wait for the turn; `pass_on` or `settle` must follow, unless the offer was accepted.

        Raises:
            BusyError: it did not come in time.
        """
        ticket = Ticket(alone=alone, offer=offer)
        with self._mutex:
            if not self._taken:
                self._taken = True
                return ticket
            self._queue.append(ticket)
        ticket.queued = True
        try:
            in_time = ticket.gate.acquire(timeout=timeout)
        except BaseException as interruption:
            if not self._leave(ticket):
                ticket.gate.acquire()
                ticket.interruption = interruption  # others may wait for this turn to end well
                return ticket
            raise
        if not in_time:
            if self._leave(ticket):
                raise BusyError(
                    f"other threads wrote for longer than {timeout} s",
                    hint="Try again, or keep transactions short.",
                )
            ticket.gate.acquire()  # it came at the last moment
        return ticket

    def pass_on(self, ticket: Ticket) -> bool:
        """Hand the open transaction to the next thread, if it may join, and wait for the commit.

        Returns:
            False when nobody was there to take it: then the caller commits and settles.

        Raises:
            StorageError: the commit failed.
        """
        with self._mutex:
            if (
                ticket.alone
                or not self._queue
                or self._queue[0].alone
                or len(self.group) >= MAX_GROUP
            ):
                return False
            self.group.append(ticket)
            following = self._queue.popleft()
        following.gate.release()
        ticket.gate.acquire()
        ticket.raise_failure()
        return True

    def offers(self) -> list[Ticket]:
        """Take those who are next in the queue and offer rows that one statement inserts.

        `accept` or `decline` must follow, for all of them.
        """
        offering: list[Ticket] = []
        keys: set[Row] = set()
        sql: str | None = None
        with self._mutex:
            room = MAX_GROUP - len(self.group)
            while self._queue and len(offering) < room:
                offer = self._queue[0].offer
                if offer is None or key(offer.row) in keys or offer.sql != (sql or offer.sql):
                    break
                sql = offer.sql
                keys.add(key(offer.row))
                offering.append(self._queue.popleft())
            rows = [each.offer.row for each in offering if each.offer is not None]
            together = len(next(parts(rows), ()))
            self._queue.extendleft(reversed(offering[together:]))
        return offering[:together]

    def accept(self, offering: list[Ticket]) -> None:
        """Let those whose rows have been inserted wait for the commit."""
        for ticket in offering:
            ticket.accepted = True
        self.group += offering

    def decline(self, offering: list[Ticket]) -> None:
        """Let them have the turn after all, one after the other."""
        for ticket in offering:
            ticket.offer = None
        with self._mutex:
            self._queue.extendleft(reversed(offering))

    def settle(self, failure: StorageError | None) -> None:
        """Tell the group how the transaction ended, and give the turn to the next thread."""
        members, self.group = self.group, []
        self._shared = bool(members)
        with self._mutex:
            following = self._queue.popleft() if self._queue else None
            self._taken = following is not None
        # The next comes last: those who write again at once may share its commit.
        _answer(members, failure)
        if following is not None:
            following.gate.release()

    def answer(self) -> None:
        """Tell the group that the transaction is durable, and keep the turn."""
        members, self.group = self.group, []
        _answer(members, None)

    def wanted(self) -> bool:
        """Whether somebody waits for the turn."""
        return bool(self._queue)

    def has_company(self) -> bool:
        """Whether somebody waits for the turn, or comes at once to share it.

        Those who shared the last commit are likely to write again, and the first of them would
        commit alone while the others wait for the next sync: as PostgreSQL's ``commit_delay``, only
        if there are siblings.
        """
        if self._shared and not self._queue:
            sleep(COMPANY)
        return bool(self._queue)

    def _leave(self, ticket: Ticket) -> bool:
        with self._mutex:
            try:
                self._queue.remove(ticket)
            except ValueError:
                return False
        return True


def _answer(members: list[Ticket], failure: StorageError | None) -> None:
    for member in members:
        member.failure = failure
        member.gate.release()
