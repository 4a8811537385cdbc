"""What the demonstration does, and what it expects of each step."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from importlib import resources
from shutil import copyfile
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from omega_persistence import (
    Migration,
    OmegaStore,
    StorageError,
    StoredArchitecture,
    StoredCausalEdge,
    StoredMemory,
    Tier,
)
from omega_persistence.cli import demo_records as added
from omega_persistence.cli.plain import count

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

SHIPPED = "reference.db"


class Answer(Struct, frozen=True):
    """One question to the store: in words, the call, and what came back."""

    question: str
    call: str
    answer: str


class Story(Struct, kw_only=True):
    """Everything the demonstration found, in the order in which it happened.

    ``unexpected`` says what was not as it should be; empty when all was. Times are seconds.
    """

    store: str
    shipped_bytes: int = 0
    migration: Migration | None = None
    found: dict[str, int] = field(default_factory=dict)
    memories_per_tier: dict[int, int] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    refusal: str = ""
    before_failure: dict[str, int] = field(default_factory=dict)
    after_failure: dict[str, int] = field(default_factory=dict)
    backup: str = ""
    backup_bytes: int = 0
    backup_problems: int = 0
    restored: str = ""
    restored_counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    expectations: int = 0
    unexpected: list[str] = field(default_factory=list)

    def expect(self, holds: bool, what: str) -> None:
        """Note what should be the case."""
        self.expectations += 1
        if not holds:
            self.unexpected.append(what)

    @contextmanager
    def timed(self, what: str) -> Generator[None]:
        """Note how long a block took."""
        start = perf_counter()
        yield
        self.seconds[what] = round(perf_counter() - start, 6)


def tell(path: str) -> Story:
    """Run the demonstration in a file that does not exist yet; backups are made beside it."""
    story = Story(store=path)
    shipped = resources.files("omega_persistence.cli") / "data" / SHIPPED
    with resources.as_file(shipped) as original:
        copyfile(original, path)
    story.shipped_bytes = os.path.getsize(path)
    with story.timed("migrate"):
        store = OmegaStore(path)
    with store:
        _look(story, store)
        ancestor = _most_used(store)
        records = added.additions(ancestor)
        with story.timed("add"), store.transaction() as tx:
            records.put(tx)
        story.added = records.counts()
        story.expect(
            store.statistics().counts == Counter(story.found) + Counter(story.added),
            "each collection has as many records more as were added",
        )
        with story.timed("ask"):
            _ask(story, store, ancestor)
        _put_again(story, store)
        _fail(story, store)
        _copy(story, store)
    return story


def _look(story: Story, store: OmegaStore) -> None:
    statistics = store.statistics()
    story.migration = store.migration
    story.found = statistics.counts
    story.memories_per_tier = statistics.memories_per_tier
    migration = story.migration
    story.expect(
        migration is not None and migration.moved == story.found, "every row became a record"
    )
    story.expect(statistics.quarantine_count == 0, "no row had to go into quarantine")
    story.expect(store.check() == [], "the migrated file has no damage")


def _most_used(store: OmegaStore) -> StoredArchitecture:
    """The architecture with the most intelligences, ties by id."""
    uses = Counter(each.arch_id for each in store.intelligences)
    return store.architectures.get(max(sorted(uses), key=uses.__getitem__))


def _ask(story: Story, store: OmegaStore, ancestor: StoredArchitecture) -> None:
    def answer(question: str, call: str, found: str, *, expected: bool) -> None:
        story.answers.append(Answer(question, call, found))
        story.expect(expected, f"{call} gives what was stored")

    tier = store.memories.by_tier(Tier.SESSION, limit=3)
    answer(
        "What matters most in the session tier?",
        "memories.by_tier",
        _first(memory.content for memory in tier),
        expected=_first(memory.id for memory in tier) == added.REQUEST,
    )
    hits = store.recall("how much free space has the disk", limit=3)
    answer(
        "What is known about free space on the disk?",
        "recall",
        _first(hit.memory.content for hit in hits),
        expected=_first(hit.memory.id for hit in hits) == added.LESSON,
    )
    skills = store.skills.triggered_by("rsync: write failed: No space left on device")
    answer(
        'Which skill does "No space left on device" call for?',
        "skills.triggered_by",
        ", ".join(skill.name for skill in skills),
        expected=[skill.id for skill in skills] == [added.SKILL],
    )
    child = store.architectures.get(added.ARCHITECTURE)
    parent = store.architectures.get(child.lineage["parent"])
    answer(
        f"What does {child.name} descend from?",
        "architectures.get",
        f"{parent.name}, generation {parent.lineage.get('generation')}",
        expected=parent == ancestor,
    )
    best = store.intelligences.by_architecture(ancestor.id, limit=3)
    answer(
        f"Who are the best instances of {ancestor.name}?",
        "intelligences.by_architecture",
        ", ".join(f"{each.name} {each.maturity:.2f}" for each in best),
        expected=_first(each.id for each in best) == added.INTELLIGENCE,
    )
    vector = store.vectors.first_by_memory(added.LESSON)
    answer(
        "What is the vector of the lesson?",
        "vectors.first_by_memory",
        f"{vector.dimensions} numbers: {', '.join(f'{x:.2f}' for x in vector.array[:4])}, ...",
        expected=vector.space == added.SPACE and vector.dimensions == 8,
    )
    episodes = store.reflexion_episodes.by_trigger(added.TRIGGER)
    answer(
        "What was done when a disk was full?",
        "reflexion_episodes.by_trigger",
        _first(f"{episode.action} {episode.outcome}." for episode in episodes),
        expected=[episode.memory_id for episode in episodes] == [added.CAUSE],
    )
    edges = store.causal_edges.outgoing(added.CAUSE)
    effects = store.memories.get_many(edge.to_memory for edge in edges)
    answer(
        "What did the full disk lead to?",
        "causal_edges.outgoing",
        "\n".join(
            f"{edge.weight} {effect.content}" for edge, effect in zip(edges, effects, strict=True)
        ),
        expected=[effect.id for effect in effects] == [added.EFFECT, added.LESSON],
    )


def _first(texts: Iterable[str]) -> str:
    return next(iter(texts), "nothing")


def _put_again(story: Story, store: OmegaStore) -> None:
    memory = store.memories.get(added.CAUSE)
    store.memories.put(msgspec.structs.replace(memory, importance=0.95))
    story.again = [
        count(len(store.vectors.by_memory(added.CAUSE)), "vector"),
        count(len(store.reflexion_episodes.by_memory(added.CAUSE)), "episode"),
        count(len(store.causal_edges.outgoing(added.CAUSE)), "edge"),
    ]
    story.expect(
        store.memories.get(added.CAUSE).importance == 0.95
        and story.again == ["1 vector", "1 episode", "2 edges"],
        "a memory that is stored again keeps what hangs on it",
    )


def _fail(story: Story, store: OmegaStore) -> None:
    story.before_failure = store.statistics().counts
    notes = [
        StoredMemory(id=f"demo-note-{number}", content="A note.", tier=1, importance=0.1)
        for number in (1, 2)
    ]
    try:
        with store.transaction() as tx:
            tx.memories.put_many(notes)
            tx.causal_edges.put(
                StoredCausalEdge(
                    id="demo-edge-3",
                    from_memory=notes[0].id,
                    to_memory="demo-nowhere",
                    weight=1.0,
                    edge_type="causal",
                )
            )
    except StorageError as error:
        story.refusal = str(error)
    story.after_failure = store.statistics().counts
    story.expect(bool(story.refusal), "an edge to a missing memory is refused")
    story.expect(
        story.after_failure == story.before_failure, "a transaction that fails leaves nothing"
    )


def _copy(story: Story, store: OmegaStore) -> None:
    story.backup, story.restored = f"{story.store}.backup", f"{story.store}.restored"
    with story.timed("backup"):
        store.backup(story.backup)
    story.backup_bytes = os.path.getsize(story.backup)
    with story.timed("verify"):
        story.backup_problems = len(OmegaStore.verify_backup(story.backup))
    story.expect(story.backup_problems == 0, "the backup has no damage")
    with story.timed("restore"):
        OmegaStore.restore(story.backup, story.restored)
    with OmegaStore(story.restored, create=False) as restored:
        story.restored_counts = restored.statistics().counts
        story.expect(
            story.restored_counts == store.statistics().counts,
            "the restored store has as many records of each kind",
        )
        same = all(
            list(theirs) == list(ours)
            for theirs, ours in zip(restored.all(), store.all(), strict=True)
        )
        story.expect(same, "the restored store has the same records")
