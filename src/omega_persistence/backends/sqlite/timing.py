"""Finding out which statements are slow, for those who want to know.

A clock costs more than some statements, so a session has its statements timed only while somebody
listens to the logger, and asks about that once a second.
"""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Any

from omega_persistence.backends import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import apsw

    from omega_persistence.backends.sqlite.connection import Patience


# A statement for a batch has a row of marks for each of its rows.
_ROWS = re.compile(r"(\(\?[?, ]*\))(?:, \(\?[?, ]*\))+")


class Timed:
    """A connection, for a session, that tells of slow statements and of waiting for locks.

    Those that raise tell their caller.
    """

    def __init__(self, connection: apsw.Connection, patience: Patience | None) -> None:
        self._connection = connection
        self._patience = patience
        self._store = connection.filename or ":memory:"

    def execute(self, sql: str, values: tuple[Any, ...] = (), /) -> _Fetched:
        """Execute a statement and fetch all its rows."""
        return _Fetched(self._timed(sql, lambda: self._connection.execute(sql, values).fetchall()))

    def executemany(self, sql: str, rows: Iterable[tuple[Any, ...]], /) -> None:
        """Execute a statement once per row."""
        self._timed(sql, lambda: self._connection.executemany(sql, rows))

    def _timed(self, sql: str, execute: Callable[[], Any]) -> Any:
        began = monotonic()
        before = self._waited()
        result = execute()
        waited = self._waited() - before
        tell_of_wait(self._store, waited, "process")
        seconds = monotonic() - began - waited
        level = events.level_of(seconds)
        if level is not None:
            text = "a statement on %(store)s took %(seconds).2f s: %(statement)s"
            statement = _ROWS.sub(r"\1, ...", " ".join(sql.split()))
            events.tell(
                level,
                "slow_statement",
                text,
                store=self._store,
                seconds=seconds,
                statement=statement,
            )
        return result

    def _waited(self) -> float:
        return self._patience.waited if self._patience is not None else 0.0


class _Fetched:
    """What a session takes for a cursor."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def fetchall(self) -> list[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return self._rows[0] if self._rows else None


def tell_of_wait(store: str, seconds: float, waited_for: str) -> None:
    """Log that a lock was waited for, if that took long: by a ``thread`` or another ``process``."""
    level = events.level_of(seconds)
    if level is None:
        return
    events.tell(
        level,
        "busy_wait",
        "waited %(seconds).2f s until another %(waited_for)s was done with %(store)s",
        store=store,
        seconds=seconds,
        waited_for=waited_for,
    )
