"""Keeping the write-ahead log small, without a thread for it.

SQLite checkpoints, that is, copies the log into the file, as part of a commit that makes the log
longer than 1,000 pages, and never waits for anybody. That has three flaws: everybody who shares
the commit waits for the copying; where several processes write all the time, or read all the time,
it never catches up with them, and the log grows without bound; and a log that has grown keeps its
size. So it is done here, by the writer that holds the turn, after it has told the others that
their commit is done.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import apsw

from omega_persistence.backends import files

if TYPE_CHECKING:
    from omega_persistence.backends.sqlite.connection import Patience

PAGES = 1000
"""Pages in the log that are worth a checkpoint when nobody waits to write."""

PAGES_UNDER_LOAD = 2000
"""Pages in the log that are worth a checkpoint although others wait to write."""

LARGE = 64 * 1024 * 1024
"""Bytes of a log that is emptied if nobody is in the way; a smaller one is written over again."""

HUGE = 128 * 1024 * 1024
"""Bytes of a log that is worth waiting for."""

WAIT = 0.25
"""Seconds that this may take: as long as the reads and writes that are under way just now."""


class Checkpoints:
    """When the writer of a store checkpoints, and how.

    Attributes:
        pages: In the log, when the writer last committed; of all processes.
        due: How many of them make it time for the next checkpoint.
    """

    def __init__(self, log: str, patience: Patience) -> None:
        self.pages = 0
        self.due = PAGES
        self._copied = 0
        self._log = log
        self._patience = patience

    def watch(self, connection: apsw.Connection) -> None:
        """Be told of each commit; this takes the place of SQLite's own checkpoints."""
        connection.set_wal_hook(self._committed)

    def run(self, connection: apsw.Connection, *, cut: bool = False) -> int:
        """Copy the log into the file, but for what somebody reads an older state of.

        A large log, or any with ``cut``, is also emptied, unless somebody reads from it or writes
        just now; right after a commit the chances are good that nobody does. The write lock is
        held meanwhile: for as long as it takes to copy what was written since the checkpoint
        before.

        Where reads follow each other without a gap, that never succeeds. So a huge log is worth a
        short wait for the reads under way, in which new ones are not in the way; but not for a
        reader that was there at the checkpoint before.

        Returns:
            How many pages had to stay in the log because of a reader.
        """
        self.due = self.pages + PAGES  # also when it fails
        size = files.size(self._log)
        if size <= HUGE:
            return self._checkpoint(connection, empty=cut or size > LARGE)
        before = self._copied
        stuck = self._checkpoint(connection, empty=False)
        if stuck and before == self._copied:
            return stuck
        return self._checkpoint(connection, empty=True, wait=WAIT)

    def _checkpoint(self, connection: apsw.Connection, *, empty: bool, wait: float = 0) -> int:
        self._patience.deadline = deadline = monotonic() + wait
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if empty else apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            pages, self._copied = connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            # If not in vain, another process was doing the same.
            in_vain = wait and monotonic() >= deadline
            self.due = self.pages + (4 * PAGES if in_vain else PAGES // 4)
            nothing = apsw.SQLITE_CHECKPOINT_NOOP
            pages, self._copied = connection.wal_checkpoint(mode=nothing)
        else:
            if empty:
                self.pages, self.due = 0, PAGES
        finally:
            self._patience.deadline = None
        return pages - self._copied

    def _committed(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self.pages:  # it began again from the start
            self.due = PAGES
        self.pages = pages
        return apsw.SQLITE_OK
