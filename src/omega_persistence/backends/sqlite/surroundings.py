"""Where a file lies, and who uses it. No file is opened here: closing it would drop its locks."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import apsw
from msgspec.structs import replace

from omega_persistence.backends import files, migrate
from omega_persistence.backends.sqlite import layout
from omega_persistence.backends.sqlite.connection import MEMORY
from omega_persistence.backends.sqlite.files import file_system, is_network, left_open
from omega_persistence.backends.surroundings import Surroundings

if TYPE_CHECKING:
    from omega_persistence.backends import Hold
    from omega_persistence.backends.sqlite.session import SQLiteSession

ENGINE = f"SQLite {apsw.sqlite_lib_version()}"

_FRAME_HEADER = 24  # bytes before each page in the log

# The bytes of the -shm file that SQLite locks for those who read from the log, one for each state
# of it: 120 is where the locks begin, the fourth is for those who need nothing of the log.
_READ_LOCKS = range(124, 128)


def look(path: str, *, unclean: bool | None = None, besides: int | None = None) -> Surroundings:
    """What can be told of a file from outside.

    Args:
        path: The file.
        unclean: As in `Surroundings`, if it is known.
        besides: The number of a process that shall not be named as a reader.
    """
    folder = os.path.dirname(path)
    kind = file_system(folder)
    mode = _mode(path) if os.name == "posix" else 0
    reachable = _mode(folder)
    unprotected = reachable & stat.S_IWOTH and not reachable & stat.S_ISVTX
    return Surroundings(
        engine=ENGINE,
        address=path,
        file_bytes=files.size(path),
        log_bytes=files.size(path + "-wal"),
        unclean=left_open(path) if unclean is None else unclean,
        readers=_readers(path + "-shm", besides),
        file_system=kind,
        network=is_network(kind),
        others_read=bool(mode & stat.S_IROTH and reachable & stat.S_IXOTH),
        others_write=bool((mode & stat.S_IWOTH or unprotected) and reachable & stat.S_IXOTH),
        file_writable=os.access(path, os.W_OK),
        folder_writable=os.access(folder, os.W_OK),
        disk_free_bytes=_free(folder),
    )


def in_memory(held: Hold | None) -> Surroundings:
    """What can be told of a store without a file."""
    return Surroundings(engine=ENGINE, address=MEMORY, held=held)


def examine(
    session: SQLiteSession, address: str, *, writable: bool, held: Hold | None, unclean: bool
) -> Surroundings:
    """What can be told of an open file; what is in its log is moved into the file if possible.

    Raises:
        apsw.Error: it could not be read.
    """
    connection = session.connection
    version = int(connection.pragma("user_version"))  # reads, without which the log is not known
    waiting = _pages_waiting(connection, writable=writable)
    page = int(connection.pragma("page_size")) + _FRAME_HEADER
    return replace(
        # It may be another store of this process, if this one holds nothing.
        look(address, unclean=unclean, besides=os.getpid() if held else None),
        log_waiting_bytes=waiting * page,
        read_elsewhere=_read_elsewhere(connection),
        held=held,
        newer_schema=version if version > len(migrate.steps(layout.DIALECT)) else None,
    )


def _pages_waiting(connection: apsw.Connection, *, writable: bool) -> int:
    """Pages in the log that are not in the file; nobody is waited for."""
    passive, nothing = apsw.SQLITE_CHECKPOINT_PASSIVE, apsw.SQLITE_CHECKPOINT_NOOP
    try:
        pages, copied = connection.wal_checkpoint(mode=passive if writable else nothing)
    except apsw.BusyError:  # somebody else is doing it
        pages, copied = connection.wal_checkpoint(mode=nothing)
    return pages - copied


def _read_elsewhere(connection: apsw.Connection) -> bool | None:
    """Whether another process reads from the log just now."""
    from ctypes import addressof, c_int  # noqa: PLC0415 - seldom needed, and 5 ms to load

    answer = c_int(-1)
    question = apsw.SQLITE_FCNTL_EXTERNAL_READER
    if not connection.file_control("main", question, addressof(answer)) or answer.value < 0:
        return None
    return bool(answer.value)


def _readers(path: str, besides: int | None, locks: str = "/proc/locks") -> list[int]:
    """The processes ``besides`` one that read from the log, as far as the system tells.

    A line is like ``5: POSIX  ADVISORY  READ 4711 fe:00:1234 124 124``.
    """
    try:
        inode = str(os.stat(path).st_ino)
        with open(locks, encoding="ascii") as file:
            lines = [line.split() for line in file]
    except (OSError, ValueError):
        return []
    held = [words[4:] for words in lines if words[1:2] == ["POSIX"] and len(words) == 8]
    return sorted(
        {
            int(process)
            for process, place, first, last in held
            if place.rpartition(":")[2] == inode
            and any(int(first) <= byte <= int(last) for byte in _READ_LOCKS)
            and int(process) != besides
        }
    )


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _free(folder: str) -> int | None:
    try:
        disk = os.statvfs(folder)
    except (OSError, AttributeError):  # there is no such call on Windows
        return None
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else None
