"""The calls to the operating system below a store, any of which can be made to fail.

SQLite makes its system calls through a table that a program may change, so that a call fails here
as it does on a bad disk: by its return value and ``errno``. Syncing is not in that table; it fails
in a file system of our own above SQLite's, at another time: an exception that Python knows of
while SQLite goes on must not meet functions of ours in the table. The calls of `os` with which
the library makes copies appear whole fail too.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections import Counter
from contextlib import ExitStack
from ctypes import c_char_p, c_int, c_longlong, c_short, c_size_t, c_ssize_t, c_uint, c_void_p
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import apsw
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

BASE = "unix"
NAME = "campaign-faults"

SHORT = "short"
"""Not an error: half of what was asked for is read or written, and the caller must go on."""

ERRORS: dict[str, tuple[str, ...]] = {
    "open": ("EIO", "ENOSPC", "EMFILE"),
    "close": ("EIO",),
    "access": ("EIO",),
    "stat": ("EIO",),
    "lstat": ("EIO",),
    "fstat": ("EIO",),
    "readlink": ("EIO",),
    "read": ("EIO", SHORT),
    "write": ("EIO", "ENOSPC", SHORT),
    "sync": ("EIO",),
    "ftruncate": ("EIO",),
    "unlink": ("EIO",),
    "fchmod": ("EPERM",),
    "mmap": ("ENOMEM",),
    "lock": ("EIO", "ENOLCK"),
    "os.open": ("EIO", "EMFILE"),
    "os.close": (),
    "os.stat": ("EIO",),
    "os.chmod": ("EPERM",),
    "os.fsync": ("EIO", "ENOSPC"),
    "os.link": ("EIO", "EPERM"),
    "os.replace": ("EIO", "ENOSPC"),
    "os.unlink": ("EIO",),
}
"""Kind of call -> how it may fail. Releasing a lock or memory does not fail on a real system."""

# SQLite's name of a system call -> its kind and its type: the result, then the arguments.
_TABLE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "open": ("open", (c_int, c_char_p, c_int, c_int)),
    "openDirectory": ("open", (c_int, c_char_p, ctypes.POINTER(c_int))),
    "close": ("close", (c_int, c_int)),
    "access": ("access", (c_int, c_char_p, c_int)),
    "stat": ("stat", (c_int, c_char_p, c_void_p)),
    "lstat": ("lstat", (c_int, c_char_p, c_void_p)),
    "fstat": ("fstat", (c_int, c_int, c_void_p)),
    "readlink": ("readlink", (c_ssize_t, c_char_p, c_void_p, c_size_t)),
    "read": ("read", (c_ssize_t, c_int, c_void_p, c_size_t)),
    "pread": ("read", (c_ssize_t, c_int, c_void_p, c_size_t, c_longlong)),
    "pread64": ("read", (c_ssize_t, c_int, c_void_p, c_size_t, c_longlong)),
    "write": ("write", (c_ssize_t, c_int, c_void_p, c_size_t)),
    "pwrite": ("write", (c_ssize_t, c_int, c_void_p, c_size_t, c_longlong)),
    "pwrite64": ("write", (c_ssize_t, c_int, c_void_p, c_size_t, c_longlong)),
    "ftruncate": ("ftruncate", (c_int, c_int, c_longlong)),
    "unlink": ("unlink", (c_int, c_char_p)),
    "fchmod": ("fchmod", (c_int, c_int, c_uint)),
    "fcntl": ("lock", (c_int, c_int, c_int, c_void_p)),
    "mmap": ("mmap", (c_void_p, c_void_p, c_size_t, c_int, c_int, c_int, c_longlong)),
}

_LOCKS = (fcntl.F_GETLK, fcntl.F_SETLK, fcntl.F_SETLKW)
_MAP_FAILED = 2 ** (8 * ctypes.sizeof(c_void_p)) - 1


class Failure(Struct, frozen=True):
    """The calls of one kind that fail: the one of a number, from 0, or with ``sticky`` all since.

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


class FileCalls:
    """``with`` it, calls on the files of one folder are counted, and fail once that is asked for.

    Attributes:
        counts: Kind of call -> how many there were.
        hits: How many of them failed.
    """

    def __init__(self, folder: str, *, syncs: bool = False) -> None:
        """Prepare for a folder that nobody in this process has open.

        With ``syncs`` only the kind ``"sync"``, without it every other.
        """
        self._syncs = syncs
        self.counts: Counter[str] = Counter()
        self.hits = 0
        self._folder = os.path.realpath(folder)
        self._failure: Failure | None = None
        self._descriptors: set[int] = set()
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        if self._syncs:
            self._cleanup.callback(_FileSystem(self).unregister)
            return self
        self._replace_system_calls()
        for kind in ERRORS:
            module, _, name = kind.partition(".")
            if module == "os":
                self._cleanup.enter_context(patch.object(os, name, self._wrapped(kind, name)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def arm(self, failure: Failure | None) -> None:
        """Let calls fail, counted from now on."""
        self.counts.clear()
        self.hits = 0
        self._failure = failure

    def lift(self) -> None:
        """Let nothing fail any more."""
        self._failure = None

    def meet(self, kind: str) -> str | None:
        """Count a call; returns the error with which it fails, None if it does not."""
        number = self.counts[kind]
        self.counts[kind] += 1
        failure = self._failure
        if failure is None or failure.call != kind:
            return None
        if number == failure.number or (failure.sticky and number > failure.number):
            self.hits += 1
            return failure.error
        return None

    def _replace_system_calls(self) -> None:
        system = apsw.VFS(f"{NAME}-table", BASE)
        self._cleanup.callback(system.unregister)
        for name, (kind, (result, *arguments)) in _TABLE.items():
            address = system.xGetSystemCall(name)
            if address is not None:
                prototype = ctypes.CFUNCTYPE(result, *arguments, use_errno=True)
                ours = prototype(self._replacement(name, kind, prototype(address)))
                system.xSetSystemCall(name, ctypes.cast(ours, c_void_p).value or 0)
                # Keeps `ours` alive for as long as SQLite may call it.
                self._cleanup.callback(_restore, system, name, address, ours)

    def _replacement(
        self, name: str, kind: str, real: Callable[..., int | None]
    ) -> Callable[..., int]:
        """What SQLite calls in place of a system call. It must not raise: nobody would see it."""

        def call(*arguments: Any) -> int:
            error = self.meet(kind) if self._concerned(name, arguments) else None
            if error == SHORT:
                descriptor, buffer, size, *rest = arguments
                return real(descriptor, buffer, max(1, size // 2), *rest) or 0
            if error is not None and name != "close":
                ctypes.set_errno(getattr(errno, error))
                return _MAP_FAILED if name == "mmap" else -1
            result = real(*arguments) or 0
            if name == "open" and result >= 0 and self._ours(os.fsdecode(arguments[0])):
                self._descriptors.add(result)
            elif name == "close":
                self._descriptors.discard(arguments[0])
                if error is not None:  # it is closed all the same, as Linux does it
                    ctypes.set_errno(getattr(errno, error))
                    return -1
            return result

        return call

    def _concerned(self, name: str, arguments: tuple[Any, ...]) -> bool:
        if isinstance(arguments[0], bytes):
            return self._ours(os.fsdecode(arguments[0]))
        if name == "mmap":
            return arguments[4] in self._descriptors
        if name == "fcntl":
            if arguments[1] not in _LOCKS:
                return False
            kind = c_short.from_address(arguments[2]).value
            return arguments[0] in self._descriptors and kind != fcntl.F_UNLCK
        return arguments[0] in self._descriptors

    def _ours(self, path: str) -> bool:
        return path == self._folder or path.startswith(self._folder + os.sep)

    def _wrapped(self, kind: str, name: str) -> Callable[..., Any]:
        real: Callable[..., Any] = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            first = arguments[0]
            ours = first in self._descriptors if isinstance(first, int) else self._ours(str(first))
            error = self.meet(kind) if ours else None
            if error is not None:
                number = getattr(errno, error)
                raise OSError(number, os.strerror(number), first)
            result = real(*arguments, **options)
            if name == "open" and ours:
                self._descriptors.add(result)
            elif name == "close":
                self._descriptors.discard(first)
            return result

        return call


def _restore(system: apsw.VFS, name: str, address: int, _ours: object) -> None:
    system.xSetSystemCall(name, address)


class _FileSystem(apsw.VFS):
    def __init__(self, calls: FileCalls) -> None:
        self._calls = calls
        super().__init__(NAME, BASE, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self._calls, name, flags)


class _File(apsw.VFSFile):
    def __init__(
        self, calls: FileCalls, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._calls = calls
        super().__init__(BASE, name, flags)

    def xSync(self, flags: int) -> None:
        if self._calls.meet("sync") is not None:
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
