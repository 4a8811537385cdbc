"""Calls to the operating system that fail: which, and in what way."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

SHORT = "short"
"""Not an error: half of what was asked for is read or written, and the caller must go on."""

BELOW: dict[str, tuple[str, ...]] = {
    "open": ("EIO", "ENOSPC", "EMFILE"),
    "close": ("EIO",),
    "stat": ("EIO",),
    "lstat": ("EIO",),
    "fstat": ("EIO",),
    "read": ("EIO", "ETIMEDOUT", SHORT),
    "write": ("EIO", "ENOSPC", SHORT),
    "ftruncate": ("EIO",),
    "unlink": ("EIO",),
    "mmap": ("ENOMEM",),
    "lock": ("EIO", "ENOLCK"),
    "os.open": ("EIO", "EMFILE"),
    "os.stat": ("EIO",),
    "os.chmod": ("EPERM",),
    "os.fsync": ("EIO", "ENOSPC"),
    "os.link": ("EIO", "EPERM"),
    "os.replace": ("EIO", "ENOSPC"),
    "os.unlink": ("EIO",),
}
"""Kind of system call -> how it may fail. Giving a lock or memory back does not fail in reality."""

ABOVE: dict[str, tuple[str, ...]] = {
    "file.read": ("EIO",),
    "file.write": ("EIO", "ENOSPC"),
    "file.sync": ("EIO",),
}
"""Kind of call that SQLite makes of its file system -> how it may fail."""

_ENOUGH = {"lock": 20}
"""Kind of call -> how many fail in a row, when not all; SQLite asks for a lock for ten seconds."""


class Failure(Struct, frozen=True):
    """The calls of one kind that fail: the one of a number, from 0, or, ``sticky``, all since.

    ``error`` is the name of an ``errno``, or ``"short"``.
    """

    call: str
    number: int
    error: str
    sticky: bool

    def __str__(self) -> str:
        """As `failure_of` reads it."""
        return f"{self.call}/{self.number}/{self.error}/{'sticky' if self.sticky else 'once'}"


def failure_of(text: str) -> Failure:
    """A failure that was written down."""
    call, number, error, how = text.split("/")
    return Failure(call, int(number), error, how == "sticky")


class Calls:
    """Counts the calls of each kind, and lets those fail that shall.

    Attributes:
        counts: Kind of call -> how many there were.
        hits: How many of them failed.
    """

    def __init__(self, failure: Failure | None) -> None:
        self.counts: Counter[str] = Counter()
        self.hits = 0
        self._failure = failure
        self._lifted = False

    def meet(self, kind: str) -> str | None:
        """Count a call; returns the error with which it fails, None if it does not."""
        if self._lifted:
            return None
        number = self.counts[kind]
        self.counts[kind] += 1
        failure = self._failure
        if failure is None or failure.call != kind or number < failure.number:
            return None
        if number - failure.number >= (_ENOUGH.get(kind, number + 1) if failure.sticky else 1):
            return None
        self.hits += 1
        return failure.error

    def lift(self) -> None:
        """Let nothing fail any more, and stop counting."""
        self._lifted = True
