"""What this process keeps open: it holds up the checkpoints, so somebody may want to know."""

from __future__ import annotations

from threading import enumerate as threads
from time import time
from typing import Protocol

from omega_persistence.backends import Hold


class Holder(Protocol):
    """A snapshot, a transaction that is shared with nobody, or a backup.

    Attributes:
        since: The Unix second at which it was begun.
        thread: The number of the thread that did.
    """

    since: int
    thread: int


class Held(set[Holder]):
    """Those that are open now. Any thread may add and discard."""

    def oldest(self) -> Hold | None:
        """The one that has been open for the longest time."""
        open_now = [(each.since, each.thread) for each in list(self)]
        if not open_now:
            return None
        since, thread = min(open_now)
        names = [each.name for each in threads() if each.ident == thread]
        return Hold(seconds=max(0, int(time()) - since), thread=names[0] if names else str(thread))
