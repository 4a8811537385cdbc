"""Whose turn it is to write: a fair queue of threads that share commits."""

from __future__ import annotations

from collections import deque
from threading import Lock, get_ident
from typing import TYPE_CHECKING

from omega_persistence.errors import BusyError

if TYPE_CHECKING:
    from omega_persistence.errors import StorageError

MAX_GROUP = 256
"""Writes that share a commit at the most, so that the first of them need not wait for long."""


class Ticket:
    """One thread's place in the queue.

    Attributes:
        alone: Whether its transaction is its own: it joins no group and none joins it.
        thread: Which thread it is.
        since: When its transaction was begun, in Unix seconds; set for those that are alone.
        queued: Whether it had to wait for the turn.
        savepoint: Whether its statements can be undone apart from the others'.
        interruption: What was raised in it while it waited, when the turn had already come.
        failure: Why the commit of its group failed.
    """

    __slots__ = (
        *("alone", "failure", "gate", "interruption", "queued", "savepoint", "since", "thread"),
    )

    since: int

    def __init__(self, *, alone: bool) -> None:
        self.alone = alone
        self.thread = get_ident()
        self.queued = False
        self.savepoint = False
        self.failure: StorageError | None = None
        self.interruption: BaseException | None = None
        self.gate = Lock()
        self.gate.acquire()


class Turns:
    """Hands the turn from thread to thread in the order of arrival.

    Writers that wait share a commit: a thread that has executed its statements passes the turn on
    with the transaction still open and waits; the thread behind which nobody waits that could
    join commits for all, and wakes them. As LevelDB's write queue (`DBImpl::Write`), except that
    the turn travels and not the writes, so each thread executes its own statements. Nobody waits
    for company: a writer that finds the queue empty commits at once.
    """

    def __init__(self) -> None:
        self._mutex = Lock()
        self._taken = False
        self._queue: deque[Ticket] = deque()
        self.group: list[Ticket] = []
        """Those who have executed their statements in the open transaction and wait for it."""

    def take(self, timeout: float, *, alone: bool) -> Ticket:
        """Wait for the turn; `pass_on` or `settle` must follow.

        Raises:
            BusyError: it did not come in time.
        """
        ticket = Ticket(alone=alone)
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
        if ticket.failure is not None:
            from copy import copy  # noqa: PLC0415 - seldom needed

            raise copy(ticket.failure) from ticket.failure
        return True

    def settle(self, failure: StorageError | None) -> None:
        """Tell the group how the transaction ended, and give the turn to the next thread."""
        members, self.group = self.group, []
        with self._mutex:
            following = self._queue.popleft() if self._queue else None
            self._taken = following is not None
        if following is not None:
            following.gate.release()
        _answer(members, failure)

    def answer(self) -> None:
        """Tell the group that the transaction is durable, and keep the turn."""
        members, self.group = self.group, []
        _answer(members, None)

    def wanted(self) -> bool:
        """Whether somebody waits for the turn."""
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
