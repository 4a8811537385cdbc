"""A store in one SQLite file, or in memory."""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING, LiteralString

from omega_persistence.backends import events, files
from omega_persistence.backends.sqlite import checksums as layer
from omega_persistence.backends.sqlite import fork, schema
from omega_persistence.backends.sqlite.connection import set_journal
from omega_persistence.backends.sqlite.connector import Connector
from omega_persistence.backends.sqlite.errors import DRIVER_ERRORS, about, translate
from omega_persistence.backends.sqlite.readers import Pool, Shared, Snapshot
from omega_persistence.backends.sqlite.turns import Offer, Ticket
from omega_persistence.backends.sqlite.writer import Writer
from omega_persistence.backends.sqlite.writing import Inserting, Writing
from omega_persistence.errors import (
    BusyError,
    CorruptionError,
    InvalidDataError,
    UnsupportedError,
)

if TYPE_CHECKING:
    import os

    import apsw

    from omega_persistence.backends import (
        FileSizes,
        Hold,
        Problem,
        Progress,
        Row,
        Session,
    )
    from omega_persistence.backends.migrate import Migration
    from omega_persistence.backends.sqlite.connection import Durability, Journal
    from omega_persistence.backends.sqlite.readers import Reader, Readers
    from omega_persistence.backends.sqlite.schema import Adopt
    from omega_persistence.backends.sqlite.session import SQLiteSession
    from omega_persistence.backends.surroundings import Surroundings


class SQLiteBackend:
    """One writer connection, which threads take turns at, and a pool of readers."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        adopt: Adopt,
        create: bool = True,
        may_migrate: bool = True,
        read_only: bool = False,
        durability: Durability = "full",
        journal: Journal = "wal",
        busy_timeout: float = 5.0,
        checksums: bool = False,
        rehearse: bool = False,
    ) -> None:
        """Open a file and bring it up to date; see `OmegaStore` for the arguments.

        ``adopt`` moves the rows of a file of the Rust crate. With ``rehearse`` the file stays as
        it is, and only ``migration`` is of use afterwards.
        """
        if type(journal) is not str or journal not in ("wal", "truncate"):
            raise InvalidDataError(f"journal is wal or truncate: {journal!r}", field="journal")
        self._connector = Connector(
            path,
            read_only=read_only,
            durability=durability,
            busy_timeout=busy_timeout,
            checksums=checksums,
        )
        self._writer = Writer(self._connector)
        self._readers: Readers = (
            Shared(self._writer) if self._connector.in_memory else Pool(self._connector)
        )
        fork.guard(self)
        try:
            with about(self.address):
                self.migration = self._open(
                    create=create and not read_only,
                    may_migrate=may_migrate and not read_only,
                    local=journal == "wal" and not rehearse,
                    journal=None if read_only or rehearse else journal,
                    adopt=adopt,
                    rehearse=rehearse,
                )
        except BaseException:
            self.close()
            raise
        self._tell_of_opening(rehearsed=rehearse)

    @property
    def address(self) -> str:
        """The absolute path of the file, or ``:memory:``."""
        return self._connector.address

    def read(self) -> Reader:
        """A session of the pool; its ``with`` block gives it back."""
        self._writer.refuse_holder()
        return self._readers.take()

    def snapshot(self) -> Snapshot:
        """A session of the pool inside one read transaction."""
        self._writer.refuse_holder()
        return Snapshot(self._readers, self._writer)

    def write(self) -> Writing:
        """The writer inside a transaction, which other threads' writes may share."""
        return Writing(self._writer, alone=False, several=False)

    def insert(self, sql: LiteralString, row: Row, /) -> Inserting:
        """The writer for one row, unless another thread inserts it with its own."""
        return Inserting(self._writer, Offer(sql, row))

    def atomic(self, *, alone: bool = False) -> Writing:
        """The writer inside a transaction, which other threads' writes may share."""
        return Writing(self._writer, alone=alone, several=True)

    def schema_version(self, session: Session) -> int:
        """The number of the newest schema step that the file has."""
        row = session.row("PRAGMA user_version")
        return row[0] if row else 0

    def sizes(self, session: Session) -> FileSizes:
        """Bytes in the file, in the log beside it, and free within."""
        from omega_persistence.backends.sqlite import inspection  # noqa: PLC0415 - seldom needed

        return inspection.sizes(session, self.address)

    def check(self) -> list[Problem]:
        """Look for damage. While it runs, readers go on and writers wait."""
        if self._connector.read_only:
            with self.snapshot() as session:
                return self._problems(session, writable=False)
        with self.atomic(alone=True) as session:
            problems = self._problems(session, writable=True)
            if problems:
                # Nothing was written, and FTS5 cannot commit what it has found damaged.
                session.spoil(CorruptionError(problems[0].detail))
                session.rollback()
        if not problems:
            self._connector.unclean = False
        return problems

    def oldest_hold(self) -> Hold | None:
        """What has been open for the longest time in this process."""
        return self._writer.held.oldest()

    def surroundings(self) -> Surroundings:
        """Where the file lies and how it is used; the log is moved into it as far as possible."""
        from omega_persistence.backends.sqlite import surroundings  # noqa: PLC0415 - seldom needed

        held = self.oldest_hold()
        if self._connector.in_memory:
            return surroundings.in_memory(held)
        writable, unclean = not self._connector.read_only, self._connector.unclean
        with self.read() as session:
            try:
                return surroundings.examine(
                    session, self.address, writable=writable, held=held, unclean=unclean
                )
            except DRIVER_ERRORS as error:
                raise session.note(error) from error

    def backup(
        self,
        target: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        verify: bool = True,
        progress: Progress | None = None,
    ) -> None:
        """Copy one snapshot of the store into another file; readers and writers go on."""
        from omega_persistence.backends.sqlite import backup  # noqa: PLC0415 - seldom needed

        path = files.absolute(target)
        files.require_foreign(path, self.address)
        files.refuse_side_file(path)
        if self._connector.in_memory:
            with self.snapshot() as session:
                backup.copy(
                    session.connection, path, overwrite=overwrite, verify=verify, progress=progress
                )
            return
        self._writer.refuse_holder()
        self._connector.refuse_closed()
        self._copy(path, overwrite=overwrite, verify=verify, progress=progress)

    def compact(self) -> None:
        """Rewrite the file without free pages."""
        self._alone("VACUUM")

    def optimize(self) -> None:
        """Bring the full-text index and the statistics of the query planner into shape."""
        self._alone("INSERT INTO memories_fts (memories_fts) VALUES ('optimize')")
        self._alone("PRAGMA optimize = 0x10002")

    def reindex(self, progress: Progress | None) -> None:
        """Build what is derived from the records anew, in one transaction."""
        from omega_persistence.backends.sqlite import reindexing  # noqa: PLC0415 - seldom needed

        with self.atomic(alone=True) as session:
            reindexing.reindex(session, progress)

    def close(self) -> None:
        """Close every connection; readers at work close when they are done.

        Raises:
            TransactionError: this thread has a transaction or snapshot open.
            BusyError: another thread had one for longer than the busy timeout.
        """
        if self._connector.refusal is None:
            self._writer.close("it is closed")
            self._readers.close()
            self._connector.mirrors.clear()

    def abandon(self) -> list[apsw.Connection]:
        """Refuse all further use, in a forked child; returns every connection it inherited."""
        self._readers.forget()
        return self._connector.abandon()

    def _open(
        self,
        *,
        create: bool,
        may_migrate: bool,
        local: bool,
        journal: Journal | None,
        adopt: Adopt,
        rehearse: bool,
    ) -> Migration | None:
        connector, writer = self._connector, self._writer
        looked_again = False
        while True:
            first = connector.open_first(create=create, local=local, patience=writer.patience)
            session = writer.use(first)
            try:
                kind = schema.recognise(session)
                self._require_checksums(first)
                migration = schema.prepare(
                    session,
                    kind=kind,
                    create=create,
                    may_migrate=may_migrate,
                    adopt=adopt,
                    back_up=self._copy,
                    path=self.address,
                    rehearse=rehearse,
                )
                break
            except (CorruptionError, UnsupportedError):
                # About page checksums: another process may just have made the file.
                if looked_again or session.spoilt:
                    raise
                looked_again = True
        self._require_checksums(first)  # another process may have been first
        self.checksums = layer.protects(first)
        if journal is not None and not connector.in_memory:
            try:
                mode = set_journal(first, journal, connector.busy_timeout)
            except DRIVER_ERRORS as error:
                raise session.note(error) from error
            if mode != journal:
                message = f"{self.address} stays in journal mode {mode}"
                raise BusyError(message, hint="Another program has it open; try again.")
        return migration

    def _require_checksums(self, connection: apsw.Connection) -> None:
        if self._connector.checksums:
            layer.require(connection, self.address)

    def _copy(
        self,
        target: str,
        *,
        overwrite: bool = False,
        verify: bool = False,
        progress: Progress | None = None,
    ) -> None:
        from omega_persistence.backends.sqlite import backup  # noqa: PLC0415 - seldom needed

        source = self._connector.open("write")
        holder = Ticket(alone=True)
        holder.since = int(time())
        self._writer.held.add(holder)
        try:
            source.execute("PRAGMA query_only = on; BEGIN")
            source.execute("SELECT 1 FROM sqlite_schema").fetchall()  # fixes what it sees
            backup.copy(source, target, overwrite=overwrite, verify=verify, progress=progress)
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        finally:
            self._writer.held.discard(holder)
            self._connector.close(source)

    def _tell_of_opening(self, *, rehearsed: bool) -> None:
        if self._connector.unclean:
            events.tell(
                events.INFO,
                "unclean_shutdown",
                "%(store)s had not been closed by the last to use it",
                store=self.address,
            )
        migration = self.migration
        if migration is not None and not rehearsed:
            events.tell(
                events.INFO,
                "migration",
                "%(store)s was migrated from schema %(from_version)d to %(to_version)d",
                store=self.address,
                from_version=migration.from_version,
                to_version=migration.to_version,
                backup=migration.backup,
                moved=sum(migration.moved.values()),
                quarantined=sum(migration.quarantined.values()),
            )

    @staticmethod
    def _problems(session: SQLiteSession, *, writable: bool) -> list[Problem]:
        from omega_persistence.backends.sqlite import inspection  # noqa: PLC0415 - seldom needed

        try:
            return inspection.check(session.connection, writable=writable)
        except DRIVER_ERRORS as error:
            raise session.note(error) from error

    def _alone(self, statement: str) -> None:
        """Run what no transaction may surround, then shorten the log."""
        self._writer.refuse_holder()
        self._connector.refuse_read_only()
        # The caller's timeout covers both queues: the threads here and the other processes.
        deadline = monotonic() + self._connector.busy_timeout
        _, session = self._writer.take_turn()
        patience = self._writer.patience
        try:
            patience.deadline = deadline
            session.connection.execute(statement)
            patience.deadline = None  # the statement itself may have taken longer
            session.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except DRIVER_ERRORS as error:
            raise session.note(error) from error
        finally:
            patience.deadline = None
            self._writer.end_turn()
