"""What concerns the whole file of a store, or all of a namespace: counts, checks, copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega_persistence.backends.scopes import Joined
from omega_persistence.entities import Collections
from omega_persistence.entities.base import checked_limit
from omega_persistence.errors import InvalidDataError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from omega_persistence.backends import Backend, Hold, Problem, Progress, Session
    from omega_persistence.doctor import Note
    from omega_persistence.entities.quarantine import QuarantinedRow
    from omega_persistence.entities.statistics import DatabaseStatistics
    from omega_persistence.transfer import ImportReport, OnConflict, Readable, Writable


class WholeFile:
    """The part of `OmegaStore` that looks at, copies and tidies a file."""

    _backend: Backend
    namespace: str

    def statistics(self) -> DatabaseStatistics:
        """Counts and sizes; the counts are of one snapshot. Linear in the number of records."""
        held = self._backend.oldest_hold()  # not the one that follows
        with self._backend.snapshot() as session:
            return self._statistics(session, held)

    def get_statistics(self) -> DatabaseStatistics:
        """See `statistics`."""
        return self.statistics()

    def _statistics(self, session: Session, held: Hold | None) -> DatabaseStatistics:
        from omega_persistence.entities import quarantine  # noqa: PLC0415 - not at the start
        from omega_persistence.entities.statistics import DatabaseStatistics  # noqa: PLC0415

        inside = Collections(Joined(session, writable=False), self.namespace)
        counts = {each.table.name: each.count() for each in inside.all()}
        sizes = self._backend.sizes(session)
        return DatabaseStatistics(
            memory_count=counts["memories"],
            skill_count=counts["skills"],
            architecture_count=counts["architectures"],
            intelligence_count=counts["intelligences"],
            vector_count=counts["vectors"],
            reflexion_count=counts["reflexion_episodes"],
            causal_edge_count=counts["causal_edges"],
            namespace=self.namespace,
            counts=counts,
            memories_per_tier=inside.memories.per_tier(),
            expired_memory_count=inside.memories.count_expired(),
            quarantine_count=quarantine.count(session),
            schema_version=self._backend.schema_version(session),
            file_bytes=sizes.file_bytes,
            wal_bytes=sizes.wal_bytes,
            free_bytes=sizes.free_bytes,
            oldest_snapshot_seconds=held.seconds if held else None,
            checksums=self._backend.checksums,
        )

    def check(self) -> list[Problem]:
        """Look for damage in the whole file; an intact store has none.

        Pages, indexes, every rule of the schema, references, full text against the memories,
        vector spaces, and page checksums if the file has them. Reads the whole file; readers go on
        meanwhile, writers wait.
        """
        return self._backend.check()

    def doctor(self) -> list[Note]:
        """What is allowed but may not be meant, or may do harm one day; see `Note` for the kinds.

        About the place where the file lies and how it is used, such as a log that has grown
        because somebody reads what was long ago, and about the records of this namespace, from
        one snapshot, such as a lineage without its parent. Reads most records, so it is for
        people, not for loops.
        """
        from omega_persistence.doctor import records, surroundings  # noqa: PLC0415 - for people

        facts = self._backend.surroundings()
        with self._backend.snapshot() as session:
            inside = Collections(Joined(session, writable=False), self.namespace)
            found = records.about_records(session, inside)
        return [*surroundings.about_surroundings(facts), *found]

    def quarantine(self, *, limit: int | None = None) -> list[QuarantinedRow]:
        """Rows of the Rust crate's file that broke the rules, in the order they were found.

        They belong to the file, not to a namespace. Delete them when they are of no more use.
        """
        from omega_persistence.entities import quarantine  # noqa: PLC0415 - seldom needed

        with self._backend.read() as session:
            return quarantine.rows_after(session, 0, checked_limit(limit))

    def delete_quarantined(self, numbers: Iterable[int]) -> int:
        """Forget quarantined rows, named by their ``number``; returns how many there were."""
        from omega_persistence.entities import quarantine  # noqa: PLC0415 - seldom needed

        unwanted = list(numbers)
        for number in unwanted:
            if type(number) is not int:
                message = f"quarantined rows are named by whole numbers: {number!r:.80}"
                raise InvalidDataError(message, field="number")
        with self._backend.atomic(alone=True) as session:
            return quarantine.delete(session, unwanted)

    def backup(
        self,
        target: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        verify: bool = True,
        progress: Progress | None = None,
    ) -> None:
        """Copy the store, as it is at the start, into a file of its own.

        Readers and writers go on meanwhile. The target appears whole, verified and synced, or not
        at all; only its owner may read it.

        Args:
            target: The new file; never one of the store's own.
            overwrite: Replace a file of that name, unless somebody has it open.
            verify: Check the copy as `check` does.
            progress: Called with (pages done, pages in all) after each 1,000 pages.

        Raises:
            ConflictError: the target exists, or belongs to the store.
            CorruptionError: the copy, and therefore the store, is damaged.
        """
        self._backend.backup(target, overwrite=overwrite, verify=verify, progress=progress)

    @staticmethod
    def verify_backup(path: str | os.PathLike[str]) -> list[Problem]:
        """Look for damage in a backup, as `check` does; it is not changed.

        Raises:
            NotFoundError: there is no such file.
            SchemaError: it is not a store.
            CorruptionError: it is too damaged to be opened.
        """
        from omega_persistence.backends.sqlite import backup  # noqa: PLC0415 - seldom needed

        return backup.verify(path)

    @staticmethod
    def restore(
        backup: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Make a file hold exactly what a backup holds, after verifying the backup.

        A store that exists is replaced in one transaction, also while processes have it open:
        they, and a crash, see the old content or the new. A file that cannot be opened any more
        is renamed to ``<target>.damaged-<time>``, with what lies beside it.

        Raises:
            ConflictError: the target exists and ``overwrite`` is false.
            CorruptionError: the backup is damaged; the target is as it was.
            BusyError: the target was in use for longer than 5 seconds.
            UnsupportedError: one has page checksums and the other has none, or their pages differ
                in size.
        """
        from omega_persistence.backends.sqlite import backup as copies  # noqa: PLC0415 - likewise

        copies.restore(backup, target, overwrite=overwrite, progress=progress)

    def export_jsonl(
        self,
        target: str | os.PathLike[str] | Writable,
        *,
        all_namespaces: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> int:
        """Write this namespace, as it is at the start, as JSON Lines; returns how many records.

        `omega_persistence.transfer` describes the format. Expired memories are written too.
        Memory stays constant. Readers and writers go on meanwhile; those of a store in memory
        wait. A file appears whole and synced, or not at all, and only its owner may read it.

        Args:
            target: The new file, or a file object open in binary mode, which is left open; what
                it raises passes through.
            all_namespaces: Write every namespace, and the quarantine.
            overwrite: Replace a file of that name.
            progress: Called with (records written, records in all).

        Raises:
            ConflictError: the target exists, or belongs to a store.
        """
        from omega_persistence.transfer.exporting import export  # noqa: PLC0415 - seldom needed

        namespace = None if all_namespaces else self.namespace
        return export(
            self._backend, target, namespace=namespace, overwrite=overwrite, progress=progress
        )

    def import_jsonl(
        self,
        source: str | os.PathLike[str] | Readable,
        *,
        into: str | None = None,
        on_conflict: OnConflict = "error",
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> ImportReport:
        """Store the records of a file that `export_jsonl` wrote: all of them, or none.

        One transaction: other writers wait until the source has been read. Memory stays constant.
        An error names the line, and has its position from 0 as ``index``.

        Args:
            source: The file, or a file object open in binary mode, which is left open; what it
                raises passes through.
            into: The namespace for every record; None keeps those in the file. Quarantined rows
                have none; one that the store has already is left out.
            on_conflict: For a record whose id the store has: ``"error"`` refuses the file;
                ``"skip"`` keeps what the store has, also when another id owns a unique name;
                ``"update"`` puts it, with the rules of `Collection.put`.
            dry_run: Do everything, and undo it.
            progress: Called with (bytes read, bytes in all), or 0 for the latter unless the
                source is a regular file's path. What it raises undoes the import.

        Raises:
            InvalidDataError: a line is not what an export holds, or the file was cut off.
            ConflictError: a record's id or name is taken, or its parent is missing.
            SchemaError: the file has a newer format.
        """
        from omega_persistence.transfer.importing import import_lines  # noqa: PLC0415 - seldom needed

        return import_lines(
            self._backend,
            source,
            into=into,
            on_conflict=on_conflict,
            dry_run=dry_run,
            progress=progress,
        )

    def compact(self) -> None:
        """Rewrite the file without free pages; writers wait, and it needs as much room again."""
        self._backend.compact()

    def optimize(self) -> None:
        """Merge the full-text index and refresh what the query planner knows; writers wait."""
        self._backend.optimize()

    def reindex(self, *, progress: Progress | None = None) -> None:
        """Build the full-text index and the vector codes anew, in one transaction.

        Searches go on with the old ones until it is done; writers wait, some minutes for a
        million memories. For what `check` has found damaged of them: memories and vectors are not
        touched.

        Args:
            progress: Called with (memories and vectors done, memories and vectors in all) after
                each 1,000.
        """
        self._backend.reindex(progress)
