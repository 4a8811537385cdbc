"""Looking for damage in an open file, and at its size."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import apsw
import msgspec

from omega_persistence.backends import FileSizes, Problem, files, migrate
from omega_persistence.backends.sqlite import checksums, layout
from omega_persistence.backends.sqlite.errors import CUT, meets_the_end, says_damage

if TYPE_CHECKING:
    from omega_persistence.backends import Session

_MIXED_SPACES = """
    SELECT namespace, space, count(DISTINCT dimensions)
    FROM vectors WHERE space <> '' GROUP BY namespace, space HAVING count(DISTINCT dimensions) > 1
"""

_TEXT_COLUMNS = """
    SELECT list.name, group_concat(info.name)
    FROM pragma_table_list AS list, pragma_table_info(list.name) AS info
    WHERE list.schema = 'main' AND list.type = 'table' AND info.type = 'TEXT'
    GROUP BY list.name
"""

_EXPONENT = re.compile(r"[0-9][eE]\+?[0-9]{3}")

# Compares every word of the index with the memories, which `PRAGMA integrity_check` does not.
_FULL_TEXT = "INSERT INTO memories_fts (memories_fts, rank) VALUES ('integrity-check', 1)"


# SQLError is how a virtual table says that it cannot be opened at all.
_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, UnicodeDecodeError)


def check(connection: apsw.Connection, *, writable: bool, ours: bool = True) -> list[Problem]:
    """What is damaged, as far as reading the whole file tells; empty when nothing is.

    Tables, indexes and triggers against the steps of the schema; pages, indexes, column types and
    CHECK rules; references; full text against the memories, which needs a connection that may
    write; vector spaces and codes; page checksums. A file that is not ``ours``, of the Rust crate,
    has another schema, no full text, no spaces and no codes.
    """
    connection.execute("PRAGMA shrink_memory").fetchall()  # look at the disk, not at the cache
    problems: list[Problem] = []
    looks = [_end, _structure, _references]
    if ours:
        _refresh(connection)
        looks = [_altered, *looks, _partial_indexes, _not_text, _mixed_spaces, _vector_codes]
        looks += [_full_text] if writable else []
    failed = False
    for look in looks:
        try:
            problems += look(connection)
        except _DAMAGE as error:
            problems.append(Problem(kind="integrity", detail=str(error)))
        except apsw.IOError as error:
            if not says_damage(error):
                raise
            if meets_the_end(error):
                problems.append(Problem(kind="integrity", detail=CUT))
            else:
                failed = True
    if failed or (problems and checksums.protects(connection)):
        problems = [*checksums.faults(connection), *problems]
    return list(dict.fromkeys(problems))  # several looks may meet the same damage


def _refresh(connection: apsw.Connection) -> None:
    """Let FTS5 read anew how its index is laid out, which it does for a search.

    `PRAGMA integrity_check` goes by what the connection remembers of that, and so takes for damage
    what another process has written since.
    """
    with suppress(*_DAMAGE, apsw.IOError):  # a look will meet it
        connection.execute("SELECT 1 FROM memories_fts LIMIT 1").fetchall()


# Numbers of the header that SQLite takes and VACUUM does not: place, right ones, what is wrong.
# In a file whose first page is still in the log both are 0. Before format 4, which is from 2006,
# SQLite takes no index for descending, so a copy of this schema has other indexes than the file.
_HEADER = (
    (56, (0, 1, 2, 3), "the header names no encoding of texts"),
    (44, (0, 4), "the header names a format of schemas without descending indexes"),
)


def _structure(connection: apsw.Connection) -> list[Problem]:
    found = [str(text) for (text,) in connection.execute("PRAGMA integrity_check").fetchall()]
    if connection.filename:
        for offset, right, wrong in _HEADER:
            _, number = connection.read("main", 0, offset, 4)
            if int.from_bytes(number, "big") not in right:
                found.append(wrong)
    return [Problem(kind="integrity", detail=text) for text in found if text != "ok"]


def _end(connection: apsw.Connection) -> list[Problem]:
    """A last page that is not all there: SQLite mostly takes zeros for the rest, unverified.

    While there is a log, the page may be in it: a checkpoint that was cut off is no damage.
    """
    if not connection.filename or files.size(connection.filename_wal):
        return []
    end = int(connection.pragma("page_count")) * int(connection.pragma("page_size"))
    whole, _ = connection.read("main", 0, end - 1, 1)
    return [] if whole else [Problem(kind="integrity", detail=CUT)]


def _references(connection: apsw.Connection) -> list[Problem]:
    return [
        Problem(
            kind="foreign_key",
            table=str(table),
            detail=f"row {row} names a row that {parent} does not have",
        )
        for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall()
    ]


def _mixed_spaces(connection: apsw.Connection) -> list[Problem]:
    return [
        Problem(
            kind="vector",
            table="vectors",
            detail=f"space {space!r} of namespace {namespace!r} has {lengths} lengths",
        )
        for namespace, space, lengths in connection.execute(_MIXED_SPACES).fetchall()
    ]


def _full_text(connection: apsw.Connection) -> list[Problem]:
    try:
        connection.execute(_FULL_TEXT)
    except _DAMAGE as error:
        detail = f"the full-text index differs from the memories: {error}"
        return [Problem(kind="full_text", table="memories_fts", detail=detail)]
    return []


def _altered(connection: apsw.Connection) -> list[Problem]:
    """Tables, indexes and triggers that are not as the schema's steps made them."""
    version, known = int(connection.pragma("user_version")), migrate.steps(layout.DIALECT)
    if not 0 < version <= len(known):
        return [Problem(kind="schema", detail=f"the file says that it has schema {version}")]
    objects = cast("list[layout.Object]", connection.execute(layout.OBJECTS).fetchall())
    return [
        Problem(kind="schema", detail=f"{each} is missing or altered")
        for each in layout.missing(objects, known[:version])
    ]


_PARTIAL = """
    SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'index' AND sql LIKE '% WHERE %'
"""


def _partial_indexes(connection: apsw.Connection) -> list[Problem]:
    """Indexes of some rows that have entries without a row, which integrity_check overlooks."""
    problems: list[Problem] = []
    indexes = connection.execute(_PARTIAL).fetchall()
    for index, table, sql in cast("list[tuple[str, str, str]]", indexes):
        rows = f"SELECT count(*) FROM {table} {{}} WHERE {sql.rpartition(' WHERE ')[2]}"
        counted = [
            connection.execute(rows.format(how)).fetchall()
            for how in ("NOT INDEXED", f"INDEXED BY {index}")
        ]
        if counted[0] != counted[1]:
            detail = f"index {index} has other entries than the table has rows"
            problems.append(Problem(kind="integrity", table=table, detail=detail))
    return problems


def _vector_codes(connection: apsw.Connection) -> list[Problem]:
    if not connection.execute("SELECT EXISTS (SELECT 1 FROM vectors)").fetchall()[0][0]:
        return []
    from omega_persistence.backends.sqlite.vectors import inspection  # noqa: PLC0415 - loads numpy

    return inspection.check(connection)


def _not_text(connection: apsw.Connection) -> list[Problem]:
    """Text that is not UTF-8, or holds what SQLite does not look at: see `_fault`."""
    problems: list[Problem] = []
    tables = cast("list[tuple[str, str]]", connection.execute(_TEXT_COLUMNS).fetchall())
    for table, columns in tables:
        names = columns.split(",")
        try:
            rows = connection.execute(f"SELECT {columns} FROM {table}")
            faults = (fault for row in rows for fault in map(_fault, names, row))
            detail = next(filter(None, faults), None)
        except UnicodeDecodeError as error:
            detail = str(error)
        if detail is not None:
            problems.append(Problem(kind="integrity", table=table, detail=detail))
    return problems


def _fault(column: str, value: object) -> str | None:
    """A NUL character, or a number in JSON that is not finite: 1e999, which SQLite calls valid."""
    if not isinstance(value, str):
        return None
    if "\0" in value:
        return "a text holds a NUL character"
    if column.endswith("_json") and _EXPONENT.search(value):
        try:
            msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            return f"{column} holds {value!r:.80}: {error}"
    return None


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
