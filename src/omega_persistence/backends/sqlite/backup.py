"""Copies of a store: made from one snapshot, verified, and put back as one transaction."""

from __future__ import annotations

import os
from time import gmtime, strftime
from typing import TYPE_CHECKING

import apsw

from omega_persistence.backends import files
from omega_persistence.backends.sqlite import checksums, inspection, schema
from omega_persistence.backends.sqlite.connection import Patience, connect
from omega_persistence.backends.sqlite.errors import DRIVER_ERRORS, about, says_damage, translate
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.errors import (
    ConflictError,
    CorruptionError,
    NotFoundError,
    SchemaError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from omega_persistence.backends import Problem, Progress

PAGES_A_STEP = 1000


def copy(
    source: apsw.Connection,
    target: str,
    *,
    overwrite: bool = False,
    verify: bool = False,
    progress: Progress | None = None,
) -> None:
    """Copy what a connection's open read transaction sees into another file, whole or not at all.

    The transaction keeps the copy from starting again when others write. Progress is in pages.
    """

    def write(temporary: str) -> None:
        checked = checksums.protects(source)
        connection = connect(temporary, "create", patience=Patience(0), checksums=checked)
        try:
            files.make_private(temporary)
            # Until the file is renamed nobody will miss it; it is synced as a whole then.
            connection.execute("PRAGMA synchronous = off; PRAGMA journal_mode = off")
            checksums.begin_like(connection, source)
            _transfer(source, connection, PAGES_A_STEP, progress)
            # One file that can be read from a folder that cannot be written.
            connection.execute("PRAGMA journal_mode = delete")
            problems = inspection.check(connection, writable=True) if verify else []
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        finally:
            connection.close()
        if problems:
            message = f"the store is damaged, no backup was made: {problems[0].detail}"
            raise CorruptionError(message, hint="See check().")
        if overwrite:
            _require_unlocked(target)  # meanwhile

    if overwrite:
        _require_unlocked(target)
    files.write_beside(target, write, overwrite=overwrite)


def verify(path: str | os.PathLike[str], *, busy_timeout: float = 5.0) -> list[Problem]:
    """Look for damage in a backup, or in a store that nobody has open; empty when whole.

    Raises:
        NotFoundError: there is no such file.
        SchemaError: it is not a store that this version of the library can open.
        CorruptionError: it is so damaged that SQLite cannot open it.
    """
    path = files.absolute(path)
    with about(path):
        return _verify(path, busy_timeout)


def _verify(path: str, busy_timeout: float) -> list[Problem]:
    connection, writable = _open_backup(path, busy_timeout)
    try:
        session = SQLiteSession(connection)
        kind = schema.recognise(session)
        if kind is schema.Kind.EMPTY:  # what a copy that was broken off leaves
            raise SchemaError(f"{path} is empty, it holds no store")
        # The Rust crate's tables have none of our indexes to compare.
        ours = kind is schema.Kind.OURS
        if ours:
            schema.require_known(session)
        return inspection.check(connection, writable=writable, ours=ours)
    except DRIVER_ERRORS as error:
        raise translate(error) from error
    finally:
        connection.close()


def restore(
    backup: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    busy_timeout: float = 5.0,
    progress: Progress | None = None,
) -> None:
    """Make a file hold exactly what a backup holds; see `OmegaStore.restore`."""
    source_path, path = files.absolute(backup), files.absolute(target)
    if source_path == path:
        message = f"{path} cannot be restored from itself"
        raise ConflictError(message)
    files.refuse_side_file(path)
    problems = verify(source_path, busy_timeout=busy_timeout)
    if problems:
        message = f"{source_path} is damaged: {problems[0].detail}"
        raise CorruptionError(message, hint="Use another backup.")
    exists = os.path.exists(path)
    if exists and not overwrite:
        message = f"{path} exists"
        raise ConflictError(message, hint="Allow it to be replaced with overwrite=True.")
    source, _ = _open_backup(source_path, busy_timeout)
    try:
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_schema").fetchall()
        if exists and _replace_content(source, path, busy_timeout, progress):
            return
        copy(source, path, progress=progress)
    except DRIVER_ERRORS as error:
        raise translate(error) from error
    finally:
        source.close()


def _replace_content(
    source: apsw.Connection, path: str, busy_timeout: float, progress: Progress | None
) -> bool:
    """Write a backup into a live store as one transaction of SQLite's.

    Other processes, and a crash, see the old or the new content: renaming a file into the place
    of one that has a log beside it would mix the two. False when SQLite cannot open the target,
    which is set aside then.
    """
    # An empty file will have checksums if the backup has.
    checked = checksums.protects(source) and files.size(path) == 0
    connection = _open_target(path, busy_timeout, checked=checked)
    connection = connection or _open_target(path, busy_timeout, checked=checked)
    if connection is None:  # twice, since a disk that fails to read looks like damage
        _set_aside(path)
        return False
    try:
        if _page_size(connection) != _page_size(source):
            message = f"{path} has pages of another size than the backup"
            raise UnsupportedError(message, hint="Restore to another name.")
        if checksums.protects(connection) != checksums.protects(source):
            message = f"of {path} and the backup, one has page checksums and the other has none"
            raise UnsupportedError(message, hint="Restore to another name.")
        checksums.begin_like(connection, source)
        checksums.ignore(connection)
        _transfer(source, connection, -1, progress)
    finally:
        connection.close()
    return True


def _open_target(path: str, busy_timeout: float, *, checked: bool) -> apsw.Connection | None:
    """A connection to the file whose content is to be replaced; None when it is damaged."""
    try:
        # Its log may be all that is left of it.
        patience = Patience(busy_timeout)
        connection = connect(path, "write", patience=patience, keep_log=True, checksums=checked)
    except DRIVER_ERRORS as error:
        if says_damage(error):
            return None
        raise translate(error) from error
    try:
        schema.recognise(SQLiteSession(connection))
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    except CorruptionError:
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def _transfer(
    source: apsw.Connection, target: apsw.Connection, pages: int, progress: Progress | None
) -> None:
    with target.backup("main", source, "main") as transfer:
        while not transfer.done:
            transfer.step(pages)
            if progress is not None:
                progress(transfer.page_count - transfer.remaining, transfer.page_count)


def _open_backup(path: str, busy_timeout: float) -> tuple[apsw.Connection, bool]:
    """A connection to a backup, and whether it may write, as comparing full text requires."""
    if not os.path.exists(path):
        message = f"there is no file {path}"
        raise NotFoundError(message)
    files.require_regular(path)
    try:
        writable = os.access(path, os.W_OK) and os.access(os.path.dirname(path), os.W_OK)
        mode = "write" if writable else "read"
        return connect(path, mode, patience=Patience(busy_timeout)), writable
    except DRIVER_ERRORS as error:
        raise translate(error) from error


def _require_unlocked(path: str) -> None:
    """Refuse to replace a database in which another program is at work.

    It would go on in a file without a name, and its journal would lie beside the new one.
    """
    if not os.path.isfile(path):
        return
    files.require_at_rest(path)
    try:
        connection = connect(path, "write", patience=Patience(0))
        try:
            connection.execute("BEGIN EXCLUSIVE; ROLLBACK")
        finally:
            connection.close()
    except (apsw.BusyError, apsw.LockedError) as error:
        message = f"{path} is in use by another program"
        raise ConflictError(message, hint="Choose another name, or try again.") from error
    except DRIVER_ERRORS:
        pass  # it is no database, or nobody can use it


def _page_size(connection: apsw.Connection) -> int:
    return int(connection.pragma("page_size"))


@files.translated()
def _set_aside(path: str) -> None:
    """Rename a file that SQLite cannot open, together with its side files."""
    name = f"{path}.damaged-{strftime('%Y%m%dT%H%M%SZ', gmtime())}"
    for side in ("", *files.SIDE_FILES):
        if os.path.exists(path + side):
            os.rename(path + side, name + side)
