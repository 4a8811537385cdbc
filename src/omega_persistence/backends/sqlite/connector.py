"""The connections of one store: how they are opened, which are open, why no more may be."""

from __future__ import annotations

import os
from contextlib import suppress
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING

from omega_persistence.backends import events, files
from omega_persistence.backends.sqlite import checksums as layer
from omega_persistence.backends.sqlite import fork
from omega_persistence.backends.sqlite.connection import MEMORY, SYNCHRONOUS, Patience, connect
from omega_persistence.backends.sqlite.errors import DRIVER_ERRORS, says_damage, translate
from omega_persistence.backends.sqlite.files import left_open, require_local
from omega_persistence.backends.sqlite.vectors.mirrors import Mirrors
from omega_persistence.errors import (
    ClosedError,
    InvalidDataError,
    NotFoundError,
    UnsupportedError,
)

if TYPE_CHECKING:
    import apsw

    from omega_persistence.backends.sqlite.connection import Durability, Mode
    from omega_persistence.errors import StorageError

WRITER_CACHE, READER_CACHE = 64 * 1024, 8 * 1024
"""KiB of pages. A transaction with more changed pages writes some of them before its end, and what
is changed again after that makes SQLite read what it has written, to mend the checksums."""


class Connector:
    """Opens and closes the connections of one store.

    Attributes:
        address: The absolute path of the file, or ``:memory:``.
        checksums: Whether the file must have page checksums; a new one will.
        refusal: Why the store cannot be used any more; None while it can.
        mirrors: What its connections share of vector codes.
        unclean: Whether the last to use the file had not closed it when it was opened here.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool,
        durability: Durability,
        busy_timeout: float,
        checksums: bool = False,
    ) -> None:
        if type(durability) is not str or durability not in SYNCHRONOUS:
            raise InvalidDataError(
                f"durability is one of {', '.join(SYNCHRONOUS)}: {durability!r}", field="durability"
            )
        if type(busy_timeout) not in (int, float) or not 0 <= busy_timeout <= TIMEOUT_MAX:
            raise InvalidDataError(
                f"busy_timeout is a number of seconds from 0: {busy_timeout!r}",
                field="busy_timeout",
            )
        self.in_memory = isinstance(path, str) and path == MEMORY
        if self.in_memory and checksums:
            message = "a store in memory has no page checksums, since nothing is read from a disk"
            raise UnsupportedError(message, hint="Name a file, or leave checksums out.")
        self.address = MEMORY if self.in_memory else files.absolute(path)
        files.refuse_side_file(self.address)
        self.read_only = read_only
        self.busy_timeout = busy_timeout
        self.refusal: str | None = None
        self.unclean = False
        self.checksums = checksums
        self.mirrors = Mirrors()
        self._durability: Durability = durability
        self._immutable = False
        self._open: set[apsw.Connection] = set()

    def open(
        self, mode: Mode, patience: Patience | None = None, *, cache: int = 0
    ) -> apsw.Connection:
        """A new connection."""
        patience = patience or Patience(self.busy_timeout)
        try:
            try:
                connection = self._connect(mode, patience, cache)
            except DRIVER_ERRORS as error:
                if not says_damage(error):
                    raise
                connection = self._connect(mode, patience, cache)  # before believing it
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        self._open.add(connection)
        return connection

    def open_first(self, *, create: bool, local: bool, patience: Patience) -> apsw.Connection:
        """The connection that finds out whether the file can be used at all.

        A new file is made readable by its owner alone.
        """
        if self.in_memory:
            return self.open("create", patience)
        # Whether it can be read without writing beside it is found out below.
        cache = 0 if self.read_only else WRITER_CACHE
        fresh = not os.path.exists(self.address)
        if fresh and not create:
            message = f"there is no store at {self.address}"
            raise NotFoundError(message, hint="Create one with `omega-persistence init`.")
        files.require_folder(self.address)
        files.require_regular(self.address)
        if local:
            require_local(self.address)
        self.unclean = self.unclean or (not fresh and left_open(self.address))
        connection = self.open("create" if fresh else "write", patience, cache=cache)
        if fresh:
            files.make_private(self.address)
        error = _cannot_read(connection)
        if error is not None and says_damage(error):
            self.close(connection)
            connection = self.open("write", patience, cache=cache)
            error = _cannot_read(connection)
        if error is None and self._checksums_to_come and not layer.protects(connection):
            # What a crash had left of a new file, which has been rolled back only now.
            self.close(connection)
            connection = self.open("write", patience, cache=cache)
        if error is None:
            return connection
        self.close(connection)
        if not self.read_only or any(
            files.size(self.address + side) for side in ("-wal", "-journal")
        ):
            raise translate(error) from error
        # A folder that cannot be written has no room for the side files of WAL mode. With no log
        # or rollback journal beside the file nothing can be missed, and SQLite can do without.
        self._immutable = True
        return self.open("read")

    def close(self, connection: apsw.Connection) -> None:
        """Close a connection; what it has not committed is rolled back."""
        self._open.discard(connection)
        # The checkpoint that closing begins may fail; what was acknowledged is in the log.
        with suppress(*DRIVER_ERRORS):
            connection.close()

    def tell_of_reconnect(self, role: str, cause: StorageError | None) -> None:
        """Log that a connection was given up after an error, so that a new one follows."""
        events.tell(
            events.WARNING,
            "reconnect",
            "the %(role)s's connection to %(store)s was replaced after an error: %(cause)s",
            store=self.address,
            role=role,
            error=type(cause).__name__,
            cause=str(cause),
        )

    def refuse_closed(self) -> None:
        """Raise if the store cannot be used any more."""
        if self.refusal is not None:
            message = f"the store {self.address} cannot be used: {self.refusal}"
            raise ClosedError(message)

    def refuse_read_only(self) -> None:
        """Raise if the store was opened only to read."""
        if self.read_only:
            raise UnsupportedError(
                f"{self.address} was opened read-only", hint="Open it without read_only=True."
            )

    def abandon(self) -> list[apsw.Connection]:
        """Refuse all further use, in a forked child; returns every connection it inherited."""
        self.refusal = fork.REFUSAL
        return list(self._open)

    @property
    def _checksums_to_come(self) -> bool:
        return self.checksums and files.size(self.address) == 0

    def _connect(self, mode: Mode, patience: Patience, cache: int) -> apsw.Connection:
        return connect(
            self.address,
            "read" if self.read_only else mode,
            patience=patience,
            durability=self._durability,
            uri=_immutable_uri(self.address) if self._immutable else None,
            checksums=self._checksums_to_come,
            cache=cache,
        )


def _cannot_read(connection: apsw.Connection) -> Exception | None:
    try:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchall()
    except DRIVER_ERRORS as error:
        return error
    return None


def _immutable_uri(path: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - seldom needed, and 2 ms to load

    return f"file:{quote(path)}?immutable=1"
