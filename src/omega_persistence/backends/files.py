"""What must be asked of a path before it is used, and how a file is made whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from omega_persistence.errors import (
    BackendError,
    ConflictError,
    InvalidDataError,
    NotFoundError,
    StorageError,
    StorageFullError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SIDE_FILES = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database while it is in use or after a crash."""


_NOT_WRITABLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM))


@contextmanager
def translated() -> Generator[None]:
    """Raise our exception for what the system says about a file; also a decorator."""
    try:
        yield
    except StorageError:  # some of ours are OSErrors too
        raise
    except OSError as error:
        kind = StorageFullError if error.errno in _NOT_WRITABLE else BackendError
        where = f"{error.filename} " if error.filename else ""
        message = f"the file {where}cannot be used: {error.strerror}"
        raise kind(message) from error


def absolute(path: str | os.PathLike[str]) -> str:
    """The absolute path of a file; never a URI, never empty, never ``:memory:``.

    A symbolic link is followed, so that every process finds the side files in one place.
    """
    text: object = os.fspath(path) if isinstance(path, os.PathLike) else path
    if type(text) is not str or text in {"", ":memory:"} or "\0" in text or not _named(text):
        message = f"the path of a file is needed, not {text!r}"
        hint = "A store without a file is made with OmegaStore.new_in_memory()."
        raise InvalidDataError(message, hint=hint)
    text = os.path.realpath(text)
    if os.path.isdir(text):
        message = f"{text} is a folder"
        raise InvalidDataError(message, hint="Name a file in it.")
    return text


def _named(path: str) -> bool:
    """Whether the system could have a file of that name; lone surrogates stand for odd bytes."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def refuse_side_file(path: str) -> None:
    """Refuse a database with a name that belongs to what lies beside another."""
    if path.endswith(SIDE_FILES):
        message = f"{path} has a name that SQLite gives to what it keeps beside a database"
        raise InvalidDataError(message, hint="Use another name.")


def require_folder(path: str) -> None:
    """Refuse a path in a folder that does not exist."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        message = f"there is no folder {folder}"
        raise NotFoundError(message, hint="Make it first.")


@translated()
def require_regular(path: str) -> None:
    """Refuse devices, pipes and sockets."""
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        message = f"{path} is not a regular file"
        raise InvalidDataError(message)


def require_at_rest(path: str) -> None:
    """Refuse to replace a database that is in use: beside a stale log the new one is damaged."""
    beside = [path + side for side in SIDE_FILES if os.path.exists(path + side)]
    if beside:
        message = f"{path} is in use, or its last user was cut off: {', '.join(beside)}"
        hint = "Use restore() to replace the content of a store."
        raise ConflictError(message, hint=hint)


@translated()
def require_foreign(path: str, address: str) -> None:
    """Refuse a path that leads to a store's own files."""
    for own in (address, *(address + side for side in SIDE_FILES)):
        both = os.path.exists(path) and os.path.exists(own)
        if path == own or (both and os.path.samefile(path, own)):
            message = f"{path} belongs to the store itself"
            raise ConflictError(message, hint="Use another name.")


@translated()
def make_private(path: str) -> None:
    """Let only the owner read and write a file. By path: a descriptor of it would drop locks."""
    os.chmod(path, 0o600)


@translated()
def size(path: str) -> int:
    """Bytes of a file, 0 when there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


@translated()
def write_beside(target: str, write: Callable[[str], None], *, overwrite: bool) -> None:
    """Make a file whole or not at all: written under a temporary name, synced, then renamed.

    Raises:
        ConflictError: the target exists and may not be replaced, or is in use.
    """
    require_folder(target)
    require_regular(target)
    if os.path.exists(target):
        if not overwrite:
            message = f"{target} exists"
            raise ConflictError(message, hint="Choose another name, or allow it to be replaced.")
        require_at_rest(target)
    temporary = f"{target}.{os.getpid()}-{os.urandom(4).hex()}.partial"
    try:
        write(temporary)
        _sync(temporary)
        _rename(temporary, target, overwrite=overwrite)
        _sync(os.path.dirname(target))
    finally:
        for leftover in (temporary, *(temporary + side for side in SIDE_FILES)):
            with suppress(OSError):  # nearly always it is not there
                os.unlink(leftover)


def _rename(temporary: str, target: str, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)  # unlike a rename, refuses what has appeared meanwhile
    except FileExistsError as error:
        message = f"{target} exists"
        raise ConflictError(message, hint="Choose another name.") from error
    except OSError:  # a file system without links
        os.replace(temporary, target)
    else:
        os.unlink(temporary)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
