"""Looking for damage in an open file, and at its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from omega_persistence.backends import FileSizes, Problem, files

if TYPE_CHECKING:
    from omega_persistence.backends import Session

_MIXED_SPACES = """
    SELECT namespace, space, count(DISTINCT dimensions)
    FROM vectors WHERE space <> '' GROUP BY namespace, space HAVING count(DISTINCT dimensions) > 1
"""

# Compares every word of the index with the memories, which `PRAGMA integrity_check` does not.
_FULL_TEXT = "INSERT INTO memories_fts (memories_fts, rank) VALUES ('integrity-check', 1)"


# SQLError is how a virtual table says that it cannot be opened at all.
_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, UnicodeDecodeError)


def check(connection: apsw.Connection, *, writable: bool, ours: bool = True) -> list[Problem]:
    """What is damaged, as far as reading the whole file tells; empty when nothing is.

    Pages, indexes, column types and CHECK rules; references; full text against the memories,
    which needs a connection that may write; vector spaces. A file that is not ``ours``, of the
    Rust crate, has no full text and no spaces.
    """
    problems: list[Problem] = []
    try:
        for (detail,) in connection.execute("PRAGMA integrity_check"):
            if detail != "ok":
                problems.append(Problem(kind="integrity", detail=str(detail)))
        for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
            detail = f"row {row} names a row that {parent} does not have"
            problems.append(Problem(kind="foreign_key", table=table, detail=detail))
        for namespace, space, lengths in connection.execute(_MIXED_SPACES) if ours else ():
            detail = f"space {space!r} of namespace {namespace!r} has {lengths} lengths"
            problems.append(Problem(kind="vector", table="vectors", detail=detail))
    except _DAMAGE as error:
        problems.append(Problem(kind="integrity", detail=str(error)))
    if writable and ours:
        try:
            connection.execute(_FULL_TEXT)
        except _DAMAGE as error:
            detail = f"the full-text index differs from the memories: {error}"
            problems.append(Problem(kind="full_text", table="memories_fts", detail=detail))
    return problems


def sizes(session: Session, address: str) -> FileSizes:
    """Bytes in the file, in the log beside it, and in free pages within."""
    ((page_size,),) = session.rows("PRAGMA page_size")
    ((pages,),) = session.rows("PRAGMA page_count")
    ((free,),) = session.rows("PRAGMA freelist_count")
    return FileSizes(
        file_bytes=files.size(address) or pages * page_size,
        wal_bytes=files.size(address + "-wal"),
        free_bytes=free * page_size,
    )
