"""What a new kind of record costs: a record, its collection, a table. All else finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import field

from omega_persistence import ConflictError, InvalidDataError, OmegaStore
from omega_persistence.backends import migrate
from omega_persistence.backends.migrate import Step
from omega_persistence.backends.table import Table
from omega_persistence.entities import Collections
from omega_persistence.entities.base import Children
from omega_persistence.entities.record import (
    ABSENT,
    Id,
    Name,
    OptionalJSONText,
    RecordWithMetadata,
    Time,
    now,
)
from samples import memory

if TYPE_CHECKING:
    from pathlib import Path

    from omega_persistence.backends import Scope


class StoredPlan(RecordWithMetadata, frozen=True, kw_only=True, gc=False):
    """Something that an agent means to do."""

    memory_id: Id
    goal: Name
    created_at: Time = field(default_factory=now)
    metadata_json: OptionalJSONText = ABSENT


_BY_MEMORY = """
    AND memory_id = :memory_id
    ORDER BY created_at, id
    LIMIT :limit"""


class Plans(Children[StoredPlan]):
    """The plans of a namespace."""

    table = Table("plans", StoredPlan, references={"memory_id": "memories"}, unique=("goal",))

    def by_memory(self, memory_id: str, *, limit: int | None = 100) -> list[StoredPlan]:
        """Plans about a memory, oldest first, ties by id."""
        return self._select(_BY_MEMORY, limit, memory_id=memory_id)


MIGRATION = """
CREATE TABLE plans (
    namespace TEXT NOT NULL CHECK (namespace <> ''),
    id TEXT NOT NULL CHECK (id <> ''),
    memory_id TEXT NOT NULL,
    goal TEXT NOT NULL CHECK (goal <> ''),
    created_at INTEGER NOT NULL,
    metadata_json TEXT CHECK (
        CASE WHEN json_valid(metadata_json) THEN json_type(metadata_json) = 'object'
        ELSE metadata_json IS NULL END),
    PRIMARY KEY (namespace, id),
    UNIQUE (namespace, goal),
    FOREIGN KEY (namespace, memory_id) REFERENCES memories (namespace, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX plans_by_memory ON plans (namespace, memory_id, created_at, id);
"""


@pytest.fixture(autouse=True)
def library_with_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the edited lines do: register the collection, and know the new step."""
    known = migrate.steps("sqlite")
    register = Collections.__init__

    def registered(self: Collections, scope: Scope, namespace: str) -> None:
        register(self, scope, namespace)
        setattr(self, "plans", Plans(scope, namespace))  # noqa: B010 - unknown to type checkers

    def steps(dialect: str) -> tuple[Step, ...]:
        return (*known, Step(len(known) + 1, "plans", MIGRATION, "digest"))

    monkeypatch.setattr(Collections, "__init__", registered)
    monkeypatch.setattr(migrate, "steps", steps)


def plans_of(store: Any) -> Plans:
    return store.plans


def plan(id: str = "p", goal: str = "be done", **fields: Any) -> StoredPlan:
    return StoredPlan(id=id, memory_id="m", goal=goal, **fields)


def test_everything_generic_knows_a_new_kind_of_record(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        plans = plans_of(store)
        with pytest.raises(ConflictError, match="names 'm', which is not in memories"):
            plans.put(plan())
        store.memories.put(memory("m"))
        plans.put_many([plan("p1", "rest"), plan("p2", "work", metadata_json={"hours": 8})])
        with pytest.raises(ConflictError, match="'rest' belongs to 'p1'"):
            plans.put(plan("p3", "rest"))
        with pytest.raises(InvalidDataError, match="goal"):
            plans.put(plan("p3", ""))
        assert [each.id for each in plans] == ["p1", "p2"]
        assert plans.get("p2").metadata == {"hours": 8}
        assert len(plans.by_memory("m")) == 2
        assert store.statistics().counts["plans"] == 2
        assert store.namespaces() == ["default"]
        assert store.check() == []
        with store.transaction() as tx:
            assert plans_of(tx).delete("p1")
        store.export_jsonl(tmp_path / "export.jsonl")
        store.backup(tmp_path / "copy.db")
        assert store.delete_namespace("default") == 2
        assert store.import_jsonl(tmp_path / "export.jsonl").added["plans"] == 1
        assert plans.get("p2").goal == "work"
        store.memories.delete("m")
        assert plans.count() == 0
    with OmegaStore(tmp_path / "copy.db", migrate=False) as copy:
        assert [each.goal for each in plans_of(copy)] == ["work"]


def test_a_file_without_the_table_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = migrate.steps("sqlite")[:-1]

    def older_steps(dialect: str) -> tuple[Step, ...]:
        return known

    with monkeypatch.context() as older:
        older.setattr(migrate, "steps", older_steps)
        with OmegaStore(tmp_path / "store.db") as store:
            store.memories.put(memory("m"))
    with OmegaStore(tmp_path / "store.db") as store:
        assert store.migration is not None
        assert store.migration.steps == ["plans"]
        plans_of(store).put(plan())
        assert store.check() == []
