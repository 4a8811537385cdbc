"""Failing calls below a store: the system calls on its files, or those of SQLite's file system.

SQLite makes its system calls through a table that a program may change, so a call fails there as
it does on a bad disk: by what it returns and by ``errno``. Syncing is not in that table; and the
table must not lead to Python when there are several threads, as one of them may hold a lock of
SQLite there that another waits for without letting go of Python's. So there is a second way: a
file system above SQLite's own, whose methods raise.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from contextlib import ExitStack
from ctypes import c_char_p, c_int, c_longlong, c_short, c_size_t, c_ssize_t, c_void_p
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import apsw

from campaigns.failing import BELOW, SHORT, Calls, Failure
from omega_persistence.backends.sqlite import checksums

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable
    from types import TracebackType

BASE = "unix"
NAME = "campaign-faults"

# SQLite's name of a system call -> its kind, the type of its result, those of its arguments.
_TABLE: dict[str, tuple[str, Any, tuple[Any, ...]]] = {
    "open": ("open", c_int, (c_char_p, c_int, c_int)),
    "openDirectory": ("open", c_int, (c_char_p, ctypes.POINTER(c_int))),
    "close": ("close", c_int, (c_int,)),
    "stat": ("stat", c_int, (c_char_p, c_void_p)),
    "lstat": ("lstat", c_int, (c_char_p, c_void_p)),
    "fstat": ("fstat", c_int, (c_int, c_void_p)),
    "read": ("read", c_ssize_t, (c_int, c_void_p, c_size_t)),
    "pread": ("read", c_ssize_t, (c_int, c_void_p, c_size_t, c_longlong)),
    "pread64": ("read", c_ssize_t, (c_int, c_void_p, c_size_t, c_longlong)),
    "write": ("write", c_ssize_t, (c_int, c_void_p, c_size_t)),
    "pwrite": ("write", c_ssize_t, (c_int, c_void_p, c_size_t, c_longlong)),
    "pwrite64": ("write", c_ssize_t, (c_int, c_void_p, c_size_t, c_longlong)),
    "ftruncate": ("ftruncate", c_int, (c_int, c_longlong)),
    "unlink": ("unlink", c_int, (c_char_p,)),
    "fcntl": ("lock", c_int, (c_int, c_int, c_void_p)),
    "mmap": ("mmap", c_void_p, (c_void_p, c_size_t, c_int, c_int, c_int, c_longlong)),
}

_MAP_FAILED = 2 ** (8 * ctypes.sizeof(c_void_p)) - 1


class SystemCalls(Calls):
    """``with`` it, system calls on the files of one folder are counted, and fail as they shall.

    Nobody in this process may have the folder open at first, nor may a thread use SQLite while
    another enters or leaves.
    """

    def __init__(self, failure: Failure | None, folder: str) -> None:
        super().__init__(failure)
        # Others need not be slowed down; but what is opened and closed must be known.
        self._kinds = BELOW.keys() if failure is None else {failure.call, "open", "close"}
        self._folder = os.path.realpath(folder)
        self._descriptors: set[int] = set()
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        system = apsw.VFS(f"{NAME}-table", BASE)
        self._cleanup.callback(system.unregister)
        for name, (kind, result, arguments) in _TABLE.items():
            address = system.xGetSystemCall(name) if kind in self._kinds else None
            if address is not None:
                prototype = ctypes.CFUNCTYPE(result, *arguments, use_errno=True)
                ours = prototype(self._replacement(name, kind, prototype(address)))
                self._cleanup.callback(_restore, system, name, address, ours)
                system.xSetSystemCall(name, ctypes.cast(ours, c_void_p).value or 0)
        for kind in BELOW:
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

    def lift(self) -> None:
        """Let nothing fail any more, stop counting, and let everything run at full speed."""
        super().lift()
        self._cleanup.close()

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
            if name == "open" and result >= 0 and self._ours(arguments[0]):
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
            return self._ours(arguments[0])
        if name == "mmap":
            return arguments[4] in self._descriptors
        if name == "fcntl" and not _locks(*arguments[1:]):
            return False
        return arguments[0] in self._descriptors

    def _ours(self, path: str | bytes) -> bool:
        text = os.fsdecode(path)
        return text == self._folder or text.startswith(self._folder + os.sep)

    def _wrapped(self, kind: str, name: str) -> Callable[..., Any]:
        """What the library calls in place of a function of `os`."""
        real: Callable[..., Any] = getattr(os, name)

        def call(first: Any, *arguments: Any, **options: Any) -> Any:
            # Nobody else in this process syncs by descriptor meanwhile.
            ours = isinstance(first, int) or self._ours(first)
            error = self.meet(kind) if ours else None
            if error is not None:
                number = getattr(errno, error)
                raise OSError(number, os.strerror(number), first)
            return real(first, *arguments, **options)

        return call


def _locks(command: int, lock: int) -> bool:
    """Whether a call of ``fcntl`` asks for a lock, or about one."""
    asks = command in (fcntl.F_GETLK, fcntl.F_SETLK, fcntl.F_SETLKW)
    return asks and c_short.from_address(lock).value != fcntl.F_UNLCK


def _restore(system: apsw.VFS, name: str, address: int, _ours: object) -> None:
    """Undo a replacement, which this keeps alive for as long as SQLite may call it."""
    system.xSetSystemCall(name, address)


# What the file system of our own reports in place of an errno.
_CODES = {
    ("file.read", "EIO"): apsw.SQLITE_IOERR_READ,
    ("file.write", "EIO"): apsw.SQLITE_IOERR_WRITE,
    ("file.write", "ENOSPC"): apsw.SQLITE_FULL,
    ("file.sync", "EIO"): apsw.SQLITE_IOERR_FSYNC,
}


class FileSystemCalls(Calls):
    """``with`` it, the same for what SQLite asks of its file system; any number of threads may."""

    def __enter__(self) -> Self:
        self._file_system = _FileSystem(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file_system.unregister()


class _FileSystem(apsw.VFS):
    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        checksums.load()  # it keeps to the file system that is there first, which must be the real
        super().__init__(NAME, BASE, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self._calls, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, calls: Calls, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._calls = calls
        super().__init__(BASE, name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._meet("file.read")
        return super().xRead(amount, offset)

    def xWrite(self, data: Buffer, offset: int) -> None:
        self._meet("file.write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._meet("file.sync")
        super().xSync(flags)

    def _meet(self, kind: str) -> None:
        error = self._calls.meet(kind)
        if error is not None:
            raise apsw.exception_for(_CODES[kind, error])
