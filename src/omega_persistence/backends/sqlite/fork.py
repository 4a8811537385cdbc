"""Stores must not be used across a fork: both processes would believe they hold its locks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from omega_persistence.backends.sqlite.backend import SQLiteBackend
    from omega_persistence.backends.sqlite.session import SQLiteSession

REFUSAL = "it was opened before this process was forked; open it again here"

_open: WeakSet[SQLiteBackend] = WeakSet()
_sessions: WeakSet[SQLiteSession] = WeakSet()


def guard(backend: SQLiteBackend) -> None:
    """Make a store refuse to work in children of this process."""
    _open.add(backend)


def watch(session: SQLiteSession) -> None:
    """Make a session refuse to work in children of this process, whoever holds it."""
    _sessions.add(session)


def _in_child() -> None:
    backends = list(_open)
    if not backends:
        return
    from ctypes import py_object, pythonapi  # noqa: PLC0415 - only in such a child

    for backend in backends:
        for connection in backend.abandon():
            # Closing an inherited connection would delete the log that the parent is writing, so
            # not even the interpreter's exit may: the object is made immortal.
            pythonapi.Py_IncRef(py_object(connection))
    for session in list(_sessions):
        session.abandon()


os.register_at_fork(after_in_child=_in_child)
