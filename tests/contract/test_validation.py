"""What is refused on write: before anything reaches a file, and in words that help."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from msgspec.structs import astuple, replace

from omega_persistence import InvalidDataError, OmegaStore, StoredMemory, StoredSkill
from omega_persistence.entities.record import MAX_BYTES
from samples import architecture, edge, episode, intelligence, memory, skill, vector
from strategies import ENTITIES, FAMILIES, collection_of, put_parents, type_of

NAN, INF = float("nan"), float("inf")


class Word(str):
    """A subclass: its value is welcome, its type is not kept."""

    __slots__ = ()


class Odd(Word):
    """One that is no key."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


NOT_REAL = (True, "0.5", None, b"", np.float64(0.5), np.float32(0.5), 1j)
NOT_WHOLE = (True, 1.0, "1", None, np.int64(1), NAN)
NOT_64_BITS = (2**63, -(2**63) - 1, 2**200)
NOT_TEXT = (None, 5, b"bytes", ["list"], 0.5)
NUL = ("\0", "a\0b", "tail\0")
SURROGATES = ("\ud800", "a\udfffb", "\udc80")
NOT_BYTES = ("text", 5, [1], np.zeros(2))
NOT_JSON = ("", "{", "nope", "{'a': 1}", '{"a": NaN}', '{"a": Infinity}', "{} {}")
NOT_JSON_EITHER = ('{"a":1e999}', '"\\ud800"', "\ufeff{}", "[" * 100_000)
NOT_OBJECTS = ("[]", "1", '"text"', "null", "true")

# A good record, a field, values that it must not have, and a part of the message.
TABLE: list[tuple[Any, str, tuple[Any, ...], str]] = [
    (memory(), "importance", (NAN, INF, -INF, -0.1, 1.0000000000000002, 1.7), "`float`"),
    (intelligence(), "maturity", (NAN, INF, -INF, -1.0, 2.0, 1e308), "`float`"),
    (edge(), "weight", (NAN, INF, -INF), "`float`"),
    (episode(), "reward", (NAN, INF, -INF), "`float`"),
    (memory(), "importance", NOT_REAL, "expected `float`"),
    (edge(), "weight", NOT_REAL, "expected `float`"),
    (memory(), "tier", (0, 13, 99, -5, 2**31, *NOT_WHOLE), "`int`"),
    (skill(), "success_count", (-1, *NOT_WHOLE, *NOT_64_BITS), "`int`"),
    (skill(), "failure_count", (-1, *NOT_WHOLE, *NOT_64_BITS), "`int`"),
    (memory(), "access_count", (-1, 2**63), "`int`"),
    (edge(), "evidence_count", (-1, 2**63), "`int`"),
    (vector(), "dimensions", (0, -4, *NOT_WHOLE, *NOT_64_BITS), "`int`"),
    (memory(), "created_at", NOT_64_BITS, "`int`"),
    (memory(), "last_accessed", NOT_64_BITS, "`int`"),
    (skill(), "last_used", NOT_64_BITS, "`int"),
    (architecture(), "created_at", NOT_64_BITS, "`int`"),
    (intelligence(), "updated_at", NOT_64_BITS, "`int`"),
    (episode(), "created_at", NOT_64_BITS, "`int`"),
    (edge(), "created_at", NOT_64_BITS, "`int`"),
    (memory(), "expires_at", (-1, *NOT_64_BITS), "`int"),
    (memory(), "id", ("", *NOT_TEXT), "`str`"),
    (memory(), "content", NOT_TEXT, "expected `str`"),
    (memory(), "session", ("",), "length >= 1"),
    (episode(), "outcome", NOT_TEXT, "expected `str`"),
    (skill(), "name", ("", None), "`str`"),
    (edge(), "from_memory", ("", None), "`str`"),
    (memory(), "id", NUL, "NUL"),
    (memory(), "content", NUL, "NUL"),
    (skill(), "trigger_pattern", NUL, "NUL"),
    (vector(), "space", NUL, "NUL"),
    (memory(), "id", SURROGATES, "lone surrogate"),
    (memory(), "content", SURROGATES, "lone surrogate"),
    (memory(), "keywords", SURROGATES, "lone surrogate"),
    (edge(), "edge_type", SURROGATES, "lone surrogate"),
    (memory(), "embedding_blob", NOT_BYTES, "expected `bytes"),
    (vector(), "data_blob", (None, *NOT_BYTES), "expected `bytes`"),
    (vector(), "data_blob", (b"", b"abc", bytes(12)), "4 * dimensions"),
    (vector(), "data_blob", (struct.pack("<2f", 1, NAN),), "NaN or infinity"),
    (architecture(), "fitness_json", NOT_JSON, "is not JSON"),
    (memory(), "metadata_json", NOT_JSON, "is not JSON"),
    (intelligence(), "state_json", (*NOT_JSON, *NOT_JSON_EITHER), "is not JSON"),
    (architecture(), "lineage_json", NOT_OBJECTS, "must hold a JSON object"),
    (skill(), "metadata_json", NOT_OBJECTS, "must hold a JSON object"),
    (edge(), "metadata_json", NOT_OBJECTS, "must hold a JSON object"),
    (intelligence(), "capabilities_json", NOT_OBJECTS[1:], "must hold a JSON array or object"),
    (intelligence(), "memories_json", ("{}", *NOT_OBJECTS[1:]), "must hold a JSON array"),
    (architecture(), "fitness_json", (None,), "expected `str`"),
]


class Case(NamedTuple):
    """One row and one of its values."""

    record: Any
    field: str
    rule: str


CASES = {
    f"{type(record).__name__}.{field}={ascii(value)[:30]}": Case(
        replace(record, **{field: value}), field, rule
    )
    for record, field, values, rule in TABLE
    for value in values
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_error_names_entity_id_field_value_and_rule(case: Case):
    with OmegaStore.new_in_memory() as store:
        record = case.record
        entity = type_of(case.record)
        put_parents(store, entity)
        before = store.statistics().counts
        collection = collection_of(store, entity)
        with pytest.raises(InvalidDataError) as caught:
            collection.put(record)
        error = caught.value
        assert error.kind == entity.__name__
        assert error.id == (record.id if type(record.id) is str else None)
        assert error.field == case.field
        assert error.index is None
        message = str(error)
        assert message.startswith(f"{entity.__name__} {record.id!r}: {case.field} ")
        assert case.rule in message
        assert repr(getattr(record, case.field))[:80] in message
        assert len(message) < 600

        fine = msgspec.structs.replace(FAMILIES[entity].example, id="fine")
        with pytest.raises(InvalidDataError) as caught:
            collection.put_many([fine, record])
        assert (caught.value.index, caught.value.field) == (1, case.field)
        assert "(number 1 of the batch)" in str(caught.value)
        assert store.statistics().counts == before


@pytest.mark.parametrize(
    "record",
    [
        memory(content="x" * (MAX_BYTES + 1)),
        memory(content="é" * (MAX_BYTES // 2 + 1)),
        memory(embedding_blob=bytes(MAX_BYTES + 1)),
        memory(metadata_json='{"a":"' + "x" * MAX_BYTES + '"}'),
    ],
    ids=["ascii", "utf-8", "blob", "json"],
)
def test_what_is_too_long_is_refused_in_few_words(store: OmegaStore, record: Any):
    with pytest.raises(InvalidDataError, match=f"is longer than {MAX_BYTES} bytes") as caught:
        store.memories.put(record)
    assert len(str(caught.value)) < 300
    assert store.memories.count() == 0


def test_the_longest_text_and_blob_are_accepted(store: OmegaStore):
    longest = memory(content="\n" * MAX_BYTES, embedding_blob=bytes(MAX_BYTES))
    store.memories.put(longest)
    assert store.memories.get("memory") == longest


def test_a_row_that_is_too_long_in_all_is_refused_whole(store: OmegaStore):
    long = "\n" * MAX_BYTES
    too_much = memory(content=long, keywords=long, session=long, embedding_blob=long.encode())
    with pytest.raises(InvalidDataError):
        store.memories.put(too_much)
    assert store.memories.count() == 0


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_record_of_another_type_is_refused(store: OmegaStore, entity: type[Any]):
    collection = collection_of(store, entity)
    other = skill() if entity is StoredMemory else memory()

    # A subclass may have changed what a field means.
    subclass = msgspec.defstruct("Subclass", [], bases=(entity,), frozen=True, gc=False)
    fields = msgspec.structs.asdict(FAMILIES[entity].example)
    wrongs: list[Any] = [other, None, {}, "memory", entity, subclass(**fields)]
    for wrong in wrongs:
        with pytest.raises(InvalidDataError, match=f"expected a {entity.__name__}, got "):
            collection.put(wrong)
        with pytest.raises(InvalidDataError) as caught:
            collection.put_many([FAMILIES[entity].example, wrong])
        assert caught.value.index == 1
    assert sum(store.statistics().counts.values()) == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (memory(importance=1), memory(importance=1.0)),
        (memory(importance=0), memory(importance=0.0)),
        (memory(content=Word("a")), memory(content="a")),
        (memory(embedding_blob=bytearray(b"a")), memory(embedding_blob=b"a")),
        (memory(embedding_blob=memoryview(b"a")), memory(embedding_blob=b"a")),
        (memory(importance=5e-324), memory(importance=5e-324)),
        (memory(created_at=-(2**63)), memory(created_at=-(2**63))),
        (memory(expires_at=2**63 - 1), memory(expires_at=2**63 - 1)),
    ],
    ids=range(8),
)
def test_what_comes_back_has_the_exact_types(store: OmegaStore, given: Any, kept: Any):
    """Values that mean the same are welcome in other types; those are not kept."""
    store.memories.put(given)
    found = store.memories.get("memory")
    assert found == kept
    for field, value in msgspec.structs.asdict(kept).items():
        assert type(getattr(found, field)) is type(value)


# Before any lock


def test_invalid_data_is_refused_while_another_transaction_is_open(store: OmegaStore):
    with store.transaction() as tx:
        with pytest.raises(InvalidDataError):
            tx.memories.put(memory(id=""))
        with pytest.raises(InvalidDataError):
            tx.memories.put_many([memory("a"), memory(importance=2)])
        with pytest.raises(InvalidDataError):  # even before the misuse is noticed: no lock yet
            store.memories.put(memory(id=""))
        tx.memories.put(memory("b"))
    assert [each.id for each in store.memories] == ["b"]


def test_a_batch_may_be_read_from_the_store_that_it_is_put_into(store: OmegaStore):
    store.memories.put_many(memory(f"{i}") for i in range(10))
    assert store.memories.put_many(replace(m, tier=9) for m in store.memories) == 10
    assert len(store.memories.by_tier(9)) == 10


def test_an_exception_of_the_batch_itself_writes_nothing(store: OmegaStore):
    def batch() -> Any:
        yield memory("a")
        raise KeyError("the caller's own")

    with pytest.raises(KeyError):
        store.memories.put_many(batch())
    assert store.memories.count() == 0


@pytest.mark.parametrize("namespace", ["", None, 5, "a\0", "\ud800", b"a"])
def test_a_namespace_is_text(store: OmegaStore, namespace: Any):
    with pytest.raises(InvalidDataError, match="namespace"):
        store.in_namespace(namespace)
    with pytest.raises(InvalidDataError, match="namespace"):
        OmegaStore(":memory:", namespace=namespace)
    with store.transaction() as tx, pytest.raises(InvalidDataError, match="namespace"):
        tx.in_namespace(namespace)


def test_required_fields_are_required():
    with pytest.raises(TypeError, match="trigger_pattern"):
        StoredSkill(name="n", description="d")  # pyright: ignore[reportCallIssue]


def test_text_of_another_class_is_checked_and_kept_as_text(store: OmegaStore):
    for bad in (Word("a\0b"), Word("\ud800")):
        with pytest.raises(InvalidDataError, match="content"):
            store.memories.put(memory("m", content=bad))
        with pytest.raises(InvalidDataError, match="id"):
            store.memories.put_many([memory("m"), memory(bad)])
    names = [Word("one"), Word("two"), Word("three")]
    store.memories.put_many(memory(name, content=Word("words")) for name in names)
    store.vectors.put_many([vector(name, name, 1.0) for name in names])
    assert [hit.memory_id for hit in store.vectors.nearest([1.0])] == ["one", "three", "two"]
    assert {type(value) for value in astuple(store.memories.get("one"))} <= {
        *(str, int, float, type(None)),
    }
    assert store.check() == []


def test_the_name_of_a_space_to_serve_is_text_that_can_be_stored(store: OmegaStore):
    for bad in ("a\0b", "\ud800", 5):
        with pytest.raises(InvalidDataError, match="space"):
            store.vectors.serve(bad)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    store.vectors.serve("")
    assert store.check() == []


def test_an_array_that_is_longer_than_a_vector_may_be_is_refused_before_it_is_stored(
    store: OmegaStore,
):
    long = np.ones(MAX_BYTES // 4 + 1, np.float32)
    for space in (None, "", "model"):
        with pytest.raises(InvalidDataError, match=f"longer than {MAX_BYTES} bytes"):
            store.remember("words", vector=long, space=space)
    assert store.memories.count() == 0


def test_a_matrix_may_be_stored_under_text_of_another_class(store: OmegaStore):
    store.memories.put_many([memory("a"), memory("b")])
    names = [Odd("a"), Odd("b")]
    for space in (Odd("model"), Odd("")):
        store.vectors.put_many(np.ones((2, 1)), memory_ids=names, ids=names, space=space)
        assert {type(each.space) for each in store.vectors} == {str}
    assert [each.memory_id for each in store.vectors] == ["a", "b"]
    assert store.check() == []


def test_the_space_of_a_vector_may_be_text_of_another_class(store: OmegaStore):
    store.remember("words", vector=[1.0], space=Word("model"))
    (found,) = store.vectors
    assert type(found.space) is str
    for bad in ("a\0b", "\ud800", 5):
        with pytest.raises(InvalidDataError, match="space"):
            store.remember("more", vector=[1.0], space=bad)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert store.memories.count() == 1
    assert store.check() == []
