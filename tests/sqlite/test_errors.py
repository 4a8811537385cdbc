"""Every exception of the driver has a counterpart that somebody has chosen."""

from __future__ import annotations

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
from omega_persistence.backends.sqlite.errors import (
    DRIVER_ERRORS,
    says_damage,
    spoils_connection,
    translate,
)

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


def test_the_driver_s_exception_is_the_cause():
    with OmegaStore.new_in_memory() as store, pytest.raises(InvalidDataError) as caught:
        store.memories.scan(limit=2**63)
    assert isinstance(caught.value.__cause__, OverflowError)
    assert caught.value.hint in caught.value.__notes__
