"""JSON fields: given as text or as objects, kept as text, read as either."""

from __future__ import annotations

from typing import Any

import pytest

from omega_persistence import InvalidDataError, OmegaStore
from samples import architecture, edge, episode, intelligence, memory, skill

NAN, INF = float("nan"), float("inf")


def test_json_fields_take_objects_and_give_them_back():
    made = architecture(
        fitness_json={"overall": 0.75, "é": [1, None, True]},
        lineage_json={},
        metadata_json={"a": 1},
    )
    assert made.fitness_json == '{"overall":0.75,"é":[1,null,true]}'
    assert made.fitness == {"overall": 0.75, "é": [1, None, True]}
    assert (made.lineage_json, made.lineage) == ("{}", {})
    assert (made.metadata_json, made.metadata) == ('{"a":1}', {"a": 1})

    mind = intelligence(capabilities_json=["plan"], memories_json=("m1", "m2"), state_json={"a": 1})
    assert (mind.capabilities, mind.memories, mind.state) == (["plan"], ["m1", "m2"], {"a": 1})
    assert mind.memories_json == '["m1","m2"]'
    assert intelligence(state_json=5).state == 5
    assert intelligence(state_json='"text"').state == "text"


def test_json_text_is_kept_letter_for_letter(store: OmegaStore):
    text = '{ "b": 1.50,\t"a" : "\\u00e9", "big": 123456789012345678901234567890, "b": 2 }'
    store.architectures.put(architecture(fitness_json=text))
    assert store.architectures.get("architecture").fitness_json == text
    assert store.architectures.get("architecture").fitness["a"] == "é"


@pytest.mark.parametrize("make", [memory, skill, architecture, intelligence, episode, edge])
def test_absent_metadata_reads_as_an_empty_object(make: Any):
    assert make().metadata_json is None
    assert make().metadata == {}
    assert make(metadata_json={}).metadata_json == "{}"
    assert make(metadata_json='{"a": [1]}').metadata == {"a": [1]}


@pytest.mark.parametrize(
    "value",
    [{"a": NAN}, {"a": [INF]}, {"a": {1, 2}}, {"a": b"bytes"}, {(1, 2): 3}, {"a": object()}],
    ids=range(6),
)
def test_an_object_that_json_cannot_hold_is_refused_when_it_is_given(value: Any):
    with pytest.raises(InvalidDataError, match="fitness_json cannot be written as JSON") as caught:
        architecture(fitness_json=value)
    assert caught.value.field == "fitness_json"


def test_an_object_that_holds_itself_is_refused():
    loop: dict[str, Any] = {}
    loop["self"] = loop
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (loop, {"a": deep}):
        with pytest.raises(InvalidDataError, match="cannot be written as JSON"):
            memory(metadata_json=value)


def test_json_as_deep_as_a_database_can_check_is_kept_and_deeper_refused(store: OmegaStore):
    for depth in (100, 400):
        text = '{"a":' + "[" * depth + "]" * depth + "}"
        store.memories.put(memory(metadata_json=text))
        assert store.memories.get("memory").metadata_json == text
    for depth in (2_000, 200_000):
        with pytest.raises(InvalidDataError):
            store.memories.put(memory(metadata_json='{"a":' + "[" * depth + "]" * depth + "}"))


def test_a_lone_surrogate_in_an_object_is_refused_on_write(store: OmegaStore):
    with pytest.raises(InvalidDataError, match="surrogate"):
        store.memories.put(memory(metadata_json={"a": "\ud800"}))
    store.memories.put(memory(metadata_json={"a": "\0"}))  # JSON has a way to write that
    assert store.memories.get("memory").metadata == {"a": "\0"}
