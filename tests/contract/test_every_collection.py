"""What every collection does, for each that there is: a new entity is covered by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from omega_persistence import ConflictError, InvalidDataError, NotFoundError, OmegaStore
from omega_persistence.entities import Collections, base
from omega_persistence.entities.base import PAGE, Collection
from omega_persistence.entities.record import new_id
from strategies import (
    ENTITIES,
    FAMILIES,
    ONE,
    TWO,
    batches,
    collection_of,
    merged,
    names,
    put_parents,
    series,
)

each_entity = pytest.mark.parametrize("entity", ENTITIES)

# The store is made once per test; every example works in a namespace of its own.
few = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def fresh(store: OmegaStore, entity: type[Any]) -> Collection[Any]:
    """The collection of an entity in a new namespace, with the parents its records need."""
    inside = store.in_namespace(new_id())
    put_parents(inside, entity)
    return collection_of(inside, entity)


def everything(collection: Collection[Any]) -> list[Any]:
    """What is there but the parents."""
    return [record for record in collection.scan(limit=None) if not is_parent(record)]


def is_parent(record: Any) -> bool:
    return any(record in family.parents for family in FAMILIES.values())


def test_all_lists_every_collection_with_parents_before_children(store: OmegaStore):
    listed = store.all()
    assert [each.table.name for each in listed] == [
        name for name, value in vars(store).items() if isinstance(value, Collection)
    ]
    assert listed == tuple(getattr(store, each.table.name) for each in listed)
    for place, collection in enumerate(listed):
        earlier = {each.table.name for each in listed[:place]}
        assert earlier.issuperset(collection.table.references.values())


def test_every_entity_has_strategies():
    assert set(FAMILIES) == set(ENTITIES)


@each_entity
@few
@given(data=st.data())
def test_put_and_get_round_trip_every_field(store: OmegaStore, entity: type[Any], data: Any):
    collection = fresh(store, entity)
    record = data.draw(FAMILIES[entity].records)
    collection.put(record)
    found = collection.get(record.id)
    assert found == record
    assert list(map(type, msgspec.structs.astuple(found))) == list(
        map(type, msgspec.structs.astuple(record))
    )


@each_entity
@few
@given(data=st.data())
def test_put_again_updates_in_place(store: OmegaStore, entity: type[Any], data: Any):
    collection = fresh(store, entity)
    old, new = data.draw(st.tuples(*[FAMILIES[entity].records] * 2))
    kept = [
        field for field, parents in collection.table.references.items() if parents == "memories"
    ]
    new = replace(new, id=old.id, **{field: getattr(old, field) for field in kept})
    collection.put(old)
    collection.put(new)
    assert collection.get(old.id) == merged(old, new)
    collection.put(new)
    assert collection.get(old.id) == merged(old, new)


@each_entity
@few
@given(data=st.data())
def test_put_many_is_put_in_turn(store: OmegaStore, entity: type[Any], data: Any):
    collection = fresh(store, entity)
    records = data.draw(batches(entity))
    already = collection.count()
    assert collection.put_many(iter(records)) == len(records)
    assert collection.count() - already == len(records)
    assert everything(collection) == sorted(records, key=lambda record: record.id)


@each_entity
def test_put_many_may_name_an_id_twice(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    record = FAMILIES[entity].example
    assert collection.put_many([record, record]) == 2
    assert everything(collection) == [record]


@each_entity
def test_put_many_of_nothing_is_nothing(store: OmegaStore, entity: type[Any]):
    assert collection_of(store, entity).put_many([]) == 0


@each_entity
def test_what_put_many_refuses_it_refuses_whole_and_names_the_place(
    store: OmegaStore, entity: type[Any]
):
    collection = fresh(store, entity)
    good = series(entity, 3)
    collection.put(good[0])
    bad = replace(good[2], id="")
    for place in range(3):
        batch = [*good[:place], bad, *good[place:]]
        with pytest.raises(InvalidDataError) as caught:
            collection.put_many(batch)
        assert (caught.value.index, caught.value.kind) == (place, entity.__name__)
        assert everything(collection) == [good[0]]


@each_entity
@pytest.mark.parametrize("part", [base.PART, 2])
def test_a_conflict_in_put_many_undoes_the_rows_before_it(
    store: OmegaStore, entity: type[Any], part: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(base, "PART", part)
    collection = fresh(store, entity)
    conflicting = a_conflict(collection)
    if conflicting is None:
        return  # nothing of this entity can conflict
    earlier = series(entity, 4)[1:]
    before = everything(collection)
    for batch in ([*earlier, conflicting], [*earlier, conflicting, *earlier], [conflicting]):
        with pytest.raises(ConflictError) as caught:
            collection.put_many(batch)
        assert caught.value.index == batch.index(conflicting)
        assert caught.value.id == conflicting.id
        assert caught.value.kind == entity.__name__
        assert everything(collection) == before
    with pytest.raises(ConflictError) as caught:
        collection.put(conflicting)
    assert caught.value.index is None


def a_conflict(collection: Collection[Any]) -> Any:
    """A record that is valid and still cannot be stored; None if there is no such thing."""
    table = collection.table
    first, second = series(table.entity, 2)
    for field in table.references:
        return replace(second, **{field: "nobody"})
    for field in table.unique:
        collection.put(first)
        return replace(second, id="another", **{field: getattr(first, field)})
    return None


@each_entity
def test_a_missing_parent_is_named(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    record = FAMILIES[entity].example
    for field, parents in collection.table.references.items():
        with pytest.raises(ConflictError, match=rf"{field} names 'nobody'.* not in {parents}") as e:
            collection.put(replace(record, **{field: "nobody"}))
        assert (e.value.field, e.value.id, e.value.kind) == (field, record.id, entity.__name__)
        assert e.value.hint is not None
    assert everything(collection) == []


@each_entity
def test_a_child_never_moves_to_another_memory(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    record = FAMILIES[entity].example
    collection.put(record)
    for field, parents in collection.table.references.items():
        other = TWO if getattr(record, field) != TWO else ONE
        moved = replace(record, **{field: other})
        if parents == "memories":
            with pytest.raises(ConflictError) as caught:
                collection.put(moved)
            assert repr(getattr(record, field)) in str(caught.value)
            assert repr(other) in str(caught.value)
            assert caught.value.field == field
            assert collection.get(record.id) == record
        else:
            collection.put(moved)
            assert collection.get(record.id) == moved


@each_entity
def test_get_of_an_unknown_id_names_it(store: OmegaStore, entity: type[Any]):
    collection = collection_of(store, entity)
    with pytest.raises(NotFoundError, match=r"'nobody'.*'default'") as caught:
        collection.get("nobody")
    assert (caught.value.kind, caught.value.id) == (entity.__name__, "nobody")
    for id in ("", "\0", "%", "'; DROP TABLE memories; --"):
        with pytest.raises(NotFoundError):
            collection.get(id)


@each_entity
@few
@given(data=st.data())
def test_get_many_keeps_order_and_repeats_and_skips_the_unknown(
    store: OmegaStore, entity: type[Any], data: Any
):
    collection = fresh(store, entity)
    records = {record.id: record for record in data.draw(batches(entity))}
    collection.put_many(records.values())
    known = st.sampled_from(sorted(records)) if records else st.nothing()
    asked = data.draw(st.lists(known | names.filter(lambda name: name not in {ONE, TWO})))
    assert collection.get_many(asked) == [records[id] for id in asked if id in records]


@each_entity
def test_get_many_takes_any_iterable_and_any_number(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    records = series(entity, 3)
    collection.put_many(records)
    assert collection.get_many(record.id for record in reversed(records)) == records[::-1]
    many = [f"unknown {i}" for i in range(5000)]
    assert collection.get_many([*many, records[0].id, *many]) == records[:1]
    assert collection.get_many([]) == []
    with pytest.raises(InvalidDataError):
        collection.get_many(["\ud800"])


@each_entity
def test_delete_tells_whether_there_was_one(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    first, second = series(entity, 2)
    collection.put_many([first, second])
    assert collection.delete(first.id) is True
    assert collection.delete(first.id) is False
    assert everything(collection) == [second]
    with pytest.raises(NotFoundError):
        collection.get(first.id)


@each_entity
def test_what_was_deleted_can_be_put_again_as_new(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    record = FAMILIES[entity].example
    greater = {
        field: value + 1
        for field, value in msgspec.structs.asdict(record).items()
        if field.endswith("_count")
    }
    collection.put(replace(record, **greater))
    collection.delete(record.id)
    collection.put(record)
    assert collection.get(record.id) == record


@each_entity
def test_delete_many_counts_what_there_was(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    records = series(entity, 5)
    collection.put_many(records)
    unwanted = [records[3].id, "nobody", records[1].id, records[3].id]
    assert collection.delete_many(iter(unwanted)) == 2
    assert everything(collection) == [records[0], records[2], records[4]]
    assert collection.delete_many([]) == 0


@each_entity
def test_scan_pages_by_id(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    records = series(entity, 7)
    collection.put_many(reversed(records))
    page = collection.scan(limit=3)
    seen: list[Any] = []
    while page:
        assert len(page) <= 3
        seen += page
        page = collection.scan(after=page[-1].id, limit=3)
    assert [record for record in seen if not is_parent(record)] == records
    assert collection.scan(after="id 00006") == [r for r in seen if is_parent(r)]
    assert collection.scan(after="\U0010ffff") == []


@each_entity
@few
@given(data=st.data())
def test_ids_are_ordered_by_code_point(store: OmegaStore, entity: type[Any], data: Any):
    collection = fresh(store, entity)
    collection.put_many(data.draw(batches(entity, min_size=2)))
    ids = [record.id for record in collection]
    assert ids == sorted(ids)
    for id in ids:
        assert [record.id for record in collection.scan(after=id)] == ids[ids.index(id) + 1 :]


@each_entity
def test_iteration_sees_every_page(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    for count in (PAGE, PAGE + 1):
        collection.put_many(series(entity, count))
        assert [r for r in collection if not is_parent(r)] == series(entity, count)


@each_entity
def test_records_present_throughout_an_iteration_are_seen_exactly_once(
    store: OmegaStore, entity: type[Any]
):
    collection = fresh(store, entity)
    records = series(entity, PAGE + 10)
    collection.put_many(records)
    seen: list[str] = []
    for record in collection:  # writing meanwhile is allowed: no cursor is open
        seen.append(record.id)
        if len(seen) == 5:
            collection.delete_many(r.id for r in records[:3])
            collection.delete(records[-1].id)
            collection.put(record)
    there = {record.id for record in records[3:-1]}
    assert [id for id in seen if id in there] == sorted(there)
    assert len(seen) == len(set(seen))


@each_entity
def test_limits_are_whole_numbers_or_none(store: OmegaStore, entity: type[Any]):
    collection = fresh(store, entity)
    collection.put_many(series(entity, 120))
    total = collection.count()
    assert len(collection.scan()) == 100
    assert len(collection.scan(limit=None)) == total
    assert len(collection.scan(limit=10**30)) == total
    assert collection.scan(limit=0) == []
    for limit in (-1, 1.0, True, "1"):
        with pytest.raises(InvalidDataError) as caught:
            collection.scan(limit=limit)  # pyright: ignore[reportArgumentType]
        assert caught.value.field == "limit"


@each_entity
def test_statistics_count_every_collection(store: OmegaStore, entity: type[Any]):
    put_parents(store, entity)
    collection_of(store, entity).put_many(series(entity, 3))
    counts = store.statistics().counts
    assert counts == {each.table.name: each.count() for each in store.all()}


def test_a_collection_belongs_to_its_scope(store: OmegaStore):
    """The same classes serve the store, a transaction and a snapshot."""
    kinds = [type(collection) for collection in store.all()]
    with store.transaction() as tx:
        assert [type(collection) for collection in tx.all()] == kinds
        assert isinstance(tx, Collections)
    with store.snapshot() as snapshot:
        assert [type(collection) for collection in snapshot.all()] == kinds
