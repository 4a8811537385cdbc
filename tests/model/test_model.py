"""The whole store against dictionaries: any sequence of calls gives the same answers."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

import samples
from model.oracle import Namespace
from omega_persistence import (
    OmegaStore,
    StorageError,
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
    Transaction,
)
from strategies import ENTITIES, collection_of, type_of, units

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega_persistence.entities import Collections

NAMES = ("one", "two")
START = 1_000

ids = st.sampled_from("aaabbbc")
entities = st.sampled_from(ENTITIES)
namespaces = st.sampled_from(("one", "one", "one", "two"))  # most meet what others did
times = st.integers(START - 3, START + 3)
counts = st.integers(0, 3)

memories = st.builds(
    samples.memory,
    ids,
    content=st.sampled_from(["apple", "banana", "apple banana"]),
    tier=st.integers(1, 3),
    importance=units,
    created_at=times,
    last_accessed=times,
    expires_at=st.none() | times,
    access_count=counts,
)
skills = st.builds(
    samples.skill,
    ids,
    name=ids,
    trigger_pattern=st.sampled_from(["Apple", "ÄPFEL"]),
    success_count=counts,
    last_used=st.none() | times,
    created_at=times,
)
architectures = st.builds(
    samples.architecture, ids, paradigm=ids, created_at=times, fitness_json=st.just({"a": 1})
)
intelligences = st.builds(samples.intelligence, ids, ids, maturity=units, updated_at=times)
unnamed = st.builds(samples.vector, ids, ids, units)
short = st.builds(samples.vector, ids, ids, units, space=st.just("model"))
longer = st.builds(samples.vector, ids, ids, units, units, space=st.just("model"))
vectors = unnamed | short | longer
episodes = st.builds(samples.episode, ids, ids, trigger=ids, created_at=times)
edges = st.builds(samples.edge, ids, ids, ids, weight=units, evidence_count=counts)

children = st.one_of(intelligences, vectors, episodes, edges)
# A batch is of one type; in a named space its records would be compared with each other first.
batches = st.one_of(
    *(
        st.lists(kind, max_size=4)
        for kind in (memories, skills, architectures, intelligences, unnamed, episodes, edges)
    )
)


class Model(RuleBasedStateMachine):
    """One store in a file, and for each open transaction what it would leave."""

    def __init__(self) -> None:
        super().__init__()
        self.store: OmegaStore
        self.folder = tempfile.TemporaryDirectory()
        self.now = START
        self.patches = ExitStack()
        for module in ("readers", "writer"):
            self.patches.enter_context(
                mock.patch(f"omega_persistence.backends.sqlite.{module}.time", self.clock)
            )
        self.model = {name: Namespace(START) for name in NAMES}
        self.saved: list[dict[str, Namespace]] = []
        self.open: list[tuple[Any, Transaction]] = []

    def clock(self) -> int:
        return self.now

    @initialize()
    def start(self) -> None:
        self.open_file()
        for name in NAMES:
            self.put_many(name, [samples.memory("a"), samples.memory("b", expires_at=START + 1)])
            self.put(name, samples.architecture("a"))
            self.put(name, samples.intelligence("a", "a"))

    def open_file(self) -> None:
        path = Path(self.folder.name, "store.db")
        self.store = OmegaStore(path, durability="normal", namespace="one")

    def teardown(self) -> None:
        while self.open:
            self.end(fail=True)
        assert self.store.check() == []
        self.store.close()
        self.patches.close()
        self.folder.cleanup()

    def inside(self, namespace: str) -> Collections:
        """Where calls go: the innermost transaction, or else the store."""
        return (self.open[-1][1] if self.open else self.store).in_namespace(namespace)

    def agree(
        self,
        namespace: str,
        real: Callable[[Collections], object],
        ideal: Callable[[Namespace], object],
    ) -> None:
        """Both give the same answer or the same kind of error; after an error nothing is left."""
        before = self.model[namespace].copy()
        try:
            expected = ideal(self.model[namespace])
        except StorageError as error:
            self.model[namespace] = before
            expected = type(error)
        try:
            result = real(self.inside(namespace))
        except StorageError as error:
            result = type(error)
        assert result == expected

    # Writing

    # Several rules put, since a step is any rule with the same chance.

    @rule(namespace=namespaces, record=memories)
    def put_memory(self, namespace: str, record: Any) -> None:
        self.put(namespace, record)

    @rule(namespace=namespaces, record=skills | architectures)
    def put_other(self, namespace: str, record: Any) -> None:
        self.put(namespace, record)

    @rule(namespace=namespaces, record=children)
    def put_child(self, namespace: str, record: Any) -> None:
        self.put(namespace, record)

    @rule(namespace=namespaces, several=st.lists(children, min_size=2, max_size=5))
    def put_children(self, namespace: str, several: list[Any]) -> None:
        for record in several:
            self.put(namespace, record)

    def put(self, namespace: str, record: Any) -> None:
        self.agree(
            namespace,
            lambda real: collection_of(real, type_of(record)).put(record),
            lambda ideal: ideal.put(record),
        )

    @rule(namespace=namespaces, batch=batches)
    def put_many(self, namespace: str, batch: list[Any]) -> None:
        entity = type_of(batch[0]) if batch else StoredMemory
        self.agree(
            namespace,
            lambda real: collection_of(real, entity).put_many(batch),
            lambda ideal: ideal.put_many(batch),
        )

    @rule(namespace=namespaces, entity=entities, id=ids)
    def delete(self, namespace: str, entity: type[Any], id: str) -> None:
        self.agree(
            namespace,
            lambda real: collection_of(real, entity).delete(id),
            lambda ideal: ideal.delete(entity, id),
        )

    @rule(namespace=namespaces, entity=entities, unwanted=st.lists(ids))
    def delete_many(self, namespace: str, entity: type[Any], unwanted: list[str]) -> None:
        self.agree(
            namespace,
            lambda real: collection_of(real, entity).delete_many(unwanted),
            lambda ideal: ideal.delete_many(entity, unwanted),
        )

    @rule(namespace=namespaces, id=ids, at=times)
    def report(self, namespace: str, id: str, at: int) -> None:
        self.agree(
            namespace,
            lambda real: real.memories.touch(id, at),
            lambda ideal: ideal.touch(id, at),
        )
        self.agree(
            namespace,
            lambda real: real.skills.record_success(id, at),
            lambda ideal: ideal.record_success(id, at),
        )

    @rule(namespace=namespaces)
    def purge_expired(self, namespace: str) -> None:
        self.agree(
            namespace,
            lambda real: real.memories.purge_expired(),
            lambda ideal: ideal.purge_expired(),
        )

    # Transactions, time, and the file

    @precondition(lambda self: len(self.open) < 3)
    @rule()
    def begin(self) -> None:
        block = (self.open[-1][1] if self.open else self.store).transaction()
        self.open.append((block, block.__enter__()))
        self.saved.append({name: part.copy() for name, part in self.model.items()})

    @precondition(lambda self: self.open)
    @rule(fail=st.booleans())
    def end(self, fail: bool) -> None:
        block, _ = self.open.pop()
        before = self.saved.pop()
        if fail:
            assert not block.__exit__(RuntimeError, RuntimeError(), None)
            self.model = before
        else:
            block.__exit__(None, None, None)

    @precondition(lambda self: not self.open)
    @rule(seconds=st.integers(-1, 2))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        for part in self.model.values():
            part.now = self.now

    @precondition(lambda self: not self.open)
    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open_file()
        self.count()

    @precondition(lambda self: not self.open)
    @rule(namespace=namespaces)
    def delete_namespace(self, namespace: str) -> None:
        there = sum(len(table) for table in self.model[namespace].tables.values())
        assert self.store.delete_namespace(namespace) == there
        self.model[namespace] = Namespace(self.now)

    # Reading

    @invariant()
    def every_record_is_the_same(self) -> None:
        for namespace in NAMES:
            real = self.inside(namespace)
            for entity in ENTITIES:
                expected = self.model[namespace].visible(entity)
                collection = collection_of(real, entity)
                assert list(collection) == expected
                assert collection.count() == len(expected)

    @rule(namespace=namespaces, id=ids)
    def ask(self, namespace: str, id: str) -> None:
        real, ideal = self.inside(namespace), self.model[namespace]
        where = ideal.where
        for tier in (1, 2, 3):
            assert real.memories.by_tier(tier) == where(StoredMemory, "importance", tier=tier)
        assert {hit.memory.id for hit in real.memories.search("banana")} == {
            each.id for each in where(StoredMemory) if "banana" in each.content
        }
        assert real.skills.by_pattern("äPF") == where(
            StoredSkill, "success_count", trigger_pattern="ÄPFEL"
        )
        assert real.skills.triggered_by("an apple") == where(
            StoredSkill, "success_count", trigger_pattern="Apple"
        )
        assert real.architectures.by_paradigm(id) == where(
            StoredArchitecture, "created_at", paradigm=id
        )
        assert real.intelligences.by_architecture(id) == where(
            StoredIntelligence, "maturity", arch_id=id
        )
        assert real.vectors.by_memory(id) == where(StoredVector, memory_id=id)
        assert real.reflexion_episodes.by_trigger(id) == where(
            StoredReflexionEpisode, "created_at", trigger=id
        )
        assert real.causal_edges.outgoing(id) == where(StoredCausalEdge, "weight", from_memory=id)
        assert real.causal_edges.incoming(id) == where(StoredCausalEdge, "weight", to_memory=id)

    def count(self) -> None:
        held = {name: part for name, part in self.model.items() if any(part.tables.values())}
        assert self.store.namespaces() == sorted(held)
        statistics = self.store.in_namespace("two").statistics()
        assert statistics.counts == {
            collection.table.name: len(self.model["two"].visible(collection.table.entity))
            for collection in self.store.all()
        }
        assert statistics.expired_memory_count == len(
            [m for m in self.model["two"].tables[StoredMemory].values() if m.expires_at is not None]
        ) - len([m for m in self.model["two"].visible(StoredMemory) if m.expires_at is not None])


TestModel = Model.TestCase
# Without shrinking: a failure prints all its steps, but within the time limit of a test.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
TestModel.settings = settings(max_examples=30, stateful_step_count=40, deadline=None, phases=PHASES)
