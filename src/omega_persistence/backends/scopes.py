"""The scope of a transaction or snapshot that is already open, for any backend."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from threading import get_ident
from typing import TYPE_CHECKING, LiteralString, cast

from omega_persistence.errors import TransactionError

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from omega_persistence.backends import Row, Session


class Joined:
    """Lets collections work inside one open transaction or snapshot.

    It belongs to the thread that opened it, for the length of its block. It is its own context
    manager, because entering it changes nothing: the transaction is already open.
    """

    def __init__(self, session: Session, *, writable: bool, depth: int = 0) -> None:
        self._session = session
        self._writable = writable
        self._depth = depth
        self._owner = get_ident()
        self._refusal: str | None = None

    def read(self) -> AbstractContextManager[Session]:
        """The open session."""
        self._usable()
        return self

    def snapshot(self) -> AbstractContextManager[Session]:
        """The open session: everything within a transaction sees the same data."""
        self._usable()
        return self

    def write(self) -> AbstractContextManager[Session]:
        """The open session, for one statement: if that fails it undoes itself."""
        self._usable()
        if not self._writable:
            message = "a snapshot only reads"
            raise TransactionError(message, hint="Write through a transaction or the store.")
        return self

    def insert(self, _sql: LiteralString, _row: Row, /) -> AbstractContextManager[Session]:
        """The open session, for this row."""
        return self.write()

    def atomic(self, *, alone: bool = False) -> AbstractContextManager[Session]:  # noqa: ARG002
        """A savepoint around several statements; the transaction is the caller's alone anyway."""
        self.write()
        return _Savepoint(self._session, self._depth + 1)

    @contextmanager
    def nested(self) -> Generator[Joined]:
        """A savepoint as a scope of its own, which takes this one's place until it ends."""
        with self.atomic() as session:
            inner = Joined(session, writable=True, depth=self._depth + 1)
            self._refusal = "an inner transaction is open, use that one"
            try:
                yield inner
            finally:
                inner.end()
                self._refusal = None

    def end(self) -> None:
        """Refuse every further use."""
        self._refusal = "it was used after its block had ended"

    def __enter__(self) -> Session:
        return self._session

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def _usable(self) -> None:
        if self._refusal is not None:
            kind = "transaction" if self._writable else "snapshot"
            message = f"this {kind} cannot be used: {self._refusal}"
            raise TransactionError(message)
        if get_ident() != self._owner:
            message = "a transaction or snapshot belongs to the thread that opened it"
            raise TransactionError(message, hint="Open one in this thread.")


class _Savepoint:
    """Several statements inside a transaction, undone together."""

    def __init__(self, session: Session, depth: int) -> None:
        self._session = session
        # Nesting is strict, so the depth names it.
        self._name: LiteralString = cast("LiteralString", f"omega_{depth}")

    def __enter__(self) -> Session:
        self._session.run(f"SAVEPOINT {self._name}")
        return self._session

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._session.run(f"RELEASE {self._name}")
            return
        # After an I/O error the whole transaction is gone, and the session says so; the error on
        # its way out is the one to report.
        with suppress(TransactionError):
            self._session.run(f"ROLLBACK TO {self._name}")
            self._session.run(f"RELEASE {self._name}")
