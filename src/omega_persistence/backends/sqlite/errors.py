"""From the driver's exceptions to ours: the only place that knows both."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from omega_persistence.errors import (
    BackendError,
    BusyError,
    ConflictError,
    CorruptionError,
    InvalidDataError,
    StorageError,
    StorageFullError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Generator

DRIVER_ERRORS = (apsw.Error, UnicodeError, OverflowError, TypeError)
"""What a statement can raise; the last three are about values that cannot be bound or decoded."""

CUT = "the file ends within its last page"

_RESTORE = "Restore a backup with `omega-persistence restore`."

_FROM_DRIVER: tuple[tuple[type[Exception], type[StorageError], str | None], ...] = (
    (
        apsw.BusyError,
        BusyError,
        "Another process held the file for longer than the busy timeout; try again.",
    ),
    (apsw.LockedError, BusyError, "Try again."),
    (apsw.ProtocolError, BusyError, "Too many began to read at once; try again."),
    (apsw.FullError, StorageFullError, "Free some room on the disk; nothing acknowledged is lost."),
    (apsw.ReadOnlyError, StorageFullError, "The file or its folder cannot be written."),
    (apsw.PermissionsError, StorageFullError, "The file or its folder cannot be written."),
    (apsw.NotADBError, CorruptionError, _RESTORE),
    (apsw.CorruptError, CorruptionError, _RESTORE),
    (
        apsw.CantOpenError,
        BackendError,
        "The file, or a log beside it, cannot be opened: look at the rights of the folder.",
    ),
    (apsw.TooBigError, InvalidDataError, None),
    (apsw.NoFTS5Error, UnsupportedError, "This build of SQLite has no full-text search."),
    (UnicodeDecodeError, CorruptionError, "A text in the file is not UTF-8; see check()."),
    (UnicodeError, InvalidDataError, "Text must not hold lone surrogates."),
    (OverflowError, InvalidDataError, "Whole numbers must fit 64 bits."),
    (TypeError, InvalidDataError, None),
)

_BAD_DATA = frozenset(
    (
        apsw.SQLITE_CONSTRAINT_CHECK,
        apsw.SQLITE_CONSTRAINT_NOTNULL,
        apsw.SQLITE_CONSTRAINT_DATATYPE,
    )
)

_CONNECTION_SPOILT = (
    apsw.IOError,
    apsw.FullError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.NoMemError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,  # SQLite opens what it cannot open for writing, be it once, for reading
)

_DAMAGE = (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError)


def translate(error: Exception) -> StorageError:
    """Our exception for one of the driver's; raise it ``from`` that one."""
    if isinstance(error, apsw.ConstraintError):
        # A refused NULL is how a child that would move shows itself (backends/table.py); which
        # row stands in the way is for the collection to find out.
        bad_data = getattr(error, "extendedresult", 0) in _BAD_DATA
        return (InvalidDataError if bad_data else ConflictError)(str(error))
    if fails_checksum(error):
        return CorruptionError("a page of the file fails its checksum", hint=_RESTORE)
    if meets_the_end(error):
        return CorruptionError(CUT, hint=_RESTORE)
    if isinstance(error, apsw.SQLError) and str(error) == "malformed JSON":
        # All that callers give was checked.
        return CorruptionError("a memory's metadata is not JSON", hint="See check().")
    for theirs, ours, hint in _FROM_DRIVER:
        if isinstance(error, theirs):
            return ours(str(error), hint=hint)
    return BackendError(str(error))


def ascending(last: object, after: int) -> int:
    """The last number of a page of rows in order, behind which the next page begins.

    Raises:
        CorruptionError: it is not behind the page before, so the pages might never end.
    """
    if type(last) is not int or last <= after:
        message = f"the rows after {after} are out of order"
        raise CorruptionError(message, hint=_RESTORE)
    return last


@contextmanager
def about(path: str) -> Generator[None]:
    """While a file is opened: raise our exceptions, and say which file is damaged.

    SQLite does not say that, and a program may open several.
    """
    try:
        try:
            yield
        except apsw.Error as error:
            raise translate(error) from error
    except CorruptionError as error:
        if path in str(error):
            raise
        raise CorruptionError(f"{path}: {error}", hint=error.hint) from error.__cause__


def spoils_connection(error: Exception) -> bool:
    """Whether nothing may be written again through the connection that raised this.

    After a failed read FTS5 keeps a wrong state in memory, and the next commit of that connection
    would write a full-text index that contradicts the content.
    """
    return isinstance(error, _CONNECTION_SPOILT)


def says_damage(error: Exception) -> bool:
    """Whether the error claims that the file is damaged.

    SQLite says so also when a disk fails to read, so look again before believing it.
    """
    return isinstance(error, _DAMAGE) or fails_checksum(error) or meets_the_end(error)


def meets_the_end(error: Exception) -> bool:
    """Whether the file ends within a page, and one of which SQLite does not make up the rest."""
    return getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHORT_READ


def fails_checksum(error: Exception) -> bool:
    """Whether a page is not as it was written, in a file that has page checksums."""
    return getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA
