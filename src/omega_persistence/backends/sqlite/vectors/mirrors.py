"""The mirrors of a store: shared by its threads, made at the first search, bounded in memory."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from omega_persistence.backends.sqlite.session import SQLiteSession
    from omega_persistence.backends.sqlite.vectors.mirror import Mirror
    from omega_persistence.backends.sqlite.vectors.scan import Scan

MAX_BYTES = 1024**3
"""What all mirrors of a store may take, but for the one used last: 2.3 million vectors of 384."""


class Space(Struct, frozen=True):
    """The vectors that can be compared with each other."""

    namespace: str
    space: str
    dimensions: int


class Mirrors:
    """Mirrors by what they mirror, least recently used first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._mirrors: dict[Space, Mirror] = {}

    def __contains__(self, space: Space) -> bool:
        """Whether the codes of a space are in memory, be it as they were some time ago."""
        mirror = self._mirrors.get(space)
        return mirror is not None and mirror.loaded

    def scan(self, session: SQLiteSession, space: Space) -> Scan:
        """The codes of a space as the session, which is in a transaction, sees them."""
        with self._lock:
            mirror = self._mirrors.pop(space, None) or _new_mirror(space)
            self._mirrors[space] = mirror
        scan = mirror.scan(session)
        if len(self._mirrors) > 1:
            with self._lock:
                self._make_room()
        return scan

    def clear(self) -> None:
        """Give back their memory."""
        with self._lock:
            self._mirrors.clear()

    def _make_room(self) -> None:
        sizes = {space: mirror.size for space, mirror in self._mirrors.items()}
        excess = sum(sizes.values()) - MAX_BYTES
        for space in list(sizes)[:-1]:
            if excess <= 0:
                break
            del self._mirrors[space]
            excess -= sizes[space]


def _new_mirror(space: Space) -> Mirror:
    # numpy takes a tenth of a second to load, and not every agent searches vectors.
    from omega_persistence.backends.sqlite.vectors.mirror import Mirror  # noqa: PLC0415

    return Mirror(space)
