"""One SQLite connection as the rest of the library sees it."""

from __future__ import annotations

import re
from operator import itemgetter, length_hint
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import apsw

from omega_persistence.backends import events
from omega_persistence.backends.filters import ANY
from omega_persistence.backends.sqlite import batches, fork
from omega_persistence.backends.sqlite.errors import DRIVER_ERRORS, spoils_connection, translate
from omega_persistence.backends.sqlite.vectors.mirrors import Mirrors, Space
from omega_persistence.errors import (
    ClosedError,
    ConflictError,
    InvalidDataError,
    StorageError,
    TransactionError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from omega_persistence.backends import Row, Value
    from omega_persistence.backends.filters import Filter
    from omega_persistence.backends.questions import Question
    from omega_persistence.backends.sqlite.connection import Patience
    from omega_persistence.backends.sqlite.search import Search
    from omega_persistence.backends.sqlite.timing import Timed
    from omega_persistence.backends.sqlite.tokenizer import Tokenizer

T = TypeVar("T")

ATTEMPTS = 20
"""How often a statement is prepared while another process changes the schema again and again."""


class SQLiteSession:
    """A connection with statements by name, whose errors are ours. One thread uses it at a time.

    Attributes:
        connection: The driver's, for what is not a statement of an entity.
        now: What ``:now`` stands for, in Unix seconds.
        spoilt: Whether nothing may be written through the connection any more.
        cause: The error that spoilt it.
        lost: The error after which SQLite rolled the open transaction back by itself.
        patience: The connection's.
        mirrors: The store's mirrors of vector codes.
        timer: What measures how long statements take, while somebody wants to know.
    """

    among: LiteralString = "IN (SELECT value FROM json_each(:ids))"

    timer: Timed | None = None
    patience: Patience | None = None

    def __init__(self, connection: apsw.Connection, mirrors: Mirrors | None = None) -> None:
        self.connection = connection
        self.mirrors = mirrors or Mirrors()
        self.now = 0
        self.spoilt = False
        self.cause: StorageError | None = None
        self.lost: StorageError | None = None
        self._target: apsw.Connection | Timed | _LostTransaction = connection
        self._in_transaction = False
        self._tokenizer: Tokenizer | None = None
        fork.watch(self)

    def use(self, connection: apsw.Connection, patience: Patience) -> None:
        """Go on with a new connection."""
        self.connection = self._target = connection
        self.timer, self.patience, self._tokenizer = None, patience, None
        self.spoilt = self._in_transaction = False

    def listen(self) -> None:
        """Have statements timed if anybody wants to hear of slow ones; asked once a second."""
        wanted = events.somebody_listens()
        if wanted == (self.timer is not None):
            return
        before, self.timer = self.timer or self.connection, None
        if wanted:
            from omega_persistence.backends.sqlite.timing import Timed  # noqa: PLC0415 - seldom

            self.timer = Timed(self.connection, self.patience)
        if self._target is before:
            self._target = self.timer or self.connection

    def rows(self, sql: LiteralString, /, **params: Value) -> list[Row]:
        """Every row of a query; all are fetched, so that no cursor stays open."""
        params["now"] = self.now
        values = _binders[sql](params)
        try:
            return self._target.execute(sql, values).fetchall()
        except DRIVER_ERRORS as error:
            return self._after_error(error, sql, values)

    def row(self, sql: LiteralString, /, **params: Value) -> Row | None:
        """The first row of a query, or None; its cursor is gone when this returns."""
        # Not by way of `rows`: that costs `get` a tenth of its time.
        params["now"] = self.now
        values = _binders[sql](params)
        try:
            return self._target.execute(sql, values).fetchone()
        except DRIVER_ERRORS as error:
            found = self._after_error(error, sql, values)
            return found[0] if found else None

    def run(self, sql: LiteralString, /, **params: Value) -> int:
        """Execute a statement; returns the number of rows that it changed itself."""
        self.rows(sql, **params)
        return self.connection.changes()

    def run_many(self, sql: LiteralString, rows: Sequence[Row], /) -> None:
        """Execute once per row; an error carries the position of its row."""
        if len(rows) == 1:
            self._run_each(sql, rows, 0)
            return
        done = 0
        for part in batches.parts(rows):
            if not batches.worthwhile(sql, part):
                self._run_each(sql, part, done)
            else:
                try:
                    self.run_together(sql, part)
                except (ConflictError, InvalidDataError):
                    self._run_each(sql, part, done)  # shows which row it is
            done += len(part)

    def run_together(self, sql: LiteralString, rows: Sequence[Row], /) -> int:
        """Execute an INSERT for all rows as one statement, which undoes itself when it fails.

        They are one of the `batches.parts`, and have different `batches.key` if a foreign key is to
        be checked for each. Returns how many rows it inserted or changed itself.
        """
        many, values = batches.statement(sql, len(rows)), batches.values(rows)
        try:
            self._target.execute(many, values)
        except DRIVER_ERRORS as error:
            self._after_error(error, many, values)
        return self.connection.changes()

    def _run_each(self, sql: LiteralString, rows: Sequence[Row], before: int) -> None:
        remaining = iter(rows)
        try:
            self._target.executemany(sql, remaining)
        except DRIVER_ERRORS as error:

            def again() -> None:
                nonlocal remaining
                remaining = iter(rows)
                self._target.executemany(sql, remaining)

            try:
                self._again(error, again)
            except StorageError as ours:
                ours.index = before + len(rows) - 1 - length_hint(remaining)
                raise

    def search(self, namespace: str, question: Question) -> Search:
        """A question to the full-text index."""
        from omega_persistence.backends.sqlite.search import Search  # noqa: PLC0415 - not at the start

        return Search(self, namespace, question)

    def admitted(self, namespace: str, filter: Filter, ids: Sequence[str]) -> set[str]:
        """Those of some memories that pass a filter and have not expired."""
        from omega_persistence.backends.sqlite import matching  # noqa: PLC0415 - not at the start

        return matching.admitted(self, namespace, filter, ids)

    def tokens(self, text: str) -> list[tuple[int, int, str]]:
        """The words of a text as the full-text index knows them."""
        return self.tokenizer(text)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the full-text index."""
        if self._tokenizer is None:
            from omega_persistence.backends.sqlite.tokenizer import (  # noqa: PLC0415 - not at the start
                Tokenizer,
            )

            self._tokenizer = Tokenizer(self.connection)
        return self._tokenizer

    def same_memory(self, namespace: str, content: str, speaker: str | None) -> str | None:
        """The first memory to arrive that has exactly this content and speaker."""
        from omega_persistence.backends.sqlite import contents  # noqa: PLC0415 - seldom needed

        return contents.first_of(self, namespace, content, speaker)

    def index_vectors(self, namespace: str, vectors: Sequence[tuple[str, int, bytes]]) -> None:
        """Write the codes of vectors that were just written in the same transaction."""
        from omega_persistence.backends.sqlite.vectors.index import write  # noqa: PLC0415 - numpy

        write(self, namespace, vectors)

    def nearest(
        self,
        namespace: str,
        space: str,
        query: bytes,
        limit: int,
        *,
        filter: Filter = ANY,
        exact: bool = False,
    ) -> list[tuple[str, str, float]]:
        """Memories by the cosine of their closest vector, best first."""
        from omega_persistence.backends.sqlite.vectors.nearest import (  # noqa: PLC0415 - numpy
            Search,
        )

        where = Space(namespace, space, len(query) // 4)
        return Search(self, where, query, filter).nearest(limit, exact=exact)

    def similarities(
        self, namespace: str, space: str, query: bytes, memory_ids: Sequence[str]
    ) -> dict[str, float]:
        """The cosine of the closest vector of each of these memories."""
        from omega_persistence.backends.sqlite.vectors.nearest import (  # noqa: PLC0415 - numpy
            Search,
        )

        where = Space(namespace, space, len(query) // 4)
        return Search(self, where, query).similarities(memory_ids)

    def begin(self, kind: LiteralString) -> None:
        """Open a transaction: ``IMMEDIATE`` to write, ``DEFERRED`` to read."""
        self._steer(f"BEGIN {kind}")
        self._in_transaction = True

    def commit(self) -> None:
        """End the transaction; what it wrote is durable. On an error it is rolled back."""
        if not self._in_transaction:
            return  # it was rolled back inside its block
        try:
            self._steer("COMMIT")
        except BaseException:
            self.rollback()
            raise
        self._in_transaction = False

    def _steer(self, sql: LiteralString) -> None:
        """Execute what has neither values nor rows; `rows` would cost a put a twentieth more."""
        try:
            self._target.execute(sql)
        except DRIVER_ERRORS as error:
            self._after_error(error, sql, ())

    def rollback(self) -> None:
        """Undo the transaction, if SQLite has not done so by itself."""
        self._in_transaction = False
        self._target = self.timer or self.connection
        self.lost = None
        try:
            # After some errors it is gone already, and ROLLBACK would hide the cause.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except DRIVER_ERRORS:
            self.spoilt = True  # closing the connection rolls back; the cause is on its way out

    def _after_error(self, error: Exception, sql: str, values: tuple[Any, ...], /) -> list[Row]:
        return self._again(error, lambda: self._target.execute(sql, values).fetchall())

    def _again(self, error: Exception, work: Callable[[], T]) -> T:
        """Do again what failed since another process changed the schema, as each VACUUM does.

        SQLite does so itself, once, and finds that the full-text index cannot be opened. Nothing
        was executed: the statement was being prepared.

        Raises:
            StorageError: what failed for another reason, or too often, is translated and noted.
        """
        for _ in range(ATTEMPTS):
            if not isinstance(error, apsw.SchemaChangeError):
                break
            try:
                return work()
            except DRIVER_ERRORS as another:
                error = another
        raise self.note(error) from error

    def abandon(self) -> None:
        """Refuse all further use, in a forked child, also by a transaction that is open."""
        inherited: Any = _Inherited()
        self.connection = self._target = inherited

    def note(self, error: Exception) -> StorageError:
        """Our error for one of the driver's, after noting what that did to the connection."""
        ours = translate(error)
        if spoils_connection(error):
            self.spoil(ours)
        if self._in_transaction and not self.connection.in_transaction:
            self._lose_transaction(ours)
        return ours

    def give_up(self) -> None:
        """Let the open transaction end in an error, as nothing may be written any more."""
        if self._in_transaction and self.lost is None and self.cause is not None:
            self._lose_transaction(self.cause)

    def spoil(self, cause: StorageError) -> None:
        """Let nothing be written through the connection any more, once the transaction ends."""
        self.spoilt, self.cause = True, cause

    def _lose_transaction(self, cause: StorageError) -> None:
        """Refuse statements until the block ends: each would be a transaction of its own."""
        self.lost = cause
        self._target = _LostTransaction(cause)


class _LostTransaction:
    """Stands in for the connection when the transaction is rolled back, or has to be."""

    def __init__(self, cause: StorageError) -> None:
        self._cause = cause

    def execute(self, _sql: str, _values: object = (), /) -> Any:
        """Refuse."""
        message = f"the transaction was rolled back after an error: {self._cause}"
        raise TransactionError(message) from self._cause

    executemany = execute


class _Inherited:
    """Stands in for a connection in a forked child: it neither commits, rolls back nor closes."""

    in_transaction = False

    def execute(self, *_: object) -> Any:
        """Refuse."""
        raise ClosedError(f"the store cannot be used: {fork.REFUSAL}")

    executemany = execute

    def close(self) -> None:
        """Nothing: the parent is using it."""


_PARAMETER = re.compile(r":([a-z_]+)")


class _Binders(dict[str, "Callable[[Mapping[str, Any]], tuple[Any, ...]]"]):
    """SQL -> a function from named parameters to values in the order SQLite numbers them.

    The statements are constants of this library, but a filter has thousands of shapes.
    """

    def __missing__(self, sql: str) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        if len(self) >= 2000:
            self.clear()
        names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
        if len(names) > 1:
            bind: Callable[[Mapping[str, Any]], tuple[Any, ...]] = itemgetter(*names)
        else:  # itemgetter of one name gives no tuple
            bind = (lambda params: (params[names[0]],)) if names else (lambda _: ())
        self[sql] = bind
        return bind


_binders = _Binders()
