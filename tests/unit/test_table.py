"""The statements of a table: derived from its record, and text that a person can read."""

from __future__ import annotations

from typing import Any, cast

import apsw
import pytest
from msgspec import Struct
from msgspec.structs import astuple

from omega_persistence.backends.table import Table
from omega_persistence.entities import Collections
from strategies import merged, type_of


class Plan(Struct, frozen=True, kw_only=True):
    """An entity that the library does not have."""

    id: str
    memory_id: str
    title: str
    created_at: int
    success_count: int = 0
    last_used: int | None = None


PLANS = Table("plans", Plan, references={"memory_id": "memories"})


def test_the_statements_read_as_if_written_by_hand():
    assert PLANS.upsert == (
        "INSERT INTO plans (namespace, id, memory_id, title, created_at, success_count, last_used)"
        " VALUES (:namespace, :id, :memory_id, :title, :created_at, :success_count, :last_used)"
        " ON CONFLICT (namespace, id) DO UPDATE SET"
        " memory_id = CASE WHEN excluded.memory_id = plans.memory_id THEN plans.memory_id END,"
        " title = excluded.title,"
        " created_at = CASE WHEN excluded.created_at < plans.created_at"
        " THEN excluded.created_at ELSE plans.created_at END,"
        " success_count = CASE WHEN plans.success_count IS NULL"
        " OR excluded.success_count > plans.success_count"
        " THEN excluded.success_count ELSE plans.success_count END,"
        " last_used = CASE WHEN plans.last_used IS NULL OR excluded.last_used > plans.last_used"
        " THEN excluded.last_used ELSE plans.last_used END"
    )
    select = "SELECT id, memory_id, title, created_at, success_count, last_used FROM plans"
    assert " ".join(PLANS.select.split()) == f"{select} WHERE namespace = :namespace"
    assert PLANS.delete == "DELETE FROM plans WHERE namespace = :namespace AND id = :id"
    assert PLANS.count == "SELECT (SELECT count(*) FROM plans WHERE namespace = :namespace)"


def test_every_statement_names_the_namespace():
    statements = [PLANS.select, PLANS.get, PLANS.page, PLANS.delete, PLANS.count, PLANS.upsert]
    assert all(":namespace" in statement for statement in statements)


def test_a_table_with_an_expiry_shows_what_has_not_expired():
    class Note(Struct):
        id: str
        expires_at: int | None = None

    table = Table("notes", Note)
    visible = "AND (expires_at IS NULL OR expires_at > :now)"
    assert visible in table.select
    assert visible in table.get
    assert visible in table.page
    assert table.count.count("SELECT count(*)") == 2
    assert PLANS.visible == ""


def test_the_values_stand_in_the_order_of_the_statement():
    plan = Plan(id="p", memory_id="m", title="t", created_at=5)
    assert PLANS.rows("here", [plan])[0] == ("here", *astuple(plan))


def test_a_derived_column_is_written_and_never_read():
    table = Table("plans", Plan, derived={"title_folded": lambda plan: plan.title.lower()})
    plan = Plan(id="p", memory_id="m", title="T", created_at=5)
    assert table.rows("here", [plan])[0][-1] == "t"
    assert "title_folded = excluded.title_folded" in table.upsert
    assert "title_folded" not in table.select


def test_the_statement_merges_by_the_rules():
    """The derived statement, run by a database, against the rules in plain Python."""
    database = apsw.Connection(":memory:")
    database.execute(
        "CREATE TABLE plans (namespace, id, memory_id NOT NULL, title, created_at, success_count,"
        " last_used, UNIQUE (namespace, id))"
    )
    plans = [
        Plan(id="p", memory_id="m", title=title, created_at=at, success_count=n, last_used=used)
        for title, at, n, used in (
            ("a", 10, 3, None),
            ("b", 20, 2, 5),
            ("c", 5, 9, None),
            ("d", 7, 9, 4),
            ("e", 1, 0, 8),
        )
    ]
    expected = plans[0]
    for plan in plans:
        expected = merged(expected, plan)
        database.execute(PLANS.upsert, PLANS.rows("here", [plan])[0])
        (row,) = database.execute(PLANS.select, {"namespace": "here"}).fetchall()
        assert row == astuple(expected)
    moved = Plan(id="p", memory_id="other", title="t", created_at=5)
    with pytest.raises(apsw.ConstraintError):
        database.execute(PLANS.upsert, PLANS.rows("here", [moved])[0])
    database.close()


def test_one_name_in_four_places():
    """File, attribute, table and class of a collection are called alike."""
    collections = Collections(cast("Any", None), "")
    for name, collection in vars(collections).items():
        if name.startswith("_"):
            continue
        kind = type_of(collection)
        assert collection.table.name == name
        assert kind.__module__ == f"omega_persistence.entities.{name}"
        assert kind.__name__.lower() == name.replace("_", "")
        assert collection.table.fields[0] == "id"
        assert collection.table.entity.__name__.startswith("Stored")
        assert set(collection.table.references) <= set(collection.table.fields)
