"""The ``with`` blocks of those who write."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from omega_persistence.backends.sqlite.session import SQLiteSession
    from omega_persistence.backends.sqlite.turns import Offer
    from omega_persistence.backends.sqlite.writer import Writer


class Writing:
    """``with`` a write transaction, of its own or shared with other threads."""

    def __init__(self, writer: Writer, *, alone: bool, several: bool) -> None:
        self._writer = writer
        self._alone = alone
        self._several = several

    def __enter__(self) -> SQLiteSession:
        self._turn = self._writer.begin(alone=self._alone, several=self._several)
        return self._turn[1]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.end(*self._turn, error)


class Inserting:
    """``with`` the same for one row, or None when another thread has inserted it with its own."""

    def __init__(self, writer: Writer, offer: Offer) -> None:
        self._writer = writer
        self._offer = offer

    def __enter__(self) -> SQLiteSession | None:
        self._turn = self._writer.begin_insert(self._offer)
        return self._turn and self._turn[1]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._turn is not None:
            self._writer.end(*self._turn, error)
