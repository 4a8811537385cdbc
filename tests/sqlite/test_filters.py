"""The SQL of a filter against the same rules in plain Python."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, cast

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from omega_persistence import OmegaStore, StoredMemory
from omega_persistence.backends.sqlite.filters import condition
from omega_persistence.entities.filters import checked_filter
from samples import memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega_persistence.backends.filters import Condition, Filter

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

# Few values, so that they meet; of all kinds, so that some that look alike are of another kind.
keys = st.sampled_from(["a", "b c", "é\n'", "0", "$", "[0]", "ключ"])
numbers = st.integers(-2, 2) | st.floats(-2, 2) | st.sampled_from([2**53 + 1, 2**63 - 1, 1e300])
words = st.sampled_from(["", "a", "1", "true", "null", "Zürich", "zürich", "[]", "%", "'"])
scalars = st.none() | st.booleans() | numbers | words
metadata = st.dictionaries(
    keys, scalars | st.lists(scalars, max_size=2) | st.dictionaries(keys, scalars), max_size=3
)
ordered = st.dictionaries(st.sampled_from(list(COMPARE)), numbers | words, min_size=1, max_size=2)
where = st.dictionaries(
    st.lists(keys, min_size=1, max_size=2).map(".".join), scalars | ordered, max_size=2
)
records = st.fixed_dictionaries(
    {
        "tier": st.integers(1, 12),
        "session": st.none() | st.sampled_from(["s", "S", "talk"]),
        "created_at": st.integers(-3, 3),
        "importance": st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        "expires_at": st.none() | st.sampled_from([0, 5, 2**40]),
        "metadata_json": st.none() | metadata,
    }
)
filters = st.builds(
    checked_filter,
    tiers=st.none() | st.lists(st.integers(1, 12), max_size=8),
    session=st.none() | st.sampled_from(["s", "talk", "'"]),
    since=st.none() | st.integers(-3, 3),
    until=st.none() | st.integers(-3, 3),
    min_importance=st.none() | st.sampled_from([0, 0.25, 0.3, 1]),
    where=where,
)


def admits(filter: Filter, memory: StoredMemory) -> bool:
    """The rules of `Filter` as a person would say them."""
    return (
        (memory.expires_at is None or memory.expires_at > 2**32)
        and (filter.tiers is None or memory.tier in filter.tiers)
        and (filter.session is None or memory.session == filter.session)
        and (filter.since is None or memory.created_at >= filter.since)
        and (filter.until is None or memory.created_at < filter.until)
        and (filter.min_importance is None or memory.importance >= filter.min_importance)
        and all(holds(condition, memory.metadata) for condition in filter.where)
    )


def holds(condition: Condition, value: Any) -> bool:
    for key in condition.path:
        value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    if isinstance(value, list):
        return (
            condition.operator == "="
            and kind(condition.value) in {str, float}
            and any(same(each, condition.value) for each in cast("list[object]", value))
        )
    return kind(value) == kind(condition.value) and (
        value is None or COMPARE[condition.operator](value, condition.value)
    )


def same(one: object, other: object) -> bool:
    return kind(one) == kind(other) and one == other


def kind(value: object) -> type[object]:
    return float if type(value) is int else type(value)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=st.lists(records, max_size=6), filter=filters)
@example([{"metadata_json": {"a": [1]}}], checked_filter(where={"a": "[1]"}))
@example([{"metadata_json": {"a": True}}], checked_filter(where={"a": 1}))
@example([{"metadata_json": {"a": ["x", "y"]}}], checked_filter(where={"a": "y"}))
@example([{"metadata_json": {"a": [1.0]}}], checked_filter(where={"a": 1}))
@example([{"metadata_json": {"a": [True, "1"]}}], checked_filter(where={"a": 1}))
@example([{"metadata_json": {"a": [[1]]}}], checked_filter(where={"a": 1}))
@example([{"metadata_json": {"a": [2]}}], checked_filter(where={"a": {">": 1}}))
def test_sql_admits_what_the_rules_admit(
    store: OmegaStore, records: list[dict[str, Any]], filter: Filter
):
    stored = [memory(f"{n}", **fields) for n, fields in enumerate(records)]
    sql, values = condition(filter)
    with store.transaction() as tx:
        tx.memories.delete_many(f"{n}" for n in range(6))
        tx.memories.put_many(stored)
        with tx._scope.read() as session:
            rows = session.rows(
                f"SELECT id FROM memories WHERE namespace = :namespace AND {sql} ORDER BY id",
                namespace=tx.namespace,
                **values,
            )
    assert [id for (id,) in rows] == [each.id for each in stored if admits(filter, each)]
