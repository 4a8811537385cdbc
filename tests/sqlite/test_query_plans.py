"""How SQLite finds the rows of every statement, pinned in query_plans.txt.

A lost index, a sort that appears, or a statement that nobody has looked at is a red test. Accept a
change by copying the file that the failing test names over query_plans.txt; a statement that walks
a whole table or sorts must be given a reason there, in a line that starts with ``#``.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest

import omega_persistence
from omega_persistence import ConflictError, OmegaStore
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.entities import quarantine
from samples import architecture, edge, episode, intelligence, memory, skill, vector
from sqlite.support import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = Path(__file__).with_name("query_plans.txt")

# These look at the whole file, once in its life or when they are asked to.
OF_THE_WHOLE_FILE = {"legacy", "schema", "inspection"}

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|AND|WHERE|ORDER BY)\b")
NOT_PLANNED = re.compile(r"PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SELECT 1 FROM sqlite_")
COSTLY = re.compile(r"SCAN (?!CONSTANT ROW)|TEMP B-TREE")


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> dict[str, None]:
    """The statements that sessions execute during the test."""
    found: dict[str, None] = {}

    def watch(name: str) -> None:
        execute = getattr(SQLiteSession, name)

        def watched(session: SQLiteSession, sql: str, /, *args: Any, **params: Any) -> Any:
            if not NOT_PLANNED.match(sql):
                found[one_line(sql)] = None
            return execute(session, sql, *args, **params)

        monkeypatch.setattr(SQLiteSession, name, watched)

    for name in ("rows", "row", "run_many"):
        watch(name)
    return found


def one_line(sql: str) -> str:
    return " ".join(sql.split())


def short(sql: str, store: OmegaStore) -> str:
    """A statement without the columns of its records, which say nothing about its plan."""
    for collection in store.all():
        columns = ", ".join(collection.table.fields)
        sql = sql.replace(f"SELECT {columns} FROM", "SELECT .. FROM")
    sql = re.sub(r"SELECT (coalesce\(.*\)) FROM", "SELECT sizes FROM", sql)
    return re.sub(r"(INSERT INTO \w+) \(.*(ON CONFLICT .*) SET .*", r"\1 .. \2 SET ..", sql)


def fill(store: OmegaStore, rows: int) -> None:
    """Records of every kind in two namespaces."""
    for target in (store, store.in_namespace("other")):
        numbers = range(rows)
        target.memories.put_many(
            memory(
                f"m{n:04}",
                content=f"word{n % 7} of {n}",
                tier=1 + n % 12,
                importance=n / rows,
                created_at=n,
                session=f"s{n % 5}" if n % 2 else None,
                expires_at=None if n % 9 else 1,
            )
            for n in numbers
        )
        live = [f"m{n:04}" for n in numbers if n % 9]
        target.skills.put_many(skill(f"s{n:04}", success_count=n % 50) for n in numbers)
        target.architectures.put_many(
            architecture(f"a{n:04}", paradigm=f"p{n % 4}", created_at=n) for n in numbers
        )
        target.intelligences.put_many(intelligence(f"i{n:04}", f"a{n % 20:04}") for n in numbers)
        target.vectors.put_many(
            vector(f"v{n:04}", id, 1.0, 2.0, space=f"model{n % 2}") for n, id in enumerate(live)
        )
        target.reflexion_episodes.put_many(
            episode(f"e{n:04}", id, trigger=f"t{n % 6}") for n, id in enumerate(live)
        )
        target.causal_edges.put_many(
            edge(f"c{n:04}", live[n // 10], id, edge_type=f"t{n % 3}") for n, id in enumerate(live)
        )


def do_everything(store: OmegaStore, folder: Path) -> None:
    """Execute every statement that there is."""
    for collection in store.all():
        (first, *_) = collection.scan(limit=2)
        collection.put(first)
        collection.put_many([first, first])
        assert collection.get(first.id) in [*collection, *collection.get_many([first.id])]
        collection.delete("none")
        collection.delete_many(["none"])
        collection.count()
    memories = store.memories
    memories.by_tier(1)
    memories.by_session("s1")
    memories.by_importance(0.5)
    memories.by_created_at(before=50)
    memories.by_last_accessed(before=50)
    memories.search("word1 word2")
    memories.touch("m0001")
    memories.expired()
    memories.purge_expired()
    memories.count_expired()
    memories.per_tier()
    store.skills.by_name("name of s0001")
    store.skills.by_pattern("tt")
    store.skills.triggered_by("pattern")
    store.skills.top()
    store.skills.record_success("s0001")
    store.skills.record_failure("s0001")
    store.architectures.by_paradigm("p1")
    store.architectures.by_substrate("pytorch")
    store.intelligences.by_architecture("a0001")
    store.vectors.by_memory("m0001")
    store.vectors.first_by_memory("m0001")
    store.reflexion_episodes.by_memory("m0001")
    store.reflexion_episodes.by_trigger("t1")
    store.causal_edges.outgoing("m0001")
    store.causal_edges.incoming("m0001")
    store.causal_edges.between("m0001", "m0002")
    store.causal_edges.by_type("t1")
    for refused in (vector("v", "none"), episode("e", "none"), edge("c", "none", "m0001")):
        with pytest.raises(ConflictError):
            next(each for each in store.all() if each.table.entity is type(refused)).put(refused)
    for child in (store.vectors, store.reflexion_episodes, store.causal_edges):
        (moved,) = child.scan(limit=1)
        field = next(iter(child.table.references))
        with pytest.raises(ConflictError):
            child.put(omega_persistence_replace(moved, **{field: "m0010"}))
    with pytest.raises(ConflictError):
        store.causal_edges.put(edge("c", "m0001", "none"))
    with pytest.raises(ConflictError):
        store.skills.put(skill("new", name="name of s0001"))
    with pytest.raises(ConflictError):
        store.intelligences.put(intelligence("new", "none"))
    with pytest.raises(ConflictError):
        store.architectures.delete("a0001")
    with store._backend.atomic() as session:
        quarantine.add(session, "memories", {"id": ("text", b"q")}, "reason")
    store.quarantine()
    store.delete_quarantined([1])
    store.namespaces()
    store.statistics()
    store.doctor()
    store.export_jsonl(folder / "export.jsonl", all_namespaces=True)
    for policy in ("skip", "update"):
        store.import_jsonl(folder / "export.jsonl", on_conflict=policy)
    store.delete_namespace("other")
