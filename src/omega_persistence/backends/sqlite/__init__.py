"""The SQLite backend."""

from omega_persistence.backends.sqlite.backend import SQLiteBackend

__all__ = ["SQLiteBackend"]
