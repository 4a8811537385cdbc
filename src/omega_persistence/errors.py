"""Every exception of the library.

::

    StorageError
    ├── NotFoundError       no such row, or no such file        (also LookupError)
    ├── InvalidDataError    refused before reaching the file    (also ValueError)
    ├── ConflictError       another row or file stands in the way
    ├── BusyError           the file was not free in time       (also TimeoutError; retryable)
    ├── TransactionError    a transaction or snapshot was used the wrong way
    ├── ClosedError         the store is closed, or was inherited through a fork
    ├── SchemaError         the file and this version of the library disagree
    ├── CorruptionError     the file is damaged
    ├── StorageFullError    no room left, or not writable       (also OSError)
    ├── UnsupportedError    this store cannot do that
    └── BackendError        anything else that the database reported; see ``__cause__``

A write that raises was not acknowledged; it may still have been applied when the error came after
the commit, so retry with the same ids. A call that Python itself refuses, for an argument that the
method does not have or one thing where several are asked for, is a TypeError as ever, and nothing
was done. This module imports nothing of the library.
"""

from __future__ import annotations


class StorageError(Exception):
    """The base of every error that this library raises.

    Attributes:
        kind: The type of record it is about, such as ``"StoredMemory"``.
        id: The id of the record it is about.
        field: The field it is about.
        index: The position, from 0, in the batch given to ``put_many``, or of the line given to
            ``import_jsonl``.
        hint: What to do about it, in a sentence.
        retryable: Whether the same call can succeed later, with nothing else changed.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        kind: str | None = None,
        id: str | None = None,
        field: str | None = None,
        index: int | None = None,
    ) -> None:
        """Make an error whose ``str`` is the message; the hint is shown below a traceback."""
        super().__init__(message)
        self.hint = hint
        self.kind = kind
        self.id = id
        self.field = field
        self.index = index
        if hint:
            self.add_note(hint)


class NotFoundError(StorageError, LookupError):
    """There is no such row, or no such file."""


class InvalidDataError(StorageError, ValueError):
    """A value breaks a rule; it was refused before it reached the file."""


class ConflictError(StorageError):
    """Another row or file stands in the way: a taken name, a missing parent, a moved child."""


class BusyError(StorageError, TimeoutError):
    """Another thread or process held the file for longer than the timeout."""

    retryable = True


class TransactionError(StorageError):
    """A transaction or a snapshot was used the wrong way."""


class ClosedError(StorageError):
    """The store is closed, or this process inherited it through a fork."""


class SchemaError(StorageError):
    """The file is not a store, or this version of the library cannot work with its schema."""


class CorruptionError(StorageError):
    """The file is damaged."""


class StorageFullError(StorageError, OSError):
    """There is no room left, or the file cannot be written."""


class UnsupportedError(StorageError):
    """This store, or the way it was opened, does not offer that."""


class BackendError(StorageError):
    """The database reported something that has no class of its own; ``__cause__`` has it."""
