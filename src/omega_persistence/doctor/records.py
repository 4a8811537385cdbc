"""Notes about records: nothing is damaged, but it may not be what was meant."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from omega_persistence.doctor import Note
from omega_persistence.entities import Collections, quarantine
from omega_persistence.entities.skills import trigger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from omega_persistence.backends import Session
    from omega_persistence.entities.architectures import StoredArchitecture


def about_records(session: Session, collections: Collections) -> list[Note]:
    """Everything worth a note in the namespace of some collections, and the file's quarantine.

    Reads every record but vectors and episodes; memory grows with the causal edges.
    """
    found = [
        *_waiting(session, collections),
        *_triggers(collections),
        *_lineage(collections),
        *_references(collections),
        *_causes(collections),
    ]
    return [note for note in found if note.subject]


def _waiting(session: Session, collections: Collections) -> Iterator[Note]:
    held = quarantine.count(session)
    yield Note(
        kind="quarantine",
        subject=f"{held} rows" if held else "",
        text="rows of the Rust crate's file that broke the rules are kept in quarantine",
        hint="Look at quarantine(); mend and store them, or drop them: delete_quarantined().",
    )
    expired = collections.memories.count_expired()
    yield Note(
        kind="expired",
        subject=f"{expired} memories" if expired else "",
        text="expired memories still take up room",
        hint="When nobody will renew them, call memories.purge_expired().",
    )


def _triggers(collections: Collections) -> Iterator[Note]:
    yield Note(
        kind="trigger_pattern",
        subject=_some(s.id for s in collections.skills if trigger(s.trigger_pattern) is None),
        text="trigger patterns that RE2 does not accept are looked for as plain words",
        hint="Do without look-around and back-references.",
    )


def _lineage(collections: Collections) -> Iterator[Note]:
    parents = {each.id: list(_parents(each)) for each in collections.architectures}
    yield Note(
        kind="lineage_parent",
        subject=_some(id for id, named in parents.items() if any(p not in parents for p in named)),
        text="the lineage names a parent that is not stored",
        hint="Store the parent, or leave it out of lineage_json.",
    )
    edges = [(id, parent) for id, named in parents.items() for parent in named]
    yield Note(
        kind="lineage_cycle",
        subject=_some(_on_cycles(edges)),
        text="architectures descend from themselves",
        hint="Correct the parent in lineage_json.",
    )


def _parents(architecture: StoredArchitecture) -> Iterator[str]:
    """The ids that a lineage names as ``parent`` or ``parents``: one, or a list of them."""
    lineage: dict[str, Any] = architecture.lineage
    for key in ("parent", "parents"):
        named: Any = lineage.get(key)
        several = cast("list[Any]", named if isinstance(named, list) else [named])
        yield from (parent for parent in several if isinstance(parent, str))


def _references(collections: Collections) -> Iterator[Note]:
    dangling: list[str] = []
    for each in collections.intelligences:
        named = [id for id in each.memories if isinstance(id, str)]
        stored = {memory.id for memory in collections.memories.get_many(dict.fromkeys(named))}
        if not stored.issuperset(named):
            dangling.append(each.id)
    yield Note(
        kind="memory_reference",
        subject=_some(dangling),
        text="memories_json of intelligences names memories that are not stored or have expired",
        hint="Store the memories, or take them out of memories_json.",
    )


def _causes(collections: Collections) -> Iterator[Note]:
    edges: list[tuple[str, str]] = []
    loops: list[str] = []
    parallel: Counter[tuple[str, str, str]] = Counter()
    for edge in collections.causal_edges:
        if edge.from_memory == edge.to_memory:
            loops.append(edge.id)
        else:
            edges.append((edge.from_memory, edge.to_memory))
        parallel[edge.from_memory, edge.to_memory, edge.edge_type] += 1
    yield Note(
        kind="causal_loop",
        subject=_some(loops),
        text="edges lead from a memory to itself",
        hint="Delete them if a memory is not its own cause.",
    )
    twice = [f"{cause} -> {effect}" for (cause, effect, _), n in parallel.items() if n > 1]
    yield Note(
        kind="causal_duplicate",
        subject=_some(twice),
        text="several edges of one type connect the same two memories",
        hint="Keep one, with evidence_count as the number of observations.",
    )
    yield Note(
        kind="causal_cycle",
        subject=_some(_on_cycles(edges)),
        text="memories are causes of themselves through others",
        hint="Look for an edge that points the wrong way.",
    )


def _on_cycles(edges: Iterable[tuple[str, str]]) -> list[str]:
    """Nodes that lie on a cycle or on a path between cycles, sorted.

    Kahn's method from both ends: nodes that nothing leads to, then nodes that lead nowhere, are
    taken away until none is left to take.
    """
    remaining = set(edges)
    for end in (0, 1):
        towards: dict[str, list[tuple[str, str]]] = {}
        degree: Counter[str] = Counter()
        for edge in remaining:
            towards.setdefault(edge[end], []).append(edge)
            degree[edge[1 - end]] += 1
        free = [node for node in towards if not degree[node]]
        while free:
            for edge in towards.get(free.pop(), ()):
                remaining.discard(edge)
                degree[edge[1 - end]] -= 1
                if not degree[edge[1 - end]]:
                    free.append(edge[1 - end])
    return sorted({node for edge in remaining for node in edge})


def _some(ids: Iterable[str], shown: int = 5) -> str:
    """The ids in words: all if they are few, else how many and the first."""
    every = list(ids)
    if len(every) <= shown:
        return ", ".join(every)
    return f"{len(every)}: {', '.join(every[:shown])}, ..."
