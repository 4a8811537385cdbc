"""Page checksums: every page of the file ends in one, compared whenever the page is read from disk.

SQLite's own extension `cksumvfs <https://sqlite.org/cksumvfs.html>`_ does it, a layer between
SQLite and the file system (a VFS) in which a page has 8 bytes that SQLite leaves alone. The header
of the file says how many bytes are left (byte 20), so a file is recognised before it is read; the
application id says it once more, for a header that is itself damaged.

A page that is written by anybody else has a wrong checksum afterwards. So a connection is never
believed to have seen the header: it is asked (`protects`) before anything is written through it.
"""

from __future__ import annotations

import apsw

from omega_persistence.backends import Problem
from omega_persistence.backends.sqlite.errors import fails_checksum, says_damage
from omega_persistence.errors import UnsupportedError

APPLICATION_ID = 0x4F6D5043
"""Marks our files that have checksums: "OmPC"."""

_LAYER = "cksmvfs"
_RESERVED = 8  # bytes of each page; with any other number the layer does nothing


def open_file(path: str, flags: int, *, wanted: bool = False) -> apsw.Connection:
    """Open a file through the layer if it has checksums, or is empty and they are wanted.

    Raises:
        UnsupportedError: they are needed, and this apsw does not bring the layer.
    """
    if not wanted:
        connection = apsw.Connection(path, flags=flags)
        if connection.reserve_bytes("main") != _RESERVED:  # no I/O: the header was read already
            return connection
        connection.close()
    load()
    connection = apsw.Connection(path, flags=flags, vfs=_LAYER)
    if wanted:
        connection.reserve_bytes("main", _RESERVED)
    return connection


def protects(connection: apsw.Connection) -> bool:
    """Whether the pages of a file have checksums, or will have once there are any."""
    if connection.open_vfs != _LAYER:
        return False
    if connection.pragma("checksum_verification") == "1":  # the layer has seen the header
        return True
    return connection.pragma("page_count") == 0 and connection.reserve_bytes("main") == _RESERVED


def require(connection: apsw.Connection, address: str) -> None:
    """Refuse a file without checksums."""
    if not protects(connection):
        message = f"{address} was made without page checksums, and cannot be given them"
        hint = "Export it, and import that into a new store made with checksums=True."
        raise UnsupportedError(message, hint=hint)


def begin_like(target: apsw.Connection, source: apsw.Connection) -> None:
    """Write the first page of an empty file that is to have another's pages, and its checksums.

    Only when the layer has met the header does it make checksums, and SQLite may write any page
    of a copy before that.
    """
    if protects(source) and target.pragma("page_count") == 0:
        target.execute(f"PRAGMA page_size = {source.pragma('page_size')}")
        target.execute("PRAGMA user_version = 0")


def ignore(connection: apsw.Connection) -> None:
    """Read what fails its checksum as well, since all of it is about to be replaced."""
    connection.execute("PRAGMA checksum_verification = off").fetchall()


def faults(connection: apsw.Connection) -> list[Problem]:
    """Which tables and indexes have pages that fail their checksum; reads the whole file."""
    try:
        objects = connection.execute(_OBJECTS).fetchall()
        return [
            Problem(
                kind="checksum", table=str(table), detail=f"a page of {name} fails its checksum"
            )
            for name, table in objects
            if _fails(connection, str(name))
        ]
    except apsw.CorruptError:  # the schema cannot be read; `check` has met that
        return []
    except apsw.IOError as error:
        if not fails_checksum(error):
            raise
        return [Problem(kind="checksum", detail="a page of the schema fails its checksum")]


_OBJECTS = """
    SELECT name, tbl_name FROM sqlite_schema WHERE rootpage > 0
    UNION ALL SELECT 'sqlite_schema', 'sqlite_schema'
    ORDER BY tbl_name, name
"""

_COLUMNS = "SELECT name FROM pragma_table_xinfo(?)"


def _fails(connection: apsw.Connection, name: str) -> bool:
    columns = [str(column) for (column,) in connection.execute(_COLUMNS, (name,))]
    try:
        # Every page but the last of a long value, and for a table, the values.
        connection.execute("SELECT count(*) FROM dbstat WHERE name = ?", (name,)).fetchall()
        if columns:
            values = ", ".join(f"length(max({_quoted(column)}))" for column in columns)
            connection.execute(f"SELECT {values} FROM {_quoted(name)}").fetchall()
    except apsw.CorruptError:  # damage that its checksum does not tell; `check` has met it
        return False
    except apsw.IOError as error:
        if not says_damage(error):
            raise
        return fails_checksum(error)
    return False


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def load() -> None:
    """Make the layer known to SQLite, for the life of the process.

    It lies on the VFS that is the default now, which must stay registered. That remains the
    default: the connections of others in this process do not go through the layer, they only get
    its function ``verify_checksum``.
    """
    known = apsw.vfs_names()  # the default comes first
    if _LAYER in known:
        return
    from apsw import sqlite_extra  # noqa: PLC0415 - seldom needed, and 20 ms to load

    if sqlite_extra.has("cksumvfs") is None:
        message = f"apsw {apsw.apsw_version()} was installed without cksumvfs"
        raise UnsupportedError(message, hint=_INSTALL)
    connection = apsw.Connection(":memory:")
    try:
        sqlite_extra.load(connection, "cksumvfs")
    except apsw.Error as error:
        message = f"cksumvfs cannot be loaded: {error}"
        raise UnsupportedError(message, hint=_INSTALL) from error
    finally:
        connection.close()
        apsw.set_default_vfs(known[0])


_INSTALL = "Page checksums need it; install apsw as its wheel from the package index."
