"""Opening one connection with all its settings."""

from __future__ import annotations

import os
import sys
from time import monotonic, sleep
from typing import TYPE_CHECKING, Literal

import apsw

from omega_persistence.backends.sqlite.checksums import open_file
from omega_persistence.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

Durability = Literal["full", "normal"]
Journal = Literal["wal", "truncate"]
Mode = Literal["create", "write", "read"]

MEMORY = ":memory:"

_OLDEST_SQLITE = "3.51.3"
if tuple(map(int, apsw.sqlite_lib_version().split("."))) < (3, 51, 3):
    message = f"SQLite {apsw.sqlite_lib_version()} can corrupt a file in WAL mode"
    raise UnsupportedError(message, hint=f"Install an apsw that brings SQLite {_OLDEST_SQLITE}.")

_FLAGS = {
    "create": apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
    "write": apsw.SQLITE_OPEN_READWRITE,
    "read": apsw.SQLITE_OPEN_READONLY,
}

_CONFIG = (
    (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),  # no writing to schema or shadow tables
    (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),  # triggers and views of a file have no rights
    (apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1),
    (apsw.SQLITE_DBCONFIG_DQS_DML, 0),  # "x" is a name, never a string
    (apsw.SQLITE_DBCONFIG_DQS_DDL, 0),
    (apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
    # One plan for a statement, whatever is bound: else SQLite prepares a query again at every
    # execution to look at the value of its LIMIT, which costs more than reading 20 rows.
    (apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1),
)

_LIMITS = (
    (apsw.SQLITE_LIMIT_LENGTH, 64 * 1024 * 1024),  # a row: several fields of the longest kind
    (apsw.SQLITE_LIMIT_EXPR_DEPTH, 200),
    (apsw.SQLITE_LIMIT_ATTACHED, 1),  # VACUUM needs one
)

# EXTRA is FULL in WAL mode; in the other modes, which a new file or one of the Rust crate passes
# through, it also makes the removal of the journal durable, without which a commit can be undone.
SYNCHRONOUS = {"full": "extra", "normal": "normal"}

_PRAGMAS = """
    PRAGMA mmap_size = 0;
    PRAGMA temp_store = memory;
    PRAGMA cell_size_check = on;
    PRAGMA journal_size_limit = 67108864;
"""

SPARE = 16 * 1024 * 1024
"""Bytes of pages that a connection may keep from one transaction to the next."""


class Patience:
    """Waits for a lock held by another connection, until a deadline.

    SQLite's own busy timeout sleeps longer and longer, so that some processes starve; short random
    sleeps are fair. One object serves one connection, whose user may set a deadline before a
    statement; otherwise each wait has the whole timeout. ``waited`` is the sum of all waits.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.deadline: float | None = None
        self.waited = 0.0
        self._own_deadline = 0.0

    def __call__(self, attempt: int) -> bool:
        """Sleep a little and try again, or give up: SQLite's busy handler."""
        now = monotonic()
        if attempt == 0:
            self._own_deadline = self.deadline or now + self.timeout
        if now >= self._own_deadline:
            return False
        sleep(0.0002 + 0.001 * os.urandom(1)[0] / 255)
        self.waited += monotonic() - now
        return True


def connect(
    path: str,
    mode: Mode,
    *,
    patience: Callable[[int], bool],
    durability: Durability = "full",
    uri: str | None = None,
    keep_log: bool = False,
    checksums: bool = False,
    cache: int = 0,
) -> apsw.Connection:
    """Open a connection with every setting but the journal mode, which belongs to the file.

    With ``keep_log`` closing it leaves the log beside the file as it is. A file with page checksums
    is known by its header; with ``checksums`` an empty one will have them. ``cache`` is how many
    KiB of its pages are kept, if not the 2 MiB of SQLite.
    """
    flags = _FLAGS[mode] | (apsw.SQLITE_OPEN_URI if uri else 0)
    connection = open_file(uri or path, flags, wanted=checksums)
    if mode != "read" and connection.readonly("main"):
        # SQLite opens for reading what it could not open for writing, be it for a moment.
        connection.close()
        connection = open_file(uri or path, flags, wanted=checksums)
    try:
        # Before the first statement: several processes may be opening a new file at once.
        connection.set_busy_handler(patience)
        if keep_log:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for option, value in _CONFIG:
            connection.config(option, value)
        for limit, value in _LIMITS:
            connection.limit(limit, value)
        connection.execute(_PRAGMAS).fetchall()  # else it stops where a setting returns a row
        if mode != "read":  # reads the file, which may lie where nothing can be written beside it
            connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
        if cache:  # this too
            connection.execute(f"PRAGMA cache_size = -{cache}")
        if sys.platform == "darwin":  # fsync alone does not reach the platter there
            connection.execute("PRAGMA fullfsync = on; PRAGMA checkpoint_fullfsync = on").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def slim(connection: apsw.Connection) -> None:
    """Give back the pages that a large transaction, or a look at the whole file, left in memory."""
    held, _ = connection.status(apsw.SQLITE_DBSTATUS_CACHE_USED)
    if held > SPARE:
        connection.release_memory()


def set_journal(connection: apsw.Connection, journal: Journal, timeout: float) -> str:
    """Change the journal mode of a file; returns the one that it has then.

    It waits here: SQLite itself refuses at once when two that read both want to change it, as
    each would wait for the other to stop reading.
    """
    wait, attempt = Patience(timeout), 0
    while True:
        try:
            return str(connection.pragma("journal_mode", journal))
        except apsw.BusyError:
            if not wait(attempt):
                raise
            attempt += 1
