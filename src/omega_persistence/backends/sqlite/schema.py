"""Recognising a file, creating a new one, and bringing an older one up to date."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from enum import Enum
from time import gmtime, strftime
from typing import TYPE_CHECKING, LiteralString, cast

import apsw
import msgspec

from omega_persistence.backends import migrate
from omega_persistence.backends.migrate import Migration
from omega_persistence.backends.sqlite import checksums, layout
from omega_persistence.backends.sqlite.errors import DRIVER_ERRORS
from omega_persistence.errors import CorruptionError, NotFoundError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from omega_persistence.backends import Session
    from omega_persistence.backends.migrate import Step
    from omega_persistence.backends.sqlite.session import SQLiteSession

    Adopt = Callable[[Session, str], tuple[dict[str, int], dict[str, int]]]
    """Moves the rows of the renamed tables of the Rust crate; returns (moved, quarantined)."""

APPLICATION_ID = 0x4F6D5031
"""Marks our files for people and for `file`: "OmP1"."""

# The tables and columns that the Rust crate creates; user_version stays 0 there.
REFERENCE_TABLES: dict[LiteralString, tuple[LiteralString, ...]] = {
    "memories": (
        *("id", "content", "tier", "importance", "embedding_blob"),
        *("created_at", "last_accessed"),
    ),
    "skills": (
        *("id", "name", "description", "trigger_pattern", "success_count"),
        *("last_used", "created_at"),
    ),
    "architectures": (
        *("id", "name", "paradigm", "substrate", "fitness_json", "lineage_json"),
        "created_at",
    ),
    "intelligences": (
        *("id", "name", "arch_id", "maturity", "capabilities_json", "memories_json"),
        *("state_json", "created_at", "updated_at"),
    ),
    "vectors": ("id", "memory_id", "dimensions", "data_blob"),
    "reflexion_episodes": (
        *("id", "memory_id", "trigger", "context", "action", "outcome"),
        "created_at",
    ),
    "causal_edges": ("id", "from_memory", "to_memory", "weight", "edge_type", "created_at"),
}


class Kind(Enum):
    """What a file turned out to be."""

    EMPTY = "empty"
    OURS = "ours"
    REFERENCE = "reference"


@contextmanager
def _one_state(session: SQLiteSession) -> Generator[None]:
    """Several reads that agree, though another process may be making or migrating the file."""
    if session.connection.in_transaction:
        yield
        return
    session.begin("DEFERRED")
    try:
        yield
    finally:
        session.rollback()


def recognise(session: SQLiteSession) -> Kind:
    """Tell what a file is, without changing it.

    Raises:
        SchemaError: it is another program's database.
        CorruptionError: it has page checksums, and the connection does not know. Either another
            process made the file after the connection was opened, or the header is damaged.
    """
    with _one_state(session):
        return _recognise(session)


def _recognise(session: SQLiteSession) -> Kind:
    ((application_id,),) = session.rows("PRAGMA application_id")
    if application_id == APPLICATION_ID:
        return Kind.OURS
    if application_id == checksums.APPLICATION_ID:
        if not checksums.protects(session.connection):
            raise CorruptionError("the file has page checksums, but its header denies it")
        return Kind.OURS
    ((user_version,),) = session.rows("PRAGMA user_version")
    names = {name for (name,) in session.rows("SELECT name FROM sqlite_schema")}
    if application_id == user_version == 0:
        if not names:
            return Kind.EMPTY
        if names >= REFERENCE_TABLES.keys() and all(
            _columns(session, table) == columns for table, columns in REFERENCE_TABLES.items()
        ):
            _refuse_dependants(session)
            return Kind.REFERENCE
    message = "the file is a database of another program, or of another version of the Rust crate"
    raise SchemaError(message, hint="It was not touched. Give the store a file of its own.")


def prepare(
    session: SQLiteSession,
    *,
    kind: Kind,
    create: bool,
    may_migrate: bool,
    adopt: Adopt,
    back_up: Callable[[str], None],
    path: str,
    rehearse: bool = False,
) -> Migration | None:
    """Bring a file to the schema of this library; returns what was done, None if nothing.

    Every step is one transaction together with its record; what the file is and which steps it
    has are read again under the write lock, so that of several processes one does the work.

    Raises:
        NotFoundError: the file is empty and ``create`` is false.
        SchemaError: it is newer, or older and ``may_migrate`` is false.
    """
    missing = _missing(session, kind)
    if not missing:
        return None
    if kind is Kind.EMPTY:
        if not create:
            message = f"{path} is empty, it holds no store"
            raise NotFoundError(message, hint="Create one with `omega-persistence init`.")
    elif not may_migrate:
        older = (
            "the file was written by the Rust crate"
            if kind is Kind.REFERENCE
            else "the file has an older schema"
        )
        raise SchemaError(older, hint=f"Run `omega-persistence migrate {path}`.")
    # Known only before a transaction gives an empty file its first page.
    checked = checksums.protects(session.connection)
    mark = checksums.APPLICATION_ID if checked else APPLICATION_ID
    if checked and kind is Kind.EMPTY:
        # The layer makes checksums once it has met the header, which is written by itself here:
        # short of memory, SQLite writes other pages of a transaction before the first one.
        session.begin("IMMEDIATE")
        session.commit()
    session.begin("IMMEDIATE")
    backup = None
    try:
        kind = recognise(session)
        missing = _missing(session, kind)
        report = None
        if missing:
            if kind is not Kind.EMPTY and not rehearse:
                # Through a second connection, which reads what is committed meanwhile.
                name = _backup_name(path, kind, missing)
                back_up(name)
                backup = name
            report = _apply(session, kind, missing, adopt, backup, mark)
        if rehearse:
            session.rollback()
        else:
            session.commit()
    except BaseException as error:
        session.rollback()
        if backup is not None and not session.spoilt:
            with suppress(OSError):
                os.unlink(backup)  # the file is as it was: else every attempt would leave a copy
        if isinstance(error.__cause__, (apsw.SQLError, apsw.ConstraintError)):
            message = f"the schema of this version does not fit into the file: {error}"
            raise SchemaError(message, hint="The file was not changed.") from error
        raise
    return report


def _apply(
    session: SQLiteSession,
    kind: Kind,
    missing: tuple[Step, ...],
    adopt: Adopt,
    backup: str | None,
    mark: int,
) -> Migration | None:
    if kind is Kind.REFERENCE:
        _set_aside(session)
    if kind is not Kind.OURS:
        session.rows(layout.RECORDS)
    for step in missing:
        _script(session, step.sql)
        session.rows(
            "INSERT INTO schema_migrations (version, name, digest)"
            " VALUES (:version, :name, :digest)",
            version=step.version,
            name=step.name,
            digest=step.digest,
        )
    moved: dict[str, int] = {}
    quarantined: dict[str, int] = {}
    if kind is Kind.REFERENCE:
        ((encoding,),) = session.rows("PRAGMA encoding")
        moved, quarantined = adopt(session, encoding)
        for table in reversed(REFERENCE_TABLES):
            session.rows(f"DROP TABLE {reference_name(table)}")
    marks = f"application_id = {mark}; PRAGMA user_version = {missing[-1].version}"
    _script(session, f"PRAGMA {marks}")
    if kind is Kind.EMPTY:
        return None
    return Migration(
        from_version=missing[0].version - 1,
        to_version=missing[-1].version,
        steps=[step.name for step in missing],
        backup=backup,
        moved=moved,
        quarantined=quarantined,
    )


def reference_name(table: LiteralString) -> LiteralString:
    """What a table of the Rust crate is called while its rows are moved."""
    return f"reference_{table}"


def _set_aside(session: SQLiteSession) -> None:
    """Rename the tables of the Rust crate and drop its indexes, which would keep their names."""
    for table in REFERENCE_TABLES:
        new_name = reference_name(table)
        session.rows(f"ALTER TABLE {table} RENAME TO {new_name}")


def _script(session: SQLiteSession, sql: str) -> None:
    """Execute a whole script at once: a trigger's body holds semicolons of its own."""
    try:
        session.connection.execute(sql)
    except DRIVER_ERRORS as error:
        raise session.note(error) from error


# Moving the crate's tables away would empty or break what was built upon them: tables with foreign
# keys into them; and views, triggers and virtual tables, which are refused in any case.
_DEPENDANTS = """
    SELECT type || ' ' || name FROM sqlite_schema
    WHERE type = 'table' AND name NOT IN (SELECT value FROM json_each(:ours)) AND EXISTS (
            SELECT 1 FROM pragma_foreign_key_list(sqlite_schema.name)
            WHERE lower("table") IN (SELECT value FROM json_each(:ours)))
    ORDER BY type, name"""


def _refuse_dependants(session: SQLiteSession) -> None:
    ours = msgspec.json.encode(list(REFERENCE_TABLES)).decode()
    found = layout.foreign(_objects(session), ())
    found += [what for (what,) in session.rows(_DEPENDANTS, ours=ours)]
    if found:
        message = f"the file of the Rust crate also holds what it did not make: {', '.join(found)}"
        raise SchemaError(message, hint="It was not touched. Drop these from a copy of it.")


def _missing(session: SQLiteSession, kind: Kind) -> tuple[Step, ...]:
    """The steps that a file still needs; a file of ours is examined before it is believed."""
    if kind is Kind.OURS:
        return require_known(session)
    return migrate.steps(layout.DIALECT)


def require_known(session: SQLiteSession) -> tuple[Step, ...]:
    """Refuse a store that is newer than this library, or in which something else could run.

    Returns the steps that it still needs.
    """
    with _one_state(session):
        recorded, objects = _recorded(session), _objects(session)
    known = migrate.steps(layout.DIALECT)
    missing = migrate.pending(recorded, known)
    found = layout.foreign(objects, known[: len(recorded)])
    if found:
        message = f"the file holds what this library did not make: {', '.join(found)}"
        raise SchemaError(message, hint="Do not trust it. Drop these from a copy, or restore one.")
    return missing


def _objects(session: SQLiteSession) -> list[layout.Object]:
    return cast("list[layout.Object]", session.rows(layout.OBJECTS))


def _recorded(session: SQLiteSession) -> list[tuple[int, str]]:
    if not _columns(session, "schema_migrations"):
        raise SchemaError("the file is marked as a store but records no schema")
    rows = session.rows("SELECT version, digest FROM schema_migrations ORDER BY version")
    return cast("list[tuple[int, str]]", rows)


def _columns(session: SQLiteSession, table: LiteralString) -> tuple[str, ...]:
    rows = session.rows(_COLUMNS, table=table)
    return tuple(name for (name,) in rows)


# Nothing for a view or a table without rowids; generated columns are listed.
_COLUMNS = """
    SELECT info.name FROM pragma_table_list(:table) AS list, pragma_table_xinfo(:table) AS info
    WHERE list.type = 'table' AND list.wr = 0
    ORDER BY info.cid"""


def _backup_name(path: str, kind: Kind, missing: tuple[Step, ...]) -> str:
    """A name beside the file that is not taken."""
    version = "reference" if kind is Kind.REFERENCE else f"v{missing[0].version - 1}"
    name = f"{path}.{version}-{strftime('%Y%m%dT%H%M%SZ', gmtime())}.backup"
    number = 1
    while os.path.exists(name):
        number += 1
        name = f"{path}.{version}-{strftime('%Y%m%dT%H%M%SZ', gmtime())}-{number}.backup"
    return name
