"""What every record has in common: ids, times, folding, and the look of the records."""

from __future__ import annotations

import math
import re
import struct
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega_persistence import InvalidDataError, StoredMemory
from omega_persistence.entities import record
from omega_persistence.entities.base import ALL, checked_limit
from omega_persistence.entities.record import (
    checked_time,
    decode_json,
    encode_json,
    finite_floats,
    new_id,
    new_ids,
)
from omega_persistence.entities.skills import fold, trigger
from samples import memory
from sqlite.support import python

FIRST_USE_BY_SEVERAL_THREADS = """
import time, typing
from concurrent.futures import ThreadPoolExecutor
import msgspec
from omega_persistence import OmegaStore
from omega_persistence.entities.record import introduce

# What msgspec calls when it looks at a type for the first time.
quick = typing._AnnotatedAlias.__hash__

def slow(alias):
    time.sleep(0.01)
    return quick(alias)

typing._AnnotatedAlias.__hash__ = slow

def use(kind):
    introduce(kind)
    try:
        msgspec.convert(dict.fromkeys(kind.__struct_fields__), kind)
    except msgspec.ValidationError:
        pass

with OmegaStore.new_in_memory() as store, ThreadPoolExecutor(4) as pool:
    for each in store.all():
        list(pool.map(use, [each.table.entity] * 4))
print("nothing crashed")
"""

FORK_WHILE_AN_ID_IS_MADE = """
import os
from omega_persistence.entities import record
with record._ids:
    child = os.fork()
if child:
    os.waitpid(child, 0)
print(record.new_id(), flush=True)
"""

# Ids


def test_an_id_is_a_uuid_of_version_seven():
    for text in (*(new_id() for _ in range(1000)), *new_ids(1000)):
        assert re.fullmatch(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", text)
        made = uuid.UUID(text)
        assert made.version == 7
        assert made.variant == uuid.RFC_4122


def test_later_ids_sort_later():
    made = [new_id() for _ in range(20_000)]
    for count in (0, 1, 2, 1000):
        several = new_ids(count)
        assert len(several) == count
        made += [*several, new_id()]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_sort_by_the_millisecond_of_their_making(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record, "_last_id", 0)
    made: list[str] = []
    for milliseconds in (1_000, 1_001, 2_000, 1_766_000_000_000, 2**48 - 1):
        monkeypatch.setattr(record, "time_ns", lambda now=milliseconds: now * 1_000_000)
        made.append(new_id())
        assert int(made[-1][:8] + made[-1][9:13], 16) == milliseconds
    assert made == sorted(made)


def test_a_clock_that_goes_back_does_not_take_the_order_with_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record, "_last_id", 0)
    made: list[str] = []
    for milliseconds in (5_000, 4_000, 1, 5_000):
        monkeypatch.setattr(record, "time_ns", lambda now=milliseconds: now * 1_000_000)
        made += [new_id() for _ in range(10)]
    assert made == sorted(made)


def test_ids_of_many_threads_differ_and_rise_in_each(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record, "time_ns", lambda: 10**18)  # all in one millisecond

    def make(_thread: int) -> list[str]:
        return [*(new_id() for _ in range(1_000)), *new_ids(999), new_id()]

    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(make, range(8)))
    assert all(part == sorted(part) for part in parts)
    assert len({id for part in parts for id in part}) == 16_000


def test_a_child_forked_while_a_thread_makes_an_id_makes_its_own():
    child, parent = python(FORK_WHILE_AN_ID_IS_MADE).split()
    assert uuid.UUID(child).version == uuid.UUID(parent).version == 7
    assert child != parent


# Times and limits


def test_a_time_is_the_present_unless_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record, "time", lambda: 12.9)
    assert checked_time(None) == 12
    for at in (0, -(2**63), 2**63 - 1):
        assert checked_time(at) == at


@pytest.mark.parametrize("at", [2**63, -(2**63) - 1, 1.0, True, "1", b"1"])
def test_a_time_is_whole_seconds_within_64_bits(at: Any):
    with pytest.raises(InvalidDataError, match="Unix seconds"):
        checked_time(at)


def test_a_limit_is_a_number_or_all():
    assert (checked_limit(0), checked_limit(5), checked_limit(None)) == (0, 5, ALL)


# Folding and triggers


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ABC", "abc"),
        ("ÉTÉ", "e\u0301te\u0301"),
        ("Straße", "STRASSE"),
        ("ΟΔΟΣ", "οδος"),
        ("\u212b", "å"),
        ("K", "\u212a"),
        ("ᾼ", "αι"),
        ("\u1e9e", "ss"),
    ],
)
def test_folding_ignores_case_and_composition(one: str, other: str):
    assert fold(one) == fold(other)


def test_folding_keeps_what_differs():
    texts = ["a", "á", "b", "", " ", "ı", "日", "０", "0"]
    assert len({fold(text) for text in texts}) == len(texts)


@given(st.text())
def test_folding_twice_changes_nothing(text: str):
    assert fold(fold(text)) == fold(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_folding_ascii_is_lower_case(text: str):
    assert fold(text) == text.lower()


def test_a_trigger_is_compiled_once():
    assert trigger("a+b") is trigger("a+b")
    assert trigger("(?=a)") is None


# JSON and floats


def test_json_text_is_compact_and_keeps_every_letter():
    assert encode_json({"b": [1, 2.5, None], "é": "日"}, "T", "f") == '{"b":[1,2.5,null],"é":"日"}'
    assert decode_json('{"b": 1}') == {"b": 1}
    assert decode_json(None) == {}


@given(st.lists(st.floats(width=32), max_size=20))
def test_floats_are_finite_when_every_one_is(numbers: list[float]):
    blob = struct.pack(f"<{len(numbers)}f", *numbers)
    assert finite_floats(blob) == all(map(math.isfinite, numbers))


# Records


def test_a_record_is_not_checked_when_it_is_made():
    odd = StoredMemory(content=5, tier=99, importance=float("inf"))  # pyright: ignore[reportArgumentType]
    assert odd.tier == 99


def test_fields_are_given_by_keyword():
    with pytest.raises(TypeError):
        StoredMemory("id", "content")  # pyright: ignore[reportCallIssue]


def test_a_record_can_be_changed_into_another():
    assert msgspec.structs.replace(memory(), tier=9) == memory(tier=9)
    with pytest.raises(AttributeError):
        memory().tier = 9  # pyright: ignore[reportAttributeAccessIssue]


def test_threads_may_be_the_first_to_use_a_kind_of_record_together() -> None:
    assert python(FIRST_USE_BY_SEVERAL_THREADS) == "nothing crashed\n"
