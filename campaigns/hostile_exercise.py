"""Every public call on one file; only results and the library's own errors may come out."""

from __future__ import annotations

import io
import shutil
import traceback
from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from campaigns.hostile_bases import Image, write_image
from omega_persistence import (
    NotFoundError,
    OmegaStore,
    StorageError,
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega_persistence import Snapshot
    from omega_persistence.entities import Collections
    from omega_persistence.entities.base import Collection

REFUSED: Final = object()
"""What `Exercise.attempt` returns instead of a result when the library refused."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that must not have happened: in which call, and what came out."""

    call: str
    text: str


class Exercise:
    """The calls made on one file, and what came out of them.

    Attributes:
        outcomes: "result" and names of the library's errors -> how often.
        findings: What must not have happened.
        opened: Whether the file could be opened to write.
        whole: Whether `check` found nothing in it then.
        slowest: The seconds of the slowest call, and its name.
    """

    def __init__(self, image: Image, folder: Path, good: Path) -> None:
        self.outcomes: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self.opened = self.whole = False
        self.slowest = (0.0, "")
        self._image = image
        self._path = folder / "hostile.db"
        self._folder = folder
        self._good = good

    def run(self) -> None:
        """Make every call."""
        self._closed_file()
        write_image(self._image, self._path)
        store = self.attempt("open", OmegaStore, self._path, busy_timeout=0.5)
        if isinstance(store, OmegaStore):
            self.opened = True
            self._open_store(store)
            self._reopen()
        self._restore_over()

    def attempt(self, name: str, function: Callable[..., object], *args: Any, **kw: Any) -> Any:
        """Make one call; returns its result, or `REFUSED` after an error that it may raise."""
        started = perf_counter()
        try:
            result = function(*args, **kw)
        except StorageError as error:
            self.outcomes[type(error).__name__] += 1
            result = REFUSED
            self._last = error
        except Exception:  # noqa: BLE001 - exactly what this looks for
            self.find(name, traceback.format_exc())
            result = REFUSED
        else:
            self.outcomes["result"] += 1
        self.slowest = max(self.slowest, (perf_counter() - started, name))
        return result

    def find(self, call: str, text: str) -> None:
        """Note what must not have happened."""
        self.findings.append(Finding(call, text))

    # ------------------------------------------------------------------------------ the file closed

    def _closed_file(self) -> None:
        """What is done to a file that no store has open."""
        path = self._path
        write_image(self._image, path)
        problems = self.attempt("verify_backup", OmegaStore.verify_backup, path)
        restored = self._folder / "restored.db"
        restored.unlink(missing_ok=True)
        if self.attempt("restore", OmegaStore.restore, path, restored) is not REFUSED:
            self._must_be_whole("a restored file", restored)
        elif problems == []:
            self.find("restore", f"refused what verify_backup called whole: {self._last!r}")
        self.attempt("rehearse", OmegaStore.rehearse_migration, path)
        write_image(self._image, path)
        store = self.attempt("open read-only", OmegaStore, path, read_only=True, busy_timeout=0.5)
        if isinstance(store, OmegaStore):
            self._read(store, "read-only ")
            self.attempt("read-only put", store.memories.put, _NEW_MEMORY)
            self.attempt("read-only check", store.check)
            self.attempt("read-only close", store.close)
        if problems == []:
            write_image(self._image, path)
            self._must_be_whole("a verified file", path)

    def _must_be_whole(self, what: str, path: Path) -> None:
        try:
            with OmegaStore(path, busy_timeout=0.5) as store:
                problems = store.check()
        except StorageError as error:
            self.find(what, f"does not open: {error!r}")
            return
        except Exception:  # noqa: BLE001 - exactly what this looks for
            self.find(what, traceback.format_exc())
            return
        if problems:
            self.find(what, f"is damaged: {problems[:3]}")

    # -------------------------------------------------------------------------------- the file open

    def _open_store(self, store: OmegaStore) -> None:
        self.whole = self.attempt("check", store.check) == []
        self._read(store, "")
        exported = io.BytesIO()
        count = self.attempt("export", store.export_jsonl, exported, all_namespaces=True)
        if self.whole and count is REFUSED:
            self.find("export", f"refused what check called whole: {self._last!r}")
        if isinstance(count, int):
            self._import(exported.getvalue(), count)
        self._write(store)
        self._copy(store)
        self._upkeep(store)
        self.attempt("close", store.close)

    def _read(self, store: OmegaStore, prefix: str) -> None:
        for collection in store.all():
            self._read_records(collection, f"{prefix}{collection.table.name}")
        for name, read in _READS.items():
            self._must_succeed(f"{prefix}{name}", read, store)
        for name, look in _LOOKS.items():
            self._must_succeed(f"{prefix}{name}", look, store)
        self.attempt(f"{prefix}snapshot", self._read_snapshot, store)

    def _read_records(self, collection: Collection[Any], name: str) -> None:
        count = self._must_succeed(f"{name}.count", collection.count)
        records = self._must_succeed(f"{name}.iterate", lambda: list(collection))
        self._must_succeed(f"{name}.scan", collection.scan, after="m", limit=3)
        self._must_succeed(f"{name}.get_many", collection.get_many, ["m01", "k1", "a0", "i1", "c1"])
        if self.whole and isinstance(records, list):
            if count != len(records):
                self.find(f"{name}.count", f"is {count}, but there are {len(records)} records")
            for record in records[:3]:
                if self._must_succeed(f"{name}.get", collection.get, record.id) != record:
                    self.find(f"{name}.get", f"gives another record than the scan: {record!r}")
        else:
            for id in ("m00", "k0", "nothing"):
                self.attempt(f"{name}.get", collection.get, id)

    def _must_succeed(self, name: str, call: Callable[..., object], *args: Any, **kw: Any) -> Any:
        """A read, which must work on a file that `check` called whole."""
        result = self.attempt(name, call, *args, **kw)
        if self.whole and result is REFUSED and not isinstance(self._last, NotFoundError):
            self.find(name, f"refused what check called whole: {self._last!r}")
        return result

    def _read_snapshot(self, store: OmegaStore) -> None:
        with store.snapshot() as snapshot:
            for name, read in _READS.items():
                self.attempt(f"snapshot {name}", read, snapshot)

    def _import(self, exported: bytes, count: int) -> None:
        """What could be exported can be imported or is refused, and arrives as it was."""
        with OmegaStore.new_in_memory() as other:
            report = self.attempt("import", other.import_jsonl, io.BytesIO(exported))
            if report is REFUSED:
                self.outcomes["exported, not importable"] += self.whole
                return
            again = io.BytesIO()
            self.attempt("export again", other.export_jsonl, again, all_namespaces=True)
            # But for the first line, which tells the schema of the file.
            if again.getvalue().partition(b"\n")[2] != exported.partition(b"\n")[2] and count:
                self.find("import", "an import of an export is not equal to it")

    def _write(self, store: OmegaStore) -> None:
        for record, name in _NEW:
            collection = getattr(store, name)
            if self.attempt(f"{name}.put", collection.put, record) is REFUSED or not self.whole:
                continue
            got = self.attempt(f"{name}.get", collection.get, record.id)
            if got != record:
                self.find(f"{name}.put", f"was acknowledged, but get gives {got!r:.300}")
        self.attempt("transaction", self._transact, store)
        self.attempt("rolled back", self._roll_back, store)
        for name, write in _WRITES.items():
            self.attempt(name, write, store)

    def _transact(self, store: OmegaStore) -> None:
        with store.transaction() as tx:
            tx.memories.put_many([replace(_NEW_MEMORY, id=f"t{number}") for number in range(30)])
            with tx.transaction() as inner:
                self.attempt("inner put", inner.skills.put, replace(_NEW_SKILL, id="t", name="t"))
            self.attempt("inner delete", tx.memories.delete, "t0")
            for name, read in _READS.items():
                self.attempt(f"transaction {name}", read, tx)

    def _roll_back(self, store: OmegaStore) -> None:
        try:
            with store.transaction() as tx:
                self.attempt("delete", tx.memories.delete, "m02")
                raise _UndoError
        except _UndoError:
            pass

    def _copy(self, store: OmegaStore) -> None:
        target = self._folder / "copy.db"
        for verify in (True, False):
            target.unlink(missing_ok=True)
            if self.attempt("backup", store.backup, target, verify=verify) is REFUSED:
                continue
            if self.attempt("verify", OmegaStore.verify_backup, target) == []:
                self._must_be_whole("a backup", target)
            elif verify:
                self.find("backup", "was verified, but is not whole")
        target.unlink(missing_ok=True)

    def _upkeep(self, store: OmegaStore) -> None:
        for name in ("check", "compact", "optimize", "check"):
            done = self.attempt(name, getattr(store, name))
            if self.whole and name == "compact" and done is REFUSED:
                self.find(name, f"refused what check called whole: {self._last!r}")
        if self.whole and done != []:
            self.find("check", f"the file was whole, and is not after the work: {done!r:.500}")

    def _reopen(self) -> None:
        store = self.attempt("reopen", OmegaStore, self._path, busy_timeout=0.5)
        if isinstance(store, OmegaStore):
            self.attempt("check again", store.check)
            self.attempt("close", store.close)
        elif self.whole:
            self.find("reopen", f"refused what check called whole: {self._last!r}")

    def _restore_over(self) -> None:
        """A good backup must go into the place of the hostile file, or be refused."""
        write_image(self._image, self._path)
        done = self.attempt("restore over", OmegaStore.restore, self._good, self._path, overwrite=True)
        if done is not REFUSED:
            self._must_be_whole("a hostile file restored over", self._path)
        for aside in self._folder.glob("*.damaged-*"):
            aside.unlink()


class _UndoError(Exception):
    pass


_NEW_MEMORY = StoredMemory(
    id="new", content="new river words", tier=3, importance=0.5, created_at=1, last_accessed=1
)
_NEW_SKILL = StoredSkill(id="new", name="new", description="", trigger_pattern="a|b", created_at=1)

_NEW: tuple[tuple[Any, str], ...] = (
    (_NEW_MEMORY, "memories"),
    (_NEW_SKILL, "skills"),
    (
        StoredArchitecture(
            id="new",
            name="new",
            paradigm="neural",
            substrate="pytorch",
            fitness_json="{}",
            lineage_json="{}",
            created_at=1,
        ),
        "architectures",
    ),
    (
        StoredIntelligence(
            id="new",
            name="new",
            arch_id="new",
            maturity=0.5,
            capabilities_json="[]",
            memories_json="[]",
            state_json="1",
            created_at=1,
            updated_at=1,
        ),
        "intelligences",
    ),
    (
        StoredVector(id="new", memory_id="new", dimensions=2, data_blob=bytes(8)),
        "vectors",
    ),
    (
        StoredReflexionEpisode(
            id="new",
            memory_id="new",
            trigger="failure",
            context="",
            action="",
            outcome="",
            created_at=1,
        ),
        "reflexion_episodes",
    ),
    (
        StoredCausalEdge(
            id="new",
            from_memory="new",
            to_memory="new",
            weight=1.0,
            edge_type="causes",
            created_at=1,
        ),
        "causal_edges",
    ),
)

_READS: dict[str, Callable[[Collections], object]] = {
    "by_tier": lambda place: place.memories.by_tier(4),
    "by_session": lambda place: place.memories.by_session("s1"),
    "by_importance": lambda place: place.memories.by_importance(0.3),
    "by_created_at": lambda place: place.memories.by_created_at(before=1010),
    "by_last_accessed": lambda place: place.memories.by_last_accessed(before=2010),
    "search": lambda place: place.memories.search("river tide été speaker"),
    "search one": lambda place: place.memories.search("tide", limit=100),
    "expired": lambda place: place.memories.expired(),
    "count_expired": lambda place: place.memories.count_expired(),
    "per_tier": lambda place: place.memories.per_tier(),
    "by_name": lambda place: place.skills.by_name("skill 1"),
    "by_pattern": lambda place: place.skills.by_pattern("code"),
    "triggered_by": lambda place: place.skills.triggered_by("please review my code" + "a" * 40),
    "top": lambda place: place.skills.top(),
    "by_paradigm": lambda place: place.architectures.by_paradigm("neural"),
    "by_substrate": lambda place: place.architectures.by_substrate("pytorch"),
    "by_architecture": lambda place: place.intelligences.by_architecture("a0"),
    "vectors by_memory": lambda place: place.vectors.by_memory("m01"),
    "first_by_memory": lambda place: place.vectors.first_by_memory("m02"),
    "episodes by_memory": lambda place: place.reflexion_episodes.by_memory("m00"),
    "by_trigger": lambda place: place.reflexion_episodes.by_trigger("failure"),
    "outgoing": lambda place: place.causal_edges.outgoing("m00"),
    "incoming": lambda place: place.causal_edges.incoming("m00"),
    "between": lambda place: place.causal_edges.between("m00", "m01"),
    "by_type": lambda place: place.causal_edges.by_type("causes"),
}

_LOOKS: dict[str, Callable[[OmegaStore], object]] = {
    "statistics": OmegaStore.statistics,
    "doctor": OmegaStore.doctor,
    "namespaces": OmegaStore.namespaces,
    "quarantine": OmegaStore.quarantine,
    "other namespace": lambda store: store.in_namespace("other").memories.search("river"),
}

_WRITES: dict[str, Callable[[OmegaStore], object]] = {
    "put again": lambda store: store.memories.put(replace(_NEW_MEMORY, content="other words")),
    "put over": lambda store: store.memories.put(replace(_NEW_MEMORY, id="m01")),
    "put long": lambda store: store.memories.put(
        replace(_NEW_MEMORY, id="long", content="long stone " * 5000)
    ),
    "touch": lambda store: store.memories.touch("m04", 9),
    "delete": lambda store: store.memories.delete("m05"),
    "delete_many": lambda store: store.memories.delete_many(["m06", "m08", "nothing"]),
    "record_success": lambda store: store.skills.record_success("k1", 9),
    "record_failure": lambda store: store.skills.record_failure("k2", 9),
    "delete skill": lambda store: store.skills.delete("k0"),
    "delete architecture": lambda store: store.architectures.delete("a0"),
    "delete vectors": lambda store: store.vectors.delete_many([f"v{n}" for n in range(9)]),
    "delete edges": lambda store: store.causal_edges.delete_many([f"c{n}" for n in range(9)]),
    "purge_expired": lambda store: store.memories.purge_expired(),
    "delete_quarantined": lambda store: store.delete_quarantined([1]),
    "delete_namespace": lambda store: store.delete_namespace("other"),
}


def prepare(folder: Path, backup: Image) -> Path:
    """Put a good backup into a folder for `Exercise`; returns its path."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    good = folder / "good.db"
    write_image(backup, good)
    return good
