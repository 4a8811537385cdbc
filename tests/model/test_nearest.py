"""The vector search against brute force: whatever was written, and whoever looks.

Each answer is compared with what the collections of the same scope hold: a store, a transaction
with what it has not committed, a snapshot with what has since been overwritten.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from omega_persistence import OmegaStore, StorageError
from omega_persistence.backends.sqlite.vectors import mirror, mirrors, nearest, scan
from samples import memory, vector

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega_persistence.entities import Collections

START = 1000

ids = st.sampled_from("abcdefgh")
numbers = st.lists(st.integers(-1, 1), min_size=2, max_size=2)  # many ties, and zero vectors
spaces = st.sampled_from(["model", "model", "other"])
expiries = st.none() | st.integers(START, START + 4)
filters = st.fixed_dictionaries(
    {},
    optional={
        "tiers": st.just([1, 2]),
        "session": st.just("s"),
        "min_importance": st.just(0.5),
        "where": st.just({"k": {">=": 1}}),
    },
)


def brute_force(
    reader: Collections, query: list[int], space: str, limit: int, wanted: dict[str, Any]
) -> list[tuple[str, str, float]]:
    """The same answer, from every record that the scope holds."""
    found: dict[str, tuple[str, str, float]] = {}
    direction = np.array(query) / (np.linalg.norm(query) or 1)
    for each in reader.vectors:
        if each.space != space:
            continue
        [owner] = reader.memories.get_many([each.memory_id]) or [None]
        if (
            owner is None
            or ("tiers" in wanted and owner.tier not in wanted["tiers"])
            or ("session" in wanted and owner.session != "s")
            or ("min_importance" in wanted and owner.importance < 0.5)
            or ("where" in wanted and not owner.metadata.get("k", 0) >= 1)
        ):
            continue
        numbers = each.array.astype(float)
        cosine = float(numbers @ direction / (np.linalg.norm(numbers) or 1))
        before = found.get(owner.id)
        if before is None or round(cosine, 9) > round(before[2], 9):
            found[owner.id] = (owner.id, each.id, cosine)
    return sorted(found.values(), key=lambda hit: (-round(hit[2], 9), hit[0]))[:limit]


class Search(RuleBasedStateMachine):
    """Two stores on one file, or one in memory, with transactions and snapshots."""

    in_memory = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = ":memory:" if self.in_memory else Path(self.folder.name, "store.db")
        self.now = START
        self.stack = ExitStack()
        for module in ("readers", "writer"):
            self.stack.enter_context(
                mock.patch(f"omega_persistence.backends.sqlite.{module}.time", self.clock)
            )
        # A few vectors are as good as many: blocks, pages and the past are small.
        for module, name, value in (
            *((scan, "BLOCK", 4), (mirror, "_SMALLEST", 2), (mirror, "_PAGE", 3)),
            *((mirror, "_STOPS", 5), (mirror, "_FEW", 8), (mirrors, "MAX_BYTES", 100)),
            *((nearest, "NARROW", 1), (nearest, "TRIED", 1), (nearest, "LITTLE", 1)),
            (nearest, "_PAGE", 2),
        ):
            self.stack.enter_context(mock.patch.object(module, name, value))
        self.store = self.stack.enter_context(OmegaStore(self.path, durability="normal"))
        self.second = (
            self.store
            if self.in_memory
            else self.stack.enter_context(OmegaStore(self.path, durability="normal"))
        )
        self.thread = self.stack.enter_context(ThreadPoolExecutor(1))
        self.open: list[tuple[Any, Any]] = []
        self.snapshot: tuple[Any, Any] | None = None

    def clock(self) -> int:
        return self.now

    @initialize()
    def start(self) -> None:
        for id in "abcd":
            self.store.memories.put(memory(id))
            self.store.vectors.put(vector(id, id, 1, 0, space="model"))

    def teardown(self) -> None:
        if self.snapshot:
            self.let_go()
        while self.open:
            self.end(fail=True)
        assert self.store.check() == []
        self.stack.close()
        self.folder.cleanup()

    def write(self, work: Callable[[Collections], object], *, second: bool = False) -> None:
        """In the innermost transaction, or with one of the stores; refusals are no matter here."""
        target = self.open[-1][1] if self.open else self.second if second else self.store
        with suppress(StorageError):
            # The thread that holds a snapshot may not use the store.
            self.thread.submit(work, target).result() if self.snapshot else work(target)

    @rule(
        id=ids,
        tier=st.integers(1, 3),
        session=st.sampled_from([None, "s"]),
        importance=st.sampled_from([0.25, 0.75]),
        expires_at=expiries,
        k=st.integers(0, 2),
        second=st.booleans(),
    )
    def put_memory(self, *, id: str, second: bool, k: int, **fields: Any) -> None:
        record = memory(id, metadata_json={"k": k}, **fields)
        self.write(lambda target: target.memories.put(record), second=second)

    @rule(id=ids, owner=ids, row=numbers, space=spaces, second=st.booleans())
    def put_vector(self, *, id: str, owner: str, row: list[int], space: str, second: bool) -> None:
        record = vector(id, owner, *row, space=space)
        self.write(lambda target: target.vectors.put(record), second=second)

    @rule(rows=st.lists(numbers, min_size=1, max_size=8), space=spaces, second=st.booleans())
    def put_many(self, *, rows: list[list[int]], space: str, second: bool) -> None:
        names = "abcdefgh"[: len(rows)]
        self.write(
            lambda target: target.vectors.put_many(
                np.array(rows), memory_ids=["a"] * len(rows), ids=names, space=space
            ),
            second=second,
        )

    @rule(id=ids, second=st.booleans())
    def delete_vector(self, *, id: str, second: bool) -> None:
        self.write(lambda target: target.vectors.delete(id), second=second)

    @rule(id=ids, second=st.booleans())
    def delete_memory(self, *, id: str, second: bool) -> None:
        self.write(lambda target: target.memories.delete(id), second=second)

    @rule()
    def time_passes(self) -> None:
        self.now += 1

    @precondition(lambda self: not self.snapshot and len(self.open) < 3)
    @rule()
    def begin(self) -> None:
        transaction = (self.open[-1][1] if self.open else self.store).transaction()
        self.open.append((transaction, transaction.__enter__()))

    @precondition(lambda self: self.open)
    @rule(fail=st.booleans())
    def end(self, *, fail: bool) -> None:
        transaction, _ = self.open.pop()
        if fail:
            error = KeyError()
            assert not transaction.__exit__(KeyError, error, None)
        else:
            transaction.__exit__(None, None, None)

    @precondition(lambda self: not self.in_memory and not self.open and not self.snapshot)
    @rule()
    def hold(self) -> None:
        snapshot = self.store.snapshot()
        self.snapshot = (snapshot, snapshot.__enter__())

    @precondition(lambda self: self.snapshot)
    @rule()
    def let_go(self) -> None:
        assert self.snapshot is not None
        self.snapshot[0].__exit__(None, None, None)
        self.snapshot = None

    @precondition(lambda self: not self.in_memory and not self.open and not self.snapshot)
    @rule()
    def back_up(self) -> None:
        self.store.backup(Path(self.folder.name, "backup.db"), overwrite=True, verify=False)

    @precondition(lambda self: not self.in_memory and not self.open and not self.snapshot)
    @rule()
    def restore(self) -> None:
        copy = Path(self.folder.name, "backup.db")
        if copy.exists():
            OmegaStore.restore(copy, self.path, overwrite=True)

    @precondition(lambda self: not self.open and not self.snapshot)
    @rule()
    def delete_namespace(self) -> None:
        self.store.delete_namespace("default")

    @rule(
        query=numbers,
        space=spaces,
        limit=st.integers(1, 9),
        wanted=filters,
        exact=st.booleans(),
    )
    def search(self, **question: Any) -> None:
        if self.open:
            self.compare(self.open[-1][1], **question)
        elif not self.snapshot:
            self.compare(self.store, **question)
            self.compare(self.second, **question)
        if self.snapshot:
            self.compare(self.snapshot[1], **question)
            with self.second.snapshot() as present:
                self.compare(present, **question)
            self.thread.submit(self.compare_now, **question).result()

    def compare_now(self, **question: Any) -> None:
        with self.store.snapshot() as present:
            self.compare(present, **question)

    def compare(
        self,
        reader: Collections,
        query: list[int],
        space: str,
        limit: int,
        wanted: dict[str, Any],
        *,
        exact: bool,
    ) -> None:
        hits = reader.vectors.nearest(query, space=space, limit=limit, exact=exact, **wanted)
        expected = brute_force(reader, query, space, limit, wanted)
        assert [(hit.memory_id, hit.vector_id) for hit in hits] == [e[:2] for e in expected]
        np.testing.assert_allclose([hit.score for hit in hits], [e[2] for e in expected], 1e-6)

    @invariant()
    def everything_is_found(self) -> None:
        self.search(query=[1, 1], space="model", limit=5, wanted={}, exact=False)


class SearchInMemory(Search):
    in_memory = True


# Without shrinking: a failure prints all its steps, but within the time limit of a test.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
TestSearch = Search.TestCase
TestSearchInMemory = SearchInMemory.TestCase
for case in (TestSearch, TestSearchInMemory):
    case.settings = settings(max_examples=25, stateful_step_count=30, deadline=None, phases=PHASES)
