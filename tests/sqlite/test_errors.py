"""Every exception of the driver has a counterpart that somebody has chosen."""

from __future__ import annotations

from itertools import chain
from typing import Any, cast

import apsw
import pytest

from omega_persistence import (
    BackendError,
    BusyError,
    ConflictError,
    CorruptionError,
    InvalidDataError,
    OmegaStore,
    StorageError,
    StorageFullError,
    UnsupportedError,
)
from omega_persistence.backends.sqlite import session as session_module
from omega_persistence.backends.sqlite.errors import (
    DRIVER_ERRORS,
    says_damage,
    spoils_connection,
    translate,
)
from omega_persistence.backends.sqlite.session import SQLiteSession

CHOSEN: dict[str, type[StorageError]] = {
    "Error": BackendError,
    # Somebody else is at the file: the same call can succeed later.
    "BusyError": BusyError,
    "LockedError": BusyError,
    "ProtocolError": BusyError,
    # There is no room, or no right to write.
    "FullError": StorageFullError,
    "PermissionsError": StorageFullError,
    "ReadOnlyError": StorageFullError,
    # The file is damaged.
    "CorruptError": CorruptionError,
    "NotADBError": CorruptionError,
    # The values are not what the schema takes.
    "ConstraintError": ConflictError,
    "TooBigError": InvalidDataError,
    # This build of SQLite lacks something.
    "NoFTS5Error": UnsupportedError,
    # The disk failed, memory ran out, or the file went away: nothing of ours says it better.
    "CantOpenError": BackendError,
    "IOError": BackendError,
    "NoMemError": BackendError,
    "NoLFSError": BackendError,
    # Only a mistake of this library can cause these.
    "AbortError": BackendError,
    "AuthError": BackendError,
    "BindingsError": BackendError,
    "ConnectionClosedError": BackendError,
    "ConnectionNotClosedError": BackendError,
    "CursorClosedError": BackendError,
    "EmptyError": BackendError,
    "ExecTraceAbort": BackendError,
    "ExecutionCompleteError": BackendError,
    "ExtensionLoadingError": BackendError,
    "ForkingViolationError": BackendError,
    "FormatError": BackendError,
    "IncompleteExecutionError": BackendError,
    "InternalError": BackendError,
    "InterruptError": BackendError,
    "InvalidContextError": BackendError,
    "MismatchError": BackendError,
    "MisuseError": BackendError,
    "NotFoundError": BackendError,
    "RangeError": BackendError,
    "SQLError": BackendError,
    "SchemaChangeError": BackendError,
    "ThreadingViolationError": BackendError,
    "VFSFileClosedError": BackendError,
    "VFSNotImplementedError": BackendError,
}


def test_a_new_exception_of_the_driver_asks_for_a_choice():
    found = {
        name
        for name, value in vars(apsw).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert found == CHOSEN.keys()


@pytest.mark.parametrize("name", CHOSEN)
def test_an_exception_becomes_what_was_chosen(name: str):
    theirs: type[Exception] = getattr(apsw, name)
    ours = translate(theirs("what the driver says"))
    assert type(ours) is CHOSEN[name]
    assert str(ours) == "what the driver says"
    assert isinstance(theirs(), DRIVER_ERRORS)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (apsw.SQLITE_CONSTRAINT_CHECK, InvalidDataError),
        (apsw.SQLITE_CONSTRAINT_NOTNULL, InvalidDataError),
        (apsw.SQLITE_CONSTRAINT_DATATYPE, InvalidDataError),
        (apsw.SQLITE_CONSTRAINT_UNIQUE, ConflictError),
        (apsw.SQLITE_CONSTRAINT_PRIMARYKEY, ConflictError),
        (apsw.SQLITE_CONSTRAINT_FOREIGNKEY, ConflictError),
        (apsw.SQLITE_CONSTRAINT_TRIGGER, ConflictError),
    ],
)
def test_a_constraint_is_about_the_data_or_about_other_rows(
    code: int, expected: type[StorageError]
):
    error = apsw.exception_for(code)
    assert isinstance(error, apsw.ConstraintError)
    assert type(translate(error)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), CorruptionError),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "bad"), InvalidDataError),
        (OverflowError("too big"), InvalidDataError),
        (TypeError("cannot be bound"), InvalidDataError),
    ],
)
def test_python_errors_of_binding_and_reading_are_translated(
    error: Exception, expected: type[StorageError]
):
    assert isinstance(error, DRIVER_ERRORS)
    assert type(translate(error)) is expected


def test_after_what_a_connection_is_not_used_again():
    spoiling = {name for name in CHOSEN if spoils_connection(getattr(apsw, name)())}
    assert spoiling == {
        *("IOError", "FullError", "CorruptError", "NotADBError", "NoMemError", "CantOpenError"),
        "ReadOnlyError",
    }


def test_what_is_said_about_damage_is_looked_at_again():
    damage = {name for name in CHOSEN if says_damage(getattr(apsw, name)())}
    assert damage == {"CorruptError", "NotADBError"}


class Changing:
    """A connection whose schema another process changes as statements are prepared."""

    def __init__(self, connection: Any, times: int) -> None:
        self._connection = connection
        self.times = times

    def _prepare(self) -> None:
        self.times -= 1
        if self.times >= 0:
            raise apsw.SchemaChangeError("vtable constructor failed: memories_fts")

    def execute(self, *arguments: Any) -> Any:
        """Prepare, and execute."""
        self._prepare()
        return self._connection.execute(*arguments)

    def executemany(self, sql: str, rows: Any) -> Any:
        """The same for each row, the first of which is taken before."""
        remaining = iter(rows)
        first = next(remaining)
        self._prepare()
        return self._connection.executemany(sql, chain([first], remaining))


def test_a_statement_is_prepared_again_while_the_schema_changes():
    """Another process that compacts the file changes it, and SQLite tries only twice."""
    with apsw.Connection(":memory:") as connection:
        connection.execute("CREATE TABLE t (a, b)")
        session = SQLiteSession(connection)
        insert = "INSERT INTO t VALUES (:a, :b)"
        for times in (1, session_module.ATTEMPTS):
            for work in (
                lambda: session.rows("INSERT INTO t VALUES (:a, :b)", a=1, b=2),
                lambda: session.run_many(insert, [(1, 2)]),
                lambda: session.run_many(insert, [(1, 2), (3, 4)]),
                lambda: session.run_together(insert, [(1, 2)]),
            ):
                before = connection.total_changes()
                session._target = cast("Any", Changing(connection, times))
                work()
                assert connection.total_changes() - before in (1, 2)
        session._target = cast("Any", Changing(connection, session_module.ATTEMPTS + 1))
        with pytest.raises(BackendError, match="memories_fts"):
            session.run_many(insert, [(1, 2)])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_is_named_that_is_refused_after_the_schema_changed(place: int):
    with apsw.Connection(":memory:") as connection:
        connection.execute("CREATE TABLE t (a NOT NULL, b)")
        session = SQLiteSession(connection)
        session._target = cast("Any", Changing(connection, 1))
        rows = [(None if row == place else 1, row % 2) for row in range(3)]
        with pytest.raises(InvalidDataError) as caught:
            session._run_each("INSERT INTO t VALUES (:a, :b)", rows, 10)
        assert caught.value.index == 10 + place


def test_the_driver_s_exception_is_the_cause():
    with OmegaStore.new_in_memory() as store, pytest.raises(InvalidDataError) as caught:
        store.memories.get("\ud800")
    assert isinstance(caught.value.__cause__, UnicodeError)
    assert caught.value.hint in caught.value.__notes__
