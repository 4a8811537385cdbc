"""Public calls on one file; only results and the library's own errors may come out.

A file that `check` calls whole must also behave as one: every read works, what was acknowledged is
there, it can be exported, imported and backed up, and it is whole afterwards.
"""

from __future__ import annotations

import io
import os
import traceback
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from campaigns.hostile.bases import Image, lay_out
from campaigns.hostile.calls import LOOKS, NEW, READS, WRITES, call
from omega_persistence import CorruptionError, NotFoundError, OmegaStore, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from campaigns.operations import Opener

REFUSED: Final = object()
"""Instead of a result, when the library refused."""

SAMPLE = 12
"""So many of the calls that read are made on a store, drawn at random."""


class Finding(Struct, frozen=True):
    """What must not have happened.

    ``kind`` is ``"escaped"`` for an error that is not the library's, ``"misleading"`` for an answer
    that another one contradicts.
    """

    kind: str
    detail: str


class _UndoneError(Exception):
    """Leaves a transaction so that it is undone."""


class Exercise:
    """The calls made on one file.

    Attributes:
        counts: "calls", "refused", and whether the file "opened" and was "whole".
        findings: What must not have happened.
    """

    def __init__(
        self, image: Image, good: Image, folder: str, opener: Opener, random: Random
    ) -> None:
        """Prepare for a file, with a good one to restore, in a folder for their use."""
        self.counts: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self._image, self._good, self._folder, self._opener = image, good, folder, opener
        self._random = random
        self._whole = False
        self._error: StorageError | None = None

    def run(self) -> None:
        """Use the file in one way without opening it; or open it, read, and use it in one way."""
        path = lay_out(self._image, self._folder)
        if self._random.random() < 0.4:
            self._random.choice(_CLOSED)(self, path)
            return
        store = self._try("open", self._open, path)
        if store is not REFUSED:
            self.counts["opened"] += 1
            self._whole = self._try("check", store.check) == []
            self.counts["whole"] += self._whole
            self._read(store)
            self._random.choice(_OPEN)(self, store)
            self._must("close", store.close)
        if self._whole:
            self._must_be_whole("the file, after all this,", path)

    def _open(self, path: str, **options: Any) -> OmegaStore:
        return self._opener(path, busy_timeout=0.5, **options)

    def _try(self, what: str, function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        """Make one call; returns its result, or `REFUSED` after an error that it may raise."""
        self.counts["calls"] += 1
        try:
            return function(*args, **options)
        except StorageError as error:
            self._error = error
            self.counts["refused"] += 1
        except Exception:  # noqa: BLE001 - exactly what this looks for
            self.findings.append(Finding("escaped", f"{what}: {traceback.format_exc()}"))
        return REFUSED

    def _must(self, what: str, function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        """Make a call that must succeed on a file that `check` calls whole."""
        result = self._try(what, function, *args, **options)
        error = self._error
        damage = isinstance(error, CorruptionError) or (
            error is not None and isinstance(error.__cause__, CorruptionError)
        )
        if self._whole and result is REFUSED and damage:
            # SQLite's own check does not find everything. A snapshot that met damage is lost.
            self.counts["overlooked"] += 1
        elif self._whole and result is REFUSED and not isinstance(self._error, NotFoundError):
            self._mislead(f"check called the file whole, but {what} says {self._error!r}")
        return result

    def _mislead(self, text: str) -> None:
        self.findings.append(Finding("misleading", text))

    def _must_be_whole(self, what: str, path: str) -> None:
        problems = self._try(f"open {what}", self._checked, path)
        if problems is REFUSED:
            self._mislead(f"{what} cannot be opened: {self._error!r}")
        elif problems:
            self._mislead(f"{what} is damaged: {problems[0]}")

    def _checked(self, path: str) -> Any:
        with self._open(path) as store:
            return store.check()

    def _beside(self, name: str) -> str:
        return os.path.join(self._folder, name)

    # A file that nobody has open

    def verify(self, path: str) -> None:
        """As a backup; whole ones must open and be so."""
        if self._try("verify_backup", OmegaStore.verify_backup, path) == []:
            self._must_be_whole("a verified backup", path)

    def restore(self, path: str) -> None:
        """To another place."""
        target = self._beside("restored.db")
        if self._try("restore", OmegaStore.restore, path, target) is not REFUSED:
            self._must_be_whole("a restored file", target)

    def replace(self, path: str) -> None:
        """Restore a good backup over it."""
        backup = self._beside("good.db")
        with open(backup, "wb") as file:
            file.writelines(self._good.values())
        done = self._try("restore over", OmegaStore.restore, backup, path, overwrite=True)
        if done is not REFUSED:
            self._must_be_whole("a file restored over a hostile one", path)

    def rehearse(self, path: str) -> None:
        """A migration."""
        self._try("rehearse_migration", OmegaStore.rehearse_migration, path)

    def read_only(self, path: str) -> None:
        """Open it so, and read."""
        store = self._try("open read-only", self._open, path, read_only=True)
        if store is not REFUSED:
            self._try("check", store.check)  # which cannot look at the full-text index so
            self._read(store)
            self._try("read-only put", store.memories.put, NEW["memories"])
            self._try("close read-only", store.close)

    # A file that is open

    def _read(self, store: OmegaStore) -> None:
        """Read every record, and make some of the calls that read."""
        for collection in store.all():
            name = collection.table.name
            count = self._must(f"{name}.count", collection.count)
            records = self._must(f"iterating {name}", list, collection)
            if self._whole and records is not REFUSED and count != len(records):
                self._mislead(f"{name} counts {count}, but has {len(records)}")
        for name, arguments in self._random.sample([*READS.items(), *LOOKS.items()], SAMPLE):
            self._must(name, call, store, name, arguments)

    def export(self, store: OmegaStore) -> None:
        """Export; what comes out is imported into another store, and comes out of that the same."""
        written, again = io.BytesIO(), io.BytesIO()
        done = self._must("export", store.export_jsonl, written, all_namespaces=True)
        if done is REFUSED:
            return
        with OmegaStore.new_in_memory() as other:
            written.seek(0)
            self._must("import", other.import_jsonl, written)
            self._must("export again", other.export_jsonl, again, all_namespaces=True)
        # The first line tells the schema of the file.
        if self._whole and again.getvalue().split(b"\n")[1:] != written.getvalue().split(b"\n")[1:]:
            self._mislead("an import of an export is not equal to it")

    def back_up(self, store: OmegaStore) -> None:
        """Back up; a whole store can be, and what was verified is whole."""
        target = self._beside("backup.db")
        if self._must("backup", store.backup, target) is not REFUSED:
            self._must_be_whole("a backup", target)

    def write(self, store: OmegaStore) -> None:
        """Make every call that writes; what is acknowledged must be there."""
        for name, arguments in WRITES.items():
            done = self._try(name, call, store, name, arguments)
            table, _, verb = name.partition(".")
            if verb == "put" and self._whole and done is not REFUSED:
                got = self._try(f"get after {name}", getattr(store, table).get, "new")
                if got != arguments["record"]:
                    self._mislead(f"{name} was acknowledged, but get gives {got!r:.300}")

    def transact(self, store: OmegaStore) -> None:
        """Work in transactions, one of which is undone, and read in a snapshot."""
        self._try("transaction", self._transact, store, undone=False)
        self._try("transaction, undone", self._transact, store, undone=True)
        self._must("snapshot", self._snapshot, store)

    def _snapshot(self, store: OmegaStore) -> None:
        with store.snapshot() as snapshot:
            for name, arguments in READS.items():
                self._must(f"snapshot {name}", call, snapshot, name, arguments)

    def _transact(self, store: OmegaStore, *, undone: bool) -> None:
        with suppress(_UndoneError), store.transaction() as tx:
            for table, record in NEW.items():
                self._try(f"transaction put {table}", getattr(tx, table).put, record)
                with suppress(StorageError), tx.transaction() as inner:
                    self._try("nested delete", getattr(inner, table).delete, "new")
            if undone:
                raise _UndoneError

    def keep_up(self, store: OmegaStore) -> None:
        """Ask the doctor, compact and optimize."""
        self._must("doctor", store.doctor)
        self._must("compact", store.compact)
        self._must("optimize", store.optimize)


_CLOSED = (
    *(Exercise.verify, Exercise.restore, Exercise.replace, Exercise.rehearse, Exercise.read_only),
)
_OPEN = (Exercise.export, Exercise.back_up, Exercise.write, Exercise.transact, Exercise.keep_up)
