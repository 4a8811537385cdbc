"""What every record is: a value, with JSON and a schema of its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from strategies import ENTITIES, FAMILIES

each_entity = pytest.mark.parametrize("entity", ENTITIES)


@each_entity
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_records_round_trip_through_json(entity: type[Any], data: Any):
    record = data.draw(FAMILIES[entity].records)
    assert msgspec.json.decode(msgspec.json.encode(record), type=entity) == record


@each_entity
def test_every_record_has_a_json_schema(entity: type[Any]):
    schema = msgspec.json.schema(entity)
    definition = schema["$defs"][entity.__name__]
    assert list(definition["properties"]) == list(entity.__struct_fields__)
    assert "id" not in definition["required"]
    assert definition["properties"]["id"]["minLength"] == 1
    required = {field.name for field in msgspec.structs.fields(entity) if field.required}
    assert set(definition["required"]) == required


@each_entity
def test_records_are_frozen_and_compared_by_value(entity: type[Any]):
    record = FAMILIES[entity].example
    with pytest.raises(AttributeError):
        record.id = "other"
    assert record == replace(record)
    assert record != replace(record, id="other")
    assert hash(record) == hash(replace(record))
