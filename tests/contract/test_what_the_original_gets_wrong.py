"""What the Rust crate gets wrong about records, each by its symptom, and ours right.

The numbers are the rows of the table in which its behaviour was measured: 1 to 25 are here, 26 to
32 in ``.._about_backups.py`` and 33 to 47 in ``.._about_files.py`` beside this file. Values that
break a rule are refused when they are written; in a file that the crate wrote they are read, and
kept in quarantine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from formats.legacy_files import copy_of, rewrite, rows_of
from omega_persistence import ConflictError, InvalidDataError, NotFoundError, OmegaStore
from samples import architecture, edge, episode, intelligence, memory, skill, vector
from sqlite.support import python

if TYPE_CHECKING:
    from pathlib import Path

    from omega_persistence import QuarantinedRow

INCREMENT_THREE_TIMES = """
import sys
from omega_persistence import OmegaStore
with OmegaStore(sys.argv[1]) as store:
    for at in (501, 502, 503):
        store.increment_skill_success("skill", at)
"""


def ids(records: list[Any]) -> list[str]:
    return [record.id for record in records]


# Row 1
@pytest.mark.parametrize("changes", [{}, {"content": "other", "tier": 9}], ids=["same", "changed"])
def test_storing_a_memory_again_deletes_its_vectors_episodes_and_edges(
    store: OmegaStore, changes: dict[str, Any]
):
    store.memories.put_many([memory("memory"), memory("effect")])
    store.store_vector(vector())
    store.store_reflexion(episode())
    store.store_causal_edge(edge("out"))
    store.store_causal_edge(edge("in", "effect", "memory"))
    store.store_memory(memory("memory", **changes))
    statistics = store.get_statistics()
    assert statistics.vector_count == statistics.reflexion_count == 1
    assert statistics.causal_edge_count == 2
    assert store.get_memory("memory") == memory("memory", **changes)


# Rows 2 and 3
@pytest.mark.parametrize("thief", ["new", "existing"])
def test_storing_a_skill_under_a_taken_name_deletes_the_other_one(store: OmegaStore, thief: str):
    owner = skill("owner", name="shared", success_count=42)
    store.store_skill(owner)
    store.store_skill(skill("existing"))
    with pytest.raises(ConflictError, match=f"{thief!r}.*'shared'.*'owner'"):
        store.store_skill(skill(thief, name="shared"))
    assert store.get_skill("owner") == owner


# Row 4
def test_storing_an_edited_copy_loses_the_increments_of_another_process(tmp_path: Path):
    with OmegaStore(tmp_path / "store.db") as store:
        store.store_skill(skill(success_count=5))
        copy = store.get_skill("skill")
        python(INCREMENT_THREE_TIMES, tmp_path / "store.db")
        store.store_skill(replace(copy, description="edited"))
        found = store.get_skill("skill")
        assert (found.description, found.success_count, found.last_used) == ("edited", 8, 503)


# Row 5
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (vector("v", "memory"), vector("v", "effect")),
        (episode("e", "memory"), episode("e", "effect")),
        (edge("e", "memory", "effect"), edge("e", "effect", "effect")),
        (edge("e", "memory", "effect"), edge("e", "memory", "memory")),
    ],
    ids=["vector", "episode", "cause", "effect"],
)
def test_storing_a_child_again_for_another_memory_takes_it_from_the_first(
    store: OmegaStore, old: Any, new: Any
):
    store.memories.put_many([memory("memory"), memory("effect")])
    collection: Any = next(each for each in store.all() if each.table.entity is type(old))
    collection.put(old)
    with pytest.raises(ConflictError, match="never move"):
        collection.put(new)
    assert collection.scan() == [old]


# Row 6
def test_an_architecture_that_has_an_intelligence_can_never_be_updated(store: OmegaStore):
    store.store_architecture(architecture())
    store.store_intelligence(intelligence())
    store.store_architecture(architecture())
    store.store_architecture(architecture(name="better"))
    assert store.get_architecture("architecture").name == "better"
    assert store.get_intelligences_by_arch("architecture") == [intelligence()]


# Row 7
@pytest.mark.parametrize("count", [2**31 - 1, 2**63 - 1])
def test_a_counter_that_overflows_poisons_every_list_it_is_in(store: OmegaStore, count: int):
    store.store_skill(skill("full", success_count=count))
    store.store_skill(skill("other"))
    store.increment_skill_success("full", 500)
    assert store.get_skill("full").success_count == min(count + 1, 2**63 - 1)
    assert ids(store.get_skills_by_pattern("pattern")) == ["full", "other"]


# Row 7 again
def test_a_counter_that_the_crate_overflowed_can_be_read(tmp_path: Path):
    with OmegaStore(copy_of("small", tmp_path)) as store:
        assert store.get_skill("skill-overflow").success_count == 2**31
        assert "skill-overflow" in ids(store.get_skills_by_pattern(""))


# Row 8
@pytest.mark.parametrize(
    "change",
    [
        "content = x'ff00'",
        "content = CAST(x'ff' AS TEXT)",
        "created_at = 'yesterday'",
        "last_accessed = 1.5",
        "id = NULL",
    ],
)
def test_one_row_of_an_unexpected_type_makes_the_whole_list_fail(tmp_path: Path, change: str):
    path = copy_of("clean", tmp_path)
    somebody = "(SELECT rowid FROM memories WHERE tier = 4 LIMIT 1)"
    rewrite(path, f"UPDATE memories SET {change} WHERE rowid = {somebody}")
    there = sum(row["tier"] == 4 for row in rows_of("clean")["memories"])
    with OmegaStore(path) as store:
        (bad,) = (row for row in store.quarantine() if row.table == "memories")
        assert change.partition(" ")[0] in bad.reason
        assert len(store.query_memories_by_tier(4)) == there - 1
        assert store.memories.count() == len(list(store.memories)) == 1999


# Row 9
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("code_review", ["code_review"]),
        ("100% sure", ["100% sure"]),
        ("%", ["100% sure"]),
        ("_", ["code_review"]),
        ("code%", []),
        ("\\", []),
    ],
)
def test_a_wildcard_in_a_pattern_matches_anything(store: OmegaStore, text: str, found: list[str]):
    for pattern in ("code_review", "codeXreview", "100% sure", "1000 sure"):
        store.store_skill(skill(pattern, trigger_pattern=pattern))
    assert ids(store.get_skills_by_pattern(text)) == found


# Row 10
def test_case_is_ignored_in_ascii_only(store: OmegaStore):
    store.store_skill(skill("summer", trigger_pattern="un ÉTÉ chaud"))
    assert ids(store.get_skills_by_pattern("été")) == ["summer"]


# Row 11
def test_a_trigger_pattern_is_never_applied_to_a_text(store: OmegaStore):
    store.store_skill(skill(trigger_pattern="review.*code|code.*review"))
    assert ids(store.skills.triggered_by("please review my code")) == ["skill"]
    assert store.get_skills_by_pattern("please review my code") == []


# Row 12
def test_what_follows_a_nul_in_a_trigger_is_not_found(store: OmegaStore):
    with pytest.raises(InvalidDataError, match="NUL"):
        store.store_skill(skill(trigger_pattern="head\0tail"))
    with pytest.raises(InvalidDataError, match="NUL"):
        store.get_skills_by_pattern("head\0tail")


# Row 13
def test_a_long_pattern_fails_in_the_words_of_the_engine(store: OmegaStore):
    store.store_skill(skill(trigger_pattern="a" * 60_000))
    assert ids(store.get_skills_by_pattern("a" * 10_000)) == ["skill"]
    with pytest.raises(InvalidDataError, match="the text to look for is longer than 10000"):
        store.get_skills_by_pattern("a" * 49_999)


# Rows 14 to 19: what must not be written, and the words for it
@pytest.mark.parametrize(
    ("record", "words"),
    [
        *((memory(tier=tier), "tier") for tier in (0, 99, -5, 2**31 - 1, -(2**31))),
        *((memory(importance=n), "importance") for n in (-1, 1.7, 1e308, float("inf"))),
        *((intelligence(maturity=n), "maturity") for n in (-1, 1.7, float("-inf"))),
        *((edge(weight=n), "weight") for n in (float("inf"), float("-inf"))),
        (memory(importance=float("nan")), "importance .* nan"),
        (intelligence(maturity=float("nan")), "maturity .* nan"),
        (edge(weight=float("nan")), "weight .* nan"),
        *((architecture(fitness_json=text), "fitness_json") for text in ("", "{", "[]", "1")),
        *((architecture(lineage_json=text), "lineage_json") for text in ("", "nope", '"a"')),
        *((intelligence(capabilities_json=text), "capabilities_json") for text in ("", "5")),
        *((intelligence(memories_json=text), "memories_json") for text in ("", "{}", "null")),
        *((intelligence(state_json=text), "state_json") for text in ("", "{'a': 1}")),
        (vector(dimensions=768, data_blob=b"abc"), "3 bytes, not 4 .* = 3072"),
        (vector(dimensions=-4, data_blob=b""), "dimensions"),
        (memory(id=""), "id .* length >= 1"),
        (skill(name=""), "name .* length >= 1"),
        (memory(id="a\0b"), "id holds a NUL"),
    ],
)
def test_values_out_of_range_are_accepted_or_refused_in_strange_words(
    store: OmegaStore, record: Any, words: str
):
    store.memories.put_many([memory("memory"), memory("effect")])
    store.store_architecture(architecture())
    collection: Any = next(each for each in store.all() if each.table.entity is type(record))
    before = collection.count()
    with pytest.raises(InvalidDataError, match=words) as caught:
        collection.put(record)
    assert "constraint" not in str(caught.value)
    assert collection.count() == before


@pytest.fixture(scope="module")
def quarantined(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[tuple[str, str | None], QuarantinedRow]:
    """The rows of a file of the crate that break our rules, by table and id."""
    with OmegaStore(copy_of("small", tmp_path_factory.mktemp("small"))) as store:
        return {(row.table, row.id): row for row in store.quarantine()}


# Rows 14, 15, 17, 18 and 19: what the crate has written is read, whole, and kept apart
@pytest.mark.parametrize(
    ("table", "id", "column", "value"),
    [
        ("memories", "mem-tier-99", "tier", 99),
        ("memories", "mem-tier-i32min", "tier", -(2**31)),
        ("memories", "mem-imp-1.7", "importance", 1.7),
        ("memories", "mem-imp-minus-inf", "importance", float("-inf")),
        ("intelligences", "intel-mat-inf", "maturity", float("inf")),
        ("causal_edges", "edge-w-inf", "weight", float("inf")),
        ("architectures", "arch-json-empty", "fitness_json", ""),
        ("architectures", "arch-json-array", "fitness_json", "[]"),
        ("intelligences", "intel-json-nan", "capabilities_json", None),
        ("vectors", "vec-i8", "data_blob", bytes([1, 255, 127, 128])),
        ("vectors", "vec-negdim", "dimensions", -4),
        ("memories", "", "id", ""),
        ("memories", "a\0b", "id", "a\0b"),
        ("skills", "skill-empty-name", "name", ""),
    ],
)
def test_values_out_of_range_that_the_crate_has_written_are_kept(
    quarantined: dict[tuple[str, str | None], QuarantinedRow],
    table: str,
    id: str,
    column: str,
    value: object,
):
    row = quarantined[table, id]
    assert value is None or row.row[column] == value
    assert f"{column} " in row.reason


# Row 17
def test_a_reference_inside_json_to_nothing_goes_unnoticed(store: OmegaStore):
    store.store_architecture(architecture(lineage_json={"parent": "nobody"}))
    store.store_intelligence(intelligence(memories_json=["nobody"]))
    assert {note.kind for note in store.doctor()} == {"lineage_parent", "memory_reference"}


# Row 20
def test_the_vector_of_a_memory_depends_on_the_order_of_writes(store: OmegaStore):
    store.store_memory(memory())
    for id in ("v2", "v1", "v2", "v1", "v3"):
        store.store_vector(vector(id))
    assert store.get_vector_by_memory("memory").id == "v1"


# Row 21
def test_equal_memories_change_places_when_one_is_stored_again(store: OmegaStore):
    for id in ("a", "b", "c", "a"):
        store.store_memory(memory(id))
    assert ids(store.query_memories_by_tier(4)) == ["a", "b", "c"]


# Row 22
def test_loops_parallel_edges_and_cycles_go_unnoticed(store: OmegaStore):
    store.memories.put_many([memory("memory"), memory("effect")])
    store.store_causal_edge(edge("loop", "memory", "memory"))
    for id in ("one", "two", "three"):
        store.store_causal_edge(edge(id))
    store.store_causal_edge(edge("back", "effect", "memory"))
    notes = {note.kind for note in store.doctor()}
    assert notes == {"causal_loop", "causal_duplicate", "causal_cycle"}
    assert store.check() == []


# Row 23
@pytest.mark.parametrize(
    "child", [vector(), episode(), edge(), intelligence()], ids=["vector", "episode", "edge", "i"]
)
def test_a_missing_parent_is_not_named(store: OmegaStore, child: Any):
    collection: Any = next(each for each in store.all() if each.table.entity is type(child))
    field, parents = next(iter(collection.table.references.items()))
    with pytest.raises(ConflictError, match=f"{field} names '{getattr(child, field)}'.*{parents}"):
        collection.put(child)


# Row 24
def test_a_last_access_or_use_can_go_back_in_time(store: OmegaStore):
    store.store_memory(memory(last_accessed=500))
    store.store_skill(skill(last_used=500))
    for at in (499, -(2**63)):
        store.update_memory_access("memory", at)
        store.increment_skill_success("skill", at)
    assert store.get_memory("memory").last_accessed == 500
    assert store.get_skill("skill").last_used == 500
    with pytest.raises(NotFoundError):
        store.update_memory_access("nobody", 1)


# Row 25
def test_statistics_leave_out_vectors_and_reflexions(store: OmegaStore):
    store.memories.put_many([memory("memory"), memory("effect")])
    store.store_vector(vector())
    store.store_reflexion(episode())
    store.store_causal_edge(edge())
    statistics = store.get_statistics()
    assert (statistics.memory_count, statistics.vector_count) == (2, 1)
    assert (statistics.reflexion_count, statistics.causal_edge_count) == (1, 1)
