"""Keeping the write-ahead log small, without a thread for it.

SQLite checkpoints, that is, copies the log into the file, as part of a commit that makes the log
longer than 1,000 pages, and never waits for anybody. That has three flaws: everybody who shares
the commit waits for the copying; where several processes write all the time it never catches up
with them, and the log grows without bound; and a log that has grown keeps its size. So it is done
here, by the writer that holds the turn, after it has told the others that their commit is done.
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

LARGE = 16 * 1024 * 1024
"""Bytes of a log that is cut back to nothing."""

WAIT = 0.05
"""Seconds to wait at most for the end of other processes' writes, when the log is large."""


class Checkpoints:
    """When the writer of a store checkpoints, and how.

    Attributes:
        pages: In the log, when the writer last committed; of all processes.
        due: How many of them make it time for the next checkpoint.
    """

    def __init__(self, log: str, patience: Patience) -> None:
        self.pages = 0
        self.due = PAGES
        self._log = log
        self._patience = patience

    def watch(self, connection: apsw.Connection) -> None:
        """Be told of each commit; this takes the place of SQLite's own checkpoints."""
        connection.set_wal_hook(self._committed)

    def run(self, connection: apsw.Connection, *, cut: bool = False) -> int:
        """Copy the log into the file as far as nobody reads what is older; never wait for a reader.

        A large log, or any with ``cut``, is also emptied if nobody reads from it. That needs the
        write lock for as long as it takes to copy what was written during the first copying, about
        as long as a commit.

        Returns:
            How many pages had to stay in the log because of a reader.
        """
        self.due = self.pages + PAGES  # also when it fails
        try:
            pages, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if copied < pages:
                return pages - copied
            if cut or files.size(self._log) > LARGE:
                self._patience.deadline = monotonic() + WAIT
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self.pages, self.due = 0, PAGES
        except apsw.BusyError:
            pass  # another process is doing the same, or reads or writes without a pause
        finally:
            self._patience.deadline = None
        return 0

    def _committed(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self.pages:  # it began again from the start
            self.due = PAGES
        self.pages = pages
        return apsw.SQLITE_OK
